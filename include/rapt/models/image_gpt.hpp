/// \file
/// ImageGPT: a GPT that reads and writes images pixel by pixel, row after row, each pixel one of a few hundred
/// colours (Chen et al. 2020). What differs from gpt.hpp: root mean square norms in place of layer norms; a begin
/// symbol that is read, but never said, so that the output projection has one row less than the embedding; features of
/// images; and, beside the prediction of the next pixel, that of masked pixels from all others, the paper's BERT
/// objective.
#pragma once

#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/mean_rows.hpp"
#include "rapt/autograd/ops/place_rows.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/gpt.hpp"
#include "rapt/models/model_part.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes an ImageGPT. Defaults are those of the smallest published one, of 76 million parameters.
struct ImageGptConfig {
  Index clusters = 512;    ///< colours: tokens 0 .. clusters - 1; the begin symbol is one more token behind them
  Index positions = 1024;  ///< the longest sequence: an image without its last pixel, behind the begin symbol
  Index d_model = 512;
  Index layers = 24;
  Index heads = 8;
  std::optional<Index> d_ff = {};  ///< unset: 4 d_model
  Activation activation = Activation::quick_gelu;
  float embedding_dropout = 0.1f;  ///< rate of the embeddings with their positions
  float dropout = 0.1f;            ///< rate of each sublayer's output
  float attention_dropout = 0.1f;  ///< rate of the attention probabilities
  double norm_epsilon = 1e-5;
  bool scale_attention = true;            ///< scores are divided by sqrt(d_k)
  bool scale_attention_by_layer = false;  ///< and by the layer's number, from 1
  double init_std = 0.02;                 ///< of all matrices

  // Parts. Of a folder those are loaded that it has.
  bool pixel_head = true;                ///< scores of every colour to come next
  std::vector<std::string> labels = {};  ///< names of classes; some: a head that tells them apart, and no other one

  /// The three sizes of the paper's table 3: 76, 455 and 1,362 million parameters.
  [[nodiscard]] static ImageGptConfig small() { return {}; }
  [[nodiscard]] static ImageGptConfig medium() { return {.d_model = 1024, .layers = 36}; }
  [[nodiscard]] static ImageGptConfig large() { return {.d_model = 1536, .layers = 48, .heads = 16}; }

  /// Colours and begin symbol.
  [[nodiscard]] Index vocabulary() const { return clusters + 1; }
  /// What stands before the first pixel.
  [[nodiscard]] TokenId begin_token() const { return static_cast<TokenId>(clusters); }
  /// The options of block `number`, from 0: GPT-2's, with root mean square norms.
  [[nodiscard]] BlockOptions layer(Index number) const {
    const GptConfig same{.d_model = d_model,
                         .heads = heads,
                         .d_ff = d_ff,
                         .activation = activation,
                         .dropout = dropout,
                         .attention_dropout = attention_dropout,
                         .norm_epsilon = norm_epsilon,
                         .scale_attention = scale_attention,
                         .scale_attention_by_layer = scale_attention_by_layer};
    BlockOptions options = same.layer(number);
    options.norm_kind = NormKind::rms;
    return options;
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "image_gpt";
    require(clusters > 0 && positions > 0 && layers > 0 && d_ff.value_or(1) > 0, kWhere,
            "sizes must be positive: clusters ", clusters, ", positions ", positions, ", layers ", layers, ", d_ff ",
            d_ff.value_or(4 * d_model));
    detail::require_heads(d_model, heads, kWhere);
    detail::require_dropout({embedding_dropout, dropout, attention_dropout}, kWhere);
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
    require(labels.empty() || !pixel_head, kWhere, "a model that tells ", labels.size(),
            " labels apart has no other head");
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "image_gpt";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("clusters", self.clusters);
    field("positions", self.positions);
    detail::visit_block_sizes(self, field);
    field("embedding_dropout", self.embedding_dropout);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("norm_epsilon", self.norm_epsilon);
    field("scale_attention", self.scale_attention);
    field("scale_attention_by_layer", self.scale_attention_by_layer);
    field("init_std", self.init_std);
    field("pixel_head", self.pixel_head);
    field("labels", self.labels);
  }
};

