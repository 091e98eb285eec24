/// \file
/// Masked autoencoders against transformers, and their folders.
// covers: pretrained/mae.hpp
// covers: models/mae_config.hpp
#include "rapt/models/mae.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rapt/data/patch_masking.hpp"
#include "rapt/models/vit.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/mae.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::ImageBatch;
using rapt::Index;
using rapt::Mae;
using rapt::MaeConfig;
using rapt::PatchMask;
using rapt::Tensor;
using rapt::TokenId;
using rapt::Variable;
using rapt_test::expect_agreement;
using rapt_test::expect_message;
using rapt_test::expect_return_journey;
using rapt_test::for_each_case;

/// One case of the golden file, and everything that our model makes of it.
struct MaeCase : rapt_test::ModelCase<Mae> {
  static constexpr const char* kFile = "vit_mae";
  static constexpr std::size_t kCases = 4;
  explicit MaeCase(const std::string& name) : ModelCase(kFile, name) {}
  template <class T>
  [[nodiscard]] ImageBatch<T> images(const Mae<T>& model) const {
    return {tensor<T>("pixels"), model.config().grid.image};
  }
  [[nodiscard]] PatchMask mask(const MaeConfig& of) const {
    const Tensor<float> noise = tensor<float>("noise");
    return rapt::mask_by_noise(noise.values(), of.grid.patches(), of.mask_ratio);
  }

  /// Compares all results that the file has; returns the loss, as the script has it.
  template <class T>
  Variable<T> expect_results(const Mae<T>& model, double tolerance) const {
    const PatchMask hiding = mask(model.config());
    const Variable<T> hidden = model.hidden(images(model), hiding);
    expect("hidden", hidden.value(), tolerance);
    Variable<T> loss;
    if (contains("patches")) {
      expect("patches", model.predict(hidden, hiding).value(), tolerance);
      EXPECT_TRUE(rapt_test::same_bits(model(images(model), hiding).value(), model.predict(hidden, hiding).value()));
      loss = model.loss({.images = images(model), .mask = hiding});
    } else {
      loss = rapt::sum(rapt::multiply(hidden, Variable<T>(tensor<T>("upstream"))));
    }
    expect("loss", loss.value(), tolerance);
    return loss;
  }
};

[[nodiscard]] MaeConfig small_config() {
  MaeConfig config{.d_model = 16,
                   .layers = 2,
                   .heads = 2,
                   .d_ff = 24,
                   .decoder_width = 8,
                   .decoder_layers = 1,
                   .decoder_heads = 2,
                   .decoder_d_ff = 12};
  config.grid = {.image = {.channels = 2, .height = 6, .width = 8}, .patch_height = 3, .patch_width = 2};
  return config;
}
template <class T>
[[nodiscard]] ImageBatch<T> random_images(const MaeConfig& config, Index count, std::uint64_t seed) {
  return {rapt_test::normal_tensor<T>({count, config.grid.image.size()}, seed), config.grid.image};
}
template <class T>
[[nodiscard]] Tensor<T> parameter(const Mae<T>& model, const std::string& wanted) {
  Tensor<T> found;
  rapt::for_each_parameter(model, [&](const std::string& name, const rapt::Parameter<T>& p) {
    if (name == wanted) found = p.value();
  });
  return found;
}

TEST(Mae, AgreesWithTransformers) {
  for_each_case<MaeCase>([](const MaeCase& golden) { expect_agreement<float>(golden, 1e-5, 1e-4); });
}

TEST(Mae, AgreesInDouble) {
  for_each_case<MaeCase>([](const MaeCase& golden) { expect_agreement<double>(golden, 2e-7, 1e-6); });
}

TEST(Mae, HidesWhatTransformersHides) {
  for_each_case<MaeCase>([](const MaeCase& golden) {
    const MaeConfig config = golden.load<float>().config();
    std::vector<TokenId> masked;
    const std::vector<TokenId> flags = golden.ids("mask");
    for (std::size_t i = 0; i < flags.size(); ++i) {
      if (flags[i] != 0) masked.push_back(static_cast<TokenId>(i));
    }
    EXPECT_EQ(golden.mask(config).masked(), masked);
  });
}

TEST(Mae, BeginsWithTheSamePositions) {
  for_each_case<MaeCase>([](const MaeCase& golden) {
    rapt::Rng rng(1);
    const Mae<double> model(golden.load<double>().config(), rng);
    golden.expect("positions", parameter(model, "positions"), 1e-7);
    if (golden.contains("patches")) {
      golden.expect("decoder_positions", parameter(model, "decoder.positions"), 1e-7);
    }
  });
}

TEST(Mae, TravelsBackUnchanged) {
  for_each_case<MaeCase>([](const MaeCase& golden) { expect_return_journey(golden); });
}

