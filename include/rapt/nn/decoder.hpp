/// \file
/// The decoder: the right half of the paper's figure 1.
#pragma once

#include "rapt/nn/stack.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

[[nodiscard]] inline BlockOptions with_cross_attention(BlockOptions options) {
  options.cross_attention = true;
  return options;
}

}  // namespace detail

/// Masked self-attention, attention to the encoder output, feed-forward, each with Add & Norm.
template <class T = float>
class DecoderLayer : public Block<T, kPaperKinds> {
 public:
  DecoderLayer(const BlockOptions& options, Rng& rng)
      : Block<T, kPaperKinds>(detail::with_cross_attention(options), rng) {}
};
static_assert(Module<DecoderLayer<float>>);

/// N layers, and with `final_norm` a norm behind the last.
template <class T = float>
class Decoder {
 public:
  Decoder(Index layers, const BlockOptions& layer, bool final_norm, Rng& rng)
      : layers_(layers, detail::with_cross_attention(layer), final_norm, rng) {}

  /// [N, D] from target x [N, D] and encoder_output [M, D]. Self-attention is causal unless `inputs.mask.causal` is set
  /// to false, as torch.nn.TransformerDecoder is without a mask; `step` is causal by nature.
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits, const Variable<T>& encoder_output,
                                       const RowSplits& encoder_splits, const StackInputs<T>& inputs = {}) const {
    return layers_(std::move(x), splits, encoder_output, encoder_splits, inputs);
  }

  /// Nothing decoded yet: one row for each sequence of the encoder output.
  [[nodiscard]] DecoderState<T> start(const Variable<T>& encoder_output, const RowSplits& encoder_splits) const {
    return layers_.start(encoder_output, encoder_splits);
  }
  /// The next tokens of every row, appended to the state   // [N, D] from [N, D]
  [[nodiscard]] Variable<T> step(DecoderState<T>& state, Variable<T> x, const RowSplits& splits) const {
    return layers_.step(state, std::move(x), splits);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    Stack<T, kPaperKinds>::visit(self.layers_, visitor);
  }

 private:
  Stack<T, kPaperKinds> layers_;
};
static_assert(Module<Decoder<float>>);

}}  // namespace rapt::RAPT_ABI
