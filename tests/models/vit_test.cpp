/// \file
/// ViT against transformers, its folders, and what it is made of.
// covers: pretrained/image_keys.hpp
// covers: pretrained/vit.hpp
// covers: models/vit_config.hpp
#include "rapt/models/vit.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/vit.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::ImageBatch;
using rapt::ImageShape;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
using rapt::Vit;
using rapt::VitConfig;
using rapt_test::expect_agreement;
using rapt_test::expect_message;
using rapt_test::expect_return_journey;
using rapt_test::for_each_case;
using rapt_test::normal_tensor;

/// One case of the golden file, and everything that our model makes of it.
struct VitCase : rapt_test::ModelCase<Vit> {
  static constexpr const char* kFile = "vit";
  static constexpr std::size_t kCases = 7;
  explicit VitCase(const std::string& name) : ModelCase(kFile, name) {}

  /// Compares all results that the file has; returns the loss, as the script has it.
  template <class T>
  rapt::Variable<T> expect_results(const Vit<T>& model, double tolerance) const {
    ImageShape shape = model.config().grid.image;
    const bool resized = contains("size");
    if (resized) shape.height = ids("size")[0], shape.width = ids("size")[1];
    const ImageBatch<T> images(tensor<T>("pixels"), shape);
    const rapt::VitOptions<T> options{.resize_positions = resized};
    const rapt::Variable<T> hidden = model.hidden(images, options);
    expect("hidden", hidden.value(), tolerance);
    rapt::Variable<T> loss;
    if (contains("classes")) {
      const rapt::Variable<T> classes = model(images, options);
      expect("classes", classes.value(), tolerance);
      loss = resized ? rapt::cross_entropy(classes, ids("labels"))
                     : model.loss({.images = images, .labels = ids("labels")});
    } else {
      const auto part = [&](const rapt::Variable<T>& result, const std::string& upstream) {
        return rapt::sum(rapt::multiply(result, rapt::Variable<T>(tensor<T>(upstream))));
      };
      loss = part(hidden, "upstream_hidden");
      if (contains("pooled")) {
        const rapt::Variable<T> pooled = model.pooler_output(hidden, model.splits(images));
        expect("pooled", pooled.value(), tolerance);
        loss = add(loss, part(pooled, "upstream_pooled"));
      }
    }
    expect("loss", loss.value(), tolerance);
    return loss;
  }
};

[[nodiscard]] VitConfig small_config() {
  return {.grid = {.image = {.channels = 2, .height = 6, .width = 8}, .patch_height = 3, .patch_width = 2},
          .d_model = 16,
          .layers = 2,
          .heads = 2,
          .d_ff = 24,
          .labels = {"a", "b", "c"}};
}
[[nodiscard]] ImageBatch<double> some_images(Index count, std::uint64_t seed, ImageShape shape = {2, 6, 8}) {
  return {normal_tensor<double>({count, shape.size()}, seed), shape};
}

TEST(Vit, AgreesWithTransformers) {
  for_each_case<VitCase>([](const VitCase& golden) { expect_agreement<float>(golden, 1e-5, 1e-4); });
}

TEST(Vit, AgreesInDouble) {
  for_each_case<VitCase>([](const VitCase& golden) { expect_agreement<double>(golden, 1e-7, 1e-6); });
}

TEST(Vit, BeginsWithTheConfigsDeviation) {
  VitConfig config = small_config();
  config.init_std = 0.5;
  rapt::Rng rng(1);
  Vit<float> model(config, rng);
  double squares = 0, count = 0, most = 0;
  rapt::for_each_parameter(model, [&](const std::string&, const rapt::Parameter<float>& parameter) {
    if (parameter.shape().rank() == 1) return;
    for (const float value : parameter.value().values()) {
      squares += static_cast<double>(value) * static_cast<double>(value), ++count;
      most = std::max(most, std::abs(static_cast<double>(value)));
    }
  });
  // What is left of a normal distribution's variance between -2 and 2 deviations: 1 - 4 phi(2) / (2 Phi(2) - 1)
  EXPECT_NEAR(std::sqrt(squares / count), 0.5 * std::sqrt(0.7737), 0.01);
  EXPECT_LE(most, 1.0);
  const rapt_test::TemporaryFolder saved;
  rapt::save_pretrained(saved.path(), model);
  EXPECT_EQ(rapt::from_pretrained<Vit<float>>(saved.path()).config().init_std, 0.5);
  config.init_std = -1;
  expect_message([&] { Vit<float>(config, rng); }, "init_std not negative: -1");
}

