/// \file
/// BEiT: an encoder of images that learns, as BERT does of words, what stands where patches were hidden from it: not
/// their pixels, but which of some thousand visual tokens each of them is (Bao et al. 2021).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/autograd/ops/add_rows.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/mean_rows.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/models/beit_config.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/label_loss.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/nn/masked_patches.hpp"
#include "rapt/nn/patch_embedding.hpp"
#include "rapt/nn/relative_position_bias.hpp"
#include "rapt/nn/stack.hpp"
#include "rapt/nn/truncated_normal.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Scores of every visual token: a norm and a projection.
template <class T = float>
class MaskedPatchHead {
 public:
  MaskedPatchHead(const BeitConfig& config, Rng& rng)
      : norm_(config.d_model, config.norm_epsilon), projection_(config.d_model, config.visual_tokens, rng) {}

  /// The scores of the visual tokens, before softmax   // [N, visual_tokens] from [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& hidden) const { return projection_(norm_(hidden)); }
  /// The mean cross-entropy; scores of all rows are never stored at once.
  [[nodiscard]] Variable<T> loss(const Variable<T>& hidden, std::span<const TokenId> targets,
                                 const CrossEntropyOptions& options) const {
    return linear_cross_entropy<T>(norm_(hidden), projection_.weight(), projection_.bias(), targets, options);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("norm", self.norm_);
    visitor("projection", self.projection_);
  }

 private:
  LayerNorm<T> norm_;
  Linear<T> projection_;
};
static_assert(Module<MaskedPatchHead<float>>);

/// The encoder and whichever head the config names. A const model may be used from many threads.
///
/// ```cpp
/// const rapt::PatchMask mask = rapt::block_patch_mask(images.images(), 14, 14, rng);
/// const auto loss = beit.loss({.images = images, .mask = mask, .visual_tokens = tokens});  // of the hidden patches
/// ```
template <class T = float>
class Beit {
 public:
  using ScalarType = T;
  /// Its blocks, whose sublayers' outputs may have learned scales (`layer_scale`).
  using Blocks =
      Stack<T,
            BlockKinds{
                .rotary = false, .query_key_norm = false, .rms_norm = false, .gated = false, .scaled_residuals = true}>;
  using Config = BeitConfig;

