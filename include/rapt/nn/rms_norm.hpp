/// \file
/// Root mean square normalisation as a layer.
#pragma once

#include "rapt/autograd/ops/rms_norm.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = x / sqrt(mean(x^2) + epsilon) * weight, row by row (Zhang and Sennrich 2019)   // [N, D]
template <class T = float>
class RmsNorm {
 public:
  explicit RmsNorm(Index d_model, double epsilon = 1e-6)
      : weight_(Tensor<T>(Shape{d_model}, T(1))), epsilon_(static_cast<T>(epsilon)) {}

  [[nodiscard]] Variable<T> operator()(const Variable<T>& x) const { return rms_norm<T>(x, weight_, epsilon_); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight_);
  }

 private:
  Parameter<T> weight_;
  T epsilon_;
};
static_assert(Module<RmsNorm<float>>);

}}  // namespace rapt::RAPT_ABI
