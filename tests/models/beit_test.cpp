/// \file
/// BEiT against transformers with every head, and its folders.
// covers: pretrained/beit.hpp
// covers: models/beit_config.hpp
#include "rapt/models/beit.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rapt/data/patch_masking.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/beit.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Beit;
using rapt::BeitConfig;
using rapt::ImageBatch;
using rapt::Index;
using rapt::MaskedImages;
using rapt::PatchMask;
using rapt::Tensor;
using rapt::TokenId;
using rapt::Variable;
using rapt_test::expect_agreement;
using rapt_test::expect_message;
using rapt_test::expect_return_journey;
using rapt_test::for_each_case;

/// One case of the golden file, and everything that our model makes of it.
struct BeitCase : rapt_test::ModelCase<Beit> {
  static constexpr const char* kFile = "beit";
  static constexpr std::size_t kCases = 7;
  explicit BeitCase(const std::string& name) : ModelCase(kFile, name) {}

  /// Compares all results that the file has; returns the loss, as the script has it.
  template <class T>
  Variable<T> expect_results(const Beit<T>& model, double tolerance) const {
    const ImageBatch<T> images(tensor<T>("pixels"), model.config().grid.image);
    PatchMask mask;
    if (contains("mask")) {
      std::vector<bool> flags;
      for (const TokenId flag : ids("mask")) flags.push_back(flag != 0);
      mask = PatchMask::from_flags(flags, model.config().grid.patches());
    }
    const Variable<T> hidden = model.hidden(images, mask);
    expect("hidden", hidden.value(), tolerance);
    if (contains("pooled")) expect("pooled", model.pooled(hidden).value(), tolerance);
    if (contains("patches")) expect("patches", model.patch_logits(hidden).value(), tolerance);
    if (contains("classes")) expect("classes", model.logits(hidden).value(), tolerance);
    Variable<T> loss;
    if (contains("targets")) {
      loss = model.loss(MaskedImages<T>{.images = images, .mask = mask, .visual_tokens = ids("targets")});
    } else if (contains("labels")) {
      loss = model.loss(rapt::LabelledImages<T>{.images = images, .labels = ids("labels")});
    } else {
      loss =
          add(rapt::sum(rapt::multiply(hidden, Variable<T>(tensor<T>("upstream")))), rapt::sum(model.pooled(hidden)));
    }
    expect("loss", loss.value(), tolerance);
    return loss;
  }
};

[[nodiscard]] BeitConfig small_config() {
  BeitConfig config;
  config.grid = {.image = {.channels = 2, .height = 6, .width = 9}, .patch_height = 3, .patch_width = 3};
  config.visual_tokens = 7;
  config.d_model = 16;
  config.layers = 2;
  config.heads = 2;
  config.d_ff = 24;
  config.drop_path = 0;
  config.mask_token = config.relative_positions = config.masked_patch_head = true;
  return config;
}
template <class T>
[[nodiscard]] ImageBatch<T> random_images(const BeitConfig& config, Index count, std::uint64_t seed) {
  return {rapt_test::normal_tensor<T>({count, config.grid.image.size()}, seed), config.grid.image};
}

TEST(Beit, AgreesWithTransformers) {
  for_each_case<BeitCase>([](const BeitCase& golden) { expect_agreement<float>(golden, 1e-5, 1e-4); });
}

TEST(Beit, AgreesInDouble) {
  for_each_case<BeitCase>([](const BeitCase& golden) { expect_agreement<double>(golden, 1e-7, 1e-6); });
}

TEST(Beit, TravelsBackUnchanged) {
  for_each_case<BeitCase>([](const BeitCase& golden) { expect_return_journey(golden); });
}

TEST(Beit, WhatFilesMayHoldBeside) {
  BeitCase golden("masked");
  golden.parameters.emplace("beit.encoder.relative_position_bias.relative_position_index",
                            Tensor<float>(rapt::Shape{10, 10}, 0.f));
  golden.write();
  golden.expect_results(golden.load<float>(), 1e-5);
  golden.parameters.emplace("decode_head.classifier.weight", Tensor<float>(rapt::Shape{2, 12}, 0.f));
  golden.write();
  expect_message([&] { std::ignore = golden.load<float>(); }, "no place for \"decode_head.classifier.weight\"");
}