/// Learned embeddings of colours and positions, masked self-attention layers, a last norm, and the head that the config
/// names. A const model may be used from many threads.
///
/// ```cpp
/// const auto gpt = rapt::from_pretrained<rapt::ImageGpt<float>>("imagegpt-small");
/// rapt::TokenBatch nothing({{}});  // a prompt without pixels: the begin symbol is read in its place
/// auto images = rapt::sample(gpt, nothing, {.samples = 8, .generation = {.extra_length = 1024}}, seed);
/// ```
template <class T = float>
class ImageGpt : public CausalDecoder<ImageGpt<T>, T> {
 public:
  /// Its blocks, whose norms are RMS norms.
  using Blocks =
      Stack<T,
            BlockKinds{
                .rotary = false, .query_key_norm = false, .rms_norm = true, .gated = false, .scaled_residuals = false}>;
  using Config = ImageGptConfig;

  /// Weights as GPT-2's: normal, those of the projections into the residual sum divided by sqrt(2 layers). Throws
  /// ValueError for a config that does not fit.
  ImageGpt(const ImageGptConfig& config, Rng& rng) : ImageGpt(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      const bool into_sum = name.ends_with("out_proj.weight") || name.ends_with("linear2.weight");
      const double factor = into_sum ? 1 / std::sqrt(2.0 * static_cast<double>(config.layers)) : 1.0;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, factor * config.init_std);
    });
  }

  /// What is known of images inside: the mean over the pixels of what layer `layer`, from 0, attends with, that is its
  /// input behind its norm, or of the last hidden state if `layer` is the number of layers   // [B, D]
  /// A linear map of the features of a layer in the middle tells classes apart (the paper's "linear probe").
  [[nodiscard]] Variable<T> features(const TokenBatch& batch, Index layer) const {
    require(layer >= 0 && layer <= config_.layers, kWhere, "no features of layer ", layer, " of ", config_.layers);
    const Variable<T> x = this->embedded(batch, PrefixState<T>());
    return mean_rows(layers_.features(x, batch.row_splits, layer, {.mask = {.causal = true}}), batch.row_splits);
  }
  /// Scores of the config's labels, of the mean over an image's pixels   // [B, labels] from hidden states [N, D]
  [[nodiscard]] Variable<T> class_logits(const Variable<T>& hidden, const RowSplits& splits) const {
    return detail::require_part(classifier_, kWhere, "classification head")(mean_rows(hidden, splits));
  }

  // The BERT objective (the paper's sections 2.1 and 2.2). An image is read whole, without a begin symbol before it;
  // within it the begin symbol stands for a masked pixel. `mask_tokens` (data/masked_language.hpp) masks each pixel
  // with the paper's probability if its options are {.vocabulary = config.vocabulary(), .mask = config.begin_token(),
  // .rate = 0.15, .mask_ratio = 1, .random_ratio = 0, .independent = true}.

  /// The last hidden state of images in which every pixel attends to all others   // [N, D]
  /// Of a masked pixel the content embedding is zero, so that its position alone is read.
  [[nodiscard]] Variable<T> hidden_of_all(const TokenBatch& images) const {
    return layers_(embed_masked(images), images.row_splits);
  }
  /// As `features`, with every pixel attending to all others   // [B, D]
  [[nodiscard]] Variable<T> features_of_all(const TokenBatch& images, Index layer) const {
    require(layer >= 0 && layer <= config_.layers, kWhere, "no features of layer ", layer, " of ", config_.layers);
    return mean_rows(layers_.features(embed_masked(images), images.row_splits, layer), images.row_splits);
  }
  /// Mean cross-entropy of the masked pixels: `batch.targets[i]` stands at row `batch.rows[i]`. Throws ValueError if
  /// there are no rows, which in a batch of `loss` would mean all of them.
  [[nodiscard]] Variable<T> masked_loss(const LanguageBatch& batch, const CrossEntropyOptions& options = {}) const {
    require(!batch.rows.empty(), kWhere, "no pixel is masked");
    const Variable<T> rows = gather_rows<T>(hidden_of_all(batch.input), batch.rows);
    return linear_cross_entropy<T>(rows, this->output_weight(), Variable<T>(), batch.targets, options);
  }

  /// Images, each all its pixels, as what is read, begin symbol and p_1 .. p_(n-1), and asked for, p_1 .. p_n.
  [[nodiscard]] LanguageBatch next_pixels(const TokenBatch& images) const {
    LanguageBatch batch{.input = {}, .targets = images.tokens, .rows = {}};
    std::vector<TokenId> read;
    for (Index i = 0; i < images.sequences(); ++i) {
      const auto pixels = images.sequence(i);
      require(!pixels.empty(), kWhere, "image ", i, " has no pixels");
      read.assign(1, config_.begin_token());
      read.insert(read.end(), pixels.begin(), pixels.end() - 1);
      batch.input.push_back(read);
    }
    return batch;
  }

  /// Nothing but the length ends an image, and the begin symbol stands before the first pixel.
  [[nodiscard]] SequenceMarks sequence_marks() const { return {.begin = config_.begin_token()}; }

  [[nodiscard]] const ImageGptConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("positions", self.positions_);
    Blocks::visit(self.layers_, visitor);
    visitor("output", self.output_);
    visitor("classifier", self.classifier_);
  }

 private:
  friend class CausalDecoder<ImageGpt, T>;
  static constexpr std::string_view kWhere = "image_gpt";

  /// Makes the layers, whose random values the public constructor draws.
  ImageGpt(const ImageGptConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        embedding_(config.vocabulary(), config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        positions_(config.positions, config.d_model, rng),
        layers_(
            config.layers, [&](Index i) { return config.layer(i); }, /*final_norm=*/true, rng) {
    const LinearOptions plain{.bias = false};
    if (config.pixel_head) output_.emplace(config.d_model, config.clusters, rng, plain);
    if (!config.labels.empty()) {
      classifier_.emplace(config.d_model, static_cast<Index>(config.labels.size()), rng, plain);
    }
  }

  [[nodiscard]] const Parameter<T>& output_weight() const {
    return detail::require_part(output_, kWhere, "pixel head").weight();
  }

  /// Dropout(embedding + position)   // [N, D]
  [[nodiscard]] Variable<T> embed(const TokenBatch& batch, const PrefixState<T>& behind) const {
    return dropout(positions_(embedding_(batch.tokens), batch.row_splits, behind.lengths()), config_.embedding_dropout);
  }

  /// Dropout(content + position), where the content is the pixel's embedding, or zero if it is masked   // [N, D]
  [[nodiscard]] Variable<T> embed_masked(const TokenBatch& images) const {
    require_row_splits(images, kWhere);
    std::vector<TokenId> seen;
    std::vector<Index> places, masked;
    for (Index i = 0; i < images.size(); ++i) {
      const TokenId token = at(images.tokens, i);
      if (token == config_.begin_token()) {
        masked.push_back(i);
      } else {
        seen.push_back(token);
        places.push_back(i);
      }
    }
    std::vector<PlacedRows<T>> parts;
    if (!masked.empty()) {
      parts.push_back({Variable<T>(Tensor<T>(Shape{std::ssize(masked), config_.d_model}, T(0))), std::move(masked)});
    }
    if (!seen.empty()) parts.push_back({embedding_(seen), std::move(places)});
    const Variable<T> contents = place_rows<T>(std::move(parts));
    return dropout(positions_(contents, images.row_splits), config_.embedding_dropout);
  }

  ImageGptConfig config_;
  Embedding<T> embedding_;
  LearnedPositionalEncoding<T> positions_;
  Blocks layers_;
  std::optional<Linear<T>> output_;
  std::optional<Linear<T>> classifier_;
};
static_assert(Module<ImageGpt<float>>);

template <class... Arguments>
ImageGpt(const ImageGptConfig&, Arguments&&...) -> ImageGpt<float>;

}}  // namespace rapt::RAPT_ABI
