/// \file
/// Linear layer: y = x W^T + b.
#pragma once

#include "rapt/autograd/ops/linear.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Whether a linear layer adds a bias.
struct LinearOptions {
  bool bias = true;
};

/// y = x W^T + b   // [N, out] from [N, in]; weight [out, in] as PyTorch lays it out
template <class T = float>
class Linear {
 public:
  /// The weight is the matrix of a linear map, which `quantize_weights` may pack and adapters may stand beside.
  static constexpr MatrixUse kMatrixUse = MatrixUse::linear_map;

  /// Xavier-uniform weight, zero bias.
  Linear(Index inputs, Index outputs, Rng& rng, const LinearOptions& options = {}) {
    require(inputs > 0 && outputs > 0, "linear", "sizes must be positive: ", inputs, " inputs, ", outputs, " outputs");
    weight_ = Parameter<T>(init::xavier_uniform<T>(Shape{outputs, inputs}, rng));
    if (options.bias) bias_ = Parameter<T>(init::constant<T>(Shape{outputs}, T(0)));
  }

  /// activation(x W^T + b), with the activation in the same pass   // [N, out] from [N, in]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, Activation activation = Activation::none) const {
    return linear<T>(x, weight_, bias_, activation);
  }
  /// The same of an x that nobody else reads: while the weight is frozen, x is not kept for backward.
  [[nodiscard]] Variable<T> operator()(Variable<T>&& x, Activation activation = Activation::none) const {
    Variable<T> y = linear<T>(x, weight_, bias_, activation);
    free_unread_value(x, y);
    return y;
  }

  [[nodiscard]] const Parameter<T>& weight() const { return weight_; }
  /// Undefined without bias.
  [[nodiscard]] const Parameter<T>& bias() const { return bias_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight_);
    visitor("bias", self.bias_);
  }

 private:
  Parameter<T> weight_, bias_;
};
static_assert(Module<Linear<float>>);

}}  // namespace rapt::RAPT_ABI
