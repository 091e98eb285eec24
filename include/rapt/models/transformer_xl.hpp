/// \file
/// Transformer-XL (Dai et al. 2019): a language model that reads a text in segments. What its layers made of the
/// segments before is a memory, to which each segment attends without gradient, so that the context reaches further
/// than a segment; hence positions are relative.
#pragma once

#include "rapt/models/transformer_xl_config.hpp"
#include "rapt/nn/feed_forward.hpp"
#include "rapt/nn/layer_norm.hpp"
#include "rapt/nn/prompt.hpp"
#include "rapt/nn/relative_attention.hpp"
#include "rapt/nn/stored_name.hpp"
#include "rapt/nn/transformer_xl_memory.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Attention to memory and segment, and feed-forward, with norms behind them (post) or before.
template <class T = float>
class TransformerXlLayer {
 public:
  TransformerXlLayer(const TransformerXlConfig& config, Rng& rng)
      : attention_({.d_model = config.d_model,
                    .heads = config.heads,
                    .head_dim = config.head_dim,
                    .span = config.span(),
                    .dropout = config.attention_dropout,
                    .own_biases = config.own_biases},
                   rng),
        norm1_(config.d_model, config.norm_epsilon),
        feed_forward_({.d_model = config.d_model, .d_ff = config.d_ff, .dropout = config.dropout}, rng),
        norm2_(config.d_model, config.norm_epsilon),
        pre_norm_(config.pre_norm),
        dropout_(config.dropout) {}

  /// x [N, D], given `all` [M + N, D]: each sequence's memory and then its x; `others`: see RelativeMultiHeadAttention.
  template <class... Others>
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, const Variable<T>& all,
                                       const RowSplits& all_splits, const Others&... others) const {
    if (!pre_norm_) {
      const Variable<T> h = norm1_(x, attention_(x, splits, all, all_splits, others...), dropout_);
      return norm2_(h, feed_forward_(h), dropout_);
    }
    const Variable<T> normed = norm1_(x), all_normed = all.node() == x.node() ? normed : norm1_(all);
    const Variable<T> h = residual_add(x, attention_(normed, splits, all_normed, all_splits, others...), dropout_);
    return residual_add(h, feed_forward_(norm2_(h)), dropout_);
  }

  [[nodiscard]] RelativeMultiHeadAttention<T>& attention() { return attention_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("attention", self.attention_);
    visitor("norm1", self.norm1_);
    FeedForward<T>::visit(self.feed_forward_, visitor);
    visitor("norm2", self.norm2_);
  }

 private:
  RelativeMultiHeadAttention<T> attention_;
  LayerNorm<T> norm1_;
  FeedForward<T> feed_forward_;
  LayerNorm<T> norm2_;
  bool pre_norm_;
  float dropout_;
};
static_assert(Module<TransformerXlLayer<float>>);

/// Adaptive embedding, layers with memory, adaptive softmax. A const model may be used from many threads; the memory is
/// the caller's.
///
///     rapt::TransformerXlMemory<float> memory;
///     for (Index t = 0; t < segments.size(); ++t) loss = model.loss(segments[t], memory);
template <class T = float>
class TransformerXl {
 public:
  using ScalarType = T;
  using Config = TransformerXlConfig;
  using Memory = TransformerXlMemory<T>;
  using State = Memory;
  /// A search feeds the last token of each prompt first, instead of a begin symbol.
  static constexpr bool kDecoderOnly = true;

