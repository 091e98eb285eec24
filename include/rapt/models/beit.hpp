/// \file
/// BEiT: an encoder of images that learns, as BERT does of words, what stands where patches were hidden from it: not
/// their pixels, but which of some thousand visual tokens each of them is (Bao et al. 2021).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rapt/autograd/ops/add_rows.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/mean_rows.hpp"
#include "rapt/autograd/ops/place_rows.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/label_loss.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/nn/patch_embedding.hpp"
#include "rapt/nn/relative_position_bias.hpp"
#include "rapt/nn/stack.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a BEiT. Defaults are what an absent key of config.json means; `base` and `large` are the
/// paper's.
struct BeitConfig {
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
    field("d_model", self.d_model);
    field("layers", self.layers);
    field("heads", self.heads);
    field("d_ff", self.d_ff);
    field("activation", self.activation);
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

/// Scores of every visual token: a norm and a projection.
template <class T = float>
class MaskedPatchHead {
 public:
  MaskedPatchHead(const BeitConfig& config, Rng& rng)
      : norm_(config.d_model, config.norm_epsilon), projection_(config.d_model, config.visual_tokens, rng) {}

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
  /// `mask`: the patches in whose place the mask token stands; an empty one: none. If not empty, `weights[i]` receives
  /// layer i's attention probabilities, [B, H, P + 1, P + 1]; its size must be the number of layers.
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
      const std::vector<std::int32_t>&visible = mask.visible(), &masked = mask.masked();
      const Variable<T> hidden = gather_rows<T>(mask_token_, std::vector<std::int32_t>(masked.size(), 0));
      patches = place_rows<T>({{gather_rows<T>(patches, visible), {visible.begin(), visible.end()}},
                               {hidden, {masked.begin(), masked.end()}}});
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
