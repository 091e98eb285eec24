/// \file
/// Layer normalisation as a layer.
#pragma once

#include "rapt/autograd/ops/add_norm.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, row by row   // [N, D]; the bias may be left out
template <class T = float>
class LayerNorm {
 public:
  explicit LayerNorm(Index d_model, double epsilon = 1e-5, bool has_bias = true)
      : weight_(init::constant<T>(Shape{d_model}, T(1))), epsilon_(static_cast<T>(epsilon)) {
    if (has_bias) {
      bias_ = Parameter<T>(init::constant<T>(Shape{d_model}, T(0)));
    } else {
      zeros_ = Variable<T>(Tensor<T>(Shape{d_model}, T(0)));
    }
  }

  /// Each row of x normalised   // [N, D] from [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x) const {
    return layer_norm<T>(x, weight_, shift(), epsilon_);
  }

  /// LayerNorm(x + Dropout(sublayer)) in one pass.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, Variable<T> sublayer, float dropout) const {
    return add_norm<T>(x, std::move(sublayer), weight_, shift(), dropout, epsilon_);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight_);
    visitor("bias", self.bias_);
  }

 private:
  [[nodiscard]] const Variable<T>& shift() const { return zeros_.defined() ? zeros_ : bias_; }

  Parameter<T> weight_, bias_;
  Variable<T> zeros_;  // in place of a bias that is left out
  T epsilon_;
};
static_assert(Module<LayerNorm<float>>);

}}  // namespace rapt::RAPT_ABI