TEST(Beit, SettingsThatItDoesNotHaveAreRefused) {
  const auto with = [](const char* key, const nlohmann::json& value, const std::string& part) {
    BeitCase golden("masked");
    golden.config[key] = value;
    golden.write();
    expect_message([&] { std::ignore = golden.load<float>(); }, part);
  };
  with("model_type", "vit", "wanted is \"beit\"");
  with("num_attention_heads", 5, "heads = 5");
  with("image_size", 14, "images of 14 x 14 cannot be cut into patches of 4 x 4");
  with("image_size", nlohmann::json::parse("[1, 2, 3]"), "\"image_size\" must be one number or [height, width]");
  with("image_size", 800, "may have 4096 patches: 40000");
  with("patch_size", 6, "config.json wants");
  with("drop_path_rate", 1.5, "dropout must be in [0, 1): 1.5");
  with("hidden_act", "mish", "\"hidden_act\"");
  with("use_relative_position_bias", true, "tensors are missing");
  with("use_absolute_position_embeddings", true, "tensors are missing: \"beit.embeddings.position_embeddings\"");
  with("layer_scale_init_value", 0, "no place for");
  with("num_hidden_layers", 4, "tensors are missing");
}

TEST(Beit, PartsAreWhatTheConfigNames) {
  BeitConfig config = small_config();
  config.masked_patch_head = false;
  const auto parameters = [&] {
    rapt::Rng rng(1);
    return rapt::count_parameters(Beit(config, rng));
  };
  EXPECT_EQ(rapt::detail::architecture_of(config), "BeitModel");
  const Index bare = parameters();
  config.masked_patch_head = true;
  EXPECT_EQ(rapt::detail::architecture_of(config), "BeitForMaskedImageModeling");
  EXPECT_EQ(parameters() - bare, 16 * 7 + 7);  // the norm is the head's, not the pooler's
  config.masked_patch_head = false;
  config.labels = {"a", "b", "c"};
  EXPECT_EQ(rapt::detail::architecture_of(config), "BeitForImageClassification");
  EXPECT_EQ(parameters() - bare, 3 * 16 + 3);
  config.layer_scale = 0;
  EXPECT_EQ(parameters() - bare, 3 * 16 + 3 - 4 * 16);
  config.shared_relative_positions = true;  // 3 x 5 distances and three more, in two heads
  EXPECT_EQ(parameters() - bare, 3 * 16 + 3 - 4 * 16 + 18 * 2);
}

TEST(Beit, SharedBiasesBeginWithZeros) {
  BeitConfig config{.grid = {.image = {.channels = 1, .height = 4, .width = 6}, .patch_height = 2, .patch_width = 2},
                    .d_model = 8,
                    .layers = 1,
                    .heads = 4,
                    .d_ff = 8};
  config.shared_relative_positions = true;
  rapt::Rng rng(1);
  const Beit<float> model(config, rng);
  bool has_table = false;
  rapt::for_each_parameter(model, [&](const std::string& name, const rapt::Parameter<float>& parameter) {
    if (name != "position_bias.table") return;
    has_table = true;
    ASSERT_EQ(parameter.shape(), (rapt::Shape{18, 4}));
    for (const float bias : parameter.value().values()) EXPECT_EQ(bias, 0.f);
  });
  EXPECT_TRUE(has_table);
}

TEST(Beit, TheSizesOfThePaper) {
  const auto parameters = [](BeitConfig config) {
    const rapt::detail::InitialiseNothing scope;
    rapt::Rng rng(1);
    return rapt::count_parameters(Beit(config, rng));
  };
  EXPECT_EQ(parameters(BeitConfig::base()), 91965776);  // transformers' BeitForMaskedImageModeling
  EXPECT_EQ(parameters(BeitConfig::large()), 311534016);
}

TEST(Beit, ABatchOfManyEqualsBatchesOfOne) {
  rapt::Rng rng(1);
  const BeitConfig config = small_config();
  Beit<double> model(config, rng);
  rapt_test::randomize(model, 2);
  const auto images = random_images<double>(config, 3, 5);
  const PatchMask mask(3, 6, {0, 1, 4, 6, 7, 8, 9, 10, 11});  // images with 3, 0 and 6 hidden patches
  const auto together = model.hidden(images, mask).value();
  const std::vector<PatchMask> alone{{1, 6, {0, 1, 4}}, PatchMask(1, 6), {1, 6, std::vector<TokenId>{}}};
  for (Index b = 0; b < 3; ++b) {
    const ImageBatch<double> one(Tensor<double>(images.pixels().view().middle_rows(b, 1)), config.grid.image);
    const auto hidden = model.hidden(one, alone[static_cast<std::size_t>(b)]).value();
    rapt_test::expect_close(hidden, Tensor<double>(together.view().middle_rows(b * 7, 7)), 1e-12);
  }
}

TEST(Beit, HiddenPatchesAreNotSeen) {
  rapt::Rng rng(1);
  const BeitConfig config = small_config();
  Beit<float> model(config, rng);
  rapt_test::randomize(model, 2);
  auto images = random_images<float>(config, 1, 5);
  const PatchMask mask(1, 6, {1, 2, 3, 4, 5});
  const auto before = model.hidden(images, mask).value(), plain = model.hidden(images).value();
  Tensor<float> pixels = images.pixels();
  pixels.data()[0] += 1;  // of patch 0
  const ImageBatch<float> changed(pixels, config.grid.image);
  EXPECT_TRUE(rapt_test::same_bits(model.hidden(changed, mask).value(), before));
  EXPECT_FALSE(rapt_test::same_bits(model.hidden(changed).value(), plain));
}

