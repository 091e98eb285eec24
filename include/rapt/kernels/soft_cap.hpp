/// \file
/// Soft-capping of attention scores and logits: cap tanh(x / cap), which stays between -cap and cap (Bello et al. 2016;
/// Gemma 2, Riviere et al. 2024).
#pragma once

#include "rapt/core/tensor.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/simd.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Replaces each x of a row by cap tanh(x / cap), and writes the derivatives 1 - tanh^2(x / cap) to `slopes`, unless it
/// is nullptr. The relative errors of both are a few epsilon: with e = e^(-2 |x / cap|), the tanh is (1 - e) / (1 + e)
/// up to its sign and the derivative 4 e / (1 + e)^2, where 1 - e is computed without cancellation. Call inside
/// `with_simd`.
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

/// soft_cap_row of all elements of x in place   // [N, V]; `slopes`: as large, or nullptr
template <class T>
void soft_cap(TensorView<T> x, T cap, T* slopes) {
  const Index grain = std::max<Index>(1, kElementGrain / std::max<Index>(1, x.cols()));
  parallel_for(x.rows(), grain, [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        soft_cap_row(isa, x.row(i), x.cols(), cap, slopes != nullptr ? slopes + i * x.cols() : nullptr);
      }
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
