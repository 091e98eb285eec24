/// \file
/// Gradients that reach an input unchanged, as those of sums do.
#pragma once

#include "rapt/autograd/variable.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Adds dy, the gradient of a result, to that of an input of as many elements, if it wants one. The first is copied.
template <class T>
void pass_gradient(const Tensor<T>& dy, Node<T>& input) {
  if (!input.requires_grad) return;
  auto [dx, accumulate] = input.grad_target();
  if (accumulate) return kernels::add_scaled(dx.data(), dy.data(), T(1), dy.size());
  kernels::copy(dy.data(), dx.data(), dy.size());
}
/// The same for the last reader of dy: the first gradient changes hands.
template <class T>
void pass_gradient(Tensor<T>&& dy, Node<T>& input) {
  if (input.requires_grad && input.grad.empty() && input.value.shape() == dy.shape()) {
    input.grad = std::move(dy);
  } else {
    pass_gradient(std::as_const(dy), input);
  }
}

}}  // namespace rapt::RAPT_ABI