TEST(Mae, NamesOfOtherFilesAreKnown) {
  for (const char* name : {"pretraining", "normalised"}) {
    MaeCase golden(name);
    std::map<std::string, Tensor<float>> renamed;
    for (const auto& [stored, value] : golden.parameters) {
      std::string other = stored;
      const std::string ours = "decoder.decoder_layers.";
      if (other.starts_with(ours)) other.replace(0, ours.size(), "decoder.decoder_encoder.layer.");
      renamed.emplace(other, value);
    }
    EXPECT_FALSE(renamed.contains("decoder.decoder_layers.0.layernorm_after.bias"));
    golden.parameters = renamed;
    golden.write();
    golden.expect_results(golden.load<float>(), 1e-5);
  }
}

TEST(Mae, SettingsThatItDoesNotHaveAreRefused) {
  const auto with = [](const char* key, const nlohmann::json& value, const std::string& part) {
    MaeCase golden("pretraining");
    golden.config[key] = value;
    golden.write();
    expect_message([&] { std::ignore = golden.load<float>(); }, part);
  };
  with("model_type", "vit", "wanted is \"vit_mae\"");
  with("qkv_bias", false, "\"qkv_bias\"");
  with("num_attention_heads", 5, "heads = 5");
  with("decoder_num_attention_heads", 3, "decoder_heads = 3");
  with("image_size", 14, "images of 14 x 14 cannot be cut into patches of 4 x 4");
  with("image_size", 16, "config.json wants");
  with("mask_ratio", 1, "mask_ratio must be in [0, 1): 1");
  with("num_hidden_layers", 3, "tensors are missing: \"vit.encoder.layer.2.");
  with("decoder_num_hidden_layers", 900000000, "900000000 layers of the decoder");
  with("num_hidden_layers", 900000000, "900000000 layers");
}

TEST(Mae, TheSizesOfThePaper) {
  const auto parameters = [](const MaeConfig& config) {
    const rapt::detail::InitialiseNothing scope;
    rapt::Rng rng(1);
    return rapt::count_parameters(Mae(config, rng));
  };
  EXPECT_EQ(parameters(MaeConfig::base()), 111907840);  // transformers' ViTMAEForPreTraining
  EXPECT_EQ(parameters(MaeConfig::large()), 329541888);
}

TEST(Mae, TheEncoderSeesVisiblePatchesAlone) {
  rapt::Rng rng(1);
  const MaeConfig config = small_config();
  const Mae<float> model(config, rng);
  const auto images = random_images<float>(config, 2, 5);
  const PatchMask mask(2, 8, {3, 0, 15, 10});
  const auto hidden = model.hidden(images, mask);
  EXPECT_EQ(hidden.shape(), (rapt::Shape{6, 16}));
  std::vector<TokenId> hidden_patches = mask.masked();
  const Tensor<float> noise(rapt::Shape{12, 12}, 3.f);
  const auto changed = rapt::kernels::with_patches(images, config.grid, hidden_patches, noise);
  EXPECT_TRUE(rapt_test::same_bits(model.hidden(changed, mask).value(), hidden.value()));
  EXPECT_FALSE(rapt_test::same_bits(model.hidden(changed).value(), model.hidden(images).value()));
  EXPECT_EQ(model.hidden(images).shape(), (rapt::Shape{18, 16}));
  EXPECT_TRUE(rapt_test::same_bits(model.hidden(images).value(), model.hidden(images, PatchMask(2, 8)).value()));
}

TEST(Mae, PositionsAreNotLearned) {
  rapt::Rng rng(1);
  const MaeConfig config = small_config();
  Mae<float> model(config, rng);
  const auto images = random_images<float>(config, 4, 5);
  const PatchMask mask = rapt::random_patch_mask(4, 8, 0.5, rng);
  const Tensor<float> before = parameter(model, "positions");
  rapt::Adam adam(model, {.weight_decay = 0.1});
  const rapt::Training scope(rng);
  rapt::backward(model.loss({.images = images, .mask = mask}));
  rapt::for_each_parameter(model, [&](const std::string& name, const rapt::Parameter<float>& p) {
    EXPECT_EQ(p.grad().empty(), name.ends_with("positions")) << name;
  });
  adam.step(1e-2);
  EXPECT_TRUE(rapt_test::same_bits(parameter(model, "positions"), before));
}

