/// \file
/// Numbers of every magnitude that T has.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

namespace rapt_test {

/// Every exponent with several mantissas and both signs, subnormal numbers, both zeros, the largest numbers, and many
/// of a size at which functions bend.
template <class T>
[[nodiscard]] std::vector<T> all_magnitudes() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> x{T(0), -T(0)};
  const auto add = [&x](T v) { x.insert(x.end(), {v, -v}); };
  for (int exponent = Limits::min_exponent - Limits::digits; exponent < Limits::max_exponent; ++exponent) {
    for (const double mantissa : {1.0, 1.2345678, 1.5, 1.9999}) add(static_cast<T>(std::ldexp(mantissa, exponent)));
  }
  for (const T v : {Limits::max(), Limits::min(), Limits::denorm_min(), std::nextafter(Limits::min(), T(0))}) add(v);
  for (int i = 1; i <= 3000; ++i) add(static_cast<T>(i) / T(100));
  for (const T v : {T(0.5), T(3), T(6), T(20), T(50), T(87), T(88.5), T(89), T(103), T(700), T(709.5), T(710)}) add(v);
  return x;
}

}  // namespace rapt_test
