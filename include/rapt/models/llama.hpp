/// \file
/// Llama (Touvron et al. 2023) and the models of its shape: Mistral, Qwen2, TinyLlama and many others. What differs
/// from gpt.hpp: rotary positions in place of learned ones, root mean square norms, gated feed-forward networks, fewer
/// heads of keys and values than of queries, no biases.
#pragma once

#include "rapt/autograd/ops/add_norm.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/models/llama_config.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/prefix_state.hpp"
#include "rapt/nn/prompt.hpp"
#include "rapt/nn/rms_norm.hpp"
#include "rapt/nn/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// h = x + SelfAttention(RMSNorm(x)), then h + FFN(RMSNorm(h)).
template <class T = float>
class LlamaLayer {
 public:
  LlamaLayer(const LlamaConfig& config, const Rotary<T>& rotary, Rng& rng)
      : self_attn_(config.attention(), rotary, rng),
        mlp_(config.feed_forward(), rng),
        input_layernorm_(config.d_model, config.norm_epsilon),
        post_attention_layernorm_(config.d_model, config.norm_epsilon) {}

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
  Llama(const LlamaConfig& config, Rng& rng) : Llama(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string&, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, config.init_std);
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
    if (!batch.rows.empty()) h = gather_rows<T>(h, batch.rows);  // the rows that have a target
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

  /// The config's tokens.
  [[nodiscard]] SequenceMarks sequence_marks() const {
    return {.begin = config_.begin_token, .ends = config_.end_tokens, .suppressed = config_.suppressed_tokens};
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
    return stored.ends_with(".rotary_emb.inv_freq") || (config.tie_embeddings && stored == "lm_head.weight");
  }

 private:
  /// Makes the layers, whose random values the public constructor draws.
  Llama(const LlamaConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(checked(config)),
        embed_tokens_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        norm_(config.d_model, config.norm_epsilon) {
    const Rotary<T> rotary(config.columns_of_head(), config.rotary);
    for (Index i = 0; i < config.layers; ++i) layers_.emplace_back(config, rotary, rng);
    if (!config.tie_embeddings) lm_head_.emplace(config.d_model, config.vocabulary, rng, LinearOptions{.bias = false});
  }

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

}}  // namespace rapt::RAPT_ABI
