/// \file
/// Llama (Touvron et al. 2023) and the models of its shape: Mistral, Qwen2, TinyLlama and many others. What differs
/// from gpt.hpp: rotary positions in place of learned ones, root mean square norms, gated feed-forward networks, fewer
/// heads of keys and values than of queries, no biases.
#pragma once

#include "rapt/autograd/ops/add_norm.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/gated_feed_forward.hpp"
#include "rapt/nn/grouped_query_attention.hpp"
#include "rapt/nn/prefix_state.hpp"
#include "rapt/nn/prompt.hpp"
#include "rapt/nn/rms_norm.hpp"
#include "rapt/nn/stored_name.hpp"

namespace rapt::inline RAPT_ABI {

/// Everything that makes a Llama. Defaults are those of the first one, of 7 billion parameters.
struct LlamaConfig {
  Index vocabulary = 32000;
  Index d_model = 4096;
  Index layers = 32;
  Index heads = 32;
  std::optional<Index> key_value_heads = {};  ///< unset: heads
  std::optional<Index> head_dim = {};         ///< unset: d_model / heads
  Index d_ff = 11008;
  Activation activation = Activation::silu;
  RotaryOptions rotary = {};
  double rms_norm_epsilon = 1e-6;
  bool share_embeddings = false;       ///< one matrix for the embedding and the output projection
  bool attention_bias = false;         ///< of queries, keys and values (Qwen2)
  bool attention_output_bias = false;  ///< Hugging Face's Llama has both or none
  bool mlp_bias = false;
  /// If > 0: a token sees itself and no more than this many before it. Hugging Face's sliding_window counts the token
  /// itself.
  Index window = 0;
  float attention_dropout = 0.f;    ///< of the attention weights
  double initial_deviation = 0.02;  ///< of all matrices
  std::optional<TokenId> begin_token = {};
  std::vector<TokenId> end_tokens = {};  ///< what ends a text

  [[nodiscard]] static LlamaConfig llama_7b() { return {}; }
  [[nodiscard]] static LlamaConfig llama2_7b() { return {.rotary = {.max_positions = 4096}, .rms_norm_epsilon = 1e-5}; }
  [[nodiscard]] static LlamaConfig llama31_8b() {
    return {.vocabulary = 128256,
            .key_value_heads = 8,
            .d_ff = 14336,
            .rotary = {.theta = 500000,
                       .max_positions = 131072,
                       .scaling = RotaryScaling::llama3,
                       .factor = 8,
                       .original_positions = 8192},
            .rms_norm_epsilon = 1e-5};
  }
  /// TinyLlama (Zhang et al. 2024), of 1.1 billion parameters.
  [[nodiscard]] static LlamaConfig tiny_llama() {
    return {.d_model = 2048, .layers = 22, .key_value_heads = 4, .d_ff = 5632, .rms_norm_epsilon = 1e-5};
  }
  /// Mistral 7B (Jiang et al. 2023).
  [[nodiscard]] static LlamaConfig mistral_7b() {
    return {.key_value_heads = 8,
            .d_ff = 14336,
            .rotary = {.max_positions = 32768},
            .rms_norm_epsilon = 1e-5,
            .window = 4095};
  }

  [[nodiscard]] Index columns_of_head() const { return head_dim.value_or(d_model / heads); }
  [[nodiscard]] GroupedQueryAttentionOptions attention() const {
    return {.d_model = d_model,
            .heads = heads,
            .key_value_heads = key_value_heads.value_or(heads),
            .head_dim = columns_of_head(),
            .dropout = attention_dropout,
            .bias = attention_bias,
            .output_bias = attention_output_bias,
            .window = window};
  }
  [[nodiscard]] GatedFeedForwardOptions feed_forward() const {
    return {.d_model = d_model, .d_ff = d_ff, .activation = activation, .bias = mlp_bias};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "llama";
    require(vocabulary > 0 && d_model > 0 && layers > 0 && d_ff > 0, kWhere, "sizes must be positive: vocabulary ",
            vocabulary, ", d_model ", d_model, ", layers ", layers, ", d_ff ", d_ff);
    const Index groups = key_value_heads.value_or(heads);
    require(heads > 0 && groups > 0 && heads % groups == 0, kWhere,
            "heads must be a multiple of key_value_heads: heads = ", heads, ", key_value_heads = ", groups);
    require(head_dim ? *head_dim > 0 : d_model % heads == 0, kWhere,
            "d_model must be a multiple of heads, unless head_dim is given: d_model = ", d_model, ", heads = ", heads,
            ", head_dim = ", head_dim.value_or(0));
    rotary.validate(columns_of_head());
    require(window >= 0, kWhere, "window must not be negative: ", window);
    require(attention_dropout >= 0.f && attention_dropout < 1.f, kWhere,
            "attention_dropout must be in [0, 1): ", attention_dropout);
    require(rms_norm_epsilon > 0 && initial_deviation >= 0, kWhere,
            "rms_norm_epsilon must be positive: ", rms_norm_epsilon,
            ", initial_deviation not negative: ", initial_deviation);
  }

