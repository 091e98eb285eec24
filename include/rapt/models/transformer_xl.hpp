/// \file
/// Transformer-XL (Dai et al. 2019): a language model that reads a text in segments. What its layers made of the
/// segments before is cached, and each segment attends to the cache without gradient, so that the context reaches
/// further than a segment; hence positions are relative.
#pragma once

#include "rapt/core/initialisation.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/transformer_xl_config.hpp"
#include "rapt/nn/distance_encoding.hpp"
#include "rapt/nn/prompt.hpp"
#include "rapt/nn/stack.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Adaptive embedding, layers that attend to cached segments, adaptive softmax. A const model may be used from many
/// threads; the cache is the caller's.
///
///     rapt::SegmentCache<float> cache;
///     for (Index t = 0; t < segments.size(); ++t) loss = model.loss(segments[t], cache);
template <class T = float>
class TransformerXl {
 public:
  using ScalarType = T;
  using Config = TransformerXlConfig;
  using State = SegmentCache<T>;  ///< what a search carries: the hidden states of earlier tokens
  /// A search feeds the last token of each prompt first, instead of a begin symbol.
  static constexpr bool kDecoderOnly = true;

  /// Normal weights, as the config says; throws ValueError for one that does not fit.
  TransformerXl(const TransformerXlConfig& config, Rng& rng)
      : config_(detail::checked(config)),
        embedding_(config.adaptive_vocabulary(), rng, config.init_std, config.projection_init_std),
        output_(config.adaptive_vocabulary(), config.softmax(), rng, config.init_std, config.projection_init_std),
        layers_(layers_to_draw(config, rng)),
        distances_(encoding(config)) {
    if (!config.own_biases) {
      content_bias_ = Parameter<T>(init::constant<T>(Shape{config.heads, config.head_dim}, T(0)));
      position_bias_ = Parameter<T>(init::constant<T>(Shape{config.heads, config.head_dim}, T(0)));
    }
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2 || !(name.starts_with("layers.") || name.ends_with("_bias"))) return;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, config.init_std);
    });
  }

  /// The last hidden state of a segment   // [N, D]
  /// `cache` is what the segments before have left, of the same sequences, or empty; it becomes what this one leaves.
  [[nodiscard]] Variable<T> hidden(const TokenBatch& segment, SegmentCache<T>& cache) const {
    constexpr std::string_view kWhere = "transformer_xl";
    const RowSplits& splits = segment.row_splits;
    require_row_splits(segment, kWhere);
    const SegmentCache<T> none = cache.empty() ? empty_state(splits.sequences()) : SegmentCache<T>();
    const SegmentCache<T>& before = cache.empty() ? none : cache;
    require<ShapeError>(before.rows() == splits.sequences(), kWhere, "a cache of ", before.rows(), " sequences for ",
                        splits.sequences());
    Index longest = 0;
    for (Index i = 0; i < splits.sequences(); ++i) {
      longest = std::max(longest, before.row_splits.length(i) + splits.length(i));
    }
    const PositionInputs<T> positions{
        .distances = dropout(Variable<T>(distances_(distances_among(longest))), config_.dropout),
        .content_bias = content_bias_,
        .position_bias = position_bias_};
    Variable<T> x = dropout(embedding_(segment.tokens), config_.dropout);
    x = layers_.read_segment(std::move(x), splits, before, cache, config_.memory_length, positions);
    return dropout(std::move(x), config_.dropout);
  }
  /// The same without what came before.
  [[nodiscard]] Variable<T> hidden(const TokenBatch& segment) const {
    SegmentCache<T> none;
    return hidden(segment, none);
  }

  /// Log-probabilities of every token to come next. Not recorded   // [N, V] from hidden [N, D]
  [[nodiscard]] Tensor<T> log_probabilities(const Variable<T>& hidden) const {
    return output_.log_probabilities(hidden, embedding_);
  }
  /// The log-probabilities of every token to come next, behind the cached ones   // [N, V]
  /// Adds the segment to the cache. Not recorded.
  [[nodiscard]] Tensor<T> operator()(const TokenBatch& segment, SegmentCache<T>& cache) const {
    const Inference scope;
    return log_probabilities(hidden(segment, cache));
  }

  /// Mean cross-entropy of the segment's targets.
  [[nodiscard]] Variable<T> loss(const LanguageBatch& segment, SegmentCache<T>& cache) const {
    return output_.loss(target_rows(segment, cache), segment.targets, embedding_);
  }
  [[nodiscard]] Variable<T> loss(const LanguageBatch& segment) const {
    SegmentCache<T> none;
    return loss(segment, none);
  }
  /// Log-probabilities of the segment's targets. Not recorded   // [targets]
  [[nodiscard]] std::vector<double> target_log_probabilities(const LanguageBatch& segment,
                                                             SegmentCache<T>& cache) const {
    const Inference scope;
    return output_.target_log_probabilities(target_rows(segment, cache), segment.targets, embedding_);
  }

  /// Decoding: a state with one row for each prompt, which has read all of it but the last token. What the cache holds
  /// is projected to keys and values at every step.
  [[nodiscard]] State start(const TokenBatch& prompts) const { return feed_prompts(*this, prompts); }
  /// Feeds one token to every row; returns the log-probabilities of the next   // [rows, V]
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    const TokenBatch next = detail::one_token_each(tokens, state.rows(), "transformer_xl");
    return (*this)(next, state);
  }
  /// What so many sequences begin with.
  [[nodiscard]] State empty_state(Index rows) const {
    const Index length = config_.begins_with_zeros ? config_.memory_length : 0;
    State state{{}, RowSplits::equal(rows, length)};
    state.layers.assign(static_cast<std::size_t>(layers_.layers()),
                        Tensor<T>(Shape{rows * length, config_.d_model}, T(0)));
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
  /// From now on so many tokens are cached: evaluation may look back further than training did.
  void set_memory_length(Index length) {
    TransformerXlConfig config = config_;
    config.memory_length = length;
    config_ = detail::checked(config);
    layers_.set_window(config_.window());
    distances_ = encoding(config_);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("content_bias", self.content_bias_);
    visitor("position_bias", self.position_bias_);
    Stack<T, kPaperKinds>::visit(self.layers_, visitor);
    visitor("output", self.output_);
  }

 private:
  /// The hidden states that have a target   // [targets, D]
  [[nodiscard]] Variable<T> target_rows(const LanguageBatch& segment, SegmentCache<T>& cache) const {
    const Variable<T> h = hidden(segment.input, cache);
    return segment.rows.empty() ? h : gather_rows<T>(h, segment.rows);
  }

  /// The blocks, whose matrices the constructor draws.
  [[nodiscard]] static Stack<T, kPaperKinds> layers_to_draw(const TransformerXlConfig& config, Rng& rng) {
    const detail::DrawLater scope;
    return Stack<T, kPaperKinds>(config.layers, config.layer(), /*final_norm=*/false, rng);
  }
  /// The encodings that are computed once: for the cache, and a segment of usual length.
  [[nodiscard]] static DistanceEncoding<T> encoding(const TransformerXlConfig& config) {
    constexpr Index kMostKept = 16384;  // a config from a file may say any length
    const Index wanted = config.clamp_length > 0 ? config.clamp_length + 1 : config.memory_length + 512;
    return DistanceEncoding<T>(config.d_model, std::min(wanted, kMostKept));
  }
  /// How many distances differ in their encoding, among so many keys.
  [[nodiscard]] Index distances_among(Index keys) const {
    Index count = std::max<Index>(keys, 1);
    if (config_.same_length) count = std::min(count, config_.memory_length);
    if (config_.clamp_length > 0) count = std::min(count, config_.clamp_length + 1);
    return count;
  }

  TransformerXlConfig config_;
  AdaptiveEmbedding<T> embedding_;
  Parameter<T> content_bias_, position_bias_;  // if layers share them
  AdaptiveSoftmax<T> output_;
  Stack<T, kPaperKinds> layers_;
  DistanceEncoding<T> distances_;
};
static_assert(Module<TransformerXl<float>>);

template <class... Arguments>
TransformerXl(const TransformerXlConfig&, Arguments&&...) -> TransformerXl<float>;

}}  // namespace rapt::RAPT_ABI
