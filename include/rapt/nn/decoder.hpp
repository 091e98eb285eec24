/// \file
/// Decoder layer and stack: the right half of the paper's figure 1.
#pragma once

#include "rapt/nn/layer_options.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What decoding keeps between steps: keys and values of the prefix and of the memory. Copyable; `select` follows the
/// hypotheses of a search.
template <class T>
struct DecoderState {
  std::vector<KeyValueCache<T>> prefix;            ///< of each layer, one row a hypothesis
  std::vector<std::shared_ptr<Tensor<T>>> memory;  ///< [keys | values] of each layer, [M, 2 D]; shared by copies
  std::vector<kernels::KeyRange> memory_ranges;    ///< which rows of it each hypothesis sees

  [[nodiscard]] Index rows() const { return static_cast<Index>(memory_ranges.size()); }
  /// Tokens decoded so far, of each row.
  [[nodiscard]] std::vector<Index> lengths() const { return prefix.front().lengths(); }

  /// Row r becomes what row parents[r] was.
  void select(std::span<const Index> parents) {
    std::vector<kernels::KeyRange> ranges;
    for (const Index parent : parents) {
      require(parent >= 0 && parent < rows(), "decoder_state", "row ", parent, " of ", rows());
      ranges.push_back(memory_ranges[static_cast<std::size_t>(parent)]);
    }
    memory_ranges = std::move(ranges);
    for (auto& cache : prefix) cache.select(parents);
  }
};

/// Masked self-attention, attention to the memory, feed-forward, each with Add & Norm. Names are
/// torch.nn.TransformerDecoderLayer's.
template <class T = float>
class DecoderLayer {
 public:
  DecoderLayer(const LayerOptions& options, Rng& rng)
      : self_attention_(options.attention(), rng),
        multihead_attention_(options.attention(), rng),
        feed_forward_(options.feed_forward(), rng),
        norm1_(options.add_norm<T>()),
        norm2_(options.add_norm<T>()),
        norm3_(options.add_norm<T>()) {}

  /// [N, D] from target [N, D] and memory [M, D]. Self-attention is causal unless `mask.causal` is set to false, as
  /// torch.nn.TransformerDecoderLayer is without a mask; `step` is causal by nature.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& target, const RowSplits& splits, const Variable<T>& memory,
                                       const RowSplits& memory_splits, AttentionMask<T> mask = {},
                                       const AttentionMask<T>& memory_mask = {},
                                       const AttentionCapture<T>& capture = {},
                                       const AttentionCapture<T>& memory_capture = {}) const {
    mask.causal = mask.causal.value_or(true);
    return sublayers(
        target, [&](const Variable<T>& h) { return self_attention_(h, splits, mask, capture); },
        [&](const Variable<T>& h) {
          return multihead_attention_(h, splits, memory, memory_splits, memory_mask, memory_capture);
        });
  }

  /// [keys | values] of a memory for `step`.
  [[nodiscard]] Variable<T> memory_keys_values(const Variable<T>& memory) const {
    return multihead_attention_.keys_values(memory);
  }

  /// The same for the next tokens of each row only, against what the caches hold.
  [[nodiscard]] Variable<T> step(const Variable<T>& target, const RowSplits& splits, KeyValueCache<T>& prefix,
                                 const Tensor<T>& memory, std::span<const kernels::KeyRange> memory_ranges,
                                 Tensor<T>* memory_weights = nullptr) const {
    return sublayers(
        target, [&](const Variable<T>& h) { return self_attention_.step(h, splits, prefix); },
        [&](const Variable<T>& h) {
          return multihead_attention_.step(h, splits, memory, memory_ranges, memory_weights);
        });
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("self_attn", self.self_attention_);
    visitor("multihead_attn", self.multihead_attention_);
    FeedForward<T>::visit(self.feed_forward_, visitor);
    visitor("norm1", self.norm1_);
    visitor("norm2", self.norm2_);
    visitor("norm3", self.norm3_);
  }

 private:
  template <class SelfAttention, class MemoryAttention>
  [[nodiscard]] Variable<T> sublayers(const Variable<T>& target, const SelfAttention& self_attention,
                                      const MemoryAttention& memory_attention) const {
    Variable<T> x = norm1_(target, self_attention);
    x = norm2_(x, memory_attention);
    return norm3_(x, [&](const Variable<T>& h) { return feed_forward_(h); });
  }

  MultiHeadAttention<T> self_attention_, multihead_attention_;
  FeedForward<T> feed_forward_;
  AddNorm<T> norm1_, norm2_, norm3_;
};
static_assert(Module<DecoderLayer<float>>);

/// N layers, and with `final_norm` a layer norm behind the last.
template <class T = float>
class Decoder {
 public:
  Decoder(Index layers, const LayerOptions& options, bool final_norm, Rng& rng) : d_model_(options.d_model) {
    for (Index i = 0; i < layers; ++i) layers_.emplace_back(options, rng);
    if (final_norm) norm_.emplace(options.d_model, options.norm_epsilon);
  }

  /// [N, D] from target [N, D] and memory [M, D]. Self-attention is causal unless `mask.causal` is set to false, as
  /// torch.nn.TransformerDecoder is without a mask; `step` is causal by nature.
  /// `weights` and `memory_weights`, one a layer or none, receive the probabilities of self-attention and of attention
  /// to the memory.
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits, const Variable<T>& memory,
                                       const RowSplits& memory_splits, const AttentionMask<T>& mask = {},
                                       const AttentionMask<T>& memory_mask = {}, std::span<Tensor<T>> weights = {},
                                       std::span<Tensor<T>> memory_weights = {}) const {
    for (const std::size_t count : {weights.size(), memory_weights.size()}) {
      require<ShapeError>(count == 0 || count == layers_.size(), "decoder", count, " tensors for the weights of ",
                          layers_.size(), " layers");
    }
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i](x, splits, memory, memory_splits, mask, memory_mask,
                     {.weights = weights.empty() ? nullptr : &weights[i]},
                     {.weights = memory_weights.empty() ? nullptr : &memory_weights[i]});
    }
    return norm_ ? (*norm_)(x) : x;
  }

  /// Nothing decoded yet: one row for each sequence of the memory.
  [[nodiscard]] DecoderState<T> start(const Variable<T>& memory, const RowSplits& memory_splits) const {
    DecoderState<T> state;
    state.memory_ranges = detail::key_ranges(memory_splits);
    for (const DecoderLayer<T>& layer : layers_) {
      state.prefix.emplace_back(memory_splits.sequences(), d_model_);
      state.memory.push_back(std::make_shared<Tensor<T>>(layer.memory_keys_values(memory).value()));
    }
    return state;
  }

  /// The next tokens of every row, appended to the state   // [N, D] from [N, D]
  [[nodiscard]] Variable<T> step(DecoderState<T>& state, Variable<T> x, const RowSplits& splits) const {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i].step(x, splits, state.prefix[i], *state.memory[i], state.memory_ranges);
    }
    return norm_ ? (*norm_)(x) : x;
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("layers", self.layers_);
    visitor("norm", self.norm_);
  }

 private:
  Index d_model_;
  std::vector<DecoderLayer<T>> layers_;
  std::optional<LayerNorm<T>> norm_;
};
static_assert(Module<Decoder<float>>);

}}  // namespace rapt::RAPT_ABI