TEST(Vit, TravelsBackUnchanged) {
  for_each_case<VitCase>([](const VitCase& golden) { expect_return_journey(golden); });
}

TEST(Vit, NamesWithAndWithoutThePrefixAreKnown) {
  for_each_case<VitCase>([](VitCase golden) {
    if (golden.config["architectures"][0] != "ViTModel") return;
    std::map<std::string, Tensor<float>> renamed;
    for (const auto& [name, value] : golden.parameters) renamed.emplace("vit." + name, value);
    golden.parameters = renamed;
    golden.write();
    golden.expect_results(golden.load<float>(), 1e-5);
  });
}

TEST(Vit, SettingsThatItDoesNotHaveAreRefused) {
  const auto with = [](const char* key, const nlohmann::json& value, const std::string& part) {
    VitCase golden("classes");
    golden.config[key] = value;
    golden.write();
    expect_message([&] { std::ignore = golden.load<float>(); }, part);
  };
  with("model_type", "deit", "wanted is \"vit\"");
  with("num_attention_heads", 5, "d_model = 12, heads = 5");
  with("image_size", 14, "14 x 14 cannot be cut into patches of 4 x 4");
  with("patch_size", {4, 5}, "12 x 12 cannot be cut into patches of 4 x 5");
  with("image_size", {1, 2, 3}, "\"image_size\" must be one number or [height, width], it has 3");
  with("image_size", 16, "\"vit.embeddings.position_embeddings\" has shape [1, 10, 12]");
  with("num_channels", 1, "\"vit.embeddings.patch_embeddings.projection.weight\" has shape [12, 3, 4, 4]");
  with("hidden_act", "mish", "\"hidden_act\" must be the name of an activation");
  with("hidden_dropout_prob", 1, "dropout must be in [0, 1): 1");
  with("layer_norm_eps", 0, "norm_epsilon");
  with("num_hidden_layers", 4, "tensors are missing: \"vit.encoder.layer.3.");
  with("num_hidden_layers", 2, "no place for \"vit.encoder.layer.2.");
  with("qkv_bias", false, "no place for \"vit.encoder.layer.0.attention.attention.key.bias\"");
  with("id2label", {{"0", "a"}, {"1", "b"}}, "\"classifier.weight\" has shape [3, 12], config.json wants [2, 12]");
  VitCase golden("no_bias");
  golden.config["qkv_bias"] = true;
  golden.write();
  expect_message([&] { std::ignore = golden.load<float>(); }, "tensors are missing");
}

TEST(Vit, HugeSizesCostNothing) {
  VitCase golden("classes");
  golden.config["image_size"] = 999999999;
  golden.config["patch_size"] = 1;
  golden.write();
  expect_message([&] { std::ignore = golden.load<float>(); }, "[pretrained]");
}

TEST(Vit, TheSizesOfThePaper) {
  // 86, 304 and 632 million parameters; counted without drawing them
  const auto parameters = [](VitConfig config, std::size_t classes) {
    config.labels.resize(classes);
    const rapt::detail::InitialiseNothing scope;
    rapt::Rng rng(1);
    return rapt::count_parameters(Vit(config, rng));
  };
  EXPECT_EQ(parameters(VitConfig::base(), 1000), 86567656);  // transformers' ViTForImageClassification
  EXPECT_EQ(parameters(VitConfig::large(), 1000), 304326632);
  EXPECT_EQ(parameters(VitConfig::huge(), 1000), 632045800);
}

