/// \file
/// GPT: the Transformer's decoder alone (Radford et al. 2018, 2019; Brown et al. 2020). What differs from
/// transformer.hpp: no encoder and so no memory, hence layers with one attention, masked; norms before the sublayers
/// and one behind the last; learned positions; GELU.
#pragma once

#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/positional_encoding.hpp"
#include "rapt/nn/prefix_state.hpp"
#include "rapt/nn/prompt.hpp"
#include "rapt/nn/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a GPT. Defaults are GPT-2's smallest.
struct GptConfig {
  Index vocabulary = 50257;
  Index positions = 1024;  ///< the longest sequence
  Index d_model = 768;
  Index layers = 12;
  Index heads = 12;
  std::optional<Index> d_ff = {};  ///< unset: 4 d_model
  Activation activation = Activation::gelu_tanh;
  float embedding_dropout = 0.1f;
  float dropout = 0.1f;            ///< of each sublayer's output
  float attention_dropout = 0.1f;  ///< of the attention weights
  double norm_epsilon = 1e-5;
  bool scale_attention = true;                  ///< scores are divided by sqrt(d_k)
  bool scale_attention_by_layer = false;        ///< and by the layer's number, from 1
  bool tie_embeddings = true;                   ///< one matrix for the embedding and the output projection
  std::optional<TokenId> begin_token = {};      ///< what a text may begin with; read in place of an empty prompt
  std::vector<TokenId> end_tokens = {};         ///< each of them ends a text; none: only the maximum length does
  std::optional<TokenId> pad_token = {};        ///< what other programs fill up with; there is no padding here
  std::vector<TokenId> suppressed_tokens = {};  ///< are never generated

  /// GPT-2 of 124 million parameters; medium, large and xl have 355, 774 and 1,558 (Radford et al. 2019, table 2).
  [[nodiscard]] static GptConfig gpt2() { return {}; }
  [[nodiscard]] static GptConfig gpt2_medium() { return {.d_model = 1024, .layers = 24, .heads = 16}; }
  [[nodiscard]] static GptConfig gpt2_large() { return {.d_model = 1280, .layers = 36, .heads = 20}; }
  [[nodiscard]] static GptConfig gpt2_xl() { return {.d_model = 1600, .layers = 48, .heads = 25}; }
  /// The shapes of GPT-3 (Brown et al. 2020, table 2.1), with dense attention in every layer: the paper's alternates
  /// with a banded one that it does not specify.
  [[nodiscard]] static GptConfig gpt3(Index d_model, Index layers, Index heads) {
    return {.positions = 2048, .d_model = d_model, .layers = layers, .heads = heads};
  }
  [[nodiscard]] static GptConfig gpt3_small() { return gpt3(768, 12, 12); }
  [[nodiscard]] static GptConfig gpt3_xl() { return gpt3(2048, 24, 16); }
  [[nodiscard]] static GptConfig gpt3_175b() { return gpt3(12288, 96, 96); }

  [[nodiscard]] LayerOptions layer(Index number) const {
    const double d_k = static_cast<double>(d_model / heads);
    const double scale = (scale_attention ? 1 / std::sqrt(d_k) : 1.0) /
                         (scale_attention_by_layer ? static_cast<double>(number + 1) : 1.0);
    return {.d_model = d_model,
            .heads = heads,
            .d_ff = d_ff.value_or(4 * d_model),
            .attention_scale = scale,
            .dropout = dropout,
            .attention_dropout = attention_dropout,
            .activation = activation,
            .norm = NormPlacement::pre,
            .norm_epsilon = norm_epsilon};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "gpt";
    require(vocabulary > 0 && positions > 0 && layers > 0 && d_ff.value_or(1) > 0, kWhere,
            "sizes must be positive: vocabulary ", vocabulary, ", positions ", positions, ", layers ", layers,
            ", d_ff ", d_ff.value_or(4 * d_model));
    require(d_model > 0 && heads > 0 && d_model % heads == 0, kWhere,
            "d_model must be a multiple of heads: d_model = ", d_model, ", heads = ", heads);
    for (const float rate : {embedding_dropout, dropout, attention_dropout}) {
      require(rate >= 0.f && rate < 1.f, kWhere, "dropout must be in [0, 1): ", rate);
    }
    require(norm_epsilon > 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon);
  }

