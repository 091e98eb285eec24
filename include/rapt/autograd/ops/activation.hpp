/// \file
/// ReLU, GELU and the other activations.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/activation.hpp"

namespace rapt::inline RAPT_ABI {

/// y = activation(x) element by element.
template <class T>
[[nodiscard]] Variable<T> activate(const Variable<T>& x, Activation activation) {
  Tensor<T> y(x.shape());
  kernels::activate(activation, x.value().data(), y.data(), y.size());
  return record("activate", std::move(y), {x}, [activation](Node<T>& out) {
    Node<T>& in = out.input(0);
    auto [dx, accumulate] = in.grad_target();
    kernels::activate_backward(activation, in.value.data(), out.grad.data(), dx.data(), out.grad.size(), accumulate);
  });
}

template <class T>
[[nodiscard]] Variable<T> relu(const Variable<T>& x) {
  return activate(x, Activation::relu);
}
template <class T>
[[nodiscard]] Variable<T> gelu(const Variable<T>& x) {
  return activate(x, Activation::gelu);
}

}  // namespace rapt::inline RAPT_ABI