TEST(Mae, LearnsAndReconstructs) {
  for (const bool normalise : {false, true}) {
    rapt::Rng rng(1);
    MaeConfig config = small_config();
    config.normalise_pixels = normalise;
    Mae<float> model(config, rng);
    const auto images = random_images<float>(config, 3, 5);
    const PatchMask mask = rapt::random_patch_mask(3, 8, 0.5, rng);
    const auto error = [&] {
      const auto found = model.reconstruct(images, mask);
      double sum = 0;
      for (Index i = 0; i < images.pixels().size(); ++i) {
        sum += std::pow(found.pixels().data()[i] - images.pixels().data()[i], 2);
      }
      return sum / static_cast<double>(mask.masked().size()) / 12;
    };
    if (!normalise) {
      EXPECT_NEAR(error(), model.loss({.images = images, .mask = mask}).item(), 1e-4);
    }
    const double before = error();
    rapt::Adam adam(model);
    for (int step = 0; step < 150; ++step) {
      const rapt::Training scope(rng);
      rapt::backward(model.loss({.images = images, .mask = mask}));
      adam.step(5e-3);
    }
    EXPECT_LT(error(), 0.3 * before);
    const auto found = model.reconstruct(images, mask);  // visible patches are the images' own
    EXPECT_TRUE(rapt_test::same_bits(rapt::kernels::patch_pixels(found, config.grid, mask.visible()),
                                     rapt::kernels::patch_pixels(images, config.grid, mask.visible())));
  }
}

TEST(Mae, SameBitsOnAnyNumberOfThreads) {
  rapt_test::expect_same_bits_on_any_threads([] {
    rapt::Rng rng(1);
    MaeConfig config = small_config();
    config.dropout = 0.1f;
    Mae<float> model(config, rng);
    const auto images = random_images<float>(config, 9, 5);
    const rapt::Training scope(rng);
    const PatchMask mask = rapt::random_patch_mask(9, 8, 0.75, rng);
    rapt::backward(model.loss({.images = images, .mask = mask}));
    std::vector<float> all;
    rapt::for_each_parameter(model, [&](const std::string&, const rapt::Parameter<float>& p) {
      all.insert(all.end(), p.grad().values().begin(), p.grad().values().end());
    });
    return all;
  });
}

TEST(Mae, ItsEncoderMakesAClassifier) {
  rapt::Rng rng(1);
  const MaeConfig config = small_config();
  const Mae<float> mae(config, rng);
  rapt::VitConfig same{.grid = config.grid,
                       .d_model = config.d_model,
                       .layers = config.layers,
                       .heads = config.heads,
                       .d_ff = config.d_ff,
                       .labels = {"a", "b", "c"}};
  rapt::Vit classifier(same, rng);
  const auto images = random_images<float>(config, 2, 5);
  EXPECT_FALSE(rapt_test::same_bits(classifier.hidden(images).value(), mae.hidden(images).value()));
  rapt::copy_encoder(mae, classifier);
  EXPECT_TRUE(rapt_test::same_bits(classifier.hidden(images).value(), mae.hidden(images).value()));
  EXPECT_EQ(classifier(images).shape(), (rapt::Shape{2, 3}));
  same.d_ff = 20;
  rapt::Vit narrow(same, rng);
  expect_message([&] { rapt::copy_encoder(mae, narrow); }, "encoder.layers.0.linear1.weight has shape [24, 16]");
  same.d_ff = 24;
  same.layers = 1;
  rapt::Vit low(same, rng);
  expect_message([&] { rapt::copy_encoder(mae, low); }, "no parameter \"encoder.layers.1.");
}

TEST(Mae, ErrorsNameTheValues) {
  rapt::Rng rng(1);
  MaeConfig config = small_config();
  const Mae<float> model(config, rng);
  const auto images = random_images<float>(config, 2, 5);
  expect_message([&] { std::ignore = model.loss({.images = images, .mask = PatchMask(2, 8)}); }, "no patch is hidden");
  expect_message(
      [&] {
        std::ignore = model.loss({.images = images, .mask = PatchMask(2, 8, {0, 1, 8})});
      },
      "image 1 shows 1 patches");
  expect_message([&] { std::ignore = model.loss({.images = images, .mask = PatchMask(2, 8, {})}); },
                 "image 0 shows 0 patches");
  expect_message([&] { std::ignore = model.hidden(images, PatchMask(3, 8, {0, 8, 16})); }, "a mask of 3 images");
  const PatchMask showing = rapt::corrupted_patch_mask(2, 8, rng);
  expect_message([&] { std::ignore = model.hidden(images, showing); }, "nothing is shown in their place: 8 are given");
  expect_message([&] { std::ignore = model.predict(model.hidden(images), PatchMask(2, 8, {0, 8})); }, "[18, 16]");
  const ImageBatch<float> other(Tensor<float>(rapt::Shape{1, 96}, 0.f), {.channels = 2, .height = 8, .width = 6});
  expect_message([&] { std::ignore = model.hidden(other); }, "images of 2 x 8 x 6, the model's are 2 x 6 x 8");
  config.decoder = false;
  expect_message(
      [&] {
        std::ignore = Mae<float>(config, rng).loss({.images = images, .mask = PatchMask(2, 8, {0, 8})});
      },
      "no decoder");
  config.d_model = 18;
  expect_message([&] { config.validate(); }, "d_model = 18");
}

}  // namespace