  /// What Hugging Face calls this model and its settings, in config.json.
  static constexpr std::string_view kModelType = "gpt2", kArchitecture = "GPT2LMHeadModel",
                                    kBasePrefix = "transformer.";
  template <class Self, class Visitor>
  static void visit_keys(Self& self, Visitor&& key) {
    key("vocab_size", self.vocabulary);
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
    key("tie_word_embeddings", self.tie_embeddings);
    visit_token_keys(self, key);
    key("pad_token_id", self.pad_token);
    key.must_be("add_cross_attention", false);
  }
  /// The tokens that are keys of config.json and of generation_config.json, and those of the latter alone.
  template <class Self, class Visitor>
  static void visit_token_keys(Self& self, const Visitor& key) {
    key("bos_token_id", self.begin_token);
    key("eos_token_id", self.end_tokens);
  }
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    visit_token_keys(self, key);
    key.unless_absent("pad_token_id", self.pad_token);
    key.list("suppress_tokens", self.suppressed_tokens);
  }
};

/// Learned embeddings of tokens and positions, masked self-attention layers, a last norm, and the output projection.
/// A const model may be used from many threads.
template <class T = float>
class Gpt {
 public:
  using ScalarType = T;
  using Config = GptConfig;
  using State = PrefixState<T>;
  /// A search feeds the last token of each prompt first, instead of a begin symbol.
  static constexpr bool kDecoderOnly = true;

