/// \file
/// Multiplication by the exponential of a learned number: the temperature of contrastive losses (CLIP).
#pragma once

#include <cmath>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = exp(s) x   // any shape, s [1]
template <class T>
[[nodiscard]] Variable<T> exp_scale(const Variable<T>& x, const Variable<T>& s) {
  require<ShapeError>(s.size() == 1, "exp_scale", "the exponent must be one number, its shape is ", s.shape());
  const T factor = std::exp(*s.value().data());
  Tensor<T> y(x.shape(), T(0));
  kernels::add_scaled(y.data(), x.value().data(), factor, y.size());
  return record("exp_scale", std::move(y), {x, s}, [factor](Node<T>& out) {  // dx = exp(s) dy, ds = sum of y dy
    Node<T>&x_in = out.input(0), &s_in = out.input(1);
    if (x_in.requires_grad) kernels::add_scaled(x_in.grad_sum().data(), out.grad.data(), factor, out.grad.size());
    if (!s_in.requires_grad) return;
    Tensor<T> product(out.value.shape());
    kernels::multiply(out.value.data(), out.grad.data(), product.data(), product.size());
    *s_in.grad_sum().data() +=
        static_cast<T>(kernels::sum_of(product.data(), product.size(), [](double v) { return v; }));
  });
}

}}  // namespace rapt::RAPT_ABI