  /// What Hugging Face calls these models and their settings, in config.json. The three differ in what they leave open.
  static constexpr std::string_view kModelType = "llama", kBasePrefix = "model.";
  [[nodiscard]] static bool is_model_type(std::string_view type) {
    return type == "llama" || type == "mistral" || type == "qwen2";
  }
  [[nodiscard]] std::string model_type() const {
    if (window > 0) return "mistral";
    return attention_bias && !attention_output_bias ? "qwen2" : "llama";
  }
  [[nodiscard]] std::string_view architecture() const {
    const std::string type = model_type();
    return type == "llama" ? "LlamaForCausalLM" : type == "mistral" ? "MistralForCausalLM" : "Qwen2ForCausalLM";
  }
  /// Throws ValueError unless one of the three has these settings together.
  void require_model_type() const {
    const std::string type = model_type();
    require((type == "llama" || !mlp_bias) && attention_output_bias == (type == "llama" && attention_bias) &&
                (type != "mistral" || !attention_bias) && rotary.layout == RotaryLayout::halves &&
                rotary.rotated_share == 1,
            "llama", "Hugging Face has no model with these settings together: window ", window, ", attention_bias ",
            attention_bias, ", attention_output_bias ", attention_output_bias, ", mlp_bias ", mlp_bias,
            ", rotated_share ", rotary.rotated_share);
  }
  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    constexpr bool kReads = !std::is_const_v<Self>;
    if constexpr (!kReads) self.require_model_type();
    std::string type = self.model_type();
    key("model_type", type);
    key("vocab_size", self.vocabulary);
    key("hidden_size", self.d_model);
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    key("num_key_value_heads", self.key_value_heads);
    key("head_dim", self.head_dim);
    key("intermediate_size", self.d_ff);
    key("hidden_act", self.activation);
    key("rms_norm_eps", self.rms_norm_epsilon);
    key("tie_word_embeddings", self.share_embeddings);
    key("attention_dropout", self.attention_dropout);
    key("initializer_range", self.initial_deviation);
    key("bos_token_id", self.begin_token);
    key("eos_token_id", self.end_tokens);
    if (type == "llama") {
      key("attention_bias", self.attention_bias);
      key("mlp_bias", self.mlp_bias);
    }
    if constexpr (kReads) {
      self.attention_output_bias = self.attention_bias;
      if (type == "qwen2") self.attention_bias = true;
    }
    if (type == "mistral") {
      std::optional<Index> width = kReads ? 4096 : self.window + 1;  // an absent key means 4096
      key("sliding_window", width);
      if constexpr (kReads) {
        if (width) self.window = *width > 1 ? *width - 1 : -1;  // below 2 it would mean all: not valid
      }
    }
    if (type == "qwen2") key.must_be("use_sliding_window", false);
    key("max_position_embeddings", self.rotary.max_positions);
    key("rope_theta", self.rotary.theta);
    key.object("rope_scaling", [&](const auto& inner) { visit_rotary_keys(self.rotary, inner); });
    if constexpr (kReads) {  // transformers 5 writes them here
      key.object("rope_parameters", [&](const auto& inner) {
        inner("rope_theta", self.rotary.theta);
        visit_rotary_keys(self.rotary, inner);
      });
    }
  }

 private:
  /// Those of `rotary` that its scaling uses; nothing without scaling.
  template <class Options, class Visitor>
  static void visit_rotary_keys(Options& rotary, const Visitor& key) {
    constexpr bool kReads = !std::is_const_v<Options>;
    std::string kind = rotary.scaling == RotaryScaling::none ? "default" : to_string(rotary.scaling);
    if constexpr (kReads) {
      key("type", kind);  // its older name
      key("rope_type", kind);
      rotary.scaling = RotaryScaling::none;
      for (const RotaryScaling scaling :
           {RotaryScaling::linear, RotaryScaling::dynamic, RotaryScaling::llama3, RotaryScaling::yarn}) {
        if (kind == to_string(scaling)) rotary.scaling = scaling;
      }
      if (rotary.scaling == RotaryScaling::none) key.must_be("type", "default"), key.must_be("rope_type", "default");
      if (rotary.scaling == RotaryScaling::none) return;
    } else {
      if (rotary.scaling == RotaryScaling::none) return;
      key("rope_type", kind);
    }
    key("factor", rotary.factor);
    const bool llama3 = rotary.scaling == RotaryScaling::llama3, yarn = rotary.scaling == RotaryScaling::yarn;
    if (llama3 || yarn) {
      Index original = rotary.original_positions > 0 ? rotary.original_positions : rotary.max_positions;
      key("original_max_position_embeddings", original);
      if constexpr (kReads) rotary.original_positions = original;
    }
    if (llama3) {
      key("low_freq_factor", rotary.low_factor);
      key("high_freq_factor", rotary.high_factor);
    }
    if (!yarn) return;
    key("beta_slow", rotary.beta_slow);
    key("beta_fast", rotary.beta_fast);
    key("truncate", rotary.truncate);
    if (kReads || rotary.attention_factor) key("attention_factor", rotary.attention_factor);
    if (kReads || rotary.mscale != 0) key("mscale", rotary.mscale);
    if (kReads || rotary.mscale_all != 0) key("mscale_all_dim", rotary.mscale_all);
  }
};