  /// Weights and tokens normal with the config's standard deviation, cut at two of them, as the paper's code; biases of
  /// attention scores zero. Throws ValueError for a config that does not fit.
  Beit(const BeitConfig& config, Rng& rng) : Beit(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2 || name.ends_with("position_bias.table")) return;
      parameter.mutable_value() = init::truncated_normal<T>(parameter.shape(), rng, config.init_std);
    });
  }

  /// The last hidden state: of each image the class token, then its patches   // [B (P + 1), D]
  /// `mask`: the patches in whose place the mask token stands, or what `mask.shown()` says; an empty one: none. If not
  /// empty, `weights[i]` receives layer i's attention probabilities, [B, H, P + 1, P + 1]; its size must be the number
  /// of layers.
  [[nodiscard]] Variable<T> hidden(const ImageBatch<T>& images, const PatchMask& mask = {},
                                   std::span<Tensor<T>> weights = {}) const {
    const PositionInputs<T> positions{.table = position_bias_, .numbers = pairs_};
    return layers_(embed(images, mask), RowSplits::equal(images.images(), config_.grid.patches() + 1),
                   {.positions = positions, .weights = weights});
  }

  /// What each image is, as a vector   // [B, D] from [B (P + 1), D]
  [[nodiscard]] Variable<T> pooled(const Variable<T>& hidden) const {
    const Index images = images_of(hidden);
    if (!config_.mean_pooling) return gather_rows<T>(hidden, token_rows(images, 0, 1));
    const Variable<T> mean = mean_rows(patch_rows(hidden), RowSplits::equal(images, config_.grid.patches()));
    return detail::require_part(pooler_norm_, kWhere, "pooler")(mean);
  }
  /// Scores of the config's labels   // [B, labels] from [B (P + 1), D]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden) const {
    return detail::require_part(classifier_, kWhere, "classification head")(pooled(hidden));
  }
  /// Scores of the config's labels   // [B, labels]
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images) const { return logits(hidden(images)); }
  /// Scores of every visual token for each patch   // [B P, V] from [B (P + 1), D]
  [[nodiscard]] Variable<T> patch_logits(const Variable<T>& hidden) const {
    return detail::require_part(masked_patch_, kWhere, "masked-patch head")(patch_rows(hidden));
  }

  /// Mean cross-entropy of the hidden patches' visual tokens.
  [[nodiscard]] Variable<T> loss(const MaskedImages<T>& batch, const CrossEntropyOptions& options = {}) const {
    const MaskedPatchHead<T>& head = detail::require_part(masked_patch_, kWhere, "masked-patch head");
    const Variable<T> rows =
        gather_rows<T>(hidden(batch.images, batch.mask), batch.mask.token_rows(batch.mask.masked()));
    return head.loss(rows, batch.visual_tokens, options);
  }
  /// Mean cross-entropy of the images' labels.
  [[nodiscard]] Variable<T> loss(const LabelledImages<T>& batch, const CrossEntropyOptions& options = {}) const {
    return label_loss((*this)(batch.images), batch, options);
  }

  [[nodiscard]] const BeitConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("class_token", self.class_token_);
    visitor("mask_token", self.mask_token_);
    visitor("patch_embedding", self.patch_embedding_);
    visitor("positions", self.positions_);
    visitor("position_bias.table", self.position_bias_);
    Blocks::visit(self.layers_, visitor);
    visitor("pooler_norm", self.pooler_norm_);
    visitor("masked_patch", self.masked_patch_);
    visitor("classifier", self.classifier_);
  }

 private:
  /// Makes the layers, whose random values the public constructor draws.
  Beit(const BeitConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        patch_embedding_(config.grid, config.d_model, rng, {.init_std = config.init_std}),
        class_token_(vectors(config, 1, rng)),
        mask_token_(config.mask_token ? vectors(config, 1, rng) : Parameter<T>()),
        positions_(config.positions ? vectors(config, config.grid.patches() + 1, rng) : Parameter<T>()),
        layers_(
            config.layers, [&](Index i) { return config.layer(i); }, /*final_norm=*/!config.mean_pooling, rng) {
    const Index d = config.d_model, classes = static_cast<Index>(config.labels.size());
    const Index rows = config.grid.rows(), cols = config.grid.cols();
    if (config.shared_relative_positions) {
      position_bias_ = Parameter<T>(init::constant<T>(Shape{relative_distances(rows, cols), config.heads}, T(0)));
    }
    if (config.relative_positions || config.shared_relative_positions) pairs_ = relative_pairs(rows, cols);
    if (config.mean_pooling && config.pooler && !config.masked_patch_head) pooler_norm_.emplace(d, config.norm_epsilon);
    if (config.masked_patch_head) masked_patch_.emplace(config, rng);
    if (classes > 0) classifier_.emplace(d, classes, rng);
  }

  static constexpr std::string_view kWhere = "beit";

  /// A class token, a mask token or positions   // [1, count, D]
  static Parameter<T> vectors(const BeitConfig& config, Index count, Rng& rng) {
    return Parameter<T>(init::truncated_normal<T>(Shape{1, count, config.d_model}, rng, config.init_std));
  }

  /// Tokens first .. first + count of each image.
  [[nodiscard]] std::vector<std::int32_t> token_rows(Index images, Index first, Index count) const {
    const Index length = config_.grid.patches() + 1;
    std::vector<std::int32_t> rows;
    rows.reserve(static_cast<std::size_t>(images * count));
    for (Index b = 0; b < images; ++b) {
      for (Index i = first; i < first + count; ++i) rows.push_back(static_cast<std::int32_t>(b * length + i));
    }
    return rows;
  }
  [[nodiscard]] Index images_of(const Variable<T>& hidden) const {
    const Index length = config_.grid.patches() + 1;
    require<ShapeError>(hidden.rows() % length == 0, kWhere, "the hidden state has shape ", hidden.shape(),
                        ", images have ", length, " tokens");
    return hidden.rows() / length;
  }
  [[nodiscard]] Variable<T> patch_rows(const Variable<T>& hidden) const {
    return gather_rows<T>(hidden, token_rows(images_of(hidden), 1, config_.grid.patches()));
  }

  /// Dropout(class token and patches, hidden ones replaced, plus positions)   // [B (P + 1), D]
  [[nodiscard]] Variable<T> embed(const ImageBatch<T>& images, const PatchMask& mask) const {
    require<ShapeError>(images.shape() == config_.grid.image, kWhere, "images of ", to_string(images.shape()),
                        ", the model's are ", to_string(config_.grid.image));
    Variable<T> patches = patch_embedding_(images);  // [B P, D]
    if (!mask.masked().empty()) {
      require<ShapeError>(mask.images() == images.images() && mask.patches() == config_.grid.patches(), kWhere,
                          "a mask of ", mask.images(), " images of ", mask.patches(), " patches for ", images.images(),
                          " of ", config_.grid.patches());
      require(mask_token_.defined(), kWhere, "the model has no mask token");
      patches = replace_masked_patches<T>(patches, mask_token_, mask);
    }
    const Variable<T> extra[] = {class_token_};
    return dropout(assemble_tokens<T>(patches, extra, positions_, images.images()), config_.dropout);
  }

  BeitConfig config_;
  PatchEmbedding<T> patch_embedding_;
  Parameter<T> class_token_, mask_token_, positions_;
  Parameter<T> position_bias_;  // [distances, H], which all layers share
  std::vector<std::int32_t> pairs_;
  Blocks layers_;
  std::optional<LayerNorm<T>> pooler_norm_;
  std::optional<MaskedPatchHead<T>> masked_patch_;
  std::optional<Linear<T>> classifier_;
};
static_assert(Module<Beit<float>>);

template <class... Arguments>
Beit(const BeitConfig&, Arguments&&...) -> Beit<float>;

}}  // namespace rapt::RAPT_ABI
