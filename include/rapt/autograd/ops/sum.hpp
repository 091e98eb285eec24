/// \file
/// sum over all elements.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = sum of all x, a scalar.
template <class T>
[[nodiscard]] Variable<T> sum(const Variable<T>& x) {
  Tensor<T> y(Shape{1}, static_cast<T>(kernels::sum_of(x.value().data(), x.size(), [](double v) { return v; })));
  return record("sum", std::move(y), {x}, [](Node<T>& out) {  // dx = dy everywhere
    auto [dx, accumulate] = out.input(0).grad_target();
    const T dy = *out.grad.data();
    if (accumulate) {
      kernels::add_constant(dx.data(), dy, dx.size());
    } else {
      dx.fill(dy);
    }
  });
}

}}  // namespace rapt::RAPT_ABI
