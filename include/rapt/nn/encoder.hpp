/// \file
/// Encoder layer and stack: the left half of the paper's figure 1.
#pragma once

#include "rapt/nn/layer_options.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Self-attention, Add & Norm, feed-forward, Add & Norm. Names are torch.nn.TransformerEncoderLayer's.
template <class T = float>
class EncoderLayer {
 public:
  EncoderLayer(const LayerOptions& options, Rng& rng)
      : self_attention_(options.attention(), rng),
        feed_forward_(options.feed_forward(), rng),
        norm1_(options.add_norm<T>()),
        norm2_(options.add_norm<T>()) {}

  /// [N, D] from [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& source, const RowSplits& splits,
                                       const AttentionMask<T>& mask = {},
                                       const AttentionCapture<T>& capture = {}) const {
    return sublayers(source, [&](const Variable<T>& h) { return self_attention_(h, splits, mask, capture); });
  }

  /// The same, causal, for the next tokens of each row only, against what the cache holds: a model without encoder
  /// (GPT) is made of these layers, and decodes so.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, KeyValueCache<T>& cache) const {
    return sublayers(x, [&](const Variable<T>& h) { return self_attention_.step(h, splits, cache); });
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("self_attn", self.self_attention_);
    FeedForward<T>::visit(self.feed_forward_, visitor);
    visitor("norm1", self.norm1_);
    visitor("norm2", self.norm2_);
  }

 private:
  template <class SelfAttention>
  [[nodiscard]] Variable<T> sublayers(const Variable<T>& source, const SelfAttention& self_attention) const {
    const Variable<T> x = norm1_(source, self_attention);
    return norm2_(x, [&](const Variable<T>& h) { return feed_forward_(h); });
  }

  MultiHeadAttention<T> self_attention_;
  FeedForward<T> feed_forward_;
  AddNorm<T> norm1_, norm2_;
};
static_assert(Module<EncoderLayer<float>>);

/// N layers, and with `final_norm` a layer norm behind the last.
template <class T = float>
class Encoder {
 public:
  Encoder(Index layers, const LayerOptions& options, bool final_norm, Rng& rng) {
    for (Index i = 0; i < layers; ++i) layers_.emplace_back(options, rng);
    if (final_norm) norm_.emplace(options.d_model, options.norm_epsilon);
  }

  /// The encoder output that the decoder attends to   // [N, D] from [N, D]
  /// If not empty, `weights[i]` receives layer i's attention probabilities; its size must be the number of layers.
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits, const AttentionMask<T>& mask = {},
                                       std::span<Tensor<T>> weights = {}) const {
    require<ShapeError>(weights.empty() || weights.size() == layers_.size(), "encoder", weights.size(),
                        " tensors for the weights of ", layers_.size(), " layers");
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i](x, splits, mask, {.weights = weights.empty() ? nullptr : &weights[i]});
    }
    return norm_ ? (*norm_)(x) : x;
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("layers", self.layers_);
    visitor("norm", self.norm_);
  }

 private:
  std::vector<EncoderLayer<T>> layers_;
  std::optional<LayerNorm<T>> norm_;
};
static_assert(Module<Encoder<float>>);

}}  // namespace rapt::RAPT_ABI
