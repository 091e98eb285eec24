/// \file
/// FiniteCheck: finds the op in which the first NaN or infinity appears.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// While it lives, every op that the calling thread records, and `backward`, look at all numbers they make and throw
/// ValueError that names the op, the element and its value. Costs a pass over every tensor: for finding out, not for
/// training.
class [[nodiscard]] FiniteCheck {
 public:
  FiniteCheck() : previous_(std::exchange(detail::checks_finite(), true)) {}
  ~FiniteCheck() { detail::checks_finite() = previous_; }
  FiniteCheck(const FiniteCheck&) = delete;
  FiniteCheck& operator=(const FiniteCheck&) = delete;

 private:
  bool previous_;
};

/// The number of the first element that is NaN or infinite; -1: there is none.
template <class T>
[[nodiscard]] Index first_not_finite(const Tensor<T>& x) {
  const auto found = std::find_if(x.values().begin(), x.values().end(), [](T v) { return !std::isfinite(v); });
  return found == x.values().end() ? -1 : found - x.values().begin();
}

namespace detail {

/// `what` ("the value of", "the gradient that ... gives") is said of the op `name`.
template <class T>
void require_finite(const Tensor<T>& x, std::string_view what, std::string_view name) {
  const Index at = first_not_finite(x);
  if (at < 0) return;
  fail("finite_check", what, " '", name, "' has ", x.data()[at], " at row ", at / x.cols(), ", column ", at % x.cols(),
       " of shape ", x.shape());
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
