/// \file
/// Soft-capping of attention scores (Bello et al. 2016; Gemma 2, Riviere et al. 2024): cap tanh(score / cap) stays
/// within +-cap.
#pragma once

#include "rapt/core/tensor.hpp"
#include "rapt/kernels/simd.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// row <- cap tanh(row / cap); slopes <- 1 - tanh^2(row / cap), its derivative, unless that is nullptr. Both are exact
/// to some epsilon, relative to their own size: with e = e^-2|x|, tanh|x| = (1 - e) / (1 + e) and 1 - tanh^2 x =
/// 4 e / (1 + e)^2, where 1 - e is computed without cancellation. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void soft_cap_row(Isa isa, T* row, Index count, T cap, T* slopes = nullptr) {
  const T inverse = T(1) / cap;
  simd::for_lanes<T>(
      isa, count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        using V = simd::Vector<T, lanes>;
        V x, rest;
        simd::load(x, row + i);
        x *= inverse;
        V e = x < V{} ? x * T(2) : x * T(-2);
        simd::exp_of_negative_in_place<T>(e, rest);
        const V t = rest / (T(2) - rest);
        const V capped = cap * (x < V{} ? -t : t);
        simd::store(row + i, capped);
        if (slopes != nullptr) {
          const V slope = T(4) * e / ((T(1) + e) * (T(1) + e));
          simd::store(slopes + i, slope);
        }
      });
}

}}}  // namespace rapt::RAPT_ABI::kernels
