// snake: an op as a header of rapt/autograd/ops/ would have it.
#pragma once

#include <cmath>
#include <rapt/autograd/record.hpp>

/// Snake (Ziyin et al. 2020, arXiv:2006.08195): y = x + sin(a x)^2 / a   // any shape, a [1]
template <class T>
[[nodiscard]] rapt::Variable<T> snake(const rapt::Variable<T>& x, const rapt::Variable<T>& a) {
  rapt::require<rapt::ShapeError>(a.size() == 1, "snake", "a must be one number, its shape is ", a.shape());
  const T frequency = *a.value().data();
  rapt::Tensor<T> y(x.shape());
  for (rapt::Index i = 0; i < y.size(); ++i) {
    const T xi = x.value().data()[i], s = std::sin(frequency * xi);
    y.data()[i] = xi + s * s / frequency;
  }
  // dx = (1 + sin(2 a x)) dy,  da = sum of (x sin(2 a x) - sin(a x)^2 / a) / a dy
  return rapt::record("snake", std::move(y), {x, a}, [frequency](rapt::Node<T>& out) {
    rapt::Node<T>&x_in = out.input(0), &a_in = out.input(1);
    T* const dx = x_in.requires_grad ? x_in.grad_sum().data() : nullptr;
    T da = 0;
    for (rapt::Index i = 0; i < out.grad.size(); ++i) {
      const T xi = x_in.value.data()[i], dy = out.grad.data()[i];
      const T s = std::sin(frequency * xi), twice = std::sin(2 * frequency * xi);
      if (dx != nullptr) dx[i] += (1 + twice) * dy;
      da += (xi * twice - s * s / frequency) / frequency * dy;
    }
    if (a_in.requires_grad) *a_in.grad_sum().data() += da;
  });
}