TEST(Vit, ABatchOfManyEqualsBatchesOfOne) {
  for (const auto pooling : {rapt::ImagePooling::class_token, rapt::ImagePooling::mean}) {
    VitConfig config = small_config();
    config.pooling = pooling;
    rapt::Rng rng(1);
    Vit<double> model(config, rng);
    rapt_test::randomize(model, 2);
    const auto many = some_images(3, 3);
    const auto all = model(many).value();
    for (Index b = 0; b < 3; ++b) {
      const ImageBatch<double> one(Tensor<double>(many.pixels().view().middle_rows(b, 1)), many.shape());
      const auto alone = model(one).value();
      for (Index j = 0; j < 3; ++j) EXPECT_NEAR(alone(0, j), all(b, j), 1e-12);
    }
  }
}

TEST(Vit, PoolingIsTheClassTokenOrTheMeanOfThePatches) {
  VitConfig config = small_config();
  rapt::Rng rng(1);
  const Vit<double> first(config, rng);
  config.pooling = rapt::ImagePooling::mean;
  const Vit<double> mean(config, rng);
  const auto images = some_images(2, 4);
  const auto splits = first.splits(images);
  EXPECT_EQ(splits, rapt::RowSplits::equal(2, 9));
  const auto hidden = first.hidden(images);
  for (Index b = 0; b < 2; ++b) {
    for (Index j = 0; j < 16; ++j) {
      EXPECT_EQ(first.pooled(hidden, splits).value()(b, j), hidden.value()(9 * b, j));
      double sum = 0;
      for (Index i = 1; i < 9; ++i) sum += hidden.value()(9 * b + i, j);
      EXPECT_NEAR(mean.pooled(hidden, splits).value()(b, j), sum / 8, 1e-14);
    }
  }
  const rapt_test::TemporaryFolder folder;
  expect_message([&] { rapt::save_pretrained(folder.path(), mean); }, "would not pool by the mean");
}

TEST(Vit, ImagesOfAnotherSizeAreTakenOnRequest) {
  rapt::Rng rng(1);
  const Vit<double> model(small_config(), rng);
  const auto larger = some_images(2, 5, {2, 9, 8});
  expect_message([&] { std::ignore = model.hidden(larger); }, "2 x 9 x 8, the model's are 2 x 6 x 8");
  EXPECT_EQ(model.hidden(larger, {.resize_positions = true}).shape(), (Shape{2 * 13, 16}));
  expect_message(
      [&] {
        std::ignore = model.hidden(some_images(1, 6, {2, 7, 8}), {.resize_positions = true});
      },
      "7 x 8 cannot be cut into patches of 3 x 2");
  expect_message([&] { std::ignore = model.hidden(some_images(1, 6, {1, 6, 8})); }, "the model's have 2 channels");
  // Of its own size, nothing is resized.
  const auto own = some_images(2, 5);
  EXPECT_TRUE(rapt_test::same_bits(model.hidden(own).value(), model.hidden(own, {.resize_positions = true}).value()));
}

TEST(Vit, AttentionWeightsCanBeHad) {
  rapt::Rng rng(1);
  const Vit<double> model(small_config(), rng);
  std::vector<Tensor<double>> weights(2);
  std::ignore = model.hidden(some_images(3, 6), {.weights = weights});
  for (const auto& layer : weights) {
    EXPECT_EQ(layer.shape(), (Shape{3, 2, 9, 9}));
    for (Index i = 0; i < layer.rows(); ++i) {
      double sum = 0;
      for (Index j = 0; j < 9; ++j) sum += layer(i, j);
      EXPECT_NEAR(sum, 1, 1e-12);
    }
  }
}

TEST(Vit, WeightsBeginAsATruncatedNormal) {
  rapt::Rng rng(1);
  VitConfig config = small_config();
  config.d_model = 64;
  config.qkv_bias = false;
  const Vit<float> model(config, rng);
  double squares = 0;
  Index count = 0, biases = 0;
  rapt::for_each_parameter(model, [&](const std::string& name, const rapt::Parameter<float>& parameter) {
    biases += name.ends_with("in_proj_bias") ? 1 : 0;
    if (parameter.shape().rank() == 1) {
      const float wanted = name.find("norm") != std::string::npos && name.ends_with("weight") ? 1.f : 0.f;
      for (const float v : parameter.value().values()) EXPECT_EQ(v, wanted) << name;
      return;
    }
    for (const float v : parameter.value().values()) {
      EXPECT_LE(std::abs(v), 0.04f) << name;
      squares += static_cast<double>(v) * static_cast<double>(v);
      ++count;
    }
  });
  EXPECT_EQ(biases, 0);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(count)), 0.02 * 0.8796, 2e-4);  // of a normal, cut at two
}

