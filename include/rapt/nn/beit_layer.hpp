/// \file
/// BEiT's encoder layer (Bao et al. 2021): what differs from encoder.hpp's pre-norm layer is the attention, whose
/// scores have a learned addend for each distance between patches and whose keys have no bias, and that each sublayer's
/// output is scaled before it is added.
#pragma once

#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/scaled_residual.hpp"
#include "rapt/nn/feed_forward.hpp"
#include "rapt/nn/layer_options.hpp"

namespace rapt { inline namespace RAPT_ABI {

struct BeitLayerOptions {
  LayerOptions layer = {};            ///< sizes, activation, dropout and epsilon; the norms stand before the sublayers
  double layer_scale = 0.1;           ///< of each sublayer's output, to begin with; 0: no scales are learned
  float drop_path = 0.f;              ///< share of sequences that pass by a sublayer, in Training
  AttentionPositions positions = {};  ///< a table of biases of the attention scores, or nothing

  [[nodiscard]] MultiHeadAttentionOptions attention() const {
    MultiHeadAttentionOptions attention = layer.attention();
    attention.key_bias = false;  // softmax would cancel it
    attention.positions = positions;
    return attention;
  }
};

/// x + scale1 Attention(LayerNorm(x)), then the same with a feed-forward network   // [N, D] from [N, D]
template <class T = float>
class BeitLayer {
 public:
  BeitLayer(const BeitLayerOptions& options, Rng& rng)
      : dropout_(options.layer.dropout),
        drop_path_(options.drop_path),
        self_attention_(options.attention(), rng),
        feed_forward_(options.layer.feed_forward(), rng),
        norm1_(options.layer.d_model, options.layer.norm_epsilon),
        norm2_(options.layer.d_model, options.layer.norm_epsilon) {
    if (options.layer_scale <= 0) return;
    const auto scale = static_cast<T>(options.layer_scale);
    scale1_ = Parameter<T>(init::constant<T>(Shape{options.layer.d_model}, scale));
    scale2_ = Parameter<T>(init::constant<T>(Shape{options.layer.d_model}, scale));
  }

  /// Sequences must be of one length.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& source, const RowSplits& splits,
                                       const PositionInputs<T>& positions,
                                       const AttentionCapture<T>& capture = {}) const {
    const Index sequences = splits.sequences();
    const Variable<T> attended = dropout(self_attention_(norm1_(source), splits, {}, capture, positions), dropout_);
    const Variable<T> x = scaled_residual<T>(source, attended, scale1_, drop_path_factors<T>(sequences, drop_path_));
    const Variable<T> mapped = dropout(feed_forward_(norm2_(x)), dropout_);
    return scaled_residual<T>(x, mapped, scale2_, drop_path_factors<T>(sequences, drop_path_));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("self_attn", self.self_attention_);
    FeedForward<T>::visit(self.feed_forward_, visitor);
    visitor("norm1", self.norm1_);
    visitor("norm2", self.norm2_);
    visitor("scale1", self.scale1_);
    visitor("scale2", self.scale2_);
  }

 private:
  float dropout_, drop_path_;
  MultiHeadAttention<T> self_attention_;
  FeedForward<T> feed_forward_;
  LayerNorm<T> norm1_, norm2_;
  Parameter<T> scale1_, scale2_;
};
static_assert(Module<BeitLayer<float>>);

}}  // namespace rapt::RAPT_ABI
