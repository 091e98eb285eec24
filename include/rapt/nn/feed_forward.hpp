/// \file
/// Position-wise feed-forward network (the paper's equation 2).
#pragma once

#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/nn/linear.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The sizes of a feed-forward network and its activation. Defaults are the paper's base model.
struct FeedForwardOptions {
  Index d_model = 512;
  Index d_ff = 2048;
  Activation activation = Activation::relu;
  float dropout = 0.f;  ///< rate behind the activation (not in the paper; torch.nn.Transformer has it)
  bool bias = true;     ///< of both maps
};

/// FFN(x) = max(0, x W_1 + b_1) W_2 + b_2   // [N, D] -> [N, d_ff] -> [N, D]
template <class T = float>
class FeedForward {
 public:
  FeedForward(const FeedForwardOptions& options, Rng& rng)
      : options_(options),
        linear1_(options.d_model, options.d_ff, rng, {.bias = options.bias}),
        linear2_(options.d_ff, options.d_model, rng, {.bias = options.bias}) {}

  /// FFN(x). Dropout, where there is any, stands between the activation and W_2   // [N, D] from [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x) const {
    return linear2_(dropout(linear1_(x, options_.activation), options_.dropout));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("linear1", self.linear1_);
    visitor("linear2", self.linear2_);
  }

 private:
  FeedForwardOptions options_;
  Linear<T> linear1_, linear2_;
};
static_assert(Module<FeedForward<float>>);

}}  // namespace rapt::RAPT_ABI
