/// \file
/// Graphs of vision models, evaluated, against the models.
// covers: onnx/beit.hpp, onnx/clip.hpp, onnx/mae.hpp
#include "rapt/onnx/vit.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/data/patch_masking.hpp"
#include "rapt/onnx/beit.hpp"
#include "rapt/onnx/clip.hpp"
#include "rapt/onnx/mae.hpp"

#include "tests/common/onnx_case.hpp"

namespace {

using rapt_test::kOnnxTolerance;
using rapt_test::OnnxModel;
using rapt_test::OnnxTensor;

/// 4 x 3 patches that are not square themselves.
constexpr rapt::PatchGrid kOblong = {
    .image = {.channels = 2, .height = 8, .width = 9}, .patch_height = 2, .patch_width = 3};

rapt::ImageBatch<float> oblong_images() {
  rapt::Rng rng(5);
  rapt::Tensor<float> pixels(rapt::Shape{3, kOblong.image.size()});
  rng.fill_normal(pixels.values(), 0.0, 1.0);
  return {std::move(pixels), kOblong.image};
}

template <class Config>
Config small_images() {
  Config config;
  config.grid = kOblong;
  config.d_model = 8, config.layers = 2, config.heads = 2, config.d_ff = 12;
  return config;
}

class OnnxVit : public rapt_test::OnnxTest {
 protected:
  template <class M>
  OnnxModel::Tensors run(const M& model, OnnxModel::Tensors inputs = {}) {
    inputs["pixel_values"] = rapt_test::onnx_tensor(images_.pixels(), {3, 2, 8, 9});
    return OnnxModel(rapt::onnx::export_onnx(model, folder()).front())(inputs);
  }
  rapt::ImageBatch<float> images_ = oblong_images();
};

TEST_F(OnnxVit, HiddenStatesAndPooledOnes) {
  auto config = small_images<rapt::VitConfig>();
  config.pooler = true, config.pooler_width = 5, config.qkv_bias = false;
  const auto model = rapt_test::onnx_model<rapt::Vit<float>>(config);
  const auto results = run(model);
  const rapt::Variable<float> hidden = model.hidden(images_);
  rapt_test::expect_close(hidden.value(), results.at("last_hidden_state").values, kOnnxTolerance);
  rapt_test::expect_close(model.pooler_output(hidden, model.splits(images_)).value(),
                          results.at("pooler_output").values, kOnnxTolerance);
}

TEST_F(OnnxVit, Labels) {
  auto config = small_images<rapt::VitConfig>();
  config.labels = {"a", "b", "c"}, config.pooling = rapt::ImagePooling::mean;
  const auto mean = rapt_test::onnx_model<rapt::Vit<float>>(config);
  rapt_test::expect_close(mean(images_).value(), run(mean).at("logits").values, kOnnxTolerance);

  auto teacher = small_images<rapt::DeitConfig>();
  teacher.labels = {"a", "b", "c"}, teacher.distillation_head = true;
  const auto deit = rapt_test::onnx_model<rapt::Deit<float>>(teacher);
  rapt_test::expect_close(deit(images_).value(), run(deit).at("logits").values, kOnnxTolerance);
}

TEST_F(OnnxVit, Beit) {
  auto config = small_images<rapt::BeitConfig>();
  config.visual_tokens = 11, config.mask_token = config.masked_patch_head = config.positions = true;
  config.relative_positions = config.shared_relative_positions = true, config.pooler = false;
  const auto masked = rapt_test::onnx_model<rapt::Beit<float>>(config);
  OnnxTensor flags = OnnxTensor::zeros({3, 12});
  std::vector<bool> is_masked(36);
  for (const std::size_t i : {1u, 4u, 17u, 35u}) is_masked[i] = true, flags.values[i] = 1;
  const rapt::Variable<float> hidden = masked.hidden(images_, rapt::PatchMask::from_flags(is_masked, 12));
  rapt_test::expect_close(masked.patch_logits(hidden).value(),
                          run(masked, {{"bool_masked_pos", flags}}).at("logits").values, kOnnxTolerance);

  config.mask_token = config.masked_patch_head = config.relative_positions = false, config.pooler = true;
  config.labels = {"a", "b"};
  const auto labels = rapt_test::onnx_model<rapt::Beit<float>>(config);
  rapt_test::expect_close(labels(images_).value(), run(labels).at("logits").values, kOnnxTolerance);
}

TEST_F(OnnxVit, Mae) {
  auto config = small_images<rapt::MaeConfig>();
  config.decoder_width = 12, config.decoder_layers = 1, config.decoder_heads = 3, config.decoder_d_ff = 10;
  OnnxTensor noise = OnnxTensor::zeros({3, 12});
  for (std::size_t i = 0; i < 36; ++i) noise.values[i] = static_cast<double>((i % 12 * 5 + i / 12) % 11);  // two equal
  for (const double ratio : {0.6, 0.0}) {
    config.mask_ratio = ratio, config.normalise_pixels = ratio > 0, config.decoder = true;
    const auto mask = rapt::mask_by_noise(std::span<const double>(noise.values), 12, ratio);
    const auto model = rapt_test::onnx_model<rapt::Mae<float>>(config);
    const auto results = run(model, {{"noise", noise}});
    rapt_test::expect_close(model(images_, mask).value(), results.at("logits").values, kOnnxTolerance);
    EXPECT_EQ(results.at("logits").dims, (std::vector<rapt::Index>{3, 12, 12}));
    rapt_test::expect_close(model.reconstruct(images_, mask).pixels(), results.at("reconstruction").values,
                            kOnnxTolerance);
    EXPECT_EQ(results.at("reconstruction").dims, (std::vector<rapt::Index>{3, 2, 8, 9}));
    std::vector<double> is_hidden(36);
    for (const std::int32_t patch : mask.masked()) rapt::at(is_hidden, patch) = 1;
    EXPECT_EQ(results.at("mask").values, is_hidden);
    for (rapt::Index k = 0; k < std::ssize(mask.visible()); ++k) {
      const rapt::Index kept = mask.visible_splits().length(0);
      EXPECT_EQ(rapt::at(results.at("ids_restore").values, rapt::at(mask.visible(), k)), static_cast<double>(k % kept));
    }
    config.decoder = false;
    const auto encoder = rapt_test::onnx_model<rapt::Mae<float>>(config);
    rapt_test::expect_close(encoder.hidden(images_, mask).value(),
                            run(encoder, {{"noise", noise}}).at("last_hidden_state").values, kOnnxTolerance);
  }
  config.mask_ratio = 0.95;
  rapt_test::expect_message<rapt::ValueError>(
      [&] { std::ignore = rapt::onnx::export_onnx(rapt_test::onnx_model<rapt::Mae<float>>(config), folder()); },
      "[onnx] of 12 patches none is visible when 0.95 of them are hidden");
}

TEST_F(OnnxVit, Clip) {
  const rapt::TokenBatch texts({{1, 16, 3, 5, 16}, {11, 16}});
  const rapt_test::PaddedTexts padded(texts);
  for (const bool named_end : {true, false}) {
    rapt::ClipConfig config{
        .text = {.vocabulary = 17, .positions = 12, .d_model = 8, .layers = 2, .heads = 2, .d_ff = 12},
        .vision = {.grid = kOblong, .d_model = 12, .layers = 1, .heads = 3, .d_ff = 10},
        .embedding = 6};
    config.text.end_token = named_end ? std::optional<rapt::TokenId>(16) : std::nullopt;
    const auto model = rapt_test::onnx_model<rapt::Clip<float>>(config);
    const auto results = run(model, {{"input_ids", padded.ids}, {"attention_mask", padded.mask}});
    rapt_test::expect_close(model(images_, texts).value(), results.at("logits_per_image").values, kOnnxTolerance);
    EXPECT_EQ(results.at("logits_per_text").dims, (std::vector<rapt::Index>{2, 3}));
    rapt_test::expect_close(model.text_embedding(texts).value(), results.at("text_embeds").values, kOnnxTolerance);
    rapt_test::expect_close(model.image_embedding(images_).value(), results.at("image_embeds").values, kOnnxTolerance);
  }
}

}  // namespace
