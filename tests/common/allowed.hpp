/// \file
/// Tolerances in the precision that the program's products are in.
#pragma once

#include <algorithm>
#include <type_traits>

#include "rapt/core/precision.hpp"

namespace rapt_test {

/// What to allow of a computation with many products where `tolerance` is right for T itself: rounding to bfloat16
/// (with residuals) leaves errors of 2^-9 (2^-17) in each. `amplified`: by how much more than usual what is computed
/// magnifies them (whole models with large random weights).
template <class T>
[[nodiscard]] double allowed(double tolerance, double amplified = 1) {
  if (!std::is_same_v<T, float> || rapt::matrix_unit(rapt::precision()) == rapt::MatrixUnit::none) return tolerance;
  return std::max(tolerance, amplified * (rapt::precision() == rapt::Precision::high ? 3e-4 : 0.1));
}

}  // namespace rapt_test
