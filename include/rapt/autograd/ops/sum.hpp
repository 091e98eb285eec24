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
    if (!accumulate) {
      dx.fill(dy);
      return;
    }
    T* to = dx.data();
    kernels::for_each_lane<T>(
        dx.size(), [&](auto lanes, Index i) __attribute__((always_inline)) {
          simd::Vector<T, lanes> v;
          simd::load(v, to + i);
          v += dy;
          simd::store(to + i, v);
        });
  });
}

}}  // namespace rapt::RAPT_ABI
