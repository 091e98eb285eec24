/// \file
/// The encoder: the left half of the paper's figure 1.
#pragma once

#include <span>

#include "rapt/nn/stack.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Self-attention, Add & Norm, feed-forward, Add & Norm.
template <class T = float>
using EncoderLayer = Block<T, kPaperKinds>;

/// N layers, and with `final_norm` a norm behind the last. `blocks` and `layers_each`: see Stack.
template <class T = float>
class Encoder {
 public:
  Encoder(Index blocks, const BlockOptions& layer, bool final_norm, Rng& rng, Index layers_each = 1)
      : layers_(blocks, layer, final_norm, rng, layers_each) {}

  /// The encoder output that the decoder attends to   // [N, D] from [N, D]
  /// If not empty, `weights[i]` receives layer i's attention probabilities; its size must be the number of layers.
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits, const AttentionMask<T>& mask = {},
                                       std::span<Tensor<T>> weights = {}) const {
    return layers_(std::move(x), splits, {.mask = mask, .weights = weights});
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    Stack<T, kPaperKinds>::visit(self.layers_, visitor);
  }

 private:
  Stack<T, kPaperKinds> layers_;
};
static_assert(Module<Encoder<float>>);

}}  // namespace rapt::RAPT_ABI
