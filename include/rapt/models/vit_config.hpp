/// \file
/// The settings of ViT.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/kernels/patches.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The hidden state, or the mean of hidden states, that represents the whole image.
enum class ImagePooling {
  class_token,  ///< the hidden state of a learned token before the patches, the paper
  mean,         ///< the mean of the patches' hidden states; rapt's own, no Hugging Face folder can say it
};

[[nodiscard]] constexpr auto named_values(ImagePooling) {
  return std::to_array<NamedValue<ImagePooling>>(
      {{"class_token", ImagePooling::class_token}, {"mean", ImagePooling::mean}});
}

/// Everything that makes a ViT. Defaults are those of the paper's ViT-B/16, of the encoder alone.
struct VitConfig {
  /// The images' shape and how they are cut into patches.
  PatchGrid grid = {.image = {.channels = 3, .height = 224, .width = 224}, .patch_height = 16, .patch_width = 16};
  Index d_model = 768;
  Index layers = 12;
  Index heads = 12;
  Index d_ff = 3072;
  Activation activation = Activation::gelu;
  float dropout = 0.f;            ///< rate of the embeddings and of each sublayer's output
  float attention_dropout = 0.f;  ///< rate of the attention probabilities
  double norm_epsilon = 1e-12;
  double init_std = 0.02;     ///< of all matrices and positions; small models learn faster from larger ones
  bool qkv_bias = true;       ///< of the projections to queries, keys and values
  Index encoder_stride = 16;  ///< for a head that rapt does not have; kept for other programs
  ImagePooling pooling = ImagePooling::class_token;  ///< what represents an image, for the pooler and the labels' head

  // Parts. Of a folder those are loaded that it has.
  bool pooler = false;                              ///< activation of a linear map of the class token's hidden state
  std::optional<Index> pooler_width = {};           ///< unset: d_model
  Activation pooler_activation = Activation::tanh;  ///< of the pooler's linear map
  std::vector<std::string> labels = {};             ///< names of classes; some: a head that tells them apart

  /// The paper's three sizes, of 86, 304 and 632 million parameters.
  [[nodiscard]] static VitConfig base() { return {}; }
  [[nodiscard]] static VitConfig large() { return {.d_model = 1024, .layers = 24, .heads = 16, .d_ff = 4096}; }
  /// The paper's largest size, with patches of 14 x 14 pixels.
  [[nodiscard]] static VitConfig huge() {
    VitConfig config{.d_model = 1280, .layers = 32, .heads = 16, .d_ff = 5120};
    config.grid.patch_height = config.grid.patch_width = 14;
    return config;
  }

  /// The options of every block.
  [[nodiscard]] BlockOptions layer() const {
    return {.attention = {.d_model = d_model,
                          .heads = heads,
                          .dropout = attention_dropout,
                          .query_bias = qkv_bias,
                          .key_bias = qkv_bias,
                          .value_bias = qkv_bias},
            .d_ff = d_ff,
            .activation = activation,
            .norm = NormPlacement::pre,
            .norm_epsilon = norm_epsilon,
            .dropout = dropout};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "vit";
    grid.validate(kWhere);
    require(layers > 0 && d_ff > 0 && pooler_width.value_or(1) > 0, kWhere, "sizes must be positive: layers ", layers,
            ", d_ff ", d_ff, ", pooler_width ", pooler_width.value_or(d_model));
    detail::require_heads(d_model, heads, kWhere);
    detail::require_dropout({dropout, attention_dropout}, kWhere);
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
    require(labels.empty() || !pooler, kWhere, "a model that tells ", labels.size(), " labels apart has no pooler");
    require(pooling == ImagePooling::class_token || !pooler, kWhere, "the pooler reads the class token, not the mean");
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "vit";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    detail::visit_grid_fields(self.grid, field);
    detail::visit_block_sizes(self, field);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("norm_epsilon", self.norm_epsilon);
    field("init_std", self.init_std);
    field("qkv_bias", self.qkv_bias);
    field("encoder_stride", self.encoder_stride);
    field("pooling", self.pooling);
    field("pooler", self.pooler);
    field("pooler_width", self.pooler_width);
    field("pooler_activation", self.pooler_activation);
    field("labels", self.labels);
  }
};

}}  // namespace rapt::RAPT_ABI
