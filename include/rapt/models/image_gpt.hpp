/// \file
/// ImageGPT: a GPT that reads and writes images pixel by pixel, row after row, each pixel one of a few hundred
/// colours (Chen et al. 2020). What differs from gpt.hpp: root mean square norms in place of layer norms; a begin
/// symbol that is read, but never said, so that the output projection has one row less than the embedding; features of
/// images.
#pragma once

#include "rapt/autograd/ops/add_norm.hpp"
#include "rapt/autograd/ops/mean_rows.hpp"
#include "rapt/models/gpt.hpp"
#include "rapt/nn/rms_norm.hpp"

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
  float embedding_dropout = 0.1f;
  float dropout = 0.1f;            ///< of each sublayer's output
  float attention_dropout = 0.1f;  ///< of the attention weights
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
  [[nodiscard]] LayerOptions layer(Index number) const {
    const GptConfig same{.d_model = d_model,
                         .heads = heads,
                         .d_ff = d_ff,
                         .activation = activation,
                         .dropout = dropout,
                         .attention_dropout = attention_dropout,
                         .scale_attention = scale_attention,
                         .scale_attention_by_layer = scale_attention_by_layer};
    return same.layer(number);
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "image_gpt";
    require(clusters > 0 && positions > 0 && layers > 0 && d_ff.value_or(1) > 0, kWhere,
            "sizes must be positive: clusters ", clusters, ", positions ", positions, ", layers ", layers, ", d_ff ",
            d_ff.value_or(4 * d_model));
    require(d_model > 0 && heads > 0 && d_model % heads == 0, kWhere,
            "d_model must be a multiple of heads: d_model = ", d_model, ", heads = ", heads);
    for (const float rate : {embedding_dropout, dropout, attention_dropout}) {
      require(rate >= 0.f && rate < 1.f, kWhere, "dropout must be in [0, 1): ", rate);
    }
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
    require(labels.empty() || !pixel_head, kWhere, "a model that tells ", labels.size(),
            " labels apart has no other head");
  }

  /// What Hugging Face calls this model and its settings, in config.json.
  static constexpr std::string_view kModelType = "imagegpt", kBasePrefix = "transformer.";
  [[nodiscard]] std::string_view architecture() const {
    if (!labels.empty()) return "ImageGPTForImageClassification";
    return pixel_head ? "ImageGPTForCausalImageModeling" : "ImageGPTModel";
  }
  /// Without a head, names in files have no `kBasePrefix`.
  [[nodiscard]] bool has_head() const { return pixel_head || !labels.empty(); }
  template <class Self, class Visitor>
  static void visit_keys(Self& self, Visitor&& key) {
    Index tokens = self.vocabulary();
    key("vocab_size", tokens);
    if constexpr (!std::is_const_v<Self>) self.clusters = tokens - 1;
    key("n_positions", self.positions);
    key("n_embd", self.d_model);
    key("n_layer", self.layers);
    key("n_head", self.heads);
    key("n_inner", self.d_ff);
    key("activation_function", self.activation);
    key("embd_pdrop", self.embedding_dropout);
    key("resid_pdrop", self.dropout);
    key("attn_pdrop", self.attention_dropout);
    key("layer_norm_epsilon", self.norm_epsilon);
    key("scale_attn_weights", self.scale_attention);
    key("scale_attn_by_inverse_layer_idx", self.scale_attention_by_layer);
    key("initializer_range", self.init_std);
    key.labels("id2label", self.labels);
    key.must_be("add_cross_attention", false);
    key.must_be("tie_word_embeddings", false);
  }
  /// Finds the parts by the tensors that a folder has.
  template <class Contains>
  void detect_heads(const Contains& contains) {
    pixel_head = contains("lm_head.weight");
    if (!contains("score.weight")) {
      labels.clear();
    } else if (labels.empty()) {
      labels = {"LABEL_0", "LABEL_1"};  // what an absent list means
    }
  }
};

/// h = x + SelfAttention(RMSNorm(x)), then h + FFN(RMSNorm(h)).
template <class T = float>
class ImageGptLayer {
 public:
  ImageGptLayer(const LayerOptions& options, double norm_epsilon, Rng& rng)
      : self_attention_(options.attention(), rng),
        feed_forward_(options.feed_forward(), rng),
        norm1_(options.d_model, norm_epsilon),
        norm2_(options.d_model, norm_epsilon),
        dropout_(options.dropout) {}

