/// \file
/// Models of corrupted patches against PyTorch, with each target.
#include "rapt/models/patch_prediction.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "rapt/data/patch_masking.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/optim/adam.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::ImageBatch;
using rapt::Index;
using rapt::PatchMask;
using rapt::PatchPrediction;
using rapt::PatchPredictionConfig;
using rapt::PatchTarget;
using rapt::Tensor;
using rapt_test::expect_message;

PatchPredictionConfig small_config(PatchTarget target) {
  return {.encoder = {.grid = {.image = {.channels = 2, .height = 8, .width = 12}, .patch_height = 4, .patch_width = 4},
                      .d_model = 12,
                      .layers = 2,
                      .heads = 3,
                      .d_ff = 20,
                      .norm_epsilon = 1e-5},
          .target = target,
          .bits = 2,
          .mosaic_side = 2};
}
ImageBatch<float> random_images(const PatchPredictionConfig& config, Index count) {
  Tensor<float> pixels(rapt::Shape{count, config.encoder.grid.image.size()});
  rapt::Rng(5).fill_uniform(pixels.values(), 0.f, 1.f);
  return {std::move(pixels), config.encoder.grid.image};
}
/// The mask of the golden file: `masked` are the numbers of patches of images with 6.
PatchMask golden_mask(const rapt_test::Golden& golden, Index images) {
  std::vector<bool> flags(static_cast<std::size_t>(6 * images), false);
  for (const auto number : golden.ids("masked")) flags[static_cast<std::size_t>(number)] = true;
  return PatchMask::from_flags(flags, 6).showing(golden.ids("shown"));
}

template <class T>
void expect_agreement(PatchTarget target) {
  const rapt_test::Golden golden("patch_prediction", std::string(rapt::name_of(target)));
  const PatchPredictionConfig config = small_config(target);
  rapt::Rng rng(1);
  PatchPrediction<T> model(config, rng);
  golden.load(model);
  const ImageBatch<T> images(golden.tensor<T>("pixels"), config.encoder.grid.image);
  const PatchMask mask = golden_mask(golden, images.images());
  if (target == PatchTarget::pixels) {
    golden.expect("targets", rapt::kernels::patch_pixels(images, config.encoder.grid, mask.masked()), 0);
  } else {
    EXPECT_EQ(rapt::kernels::patch_colours(images, config.encoder.grid, mask.masked(), config.colours()),
              golden.ids("targets"));
  }
  golden.expect_output("output", model(images, mask).value());
  const rapt::Recording scope;
  const auto loss = model.loss({.images = images, .mask = mask});
  golden.expect_output("loss", loss.value());
  rapt::backward(loss);
  golden.expect_gradients(model);
}

constexpr PatchTarget kTargets[] = {PatchTarget::mean_colour, PatchTarget::mosaic, PatchTarget::pixels};

TEST(PatchPrediction, AgreesWithPyTorch) {
  for (const PatchTarget target : kTargets) {
    SCOPED_TRACE(rapt::name_of(target));
    expect_agreement<float>(target);
    expect_agreement<double>(target);
  }
}

TEST(PatchPrediction, TheTargetsOfThePaper) {
  EXPECT_EQ(PatchPredictionConfig{.target = PatchTarget::mean_colour}.outputs(), 512);
  EXPECT_EQ(PatchPredictionConfig{.target = PatchTarget::mosaic}.outputs(), 16 * 512);
  EXPECT_EQ(PatchPredictionConfig{.target = PatchTarget::pixels}.outputs(), 3 * 256);
}

TEST(PatchPrediction, SeesOfMaskedPatchesWhatIsShownAlone) {
  rapt::Rng rng(1);
  const PatchPredictionConfig config = small_config(PatchTarget::mean_colour);
  const PatchPrediction<float> model(config, rng);
  const auto images = random_images(config, 2);
  const PatchMask mask(2, 6, {0, 2, 4, 6, 7, 8});  // masked: 1, 3, 5, 9, 10, 11
  const auto with_noise = [&](const std::vector<std::int32_t>& patches) {
    const Tensor<float> noise(rapt::Shape{std::ssize(patches), config.encoder.grid.patch_size()}, 3.f);
    return rapt::kernels::with_patches(images, config.encoder.grid, patches, noise);
  };
  const auto same = [&](const ImageBatch<float>& others, const PatchMask& some) {
    return rapt_test::same_bits(model.hidden(others, some).value(), model.hidden(images, some).value());
  };
  EXPECT_TRUE(same(with_noise(mask.masked()), mask));
  EXPECT_FALSE(same(with_noise({4}), mask));
  const PatchMask showing = mask.showing({-1, 3, -1, -1, 9, -1});
  EXPECT_TRUE(same(with_noise({1, 5, 10, 11}), showing));
  EXPECT_FALSE(same(with_noise({3}), showing));
  EXPECT_FALSE(same(with_noise({9}), showing));
  EXPECT_TRUE(rapt_test::same_bits(model.hidden(images).value(), model.hidden(images, PatchMask(2, 6)).value()));
}

