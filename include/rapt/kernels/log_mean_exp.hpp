/// \file
/// The logarithm of the mean of several distributions that are given by their logarithms.
#pragma once

#include <cmath>
#include <limits>

#include "rapt/core/tensor.hpp"
#include "rapt/kernels/simd.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// result_j = log(1/K sum_k e^x_kj) with x_k = row(k) for k = 0 .. K - 1, on one thread. With m the largest x_kj of a j
/// it is m + log(1/K sum_k e^(x_kj - m)), so that nothing underflows; -infinity where all x_kj are.   // [count]
template <class T, class RowOf>
void log_mean_exp(Index K, const RowOf& row, T* result, Index count) {
  constexpr T kNever = -std::numeric_limits<T>::infinity();
  Tensor<T> highest(Shape{count});
  T* m = highest.data();
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    simd::for_lanes<T>(
        isa, count, [&](auto lanes, Index j) __attribute__((always_inline)) {
          simd::Vector<T, lanes> x, most = kNever - simd::Vector<T, lanes>{}, sum{};
          for (Index k = 0; k < K; ++k) {
            simd::load(x, row(k) + j);
            most = x > most ? x : most;
          }
          for (Index k = 0; k < K; ++k) {
            simd::load(x, row(k) + j);
            x -= most;
            simd::exp_in_place<T>(x);
            sum += x;
          }
          simd::store(m + j, most);
          simd::store(result + j, sum);
        });
  });
  const T models = static_cast<T>(K);
  for (Index j = 0; j < count; ++j) result[j] = m[j] == kNever ? kNever : m[j] + std::log(result[j] / models);
}

}}}  // namespace rapt::RAPT_ABI::kernels
