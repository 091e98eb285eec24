/// \file
/// BEiT: an encoder of images that learns, as BERT does of words, what stands where patches were hidden from it: not
/// their pixels, but which of some thousand visual tokens each of them is (Bao et al. 2021).
#pragma once

#include <string>
#include <vector>

#include "rapt/autograd/ops/add_rows.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/mean_rows.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/models/image_keys.hpp"
#include "rapt/nn/beit_layer.hpp"
#include "rapt/nn/patch_embedding.hpp"
#include "rapt/nn/stored_name.hpp"

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
  float dropout = 0.f;            ///< of the embeddings and of each sublayer's output
  float attention_dropout = 0.f;  ///< of the attention weights
  float drop_path = 0.1f;         ///< share of images that pass by the last layer's sublayers; of others less
  double norm_epsilon = 1e-12;
  double init_std = 0.02;                  ///< of all matrices, tokens and positions
  double layer_scale = 0.1;                ///< of sublayers' outputs; 0: no scales are learned
  bool mask_token = false;                 ///< stands where a patch is hidden
  bool positions = false;                  ///< a learned vector for each place
  bool relative_positions = false;         ///< addends of the attention scores for each distance, in each layer
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

  [[nodiscard]] BeitLayerOptions layer(Index number) const {
    const auto share = static_cast<float>(number) / static_cast<float>(std::max<Index>(layers - 1, 1));
    return {.layer = {.d_model = d_model,
                      .heads = heads,
                      .d_ff = d_ff,
                      .dropout = dropout,
                      .attention_dropout = attention_dropout,
                      .activation = activation,
                      .norm = NormPlacement::pre,
                      .norm_epsilon = norm_epsilon},
            .layer_scale = layer_scale,
            .drop_path = drop_path * share,
            .grid_rows = relative_positions ? grid.rows() : 0,
            .grid_cols = relative_positions ? grid.cols() : 0};
  }

  /// Addends of the scores are numbered for each pair of patches.
  static constexpr Index kMostRelativePatches = 4096;

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "beit";
    grid.validate(kWhere);
    require(visual_tokens > 0 && layers > 0 && d_ff > 0, kWhere, "sizes must be positive: visual_tokens ",
            visual_tokens, ", layers ", layers, ", d_ff ", d_ff);
    require(d_model > 0 && heads > 0 && d_model % heads == 0, kWhere,
            "d_model must be a multiple of heads: d_model = ", d_model, ", heads = ", heads);
    for (const float rate : {dropout, attention_dropout, drop_path}) {
      require(rate >= 0.f && rate < 1.f, kWhere, "dropout must be in [0, 1): ", rate);
    }
    require(!(relative_positions || shared_relative_positions) || grid.patches() <= kMostRelativePatches, kWhere,
            "with relative positions images may have ", kMostRelativePatches, " patches: ", grid.patches());
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
    require(labels.empty() || !masked_patch_head, kWhere, "a model that tells ", labels.size(),
            " labels apart has no other head");
    require(labels.empty() || pooler || !mean_pooling, kWhere, "the classification head needs the pooler");
  }

  /// What Hugging Face calls this model and its settings, in config.json.
  static constexpr std::string_view kModelType = "beit", kBasePrefix = "beit.";
  [[nodiscard]] std::string_view architecture() const {
    if (!labels.empty()) return "BeitForImageClassification";
    return masked_patch_head ? "BeitForMaskedImageModeling" : "BeitModel";
  }
  /// Without a head, names in files have no `kBasePrefix`.
  [[nodiscard]] bool has_head() const { return masked_patch_head || !labels.empty(); }
  template <class Self, class Visitor>
  static void visit_keys(Self& self, Visitor&& key) {
    detail::visit_grid(key, self.grid);
    key("vocab_size", self.visual_tokens);
    key("hidden_size", self.d_model);
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    key("intermediate_size", self.d_ff);
    key("hidden_act", self.activation);
    key("hidden_dropout_prob", self.dropout);
    key("attention_probs_dropout_prob", self.attention_dropout);
    key("drop_path_rate", self.drop_path);
    key("layer_norm_eps", self.norm_epsilon);
    key("initializer_range", self.init_std);
    key("layer_scale_init_value", self.layer_scale);
    key("use_mask_token", self.mask_token);
    key("use_absolute_position_embeddings", self.positions);
    key("use_relative_position_bias", self.relative_positions);
    key("use_shared_relative_position_bias", self.shared_relative_positions);
    key("use_mean_pooling", self.mean_pooling);
    key.labels("id2label", self.labels);
  }
  /// Finds the parts by the tensors that a folder has.
  template <class Contains>
  void detect_heads(const Contains& contains) {
    pooler = !mean_pooling || contains("beit.pooler.layernorm.weight") || contains("pooler.layernorm.weight");
    masked_patch_head = contains("lm_head.weight");
    if (!contains("classifier.weight")) {
      labels.clear();
    } else if (labels.empty()) {
      labels = {"LABEL_0", "LABEL_1"};  // what an absent list means
    }
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
/// const auto loss = beit.loss(images, mask, visual_tokens);  // of the hidden patches
/// ```
template <class T = float>
class Beit {
 public:
  using ScalarType = T;
  using Config = BeitConfig;

  /// Weights and tokens normal with the config's deviation, cut at two deviations, as the paper's code; addends of
  /// attention scores zero. Throws ValueError for a config that does not fit.
  Beit(const BeitConfig& config, Rng& rng) : Beit(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2 || name.ends_with("position_bias.table")) return;
      parameter.mutable_value() = init::truncated_normal<T>(parameter.shape(), rng, config.init_std);
    });
  }

  /// The last hidden state: of each image the class token, then its patches   // [B (P + 1), D]
  /// `mask`: the patches in whose place the mask token stands; an empty one: none. `weights`, one a layer or none,
  /// receive the layers' attention probabilities, [B, H, P + 1, P + 1].
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images, const PatchMask& mask = {},
                                       std::span<Tensor<T>> weights = {}) const {
    require<ShapeError>(weights.empty() || weights.size() == layers_.size(), kWhere, weights.size(),
                        " tensors for the weights of ", layers_.size(), " layers");
    Variable<T> x = embed(images, mask);
    const RowSplits splits = RowSplits::equal(images.images(), config_.grid.patches() + 1);
    Variable<T> shared;
    if (position_bias_) shared = position_bias_->table();
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i](x, splits, shared, pairs_, weights.empty() ? nullptr : &weights[i]);
    }
    return norm_ ? (*norm_)(x) : x;
  }

  /// What each image is, as a vector   // [B, D] from [B (P + 1), D]
  [[nodiscard]] Variable<T> pooled(const Variable<T>& hidden) const {
    const Index images = images_of(hidden);
    if (!config_.mean_pooling) return gather_rows<T>(hidden, token_rows(images, 0, 1));
    const Variable<T> mean = mean_rows(patch_rows(hidden), RowSplits::equal(images, config_.grid.patches()));
    return part(pooler_norm_, "pooler")(mean);
  }
  /// Scores of the config's labels   // [B, labels] from [B (P + 1), D]
  [[nodiscard]] Variable<T> class_logits(const Variable<T>& hidden) const {
    return part(classifier_, "classification head")(pooled(hidden));
  }
  [[nodiscard]] Variable<T> logits(const ImageBatch<T>& images) const { return class_logits((*this)(images)); }
  /// Scores of every visual token for each patch   // [B P, V] from [B (P + 1), D]
  [[nodiscard]] Variable<T> patch_logits(const Variable<T>& hidden) const {
    return part(masked_patch_, "masked-patch head")(patch_rows(hidden));
  }

  /// Mean cross-entropy of the hidden patches. `targets`: the visual tokens that stand there, one for each of
  /// `mask.masked()`.
  [[nodiscard]] Variable<T> loss(const ImageBatch<T>& images, const PatchMask& mask, std::span<const TokenId> targets,
                                 const CrossEntropyOptions& options = {}) const {
    const MaskedPatchHead<T>& head = part(masked_patch_, "masked-patch head");
    const Variable<T> hidden = (*this)(images, mask);
    return head.loss(gather_rows<T>(hidden, mask.token_rows(mask.masked())), targets, options);
  }
  /// Mean cross-entropy of the images' labels.
  [[nodiscard]] Variable<T> loss(const ImageBatch<T>& images, std::span<const TokenId> labels,
                                 const CrossEntropyOptions& options = {}) const {
    return cross_entropy(logits(images), labels, options);
  }

  [[nodiscard]] const BeitConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("class_token", self.class_token_);
    visitor("mask_token", self.mask_token_);
    visitor("patch_embedding", self.patch_embedding_);
    visitor("positions", self.positions_);
    visitor("position_bias", self.position_bias_);
    visitor("layers", self.layers_);
    visitor("norm", self.norm_);
    visitor("pooler_norm", self.pooler_norm_);
    visitor("masked_patch", self.masked_patch_);
    visitor("classifier", self.classifier_);
  }

  /// Hugging Face's names. Of a model with the masked-patch head and without mean pooling, transformers 5.23 exchanges
  /// the two norms `beit.layernorm` and `layernorm` when it loads a file, its own ones, too.
  [[nodiscard]] static StoredNames stored_names(const BeitConfig&) {
    StoredNames names{
        {"class_token", {{"beit.embeddings.cls_token"}}},
        {"mask_token", {{"beit.embeddings.mask_token"}}},
        {"patch_embedding.weight", {{"beit.embeddings.patch_embeddings.projection.weight"}}},
        {"patch_embedding.bias", {{"beit.embeddings.patch_embeddings.projection.bias"}}},
        {"positions", {{"beit.embeddings.position_embeddings"}}},
        {"position_bias.table", {{"beit.encoder.relative_position_bias.relative_position_bias_table"}}},
        {"layers.*.self_attn.query_bias", {{"beit.encoder.layer.*.attention.attention.query.bias"}}},
        {"layers.*.self_attn.value_bias", {{"beit.encoder.layer.*.attention.attention.value.bias"}}},
        {"layers.*.self_attn.position_bias.table",
         {{"beit.encoder.layer.*.attention.attention.relative_position_bias.relative_position_bias_table"}}},
        {"layers.*.scale1", {{"beit.encoder.layer.*.lambda_1"}}},
        {"layers.*.scale2", {{"beit.encoder.layer.*.lambda_2"}}},
        {"norm.weight", {{"beit.layernorm.weight"}}},
        {"norm.bias", {{"beit.layernorm.bias"}}},
        {"pooler_norm.weight", {{"beit.pooler.layernorm.weight"}}},
        {"pooler_norm.bias", {{"beit.pooler.layernorm.bias"}}},
        {"masked_patch.norm.weight", {{"layernorm.weight"}}},
        {"masked_patch.norm.bias", {{"layernorm.bias"}}},
        {"masked_patch.projection.weight", {{"lm_head.weight"}}},
        {"masked_patch.projection.bias", {{"lm_head.bias"}}},
    };
    detail::add_layer_names(names, "layers", "beit.encoder.layer");
    return names;
  }
  /// What a file may hold beside the parameters: the numbers of pairs.
  [[nodiscard]] static bool is_surplus(const BeitConfig&, std::string_view stored) {
    return stored.ends_with("relative_position_bias.relative_position_index");
  }

 private:
  /// Makes the layers, whose random values the public constructor draws.
  Beit(const BeitConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(checked(config)), patch_embedding_(config.grid, config.d_model, rng, config.init_std) {
    const Index d = config.d_model, classes = static_cast<Index>(config.labels.size());
    const Index rows = config.grid.rows(), cols = config.grid.cols();
    class_token_ = Parameter<T>(init::truncated_normal<T>(Shape{1, 1, d}, rng, config.init_std));
    if (config.mask_token) mask_token_ = Parameter<T>(init::truncated_normal<T>(Shape{1, 1, d}, rng, config.init_std));
    if (config.positions) {
      positions_ =
          Parameter<T>(init::truncated_normal<T>(Shape{1, config.grid.patches() + 1, d}, rng, config.init_std));
    }
    if (config.shared_relative_positions) position_bias_.emplace(rows, cols, config.heads);
    if (config.relative_positions || config.shared_relative_positions) pairs_ = relative_pairs(rows, cols);
    for (Index i = 0; i < config.layers; ++i) layers_.emplace_back(config.layer(i), rng);
    if (!config.mean_pooling) norm_.emplace(d, config.norm_epsilon);
    if (config.mean_pooling && config.pooler && !config.masked_patch_head) pooler_norm_.emplace(d, config.norm_epsilon);
    if (config.masked_patch_head) masked_patch_.emplace(config, rng);
    if (classes > 0) classifier_.emplace(d, classes, rng);
  }

  static constexpr std::string_view kWhere = "beit";

  static const BeitConfig& checked(const BeitConfig& config) {
    config.validate();
    return config;
  }
  template <class Part>
  [[nodiscard]] static const Part& part(const std::optional<Part>& some, std::string_view name) {
    require(some.has_value(), kWhere, "the model has no ", name);
    return *some;
  }

  /// Tokens first .. first + count of each image.
  [[nodiscard]] std::vector<TokenId> token_rows(Index images, Index first, Index count) const {
    const Index length = config_.grid.patches() + 1;
    std::vector<TokenId> rows;
    rows.reserve(static_cast<std::size_t>(images * count));
    for (Index b = 0; b < images; ++b) {
      for (Index i = first; i < first + count; ++i) rows.push_back(static_cast<TokenId>(b * length + i));
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
      const std::vector<TokenId>&visible = mask.visible(), &masked = mask.masked();
      const Variable<T> hidden = gather_rows<T>(mask_token_, std::vector<TokenId>(masked.size(), TokenId{0}));
      patches = place_rows<T>({{gather_rows<T>(patches, visible), {visible.begin(), visible.end()}},
                               {hidden, {masked.begin(), masked.end()}}});
    }
    const Variable<T> extra[] = {class_token_};
    return dropout(assemble_tokens<T>(patches, extra, positions_, images.images()), config_.dropout);
  }

  BeitConfig config_;
  Parameter<T> class_token_, mask_token_;
  PatchEmbedding<T> patch_embedding_;
  Parameter<T> positions_;
  std::optional<RelativePositionBias<T>> position_bias_;
  std::vector<TokenId> pairs_;
  std::vector<BeitLayer<T>> layers_;
  std::optional<LayerNorm<T>> norm_, pooler_norm_;
  std::optional<MaskedPatchHead<T>> masked_patch_;
  std::optional<Linear<T>> classifier_;
};
static_assert(Module<Beit<float>>);

template <class... Arguments>
Beit(const BeitConfig&, Arguments&&...) -> Beit<float>;

}}  // namespace rapt::RAPT_ABI