TEST(Beit, WeightsAreProbabilities) {
  rapt::Rng rng(1);
  for (const bool relative : {true, false}) {
    BeitConfig config = small_config();
    config.relative_positions = relative;
    const Beit<float> model(config, rng);
    std::vector<Tensor<float>> weights(2);
    const auto images = random_images<float>(config, 2, 5);
    std::ignore = model.hidden(images, {}, weights);
    for (const Tensor<float>& layer : weights) {
      ASSERT_EQ(layer.shape(), (rapt::Shape{2, 2, 7, 7}));
      for (Index i = 0; i < layer.rows(); ++i) {
        EXPECT_NEAR(std::accumulate(layer.row(i), layer.row(i) + 7, 0.f), 1.f, 1e-5);
      }
    }
  }
}

TEST(Beit, LearnsWithDropoutAndDropPath) {
  rapt::Rng rng(1);
  BeitConfig config = small_config();
  config.dropout = config.attention_dropout = 0.05f;
  config.drop_path = 0.1f;
  Beit<float> model(config, rng);
  rapt::Adam adam(model);
  const auto images = random_images<float>(config, 4, 5);
  const PatchMask mask = rapt::random_patch_mask(4, 6, 0.5, rng);
  const MaskedImages<float> batch{images, mask, rapt_test::random_ids(12, 7, 3)};
  const float before = model.loss(batch).item();
  for (int step = 0; step < 60; ++step) {
    const rapt::Training scope(rng);
    rapt::backward(model.loss(batch));
    adam.step(3e-3);
  }
  EXPECT_LT(model.loss(batch).item(), 0.5f * before);
  const auto still = model.hidden(images).value();
  EXPECT_TRUE(rapt_test::same_bits(still, model.hidden(images).value()));
  const rapt::Training scope(rng);
  EXPECT_FALSE(rapt_test::same_bits(still, model.hidden(images).value()));
}

TEST(Beit, SameBitsOnAnyNumberOfThreads) {
  rapt_test::expect_same_bits_on_any_threads([] {
    rapt::Rng rng(1);
    BeitConfig config = small_config();
    config.drop_path = config.dropout = 0.2f;
    Beit<float> model(config, rng);
    const auto images = random_images<float>(config, 9, 5);
    const rapt::Training scope(rng);
    const PatchMask mask = rapt::random_patch_mask(9, 6, 0.5, rng);
    rapt::backward(model.loss(MaskedImages<float>{images, mask, rapt_test::random_ids(27, 7, 3)}));
    std::vector<float> all;
    rapt::for_each_parameter(model, [&](const std::string&, const rapt::Parameter<float>& p) {
      all.insert(all.end(), p.grad().values().begin(), p.grad().values().end());
    });
    return all;
  });
}

TEST(Beit, ErrorsNameTheValues) {
  rapt::Rng rng(1);
  BeitConfig config = small_config();
  const Beit<float> model(config, rng);
  const auto images = random_images<float>(config, 2, 5);
  const auto hidden = model.hidden(images);
  const std::vector<TokenId> targets{1, 2};
  expect_message([&] { std::ignore = model.logits(hidden); }, "no classification head");
  expect_message([&] { std::ignore = model.hidden(images, PatchMask(1, 6, {0})); },
                 "a mask of 1 images of 6 patches for 2");
  expect_message([&] { std::ignore = model.loss(MaskedImages<float>{images, PatchMask(2, 6, {0, 6}), targets}); }, "2");
  expect_message([&] { std::ignore = model.pooled(Variable<float>(Tensor<float>(rapt::Shape{6, 16}))); }, "[6, 16]");
  const ImageBatch<float> wide(Tensor<float>(rapt::Shape{1, 108}, 0.f), {.channels = 2, .height = 6, .width = 9});
  const ImageBatch<float> tall(Tensor<float>(rapt::Shape{1, 108}, 0.f), {.channels = 2, .height = 9, .width = 6});
  std::ignore = model.hidden(wide);
  expect_message([&] { std::ignore = model.hidden(tall); }, "images of 2 x 9 x 6, the model's are 2 x 6 x 9");
  config.mask_token = false;
  expect_message(
      [&] {
        std::ignore = Beit<float>(config, rng).hidden(images, PatchMask(2, 6, {0, 6}));
      },
      "no mask token");
  config.labels = {"a", "b"};
  expect_message([&] { config.validate(); }, "2 labels");
  config.masked_patch_head = config.pooler = false;
  expect_message([&] { config.validate(); }, "needs the pooler");
  config = small_config();
  config.heads = 3;
  expect_message([&] { config.validate(); }, "d_model = 16, heads = 3");
}

}  // namespace
