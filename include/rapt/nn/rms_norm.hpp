/// \file
/// Root mean square normalisation as a layer.
#pragma once

#include "rapt/autograd/ops/rms_norm.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = x / sqrt(mean(x^2) + epsilon) * weight, row by row (Zhang and Sennrich 2019)   // [N, D]
/// With `unit_offset` it is multiplied by 1 + weight, and weights begin at 0 in place of 1.
template <class T = float>
class RmsNorm {
 public:
  explicit RmsNorm(Index d_model, double epsilon = 1e-6, bool unit_offset = false)
      : weight_(Tensor<T>(Shape{d_model}, unit_offset ? T(0) : T(1))),
        epsilon_(static_cast<T>(epsilon)),
        unit_offset_(unit_offset) {}

  /// Each row of x normalised   // [N, D] from [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x) const {
    return rms_norm<T>(x, weight_, epsilon_, unit_offset_);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight_);
  }

 private:
  Parameter<T> weight_;
  T epsilon_;
  bool unit_offset_;
};
static_assert(Module<RmsNorm<float>>);

}}  // namespace rapt::RAPT_ABI
