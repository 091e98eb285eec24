/// \file
/// A part of a matrix's rows, or of a vector's elements.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_i = x_(begin + i)   // [count, D] from [N, D], or [count] from [N]
template <class T>
[[nodiscard]] Variable<T> slice_rows(const Variable<T>& x, Index begin, Index count) {
  const bool is_vector = x.shape().rank() == 1;
  const Index rows = is_vector ? x.size() : x.rows(), width = is_vector ? 1 : x.cols();
  require<ShapeError>(begin >= 0 && count >= 0 && begin + count <= rows, "slice_rows", "rows ", begin, " .. ",
                      begin + count, " of shape ", x.shape());
  Tensor<T> y(is_vector ? Shape{count} : Shape{count, width});
  std::copy_n(x.value().data() + begin * width, y.size(), y.data());
  return overwritable(record("slice_rows", std::move(y), {x}, [first = begin * width](Node<T>& out) {
    kernels::add_scaled(out.input(0).grad_sum().data() + first, out.grad.data(), T(1), out.grad.size());
  }));
}

}}  // namespace rapt::RAPT_ABI