  /// [N, D] from [N, D]; `weights`, if set, receives the attention probabilities.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, Tensor<T>* weights) const {
    return sublayers(x, self_attention_(norm1_(x), splits, {.causal = true, .weights = weights}));
  }
  /// The same for the next tokens of each row only, against what the cache holds.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, KeyValueCache<T>& cache) const {
    return sublayers(x, self_attention_.step(norm1_(x), splits, cache));
  }
  /// The norm that its attention reads.
  [[nodiscard]] const RmsNorm<T>& norm() const { return norm1_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("self_attn", self.self_attention_);
    FeedForward<T>::visit(self.feed_forward_, visitor);
    visitor("norm1", self.norm1_);
    visitor("norm2", self.norm2_);
  }

 private:
  [[nodiscard]] Variable<T> sublayers(const Variable<T>& x, Variable<T> attended) const {
    const Variable<T> h = residual_add(x, std::move(attended), dropout_);
    return residual_add(h, feed_forward_(norm2_(h)), dropout_);
  }

  MultiHeadAttention<T> self_attention_;
  FeedForward<T> feed_forward_;
  RmsNorm<T> norm1_, norm2_;
  float dropout_;
};
static_assert(Module<ImageGptLayer<float>>);

/// Learned embeddings of colours and positions, masked self-attention layers, a last norm, and the head that the config
/// names. A const model may be used from many threads.
///
/// ```cpp
/// const auto gpt = rapt::from_pretrained<rapt::ImageGpt<float>>("imagegpt-small");
/// rapt::TokenBatch nothing({{}});  // a prompt without pixels: the begin symbol is read in its place
/// auto images = rapt::sample(gpt, nothing, {.samples = 8, .generation = {.extra_length = 1024}}, seed);
/// ```
template <class T = float>
class ImageGpt {
 public:
  using ScalarType = T;
  using Config = ImageGptConfig;
  using State = PrefixState<T>;
  /// A search feeds the last token of each prompt first, instead of a begin symbol of its options.
  static constexpr bool kDecoderOnly = true;