/// h = x + SelfAttention(RMSNorm(x)), then h + FFN(RMSNorm(h)).
template <class T = float>
class LlamaLayer {
 public:
  LlamaLayer(const LlamaConfig& config, const Rotary<T>& rotary, Rng& rng)
      : self_attn_(config.attention(), rotary, rng),
        mlp_(config.feed_forward(), rng),
        input_layernorm_(config.d_model, config.rms_norm_epsilon),
        post_attention_layernorm_(config.d_model, config.rms_norm_epsilon) {}

  /// [N, D] from [N, D]; `weights`, if set, receives the attention probabilities.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, Tensor<T>* weights) const {
    return sublayers(x, self_attn_(input_layernorm_(x), splits, weights));
  }
  /// The same for the next tokens of each row only, against what the cache holds.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, KeyValueCache<T>& cache) const {
    return sublayers(x, self_attn_.step(input_layernorm_(x), splits, cache));
  }
  [[nodiscard]] Index key_columns() const { return self_attn_.key_columns(); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("self_attn", self.self_attn_);
    visitor("mlp", self.mlp_);
    visitor("input_layernorm", self.input_layernorm_);
    visitor("post_attention_layernorm", self.post_attention_layernorm_);
  }

 private:
  [[nodiscard]] Variable<T> sublayers(const Variable<T>& x, Variable<T> attended) const {
    const Variable<T> h = residual_add(x, std::move(attended));
    return residual_add(h, mlp_(post_attention_layernorm_(h)));
  }

  GroupedQueryAttention<T> self_attn_;
  GatedFeedForward<T> mlp_;
  RmsNorm<T> input_layernorm_, post_attention_layernorm_;
};
static_assert(Module<LlamaLayer<float>>);

/// Embedding, layers, a last norm, and the output projection. A const model may be used from many threads.
template <class T = float>
class Llama {
 public:
  using ScalarType = T;
  using Config = LlamaConfig;
  using State = PrefixState<T>;
  /// A search feeds the last token of each prompt first, instead of a begin symbol.
  static constexpr bool kDecoderOnly = true;

