/// \file
/// Mean squared distance to numbers that are given.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = mean over all elements of (x - target)^2, a scalar; no gradient flows into the target.
template <class T>
[[nodiscard]] Variable<T> mean_squared_error(const Variable<T>& x, Tensor<T> target) {
  require<ShapeError>(x.shape() == target.shape() && x.size() > 0, "mean_squared_error", "x has shape ", x.shape(),
                      ", the target ", target.shape());
  kernels::scale(target.data(), T(-1), target.size());
  kernels::add_scaled(target.data(), x.value().data(), T(1), target.size());  // x - target
  const double sum = kernels::sum_of(target.data(), target.size(), [](double v) { return v * v; });
  Tensor<T> y(Shape{1}, static_cast<T>(sum / static_cast<double>(target.size())));
  return record("mean_squared_error", std::move(y), {x}, [difference = std::move(target)](Node<T>& out) {
    const T factor = T(2) * *out.grad.data() / static_cast<T>(difference.size());  // dx = 2 (x - target) / n dy
    kernels::add_scaled(out.input(0).grad_sum().data(), difference.data(), factor, difference.size());
  });
}

}}  // namespace rapt::RAPT_ABI