  /// Weights as GPT-2's: normal, those of the projections into the residual sum divided by sqrt(2 layers). Throws
  /// ValueError for a config that does not fit.
  ImageGpt(const ImageGptConfig& config, Rng& rng) : ImageGpt(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      const bool into_sum = name.ends_with("out_proj.weight") || name.ends_with("linear2.weight");
      const double share = into_sum ? 1 / std::sqrt(2.0 * static_cast<double>(config.layers)) : 1.0;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, share * config.init_std);
    });
  }

  /// The last hidden state   // [N, D]
  /// `weights`, one a layer or none, receive the layers' attention probabilities.
  [[nodiscard]] Variable<T> hidden(const TokenBatch& batch, std::span<Tensor<T>> weights = {}) const {
    require<ShapeError>(weights.empty() || weights.size() == layers_.size(), "image_gpt", weights.size(),
                        " tensors for the weights of ", layers_.size(), " layers");
    return norm_(through(batch, layers_.size(), weights));
  }
  /// Scores of every colour to come next, before softmax   // [N, clusters] from [N, D]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden) const { return part(output_, "pixel head")(hidden); }
  [[nodiscard]] Variable<T> operator()(const TokenBatch& batch) const { return logits(hidden(batch)); }

  /// What is known of images inside: the mean over the pixels of what layer `layer`, from 0, reads behind its norm,
  /// or of the last hidden state if `layer` is the number of layers   // [B, D]
  /// A linear map of the features of a layer in the middle tells classes apart (the paper's "linear probe").
  [[nodiscard]] Variable<T> features(const TokenBatch& batch, Index layer) const {
    require(layer >= 0 && layer <= config_.layers, "image_gpt", "no features of layer ", layer, " of ", config_.layers);
    const auto count = static_cast<std::size_t>(layer);
    const RmsNorm<T>& norm = count < layers_.size() ? layers_[count].norm() : norm_;
    return mean_rows(norm(through(batch, count, {})), batch.row_splits);
  }
  /// Scores of the config's labels   // [B, labels]
  [[nodiscard]] Variable<T> class_logits(const TokenBatch& batch) const {
    return part(classifier_, "classification head")(features(batch, config_.layers));
  }

  /// Mean cross-entropy of the batch's targets; [N, clusters] is never stored.
  [[nodiscard]] Variable<T> loss(const LanguageBatch& batch, const CrossEntropyOptions& options = {}) const {
    Variable<T> h = hidden(batch.input);
    if (!batch.rows.empty()) h = gather_rows<T>(h, batch.rows);  // the rows that have a target
    return linear_cross_entropy<T>(h, part(output_, "pixel head").weight(), Parameter<T>(), batch.targets, options);
  }
  /// Images, each all its pixels, as what is read, begin symbol and p_1 .. p_(n-1), and asked for, p_1 .. p_n.
  [[nodiscard]] LanguageBatch next_pixels(const TokenBatch& images) const {
    LanguageBatch batch{.input = {}, .targets = images.tokens, .rows = {}};
    std::vector<TokenId> read;
    for (Index i = 0; i < images.sequences(); ++i) {
      const auto pixels = images.sequence(i);
      require(!pixels.empty(), "image_gpt", "image ", i, " has no pixels");
      read.assign(1, config_.begin_token());
      read.insert(read.end(), pixels.begin(), pixels.end() - 1);
      batch.input.push_back(read);
    }
    return batch;
  }

  /// Decoding: a state with one row for each prompt, which has read all of it but the last token.
  [[nodiscard]] State start(const TokenBatch& prompts) const { return feed_prompts(*this, prompts); }
  /// Feeds one token to every row; returns the logits of the next   // [rows, clusters]
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    const Inference scope;
    require<ShapeError>(static_cast<Index>(tokens.size()) == state.rows(), "image_gpt", tokens.size(), " tokens for ",
                        state.rows(), " rows");
    TokenBatch next;
    next.tokens.assign(tokens.begin(), tokens.end());
    next.row_splits = RowSplits::equal(state.rows(), 1);
    return logits(feed(state, next)).value();
  }

  [[nodiscard]] State empty_state(Index rows) const {
    return {std::vector<KeyValueCache<T>>(layers_.size(), KeyValueCache<T>(rows, config_.d_model))};
  }
  /// Feeds the next tokens of every row to the state   // their last hidden state, [N, D]
  [[nodiscard]] Variable<T> feed(State& state, const TokenBatch& next) const {
    const Inference scope;
    Variable<T> x = embed(next, state.lengths());
    for (std::size_t i = 0; i < layers_.size(); ++i) x = layers_[i].step(x, next.row_splits, state.layers[i]);
    return norm_(x);
  }

  /// Nothing but the length ends an image, and the begin symbol stands before the first pixel.
  [[nodiscard]] SequenceMarks sequence_marks() const { return {.begin = config_.begin_token()}; }

  [[nodiscard]] const ImageGptConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("positions", self.positions_);
    visitor("layers", self.layers_);
    visitor("norm", self.norm_);
    visitor("output", self.output_);
    visitor("classifier", self.classifier_);
  }

  /// Hugging Face's names: GPT-2's, as far as there are such parameters.
  [[nodiscard]] static StoredNames stored_names(const ImageGptConfig&) {
    StoredNames names = Gpt<T>::stored_names({});
    names.push_back({"classifier.weight", {{"score.weight"}}});
    return names;
  }
  /// What a file may hold beside the parameters: causal masks.
  [[nodiscard]] static bool is_surplus(const ImageGptConfig&, std::string_view stored) {
    return stored.ends_with(".attn.bias") || stored.ends_with(".attn.masked_bias");
  }

 private:
  /// Makes the layers, whose random values the public constructor draws.
  ImageGpt(const ImageGptConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(checked(config)),
        embedding_(config.vocabulary(), config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        positions_(config.positions, config.d_model, rng),
        norm_(config.d_model, config.norm_epsilon) {
    const LinearOptions plain{.bias = false};
    for (Index i = 0; i < config.layers; ++i) layers_.emplace_back(config.layer(i), config.norm_epsilon, rng);
    if (config.pixel_head) output_.emplace(config.d_model, config.clusters, rng, plain);
    if (!config.labels.empty()) {
      classifier_.emplace(config.d_model, static_cast<Index>(config.labels.size()), rng, plain);
    }
  }

  static const ImageGptConfig& checked(const ImageGptConfig& config) {
    config.validate();
    return config;
  }
  [[nodiscard]] static const Linear<T>& part(const std::optional<Linear<T>>& some, std::string_view name) {
    require(some.has_value(), "image_gpt", "the model has no ", name);
    return *some;
  }

  /// Dropout(embedding + position)   // [N, D]; `starts`: tokens that each sequence has behind it
  [[nodiscard]] Variable<T> embed(const TokenBatch& batch, std::span<const Index> starts) const {
    require<ShapeError>(batch.row_splits.rows() == batch.size(), "image_gpt", batch.size(),
                        " tokens, row splits end at ", batch.row_splits.rows());
    return dropout(positions_(embedding_(batch.tokens), batch.row_splits, starts), config_.embedding_dropout);
  }
  /// What leaves the first `count` layers   // [N, D]
  [[nodiscard]] Variable<T> through(const TokenBatch& batch, std::size_t count, std::span<Tensor<T>> weights) const {
    Variable<T> x = embed(batch, {});
    for (std::size_t i = 0; i < count; ++i) {
      x = layers_[i](x, batch.row_splits, weights.empty() ? nullptr : &weights[i]);
    }
    return x;
  }

  ImageGptConfig config_;
  Embedding<T> embedding_;
  LearnedPositionalEncoding<T> positions_;
  std::vector<ImageGptLayer<T>> layers_;
  RmsNorm<T> norm_;
  std::optional<Linear<T>> output_;
  std::optional<Linear<T>> classifier_;
};
static_assert(Module<ImageGpt<float>>);

template <class... Arguments>
ImageGpt(const ImageGptConfig&, Arguments&&...) -> ImageGpt<float>;

}}  // namespace rapt::RAPT_ABI
