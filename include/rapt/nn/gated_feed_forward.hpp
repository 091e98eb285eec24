/// \file
/// Gated feed-forward network (Shazeer 2020): what Llama and its relatives have in place of the paper's equation 2.
#pragma once

#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/gated.hpp"
#include "rapt/nn/linear.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The sizes of a gated feed-forward network and its activation.
struct GatedFeedForwardOptions {
  Index d_model = 512;
  Index d_ff = 1376;
  Activation activation = Activation::silu;
  float dropout = 0.f;  ///< rate behind the product of gate and value
  bool bias = false;    ///< of all three maps
};

/// FFN(x) = (activation(x W_gate) * x W_up) W_down   // [N, D] -> [N, 2 d_ff] -> [N, d_ff] -> [N, D]
///
/// gate_up_proj.weight [2 d_ff, D] stacks W_gate and W_up, so that both are one product.
template <class T = float>
class GatedFeedForward {
 public:
  GatedFeedForward(const GatedFeedForwardOptions& options, Rng& rng)
      : activation_(options.activation),
        dropout_(options.dropout),
        gate_up_proj_(options.d_model, 2 * options.d_ff, rng, {.bias = options.bias}),
        down_proj_(options.d_ff, options.d_model, rng, {.bias = options.bias}) {}

  /// FFN(x). Dropout, where there is any, stands between the product and W_down   // [N, D] from [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x) const {
    return down_proj_(dropout(gated_activation(gate_up_proj_(x), activation_), dropout_));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("gate_up_proj", self.gate_up_proj_);
    visitor("down_proj", self.down_proj_);
  }

 private:
  Activation activation_;
  float dropout_;
  Linear<T> gate_up_proj_, down_proj_;
};
static_assert(Module<GatedFeedForward<float>>);

}}  // namespace rapt::RAPT_ABI
