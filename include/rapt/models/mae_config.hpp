/// \file
/// The settings of a masked autoencoder.
#pragma once

#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/kernels/patches.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a masked autoencoder. Defaults are those of the paper's base size.
struct MaeConfig {
  /// The images' shape and how they are cut into patches.
  PatchGrid grid = {.image = {.channels = 3, .height = 224, .width = 224}, .patch_height = 16, .patch_width = 16};
  Index d_model = 768;
  Index layers = 12;
  Index heads = 12;
  Index d_ff = 3072;
  Index decoder_width = 512;  ///< columns of the decoder's hidden states
  Index decoder_layers = 8;
  Index decoder_heads = 16;
  Index decoder_d_ff = 2048;
  Activation activation = Activation::gelu;
  float dropout = 0.f;            ///< rate of each sublayer's output
  float attention_dropout = 0.f;  ///< rate of the attention probabilities
  double norm_epsilon = 1e-12;
  double mask_ratio = 0.75;       ///< of each image's patches, for whoever draws masks
  bool normalise_pixels = false;  ///< the decoder predicts pixels relative to their patch's mean and standard deviation

  bool decoder = true;  ///< of a folder it is loaded if it is there

  /// The paper's three sizes.
  [[nodiscard]] static MaeConfig base() { return {}; }
  [[nodiscard]] static MaeConfig large() { return {.d_model = 1024, .layers = 24, .heads = 16, .d_ff = 4096}; }
  /// The paper's largest size, with patches of 14 x 14 pixels.
  [[nodiscard]] static MaeConfig huge() {
    MaeConfig config{.d_model = 1280, .layers = 32, .heads = 16, .d_ff = 5120};
    config.grid.patch_height = config.grid.patch_width = 14;
    return config;
  }

  /// The options of the encoder's blocks.
  [[nodiscard]] BlockOptions layer() const {
    return {.attention = {.d_model = d_model, .heads = heads, .dropout = attention_dropout},
            .d_ff = d_ff,
            .activation = activation,
            .norm = NormPlacement::pre,
            .norm_epsilon = norm_epsilon,
            .dropout = dropout};
  }
  /// The options of the decoder's blocks.
  [[nodiscard]] BlockOptions decoder_layer() const {
    BlockOptions options = layer();
    options.attention.d_model = decoder_width;
    options.attention.heads = decoder_heads;
    options.d_ff = decoder_d_ff;
    return options;
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "mae";
    grid.validate(kWhere);
    require(layers > 0 && d_ff > 0 && decoder_layers > 0 && decoder_d_ff > 0, kWhere, "sizes must be positive: layers ",
            layers, ", d_ff ", d_ff, ", decoder_layers ", decoder_layers, ", decoder_d_ff ", decoder_d_ff);
    require(d_model > 0 && heads > 0 && d_model % heads == 0 && d_model % 4 == 0, kWhere,
            "d_model must be a multiple of heads and of 4: d_model = ", d_model, ", heads = ", heads);
    require(decoder_width > 0 && decoder_heads > 0 && decoder_width % decoder_heads == 0 && decoder_width % 4 == 0,
            kWhere, "decoder_width must be a multiple of decoder_heads and of 4: decoder_width = ", decoder_width,
            ", decoder_heads = ", decoder_heads);
    detail::require_dropout({dropout, attention_dropout}, kWhere);
    require(norm_epsilon > 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon);
    require(mask_ratio >= 0 && mask_ratio < 1, kWhere, "mask_ratio must be in [0, 1): ", mask_ratio);
    require(!normalise_pixels || grid.patch_size() > 1, kWhere, "a patch of one number has no deviation");
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "mae";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    detail::visit_grid_fields(self.grid, field);
    field("d_model", self.d_model);
    field("layers", self.layers);
    field("heads", self.heads);
    field("d_ff", self.d_ff);
    field("decoder_width", self.decoder_width);
    field("decoder_layers", self.decoder_layers);
    field("decoder_heads", self.decoder_heads);
    field("decoder_d_ff", self.decoder_d_ff);
    field("activation", self.activation);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("norm_epsilon", self.norm_epsilon);
    field("mask_ratio", self.mask_ratio);
    field("normalise_pixels", self.normalise_pixels);
    field("decoder", self.decoder);
  }
};

}}  // namespace rapt::RAPT_ABI