TEST(PatchPrediction, Learns) {
  for (const PatchTarget target : kTargets) {
    SCOPED_TRACE(rapt::name_of(target));
    rapt::Rng rng(1);
    PatchPredictionConfig config = small_config(target);
    config.encoder.init_std = 0.2;
    PatchPrediction<float> model(config, rng);
    const auto images = random_images(config, 4);
    const PatchMask mask = rapt::corrupted_patch_mask(4, 6, rng);
    const double before = static_cast<double>(model.loss({.images = images, .mask = mask}).item());
    rapt::Adam adam(model);
    for (int step = 0; step < 300; ++step) {
      const rapt::Training scope(rng);
      rapt::backward(model.loss({.images = images, .mask = mask}));
      adam.step(1e-2);
    }
    EXPECT_LT(model.loss({.images = images, .mask = mask}).item(), 0.4 * before);
  }
}

TEST(PatchPrediction, SameBitsOnAnyNumberOfThreads) {
  for (const PatchTarget target : kTargets) {
    rapt_test::expect_same_bits_on_any_threads([&] {
      rapt::Rng rng(1);
      PatchPredictionConfig config = small_config(target);
      config.encoder.dropout = 0.1f;
      PatchPrediction<float> model(config, rng);
      const auto images = random_images(config, 9);
      const rapt::Training scope(rng);
      const PatchMask mask = rapt::corrupted_patch_mask(9, 6, rng);
      rapt::backward(model.loss({.images = images, .mask = mask}));
      std::vector<float> all;
      rapt::for_each_parameter(model, [&](const std::string&, const rapt::Parameter<float>& p) {
        all.insert(all.end(), p.grad().values().begin(), p.grad().values().end());
      });
      return all;
    });
  }
}

TEST(PatchPrediction, ItsEncoderMakesAClassifier) {
  rapt::Rng rng(1);
  const PatchPredictionConfig config = small_config(PatchTarget::mosaic);
  const PatchPrediction<float> model(config, rng);
  rapt::VitConfig same = config.encoder;
  same.labels = {"a", "b"};
  rapt::Vit classifier(same, rng);
  const auto images = random_images(config, 2);
  EXPECT_FALSE(rapt_test::same_bits(classifier.hidden(images).value(), model.hidden(images).value()));
  rapt::copy_encoder(model, classifier);
  EXPECT_TRUE(rapt_test::same_bits(classifier.hidden(images).value(), model.hidden(images).value()));
  same.layers = 1;
  rapt::Vit low(same, rng);
  expect_message([&] { rapt::copy_encoder(model, low); }, "no parameter \"encoder.layers.1.");
}

TEST(PatchPrediction, TravelsThroughAFile) {
  const auto path = std::filesystem::temp_directory_path() / "rapt_patch_prediction_test.safetensors";
  PatchPredictionConfig config = small_config(PatchTarget::mosaic);
  config.lowest = {-1.5, -2};
  config.highest = {2, 2.25};
  rapt::Rng rng(1);
  const PatchPrediction model(config, rng);
  rapt::save_model(path, model);
  const auto loaded = rapt::load_model<PatchPrediction<float>>(path);
  EXPECT_EQ(rapt::config_to_json(loaded.config()), rapt::config_to_json(config));
  EXPECT_EQ(loaded.config().lowest, config.lowest);
  EXPECT_EQ(loaded.config().highest, config.highest);
  const auto images = random_images(config, 2);
  const PatchMask mask = rapt::corrupted_patch_mask(2, 6, rng);
  EXPECT_TRUE(rapt_test::same_bits(loaded(images, mask).value(), model(images, mask).value()));
  std::filesystem::remove(path);
}

TEST(PatchPrediction, ErrorsNameTheValues) {
  rapt::Rng rng(1);
  PatchPredictionConfig config = small_config(PatchTarget::mosaic);
  const PatchPrediction<float> model(config, rng);
  const auto images = random_images(config, 2);
  expect_message([&] { std::ignore = model.loss({.images = images, .mask = PatchMask(2, 6)}); }, "no patch is masked");
  expect_message([&] { std::ignore = model.hidden(images, PatchMask(3, 6)); }, "a mask of 3 images of 6 patches");
  config.mosaic_side = 3;
  expect_message([&] { config.validate(); }, "a mosaic of 3 x 3 cells");
  config.target = PatchTarget::mean_colour;
  config.validate();
  config.bits = 20;
  expect_message([&] { config.validate(); }, "20 bits of 2 channels");
  PatchPredictionConfig hostile = small_config(PatchTarget::mosaic);  // 2^64 outputs
  hostile.encoder.grid = {.image = {1, 1 << 20, 1 << 20}, .patch_height = 1 << 20, .patch_width = 1 << 20};
  hostile.bits = 24;
  hostile.mosaic_side = 1 << 20;
  expect_message([&] { hostile.validate(); }, "1048576 x 1048576 cells of 16777216 colours");
  config.target = PatchTarget::pixels;
  config.validate();
  config.encoder.labels = {"a"};
  expect_message([&] { config.validate(); }, "given 1 labels");
  config.encoder.heads = 5;
  expect_message([&] { config.validate(); }, "heads = 5");
}

}  // namespace