  /// Normal weights, as the config says; throws ValueError for one that does not fit.
  TransformerXl(const TransformerXlConfig& config, Rng& rng)
      : config_(checked(config)),
        embedding_(config.adaptive_vocabulary(), rng, config.init_std, config.projection_init_std),
        output_(config.adaptive_vocabulary(), config.softmax(), rng, config.init_std, config.projection_init_std),
        distances_(encoding(config)) {
    if (!config.own_biases) {
      content_bias_ = Parameter<T>(init::constant<T>(Shape{config.heads, config.head_dim}, T(0)));
      position_bias_ = Parameter<T>(init::constant<T>(Shape{config.heads, config.head_dim}, T(0)));
    }
    for (Index i = 0; i < config.layers; ++i) layers_.emplace_back(config, rng);
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2 || !(name.starts_with("layers.") || name.ends_with("_bias"))) return;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, config.init_std);
    });
  }

  /// The last hidden state of a segment   // [N, D]
  /// `memory` is what the segments before have left, of the same sequences, and becomes what this one leaves.
  [[nodiscard]] Variable<T> hidden(const TokenBatch& segment, Memory& memory) const {
    constexpr std::string_view kWhere = "transformer_xl";
    const RowSplits& splits = segment.row_splits;
    require<ShapeError>(splits.rows() == segment.size(), kWhere, segment.size(), " tokens, row splits end at ",
                        splits.rows());
    const Memory none = memory.empty() ? empty_state(splits.sequences()) : Memory();
    const Memory& before = memory.empty() ? none : memory;
    require<ShapeError>(before.rows() == splits.sequences(), kWhere, "a memory of ", before.rows(), " sequences for ",
                        splits.sequences());
    require<ShapeError>(before.layers.size() == layers_.size(), kWhere, "a memory of ", before.layers.size(),
                        " layers for ", layers_.size());

    RowSplits all_splits;
    std::vector<Index> memory_places, places;  // of rows among all
    for (Index i = 0; i < splits.sequences(); ++i) {
      const Index remembered = before.row_splits.length(i);
      for (Index r = 0; r < remembered; ++r) memory_places.push_back(all_splits.rows() + r);
      for (Index r = 0; r < splits.length(i); ++r) places.push_back(all_splits.rows() + remembered + r);
      all_splits.push_back(remembered + splits.length(i));
    }
    const Variable<T> distances =
        dropout(Variable<T>(distances_(distances_among(all_splits.longest()))), config_.dropout);

    Memory after{{}, detail::last_rows(all_splits, config_.memory_length)};
    Variable<T> x = dropout(embedding_(segment.tokens), config_.dropout);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const Variable<T> all =
          memory_places.empty() ? x : place_rows<T>({{Variable<T>(before.layers[i]), memory_places}, {x, places}});
      after.layers.push_back(detail::last_rows(all.value(), all_splits, after.row_splits));
      x = layers_[i](x, splits, all, all_splits, distances, content_bias_, position_bias_);
    }
    memory = std::move(after);
    return dropout(std::move(x), config_.dropout);
  }
  /// The same without what came before.
  [[nodiscard]] Variable<T> hidden(const TokenBatch& segment) const {
    Memory none;
    return hidden(segment, none);
  }

  /// Log-probabilities of every token to come next. Not recorded   // [N, V] from hidden [N, D]
  [[nodiscard]] Tensor<T> log_probabilities(const Variable<T>& hidden) const {
    return output_.log_probabilities(hidden, embedding_);
  }
  [[nodiscard]] Tensor<T> operator()(const TokenBatch& segment, Memory& memory) const {
    const Inference scope;
    return log_probabilities(hidden(segment, memory));
  }

  /// Mean cross-entropy of the segment's targets.
  [[nodiscard]] Variable<T> loss(const LanguageBatch& segment, Memory& memory) const {
    return output_.loss(target_rows(segment, memory), segment.targets, embedding_);
  }
  [[nodiscard]] Variable<T> loss(const LanguageBatch& segment) const {
    Memory none;
    return loss(segment, none);
  }
  /// Log-probabilities of the segment's targets. Not recorded   // [targets]
  [[nodiscard]] std::vector<double> target_log_probabilities(const LanguageBatch& segment, Memory& memory) const {
    const Inference scope;
    return output_.target_log_probabilities(target_rows(segment, memory), segment.targets, embedding_);
  }

  /// Decoding: a state with one row for each prompt, which has read all of it but the last token. What is remembered
  /// is projected to keys and values at every step.
  [[nodiscard]] State start(const TokenBatch& prompts) const { return feed_prompts(*this, prompts); }
  /// Feeds one token to every row; returns the log-probabilities of the next   // [rows, V]
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    require<ShapeError>(static_cast<Index>(tokens.size()) == state.rows(), "transformer_xl", tokens.size(),
                        " tokens for ", state.rows(), " rows");
    TokenBatch next;
    next.tokens.assign(tokens.begin(), tokens.end());
    next.row_splits = RowSplits::equal(state.rows(), 1);
    return (*this)(next, state);
  }
  /// What so many sequences begin with.
  [[nodiscard]] State empty_state(Index rows) const {
    const Index length = config_.begins_with_zeros ? config_.memory_length : 0;
    State state{{}, RowSplits::equal(rows, length)};
    state.layers.assign(layers_.size(), Tensor<T>(Shape{rows * length, config_.d_model}, T(0)));
    return state;
  }
  /// Feeds the next tokens of every row to the state   // their last hidden state, [N, D]
  [[nodiscard]] Variable<T> feed(State& state, const TokenBatch& next) const {
    const Inference scope;
    return hidden(next, state);
  }

  /// The config's end token.
  [[nodiscard]] SequenceMarks sequence_marks() const {
    SequenceMarks marks;
    if (config_.end_token) marks.ends.push_back(*config_.end_token);
    return marks;
  }

  [[nodiscard]] const TransformerXlConfig& config() const { return config_; }
  /// From now on so many tokens are remembered: evaluation may look back further than training did.
  void set_memory_length(Index length) {
    TransformerXlConfig config = config_;
    config.memory_length = length;
    config_ = checked(config);
    for (auto& layer : layers_) layer.attention().set_span(config_.span());
    distances_ = encoding(config_);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("content_bias", self.content_bias_);
    visitor("position_bias", self.position_bias_);
    visitor("layers", self.layers_);
    visitor("output", self.output_);
  }

  /// Hugging Face's names. Layouts are the same.
  [[nodiscard]] static StoredNames stored_names(const TransformerXlConfig&) {
    return {{"embedding.weights.*", {{"transformer.word_emb.emb_layers.*.weight"}}},
            {"embedding.projections.*", {{"transformer.word_emb.emb_projs.*"}}},
            {"content_bias", {{"transformer.r_w_bias"}}},
            {"position_bias", {{"transformer.r_r_bias"}}},
            {"layers.*.attention.in_proj_weight", {{"transformer.layers.*.dec_attn.qkv_net.weight"}}},
            {"layers.*.attention.position_proj.weight", {{"transformer.layers.*.dec_attn.r_net.weight"}}},
            {"layers.*.attention.out_proj.weight", {{"transformer.layers.*.dec_attn.o_net.weight"}}},
            {"layers.*.attention.content_bias", {{"transformer.layers.*.dec_attn.r_w_bias"}}},
            {"layers.*.attention.position_bias", {{"transformer.layers.*.dec_attn.r_r_bias"}}},
            {"layers.*.norm1.weight", {{"transformer.layers.*.dec_attn.layer_norm.weight"}}},
            {"layers.*.norm1.bias", {{"transformer.layers.*.dec_attn.layer_norm.bias"}}},
            {"layers.*.linear1.weight", {{"transformer.layers.*.pos_ff.CoreNet.0.weight"}}},
            {"layers.*.linear1.bias", {{"transformer.layers.*.pos_ff.CoreNet.0.bias"}}},
            {"layers.*.linear2.weight", {{"transformer.layers.*.pos_ff.CoreNet.3.weight"}}},
            {"layers.*.linear2.bias", {{"transformer.layers.*.pos_ff.CoreNet.3.bias"}}},
            {"layers.*.norm2.weight", {{"transformer.layers.*.pos_ff.layer_norm.weight"}}},
            {"layers.*.norm2.bias", {{"transformer.layers.*.pos_ff.layer_norm.bias"}}},
            {"output.cluster_weight", {{"crit.cluster_weight"}}},
            {"output.cluster_bias", {{"crit.cluster_bias"}}},
            {"output.weights.*", {{"crit.out_layers.*.weight"}}},
            {"output.biases.*", {{"crit.out_layers.*.bias"}}},
            {"output.projections.*", {{"crit.out_projs.*"}}}};
  }
  /// What a file may hold beside the parameters: frequencies of the sinusoids, and what is tied or shared once more.
  [[nodiscard]] static bool is_surplus(const TransformerXlConfig& config, std::string_view stored) {
    return stored == "transformer.pos_emb.inv_freq" || stored == "pos_emb.inv_freq" ||
           (config.tie_embeddings && stored.starts_with("crit.out_layers.") && stored.ends_with(".weight")) ||
           stored.starts_with("crit.out_projs.") ||
           (!config.own_biases && (stored.ends_with(".dec_attn.r_w_bias") || stored.ends_with(".dec_attn.r_r_bias")));
  }

 private:
  static const TransformerXlConfig& checked(const TransformerXlConfig& config) {
    config.validate();
    return config;
  }

  /// The hidden states that have a target   // [targets, D]
  [[nodiscard]] Variable<T> target_rows(const LanguageBatch& segment, Memory& memory) const {
    const Variable<T> h = hidden(segment.input, memory);
    return segment.rows.empty() ? h : gather_rows<T>(h, segment.rows);
  }

  /// Those that are computed once: of the memory, and a segment of usual length.
  [[nodiscard]] static DistanceEncoding<T> encoding(const TransformerXlConfig& config) {
    return DistanceEncoding<T>(config.d_model,
                               config.clamp_length > 0 ? config.clamp_length + 1 : config.memory_length + 512);
  }
  /// How many distances are told apart among so many keys.
  [[nodiscard]] Index distances_among(Index keys) const {
    Index count = std::max<Index>(keys, 1);
    if (config_.same_length) count = std::min(count, config_.memory_length);
    if (config_.clamp_length > 0) count = std::min(count, config_.clamp_length + 1);
    return count;
  }

  TransformerXlConfig config_;
  AdaptiveEmbedding<T> embedding_;
  Parameter<T> content_bias_, position_bias_;  // if layers share them
  std::vector<TransformerXlLayer<T>> layers_;
  AdaptiveSoftmax<T> output_;
  DistanceEncoding<T> distances_;
};
static_assert(Module<TransformerXl<float>>);

template <class... Arguments>
TransformerXl(const TransformerXlConfig&, Arguments&&...) -> TransformerXl<float>;

}}  // namespace rapt::RAPT_ABI
