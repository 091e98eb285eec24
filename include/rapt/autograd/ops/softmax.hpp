/// \file
/// Softmax along rows.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_ij = e^x_ij / sum_k e^x_ik; a row of nothing but -infinity gives zeros.
template <class T>
[[nodiscard]] Variable<T> softmax(const Variable<T>& x) {
  Tensor<T> y(x.shape());
  kernels::softmax_rows(x.value().data(), y.data(), y.rows(), y.cols());
  return record("softmax", std::move(y), {x}, [](Node<T>& out) {  // dx = y (dy - sum_k dy_k y_k)
    Tensor<T>& dx = out.input(0).grad_sum();
    for (Index i = 0; i < dx.rows(); ++i) {
      const T* y_row = out.value.row(i);
      const T* dy = out.grad.row(i);
      T dot = 0;
      for (Index j = 0; j < dx.cols(); ++j) dot += dy[j] * y_row[j];
      for (Index j = 0; j < dx.cols(); ++j) dx(i, j) += y_row[j] * (dy[j] - dot);
    }
  });
}

}}  // namespace rapt::RAPT_ABI
