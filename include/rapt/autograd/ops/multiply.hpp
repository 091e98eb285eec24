/// \file
/// Element-wise product, and product with a number.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = a * b element by element, of equal shapes.
template <class T>
[[nodiscard]] Variable<T> multiply(const Variable<T>& a, const Variable<T>& b) {
  require<ShapeError>(a.shape() == b.shape(), "multiply", "shapes must be equal: ", a.shape(), " and ", b.shape());
  Tensor<T> y(a.shape());
  kernels::multiply(a.value().data(), b.value().data(), y.data(), y.size());
  return record("multiply", std::move(y), {a, b}, [](Node<T>& out) {  // da = dy b, db = dy a
    for (const std::size_t i : {0u, 1u}) {
      if (!out.input(i).requires_grad) continue;
      kernels::multiply(out.grad.data(), out.input(1 - i).value.data(), out.input(i).grad_sum().data(), out.grad.size(),
                        /*accumulate=*/true);
    }
  });
}

/// y = factor * x.
template <class T>
[[nodiscard]] Variable<T> scale(const Variable<T>& x, std::type_identity_t<T> factor) {
  Tensor<T> y(x.shape(), T(0));
  kernels::add_scaled(y.data(), x.value().data(), factor, y.size());
  return record("scale", std::move(y), {x}, [factor](Node<T>& out) {  // dx = factor dy
    kernels::add_scaled(out.input(0).grad_sum().data(), out.grad.data(), factor, out.grad.size());
  });
}

}}  // namespace rapt::RAPT_ABI
