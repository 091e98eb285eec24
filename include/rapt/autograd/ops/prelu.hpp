/// \file
/// Leaky ReLU whose slope is learned (He et al. 2015).
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/prelu.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = x for x > 0, slope x below   // x [N, D]; slope [1] for all, or [D], one for each column
template <class T>
[[nodiscard]] Variable<T> prelu(const Variable<T>& x, const Variable<T>& slope) {
  require<ShapeError>(slope.size() == 1 || slope.shape() == Shape{x.cols()}, "prelu", "x has shape ", x.shape(),
                      ", the slope must be [1] or [", x.cols(), "]: ", slope.shape());
  Tensor<T> y(x.shape());
  const bool by_column = slope.size() > 1;
  kernels::prelu<T>(x.value(), slope.value().data(), by_column, y);
  return record("prelu", std::move(y), {x, slope}, [by_column](Node<T>& out) {
    Node<T>&in = out.input(0), &weight = out.input(1);
    if (weight.requires_grad) {
      kernels::prelu_slope_backward<T>(in.value, out.grad, by_column, weight.grad_sum().data());
    }
    if (!in.requires_grad) return;
    auto [dx, accumulate] = in.grad_target();
    kernels::prelu_backward<T>(in.value, weight.value.data(), by_column, out.grad, {dx.view(), accumulate});
  });
}

}}  // namespace rapt::RAPT_ABI
