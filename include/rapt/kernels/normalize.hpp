/// \file
/// Rows scaled to length one, and the gradient of that.
#pragma once

#include <algorithm>
#include <cmath>

#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Rows that one part of a normalisation handles.
inline constexpr Index kNormalizeGrain = 64;

/// lengths_i = |x_i|, the Euclidean length, and y_i = x_i / max(lengths_i, epsilon)   // x and y [N, D], lengths [N]
template <class T>
void normalize_rows(TensorView<const T> x, T epsilon, T* lengths, T* y) {
  const Index cols = x.cols();
  parallel_for(x.rows(), kNormalizeGrain, [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        const T* row = x.row(i);
        const T length = std::sqrt(dot(isa, row, row, cols));
        lengths[i] = length;
        const T factor = T(1) / std::max(length, epsilon);
        for (Index j = 0; j < cols; ++j) y[i * cols + j] = factor * row[j];
      }
    });
  });
}

/// dx_i += (dy_i - y_i (y_i . dy_i)) / |x_i|, or dy_i / epsilon where |x_i| is at most epsilon   // all [N, D]
template <class T>
void normalize_rows_backward(TensorView<const T> y, const T* lengths, T epsilon, const T* dy, T* dx) {
  const Index cols = y.cols();
  parallel_for(y.rows(), kNormalizeGrain, [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        const T *unit = y.row(i), *gradient = dy + i * cols;
        const T length = lengths[i];
        const T along = length > epsilon ? dot(isa, unit, gradient, cols) : T(0);
        const T factor = T(1) / std::max(length, epsilon);
        for (Index j = 0; j < cols; ++j) dx[i * cols + j] += factor * (gradient[j] - along * unit[j]);
      }
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