  /// Weights as GPT-2's: normal with deviation 0.02, those of the projections into the residual sum divided by
  /// sqrt(2 layers). Throws ValueError for a config that does not fit.
  Gpt(const GptConfig& config, Rng& rng) : Gpt(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      const bool into_sum = name.ends_with("out_proj.weight") || name.ends_with("linear2.weight");
      const double deviation = into_sum ? 0.02 / std::sqrt(2.0 * static_cast<double>(config.layers)) : 0.02;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, deviation);
    });
  }

  /// The last hidden state   // [N, D]
  /// `weights`, one a layer or none, receive the layers' attention probabilities.
  [[nodiscard]] Variable<T> hidden(const TokenBatch& batch, std::span<Tensor<T>> weights = {}) const {
    require<ShapeError>(weights.empty() || weights.size() == layers_.size(), "gpt", weights.size(),
                        " tensors for the weights of ", layers_.size(), " layers");
    Variable<T> x = embed(batch, {});
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i](x, batch.row_splits, {.causal = true, .weights = weights.empty() ? nullptr : &weights[i]});
    }
    return norm_(x);
  }
  /// Scores of every token to come next, before softmax   // [N, V] from [N, D]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden) const {
    return linear<T>(hidden, output_weight(), Parameter<T>());
  }
  [[nodiscard]] Variable<T> operator()(const TokenBatch& batch) const { return logits(hidden(batch)); }

  /// Mean cross-entropy of the batch's targets; [N, V] is never stored.
  [[nodiscard]] Variable<T> loss(const LanguageBatch& batch, const CrossEntropyOptions& options = {}) const {
    Variable<T> h = hidden(batch.input);
    if (!batch.rows.empty()) h = gather_rows<T>(h, batch.rows);  // the rows that have a target
    return linear_cross_entropy<T>(h, output_weight(), Parameter<T>(), batch.targets, options);
  }

  /// Decoding: a state with one row for each prompt, which has read all of it but the last token.
  [[nodiscard]] State start(const TokenBatch& prompts) const { return feed_prompts(*this, prompts); }
  /// Feeds one token to every row; returns the logits of the next   // [rows, V]
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    const Inference scope;
    require<ShapeError>(static_cast<Index>(tokens.size()) == state.rows(), "gpt", tokens.size(), " tokens for ",
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

  /// The config's tokens.
  [[nodiscard]] SequenceMarks sequence_marks() const {
    return {.begin = config_.begin_token, .ends = config_.end_tokens, .suppressed = config_.suppressed_tokens};
  }

  [[nodiscard]] const GptConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("positions", self.positions_);
    visitor("layers", self.layers_);
    visitor("norm", self.norm_);
    visitor("output", self.output_);
  }

  /// Hugging Face's names; GPT-2 keeps its matrices as [in, out].
  [[nodiscard]] static StoredNames stored_names(const GptConfig&) {
    return {{"embedding.weight", {{"transformer.wte.weight"}}},
            {"positions.weight", {{"transformer.wpe.weight"}}},
            {"layers.*.norm1.weight", {{"transformer.h.*.ln_1.weight"}}},
            {"layers.*.norm1.bias", {{"transformer.h.*.ln_1.bias"}}},
            {"layers.*.self_attn.in_proj_weight", {{"transformer.h.*.attn.c_attn.weight"}}, true},
            {"layers.*.self_attn.in_proj_bias", {{"transformer.h.*.attn.c_attn.bias"}}},
            {"layers.*.self_attn.out_proj.weight", {{"transformer.h.*.attn.c_proj.weight"}}, true},
            {"layers.*.self_attn.out_proj.bias", {{"transformer.h.*.attn.c_proj.bias"}}},
            {"layers.*.norm2.weight", {{"transformer.h.*.ln_2.weight"}}},
            {"layers.*.norm2.bias", {{"transformer.h.*.ln_2.bias"}}},
            {"layers.*.linear1.weight", {{"transformer.h.*.mlp.c_fc.weight"}}, true},
            {"layers.*.linear1.bias", {{"transformer.h.*.mlp.c_fc.bias"}}},
            {"layers.*.linear2.weight", {{"transformer.h.*.mlp.c_proj.weight"}}, true},
            {"layers.*.linear2.bias", {{"transformer.h.*.mlp.c_proj.bias"}}},
            {"norm.weight", {{"transformer.ln_f.weight"}}},
            {"norm.bias", {{"transformer.ln_f.bias"}}},
            {"output.weight", {{"lm_head.weight"}}}};
  }
  /// What a file may hold beside the parameters: causal masks, and the embedding once more as the tied projection.
  [[nodiscard]] static bool is_surplus(const GptConfig& config, std::string_view stored) {
    return stored.ends_with(".attn.bias") || stored.ends_with(".attn.masked_bias") ||
           (config.tie_embeddings && stored == "lm_head.weight");
  }

 private:
  /// Makes the layers, whose random values the public constructor draws.
  Gpt(const GptConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(checked(config)),
        embedding_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        positions_(config.positions, config.d_model, rng),
        norm_(config.d_model, config.norm_epsilon) {
    for (Index i = 0; i < config.layers; ++i) layers_.emplace_back(config.layer(i), rng);
    if (!config.tie_embeddings) output_.emplace(config.d_model, config.vocabulary, rng, LinearOptions{.bias = false});
  }

  static const GptConfig& checked(const GptConfig& config) {
    config.validate();
    return config;
  }
  [[nodiscard]] const Parameter<T>& output_weight() const { return output_ ? output_->weight() : embedding_.weight(); }

  /// Dropout(embedding + position)   // [N, D]; `starts`: tokens that each sequence has behind it
  [[nodiscard]] Variable<T> embed(const TokenBatch& batch, std::span<const Index> starts) const {
    require<ShapeError>(batch.row_splits.rows() == batch.size(), "gpt", batch.size(), " tokens, row splits end at ",
                        batch.row_splits.rows());
    return dropout(positions_(embedding_(batch.tokens), batch.row_splits, starts), config_.embedding_dropout);
  }

  GptConfig config_;
  Embedding<T> embedding_;
  LearnedPositionalEncoding<T> positions_;
  std::vector<EncoderLayer<T>> layers_;
  LayerNorm<T> norm_;
  std::optional<Linear<T>> output_;
};
static_assert(Module<Gpt<float>>);

template <class... Arguments>
Gpt(const GptConfig&, Arguments&&...) -> Gpt<float>;

}}  // namespace rapt::RAPT_ABI
