/// \file
/// Gated activation: y = activation(a) * b.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/gated.hpp"

namespace rapt { inline namespace RAPT_ABI {

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

/// Which half of a matrix [first | second] goes through the activation.
enum class Gate { first, second };

/// The same of the halves of one matrix   // y [N, F] from x = [a | b], [N, 2 F]; with Gate::second [b | a]
template <class T>
[[nodiscard]] Variable<T> gated_activation(const Variable<T>& x, Activation activation, Gate gate = Gate::first) {
  require<ShapeError>(x.cols() % 2 == 0, "gated_activation", "columns must be even: x has shape ", x.shape());
  const Index half = x.cols() / 2, a = gate == Gate::first ? 0 : half, b = half - a;
  const TensorView<const T> values = x.value().view();
  Tensor<T> y(Shape{x.rows(), half});
  kernels::gated<T>(activation, values.columns(a, half), values.columns(b, half), y);
  return record("gated_activation", std::move(y), {x}, [activation, half, a, b](Node<T>& out) {
    Node<T>& in = out.input(0);
    const TensorView<const T> x_in = std::as_const(in.value).view();
    const auto [gradient, accumulate] = in.grad_target();
    kernels::gated_backward<T>(activation, x_in.columns(a, half), x_in.columns(b, half), out.grad,
                               {gradient.view().columns(a, half), accumulate},
                               {gradient.view().columns(b, half), accumulate});
  });
}

/// a * sigmoid(b) of x = [a | b] (Dauphin et al. 2017), torch.nn.functional.glu along the last dimension
///   // [N, F] from [N, 2 F]
template <class T>
[[nodiscard]] Variable<T> glu(const Variable<T>& x) {
  return gated_activation(x, Activation::sigmoid, Gate::second);
}

}}  // namespace rapt::RAPT_ABI
