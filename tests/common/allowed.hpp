/// \file
/// Tolerances in the precision that the program's products are in.
#pragma once

#include <algorithm>
#include <type_traits>

#include "rapt/core/precision.hpp"

namespace rapt_test {

/// What to allow of a computation with many products where `tolerance` is right for T itself: rounding to bfloat16
/// (with residuals) leaves errors of 2^-9 (2^-17) in each.
template <class T>
[[nodiscard]] double allowed(double tolerance) {
  if (!std::is_same_v<T, float> || rapt::matrix_unit(rapt::precision()) == rapt::MatrixUnit::none) return tolerance;
  return std::max(tolerance, rapt::precision() == rapt::Precision::high ? 3e-4 : 0.1);
}

}  // namespace rapt_test
