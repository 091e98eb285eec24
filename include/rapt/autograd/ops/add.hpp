/// \file
/// Element-wise sum.
#pragma once

#include "rapt/autograd/pass_gradient.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = a + b, of equal shapes.
template <class T>
[[nodiscard]] Variable<T> add(const Variable<T>& a, const Variable<T>& b) {
  require<ShapeError>(a.shape() == b.shape(), "add", "shapes must be equal: ", a.shape(), " and ", b.shape());
  Tensor<T> y(a.shape());
  kernels::add(a.value().data(), b.value().data(), y.data(), y.size());
  return record("add", std::move(y), {a, b}, [](Node<T>& out) {  // da = dy, db = dy
    pass_gradient(out.grad, out.input(0));
    pass_gradient(std::move(out.grad), out.input(1));
  });
}

}}  // namespace rapt::RAPT_ABI
