/// \file
/// Soft-capping of attention scores (Bello et al. 2016; Gemma 2, Riviere et al. 2024): cap tanh(score / cap) stays
/// within +-cap.
#pragma once

#include "rapt/core/tensor.hpp"
#include "rapt/kernels/simd.hpp"

namespace rapt::inline RAPT_ABI::kernels {

/// row <- cap tanh(row / cap); slopes <- 1 - tanh^2(row / cap), its derivative, unless that is nullptr. Both are exact
/// to some epsilon, relative to their own size: with e = e^-2|x|, tanh|x| = (1 - e) / (1 + e) and 1 - tanh^2 x =
/// 4 e / (1 + e)^2; near zero, where 1 - e cancels, tanh is its continued fraction down to x^2 / 13. Call inside
/// `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void soft_cap_row(Isa isa, T* row, Index count, T cap, T* slopes = nullptr) {
  const T inverse = T(1) / cap;
  simd::for_lanes<T>(
      isa, count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        using V = simd::Vector<T, lanes>;
        const V zero{}, limit = T(0.35) - zero;
        V x;
        simd::load(x, row + i);
        x *= inverse;
        const V magnitude = x < zero ? -x : x, s = x * x;
        V e = T(-2) * magnitude;
        simd::exp_in_place<T>(e);
        const V far = (T(1) - e) / (T(1) + e);
        const V near = magnitude * (T(135135) + s * (T(17325) + s * (T(378) + s))) /
                       (T(135135) + s * (T(62370) + s * (T(3150) + T(28) * s)));
        const V t = magnitude < limit ? near : far;
        const V capped = cap * (x < zero ? -t : t);
        simd::store(row + i, capped);
        if (slopes != nullptr) {
          const V slope = T(4) * e / ((T(1) + e) * (T(1) + e));
          simd::store(slopes + i, slope);
        }
      });
}

}  // namespace rapt::inline RAPT_ABI::kernels
