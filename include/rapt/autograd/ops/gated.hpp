/// \file
/// Gated activation: y = activation(a) * b.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/gated.hpp"

namespace rapt::inline RAPT_ABI {

/// y = activation(a) * b, element by element, of equal shapes. With Activation::silu this is SwiGLU (Shazeer 2020).
template <class T>
[[nodiscard]] Variable<T> gated_activation(const Variable<T>& a, const Variable<T>& b, Activation activation) {
  require<ShapeError>(a.shape() == b.shape(), "gated_activation", "shapes must be equal: ", a.shape(), " and ",
                      b.shape());
  Tensor<T> y(a.shape());
  kernels::gated<T>(activation, a.value(), b.value(), y);
  return record("gated_activation", std::move(y), {a, b}, [activation](Node<T>& out) {
    kernels::GradientView<T> gradients[2];
    for (std::size_t i = 0; i < 2; ++i) {  // of a variable that is both, the second adds
      if (!out.input(i).requires_grad) continue;
      const auto [gradient, accumulate] = out.input(i).grad_target();
      gradients[i] = {gradient.view(), accumulate};
    }
    kernels::gated_backward<T>(activation, out.input(0).value, out.input(1).value, out.grad, gradients[0],
                               gradients[1]);
  });
}

/// The same of the halves of one matrix   // y [N, F] from x = [a | b], [N, 2 F]
template <class T>
[[nodiscard]] Variable<T> gated_activation(const Variable<T>& x, Activation activation) {
  require<ShapeError>(x.cols() % 2 == 0, "gated_activation", "columns must be even: x has shape ", x.shape());
  const Index half = x.cols() / 2;
  const TensorView<const T> values = x.value().view();
  Tensor<T> y(Shape{x.rows(), half});
  kernels::gated<T>(activation, values.columns(0, half), values.columns(half, half), y);
  return record("gated_activation", std::move(y), {x}, [activation, half](Node<T>& out) {
    Node<T>& in = out.input(0);
    const TensorView<const T> x_in = std::as_const(in.value).view();
    const auto [gradient, accumulate] = in.grad_target();
    kernels::gated_backward<T>(activation, x_in.columns(0, half), x_in.columns(half, half), out.grad,
                               {gradient.view().columns(0, half), accumulate},
                               {gradient.view().columns(half, half), accumulate});
  });
}

}  // namespace rapt::inline RAPT_ABI
