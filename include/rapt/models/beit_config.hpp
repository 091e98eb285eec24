/// \file
/// The settings of BEiT.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/kernels/patches.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/nn/block.hpp"
#include "rapt/nn/relative_position_bias.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a BEiT. Defaults are what an absent key of config.json means; `base` and `large` are the
/// paper's.
struct BeitConfig {
  /// The images' shape and how they are cut into patches.
  PatchGrid grid = {.image = {.channels = 3, .height = 224, .width = 224}, .patch_height = 16, .patch_width = 16};
  Index visual_tokens = 8192;  ///< what a hidden patch may be
  Index d_model = 768;
  Index layers = 12;
  Index heads = 12;
  Index d_ff = 3072;
  Activation activation = Activation::gelu;
  float dropout = 0.f;            ///< rate of the embeddings and of each sublayer's output
  float attention_dropout = 0.f;  ///< rate of the attention probabilities
  float drop_path = 0.1f;         ///< rate at which images skip the last layer's sublayers; it grows from 0
  double norm_epsilon = 1e-12;
  double init_std = 0.02;                  ///< of all matrices, tokens and positions
  double layer_scale = 0.1;                ///< of sublayers' outputs; 0: no scales are learned
  bool mask_token = false;                 ///< stands where a patch is hidden
  bool positions = false;                  ///< a learned vector for each place
  bool relative_positions = false;         ///< biases of the attention scores for each distance, in each layer
  bool shared_relative_positions = false;  ///< the same for all layers
  bool mean_pooling = true;  ///< an image is the mean of its patches, normalised; otherwise its class token

  // Parts. Of a folder those are loaded that it has.
  bool pooler = true;                    ///< the norm of the mean; there is none beside the masked-patch head
  bool masked_patch_head = false;        ///< scores of every visual token
  std::vector<std::string> labels = {};  ///< names of classes; some: a head that tells them apart

  /// The paper's two sizes, 86 and 304 million parameters, as they are pre-trained; for what follows, say
  /// `masked_patch_head = false` and name `labels`.
  [[nodiscard]] static BeitConfig base() {
    BeitConfig config;
    config.mask_token = config.shared_relative_positions = config.masked_patch_head = true;
    return config;
  }
  [[nodiscard]] static BeitConfig large() {
    BeitConfig config = base();
    config.d_model = 1024;
    config.layers = 24;
    config.heads = 16;
    config.d_ff = 4096;
    config.layer_scale = 1e-5;
    return config;
  }

  /// The options of block `number`, from 0. Keys have no bias, as softmax would cancel it.
  [[nodiscard]] BlockOptions layer(Index number) const {
    const auto depth = static_cast<float>(number) / static_cast<float>(std::max<Index>(layers - 1, 1));
    return {.attention = {.d_model = d_model,
                          .heads = heads,
                          .dropout = attention_dropout,
                          .key_bias = false,
                          .positions = attention_positions()},
            .d_ff = d_ff,
            .activation = activation,
            .norm = NormPlacement::pre,
            .norm_epsilon = norm_epsilon,
            .dropout = dropout,
            .drop_path = drop_path * depth,
            .layer_scale = layer_scale};
  }
  /// Tables of biases, if the config has relative positions.
  [[nodiscard]] AttentionPositions attention_positions() const {
    if (relative_positions) return RelativePositionBias{.rows = relative_distances(grid.rows(), grid.cols())};
    if (shared_relative_positions) return RelativePositionBias{};
    return {};
  }

  /// Biases of the scores are numbered for each pair of patches.
  static constexpr Index kMostRelativePatches = 4096;

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "beit";
    grid.validate(kWhere);
    require(visual_tokens > 0 && layers > 0 && d_ff > 0, kWhere, "sizes must be positive: visual_tokens ",
            visual_tokens, ", layers ", layers, ", d_ff ", d_ff);
    detail::require_heads(d_model, heads, kWhere);
    detail::require_dropout({dropout, attention_dropout, drop_path}, kWhere);
    require(!(relative_positions || shared_relative_positions) || grid.patches() <= kMostRelativePatches, kWhere,
            "with relative positions images may have ", kMostRelativePatches, " patches: ", grid.patches());
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
    require(labels.empty() || !masked_patch_head, kWhere, "a model that tells ", labels.size(),
            " labels apart has no other head");
    require(labels.empty() || pooler || !mean_pooling, kWhere, "the classification head needs the pooler");
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "beit";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    detail::visit_grid_fields(self.grid, field);
    field("visual_tokens", self.visual_tokens);
    detail::visit_block_sizes(self, field);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("drop_path", self.drop_path);
    field("norm_epsilon", self.norm_epsilon);
    field("init_std", self.init_std);
    field("layer_scale", self.layer_scale);
    field("mask_token", self.mask_token);
    field("positions", self.positions);
    field("relative_positions", self.relative_positions);
    field("shared_relative_positions", self.shared_relative_positions);
    field("mean_pooling", self.mean_pooling);
    field("pooler", self.pooler);
    field("masked_patch_head", self.masked_patch_head);
    field("labels", self.labels);
  }
};

}}  // namespace rapt::RAPT_ABI
