/// \file
/// Rows of length one: their products are cosines.
#pragma once

#include <cmath>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_i = x_i / max(|x_i|, epsilon), |.| the Euclidean length   // [N, D]
template <class T>
[[nodiscard]] Variable<T> normalize(const Variable<T>& x, std::type_identity_t<T> epsilon = T(1e-12)) {
  require(epsilon > T(0), "normalize", "epsilon must be positive: ", epsilon);
  const Index rows = x.rows(), cols = x.cols();
  Tensor<T> y(x.shape()), lengths(Shape{rows});
  const T* from = x.value().data();
  constexpr Index kGrain = 64;
  parallel_for(rows, kGrain, [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        const T* row = from + i * cols;
        const T length = std::sqrt(kernels::dot(isa, row, row, cols));
        lengths.data()[i] = length;
        const T factor = T(1) / std::max(length, epsilon);
        for (Index j = 0; j < cols; ++j) y.data()[i * cols + j] = factor * row[j];
      }
    });
  });
  return record("normalize", std::move(y), {x}, [epsilon, lengths = std::move(lengths)](Node<T>& out) {
    T* dx = out.input(0).grad_sum().data();  // dx = (dy - y (y . dy)) / |x|, and dy / epsilon below epsilon
    const Index width = out.value.cols();
    parallel_for(lengths.size(), kGrain, [&](Index begin, Index end) {
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index i = begin; i < end; ++i) {
          const T *unit = out.value.data() + i * width, *dy = out.grad.data() + i * width;
          const T length = lengths.data()[i];
          const T along = length > epsilon ? kernels::dot(isa, unit, dy, width) : T(0);
          const T factor = T(1) / std::max(length, epsilon);
          for (Index j = 0; j < width; ++j) dx[i * width + j] += factor * (dy[j] - along * unit[j]);
        }
      });
    });
  });
}

}}  // namespace rapt::RAPT_ABI