TEST(Vit, LearnsWhereTheLightIs) {
  VitConfig config = small_config();
  config.labels = {"top left", "top right", "bottom left", "bottom right"};
  config.dropout = 0.1f;
  rapt::Rng rng(1);
  Vit model(config, rng);
  rapt::Adam adam(model);
  const std::vector<TokenId> labels{0, 1, 2, 3};
  Tensor<float> pixels(Shape{4, 96}, 0.f);
  for (Index b = 0; b < 4; ++b) {
    for (Index i = 0; i < 96; ++i) {
      const Index y = i / 8 % 6, x = i % 8;
      if ((y >= 3) == (b >= 2) && (x >= 4) == (b % 2 == 1)) pixels(b, i) = 1.f;
    }
  }
  const ImageBatch<float> images(pixels, config.grid.image);
  double first = 0, last = 0;
  for (int step = 0; step < 100; ++step) {
    const rapt::Training scope(rng);
    const auto loss = model.loss({.images = images, .labels = labels}, {.label_smoothing = 0.01f});
    rapt::backward(loss);
    adam.step(3e-3);
    last = static_cast<double>(loss.item());
    if (step == 0) first = last;
  }
  EXPECT_NEAR(first, std::log(4.0), 0.2);
  EXPECT_LT(last, 0.2);
  const auto scores = model(images).value();
  for (Index b = 0; b < 4; ++b) EXPECT_EQ(std::max_element(scores.row(b), scores.row(b) + 4) - scores.row(b), b);
}

TEST(Vit, DropoutIsOnInTrainingOnly) {
  rapt::Rng rng(1);
  VitConfig config = small_config();
  config.dropout = 0.2f;
  const Vit<double> model(config, rng);
  const auto images = some_images(2, 7);
  const auto still = model(images).value();
  EXPECT_TRUE(rapt_test::same_bits(still, model(images).value()));
  const rapt::Training scope(rng);
  EXPECT_FALSE(rapt_test::same_bits(still, model(images).value()));
}

TEST(Vit, ErrorsNameTheValues) {
  rapt::Rng rng(1);
  const Vit<double> model(small_config(), rng);
  const auto images = some_images(2, 8);
  const auto hidden = model.hidden(images);
  const std::vector<TokenId> one{0}, outside{0, 3};
  std::vector<Tensor<double>> three(3);
  expect_message([&] { std::ignore = model.loss({.images = images, .labels = one}); },
                 "1 targets for rows of shape [2, 3]");
  expect_message([&] { std::ignore = model.loss({.images = images, .labels = outside}); }, "token id 3 at position 1");
  expect_message([&] { std::ignore = model.hidden(images, {.weights = three}); },
                 "3 tensors for the weights of 2 layers");
  expect_message([&] { std::ignore = model.pooled(hidden, rapt::RowSplits::equal(2, 8)); }, "row splits end at 16");
  expect_message([&] { std::ignore = model.pooler_output(hidden, model.splits(images)); }, "has no pooler");
  VitConfig config = small_config();
  config.labels.clear();
  const Vit<double> bare(config, rng);
  expect_message([&] { std::ignore = bare(images); }, "no classification head");
  const auto refused = [&](const auto& change, const std::string& part) {
    VitConfig wrong = small_config();
    change(wrong);
    expect_message([&] { wrong.validate(); }, part);
  };
  refused([](VitConfig& c) { c.heads = 3; }, "d_model = 16, heads = 3");
  refused([](VitConfig& c) { c.grid.patch_width = 3; }, "6 x 8 cannot be cut into patches of 3 x 3");
  refused([](VitConfig& c) { c.pooler = true; }, "3 labels");
  refused([](VitConfig& c) { c.layers = 0; }, "layers 0");
  refused([](VitConfig& c) { c.attention_dropout = -0.5f; }, "-0.5");
}

}  // namespace
