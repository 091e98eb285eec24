/// \file
/// Matrix product of two variables.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/gemm/gemm.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = a b   // [M, N] from [M, K] and [K, N]
template <class T>
[[nodiscard]] Variable<T> matmul(const Variable<T>& a, const Variable<T>& b) {
  require<ShapeError>(a.shape().rank() == 2 && b.shape().rank() == 2 && a.cols() == b.rows(), "matmul",
                      "inner sizes must be equal: ", a.shape(), " times ", b.shape());
  Tensor<T> y(Shape{a.rows(), b.cols()});
  kernels::gemm(kernels::as_is(a.value()), kernels::as_is(b.value()), y);
  return record("matmul", std::move(y), {a, b}, [](Node<T>& out) {  // da = dy b^T, db = a^T dy
    Node<T>&a_in = out.input(0), &b_in = out.input(1);
    if (a_in.requires_grad) {
      auto [da, accumulate] = a_in.grad_target();
      kernels::gemm(kernels::as_is(out.grad), kernels::transposed(b_in.value), da, {.accumulate = accumulate});
    }
    if (b_in.requires_grad) {
      auto [db, accumulate] = b_in.grad_target();
      kernels::gemm(kernels::transposed(a_in.value), kernels::as_is(out.grad), db, {.accumulate = accumulate});
    }
  });
}

}}  // namespace rapt::RAPT_ABI