  /// Matrices are normal, norms one, biases zero. Throws ValueError for a config that does not fit.
  Llama(const LlamaConfig& config, Rng& rng)
      : config_(checked(config)),
        embed_tokens_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        norm_(config.d_model, config.rms_norm_epsilon) {
    const Rotary<T> rotary(config.columns_of_head(), config.rotary);
    for (Index i = 0; i < config.layers; ++i) layers_.emplace_back(config, rotary, rng);
    if (!config.share_embeddings)
      lm_head_.emplace(config.d_model, config.vocabulary, rng, LinearOptions{.bias = false});
    for_each_parameter(*this, [&](const std::string&, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, config.initial_deviation);
    });
  }

  /// The last hidden state   // [N, D]
  /// `weights`, one a layer or none, receive the layers' attention probabilities.
  [[nodiscard]] Variable<T> hidden(const TokenBatch& batch, std::span<Tensor<T>> weights = {}) const {
    require<ShapeError>(weights.empty() || weights.size() == layers_.size(), "llama", weights.size(),
                        " tensors for the weights of ", layers_.size(), " layers");
    Variable<T> x = embed(batch);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i](x, batch.row_splits, weights.empty() ? nullptr : &weights[i]);
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
    if (!batch.rows.empty()) h = embedding<T>(h, batch.rows);  // the rows that have a target
    return linear_cross_entropy<T>(h, output_weight(), Parameter<T>(), batch.targets, options);
  }

  /// Decoding: a state with one row for each prompt, which has read all of it but the last token.
  [[nodiscard]] State start(const TokenBatch& prompts) const { return feed_prompts(*this, prompts); }
  /// Feeds one token to every row; returns the logits of the next   // [rows, V]
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    const Inference scope;
    require<ShapeError>(static_cast<Index>(tokens.size()) == state.rows(), "llama", tokens.size(), " tokens for ",
                        state.rows(), " rows");
    TokenBatch next;
    next.tokens.assign(tokens.begin(), tokens.end());
    next.row_splits = RowSplits::equal(state.rows(), 1);
    return logits(feed(state, next)).value();
  }

  [[nodiscard]] State empty_state(Index rows) const {
    State state;
    for (const LlamaLayer<T>& layer : layers_) state.layers.emplace_back(rows, layer.key_columns());
    return state;
  }
  /// Feeds the next tokens of every row to the state   // their last hidden state, [N, D]
  [[nodiscard]] Variable<T> feed(State& state, const TokenBatch& next) const {
    const Inference scope;
    Variable<T> x = embed(next);
    for (std::size_t i = 0; i < layers_.size(); ++i) x = layers_[i].step(x, next.row_splits, state.layers[i]);
    return norm_(x);
  }

  [[nodiscard]] const LlamaConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embed_tokens", self.embed_tokens_);
    visitor("layers", self.layers_);
    visitor("norm", self.norm_);
    visitor("lm_head", self.lm_head_);
  }

  /// Hugging Face's names, which keeps queries, keys and values apart, and gates and values of the inner layer.
  [[nodiscard]] static StoredNames stored_names(const LlamaConfig& config) {
    const Index q = config.heads * config.columns_of_head();
    const Index k = config.key_value_heads.value_or(config.heads) * config.columns_of_head();
    StoredNames names{
        {"embed_tokens.weight", {{"model.embed_tokens.weight"}}},
        {"layers.*.self_attn.o_proj.weight", {{"model.layers.*.self_attn.o_proj.weight"}}},
        {"layers.*.self_attn.o_proj.bias", {{"model.layers.*.self_attn.o_proj.bias"}}},
        {"layers.*.mlp.down_proj.weight", {{"model.layers.*.mlp.down_proj.weight"}}},
        {"layers.*.mlp.down_proj.bias", {{"model.layers.*.mlp.down_proj.bias"}}},
        {"layers.*.input_layernorm.weight", {{"model.layers.*.input_layernorm.weight"}}},
        {"layers.*.post_attention_layernorm.weight", {{"model.layers.*.post_attention_layernorm.weight"}}},
        {"norm.weight", {{"model.norm.weight"}}}};
    names.push_back({"layers.*.self_attn.qkv_proj.weight",
                     {{"model.layers.*.self_attn.q_proj.weight", q},
                      {"model.layers.*.self_attn.k_proj.weight", k},
                      {"model.layers.*.self_attn.v_proj.weight", k}}});
    names.push_back({"layers.*.self_attn.qkv_proj.bias",
                     {{"model.layers.*.self_attn.q_proj.bias", q},
                      {"model.layers.*.self_attn.k_proj.bias", k},
                      {"model.layers.*.self_attn.v_proj.bias", k}}});
    names.push_back({"layers.*.mlp.gate_up_proj.weight",
                     {{"model.layers.*.mlp.gate_proj.weight"}, {"model.layers.*.mlp.up_proj.weight"}}});
    names.push_back({"layers.*.mlp.gate_up_proj.bias",
                     {{"model.layers.*.mlp.gate_proj.bias"}, {"model.layers.*.mlp.up_proj.bias"}}});
    return names;
  }
  /// What a file may hold beside the parameters: frequencies, and the embedding once more as the tied projection.
  [[nodiscard]] static bool is_surplus(const LlamaConfig& config, std::string_view stored) {
    return stored.ends_with(".rotary_emb.inv_freq") || (config.share_embeddings && stored == "lm_head.weight");
  }

 private:
  static const LlamaConfig& checked(const LlamaConfig& config) {
    config.validate();
    return config;
  }
  [[nodiscard]] const Parameter<T>& output_weight() const {
    return lm_head_ ? lm_head_->weight() : embed_tokens_.weight();
  }

  [[nodiscard]] Variable<T> embed(const TokenBatch& batch) const {
    require<ShapeError>(batch.row_splits.rows() == batch.size(), "llama", batch.size(), " tokens, row splits end at ",
                        batch.row_splits.rows());
    return embed_tokens_(batch.tokens);
  }

  LlamaConfig config_;
  Embedding<T> embed_tokens_;
  std::vector<LlamaLayer<T>> layers_;
  RmsNorm<T> norm_;
  std::optional<Linear<T>> lm_head_;
};
static_assert(Module<Llama<float>>);

template <class... Arguments>
Llama(const LlamaConfig&, Arguments&&...) -> Llama<float>;

}  // namespace rapt::inline RAPT_ABI
