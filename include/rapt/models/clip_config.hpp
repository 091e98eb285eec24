/// \file
/// The settings of CLIP and of its two encoders.
#pragma once

#include <cmath>
#include <optional>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/patches.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The encoder of texts. Defaults are those of the paper's ViT-B/32.
struct ClipTextConfig {
  Index vocabulary = 49408;
  Index positions = 77;  ///< the longest text
  Index d_model = 512;
  Index layers = 12;
  Index heads = 8;
  Index d_ff = 2048;
  Activation activation = Activation::quick_gelu;
  float attention_dropout = 0.f;  ///< rate of the attention probabilities
  double norm_epsilon = 1e-5;
  std::optional<TokenId> begin_token = 49406;  ///< what texts begin with; kept for other programs
  /// A text is represented by the hidden state of its first such token; unset: of the token with the largest id.
  std::optional<TokenId> end_token = 49407;
  std::optional<TokenId> pad_token = 1;  ///< what other programs fill up with; there is no padding here
};

/// The encoder of images. Defaults are those of the paper's ViT-B/32.
struct ClipVisionConfig {
  /// The images' shape and how they are cut into patches.
  PatchGrid grid = {.image = {.channels = 3, .height = 224, .width = 224}, .patch_height = 32, .patch_width = 32};
  Index d_model = 768;
  Index layers = 12;
  Index heads = 12;
  Index d_ff = 3072;
  Activation activation = Activation::quick_gelu;
  float attention_dropout = 0.f;  ///< rate of the attention probabilities
  double norm_epsilon = 1e-5;
};

/// Everything that makes a CLIP.
struct ClipConfig {
  ClipTextConfig text = {};                 ///< the encoder of texts
  ClipVisionConfig vision = {};             ///< the encoder of images
  Index embedding = 512;                    ///< E, the width of the vectors of images and texts
  double logit_scale = 2.6592600369327783;  ///< what the logarithm of the logits' factor begins with: ln(1 / 0.07)

  /// The paper's ViT-B/32, ViT-B/16 and ViT-L/14.
  [[nodiscard]] static ClipConfig base32() { return {}; }
  /// The paper's ViT-B/16.
  [[nodiscard]] static ClipConfig base16() {
    ClipConfig config;
    config.vision.grid.patch_height = config.vision.grid.patch_width = 16;
    return config;
  }
  /// The paper's ViT-L/14.
  [[nodiscard]] static ClipConfig large14() {
    ClipConfig config{.text = {.d_model = 768, .heads = 12, .d_ff = 3072},
                      .vision = {.d_model = 1024, .layers = 24, .heads = 16, .d_ff = 4096},
                      .embedding = 768};
    config.vision.grid.patch_height = config.vision.grid.patch_width = 14;
    return config;
  }

  /// The options of the blocks of one of the encoders.
  template <class Encoder>
  [[nodiscard]] static BlockOptions layer(const Encoder& encoder) {
    return {.attention = {.d_model = encoder.d_model, .heads = encoder.heads, .dropout = encoder.attention_dropout},
            .d_ff = encoder.d_ff,
            .activation = encoder.activation,
            .norm = NormPlacement::pre,
            .norm_epsilon = encoder.norm_epsilon,
            .dropout = 0.f};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "clip";
    require(text.vocabulary > 0 && text.positions > 0 && embedding > 0 && std::isfinite(logit_scale), kWhere,
            "sizes must be positive: vocabulary ", text.vocabulary, ", positions ", text.positions, ", embedding ",
            embedding, "; logit_scale finite: ", logit_scale);
    vision.grid.validate(kWhere);
    const auto validate = [&](const auto& encoder, std::string_view of) {
      require(encoder.layers > 0 && encoder.d_ff > 0 && encoder.norm_epsilon > 0, kWhere, "the ", of,
              " encoder's sizes must be positive: layers ", encoder.layers, ", d_ff ", encoder.d_ff, ", norm_epsilon ",
              encoder.norm_epsilon);
      detail::require_heads(encoder.d_model, encoder.heads, kWhere);
      detail::require_dropout({encoder.attention_dropout}, kWhere);
    };
    validate(text, "text");
    validate(vision, "image");
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "clip";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("vocabulary", self.text.vocabulary);
    field("positions", self.text.positions);
    field("text_d_model", self.text.d_model);
    field("text_layers", self.text.layers);
    field("text_heads", self.text.heads);
    field("text_d_ff", self.text.d_ff);
    field("text_activation", self.text.activation);
    field("text_attention_dropout", self.text.attention_dropout);
    field("text_norm_epsilon", self.text.norm_epsilon);
    field("begin_token", self.text.begin_token);
    field("end_token", self.text.end_token);
    field("pad_token", self.text.pad_token);
    detail::visit_grid_fields(self.vision.grid, field);
    field("image_d_model", self.vision.d_model);
    field("image_layers", self.vision.layers);
    field("image_heads", self.vision.heads);
    field("image_d_ff", self.vision.d_ff);
    field("image_activation", self.vision.activation);
    field("image_attention_dropout", self.vision.attention_dropout);
    field("image_norm_epsilon", self.vision.norm_epsilon);
    field("embedding", self.embedding);
    field("logit_scale", self.logit_scale);
  }
};

}}  // namespace rapt::RAPT_ABI
