/// \file
/// Soft-capping of logits (Bello et al. 2016; Gemma 2) as an op, and for a loss that never has all logits at once.
#pragma once

#include <algorithm>
#include <utility>

#include "rapt/autograd/ops/attention_options.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/kernels/soft_cap.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// cap tanh(x / cap), element by element   // any shape
/// An x that is moved in gives its memory to the result where no gradients are recorded. Throws ValueError unless `cap`
/// is positive and finite.
template <class T>
[[nodiscard]] Variable<T> soft_cap(Variable<T> x, double cap) {
  require(cap != 0, "soft_cap", "cap must be positive: ", cap);
  detail::require_soft_cap<T>(cap, "soft_cap");
  const bool recording = will_record<T>({x});
  const T* from = x.value().data();
  Tensor<T> y = recording ? Tensor<T>(x.shape()) : x.elements_to_overwrite();
  if (y.data() != from) std::copy_n(from, y.size(), y.data());
  Tensor<T> slopes(recording ? y.shape() : Shape{0});
  kernels::soft_cap<T>(y, static_cast<T>(cap), recording ? slopes.data() : nullptr);
  return record("soft_cap", std::move(y), {x}, [slopes = std::move(slopes)](Node<T>& out) {
    const auto [gradient, accumulate] = out.input(0).grad_target();
    kernels::multiply(out.grad.data(), slopes.data(), gradient.data(), slopes.size(), accumulate);
  });
}

/// For linear_cross_entropy: its logits z become cap tanh(z / cap).
template <class T>
[[nodiscard]] LogitCap<T> soft_cap_of_logits(double cap) {
  require(cap != 0, "soft_cap", "cap must be positive: ", cap);
  detail::require_soft_cap<T>(cap, "soft_cap");
  return {.cap = static_cast<T>(cap), .apply = kernels::soft_cap<T>};
}

}}  // namespace rapt::RAPT_ABI
