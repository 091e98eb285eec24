/// \file
/// Softmax of rows.
#pragma once

#include <cmath>
#include <limits>

#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The largest element of a row; -infinity of an empty one. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline T row_max(Isa, const T* row, Index count) {
  constexpr int kWidth = simd::kLanes<Isa, T>;
  using V = simd::Native<Isa, T>;
  T highest = -std::numeric_limits<T>::infinity();
  V high = highest - V{};
  Index j = 0;
  for (; j + kWidth <= count; j += kWidth) {
    V v;
    simd::load(v, row + j);
    high = v > high ? v : high;
  }
  highest = simd::max_lanes<kWidth>(high);
  for (; j < count; ++j) highest = std::max(highest, row[j]);
  return highest;
}

/// row <- e^(row - highest) in place, with highest >= all of the row; returns the sum. With nothing but -infinity the
/// row becomes zeros and the sum is 0. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline T exponentials_below(Isa isa, T* row, Index count, T highest) {
  constexpr int kWidth = simd::kLanes<Isa, T>;
  using V = simd::Native<Isa, T>;
  const auto is_nan = [](T x) { return x != x; };
  if (highest == -std::numeric_limits<T>::infinity() && std::none_of(row, row + count, is_nan)) {
    std::fill_n(row, count, T(0));
    return T(0);
  }
  V sums{};
  T sum = 0;
  simd::for_lanes<T>(
      isa, count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v;
        simd::load(v, row + i);
        v -= highest;
        simd::exp_in_place<T>(v);
        simd::store(row + i, v);
        if constexpr (lanes == kWidth) {
          sums += v;
        } else {
          sum += v[0];
        }
      });
  return sum + simd::sum_lanes<kWidth>(sums);
}

/// `exponentials_below` the largest of the row and `at_least`; returns {that, sum}. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline std::pair<T, T> exponentials(Isa isa, T* row, Index count,
                                                           T at_least = -std::numeric_limits<T>::infinity()) {
  T highest = row_max(isa, row, count);
  if (highest < at_least) highest = at_least;
  return {highest, exponentials_below(isa, row, count, highest)};
}

/// log sum_j e^row_j.
template <class T>
[[nodiscard]] double log_sum_exp(const T* row, Index count) {
  double result = 0;
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    constexpr int kWidth = simd::kLanes<decltype(isa), T>;
    const T highest = row_max(isa, row, count);
    simd::Native<decltype(isa), T> sums{};
    T rest = 0;
    simd::for_lanes<T>(
        isa, count, [&](auto lanes, Index i) __attribute__((always_inline)) {
          simd::Vector<T, lanes> v;
          simd::load(v, row + i);
          v -= highest;
          simd::exp_in_place<T>(v);
          if constexpr (lanes == kWidth) {
            sums += v;
          } else {
            rest += v[0];
          }
        });
    result = static_cast<double>(highest) + std::log(static_cast<double>(rest + simd::sum_lanes<kWidth>(sums)));
  });
  return result;
}

/// row <- row * factor. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void scale_row(Isa isa, T* row, Index count, T factor) {
  simd::for_lanes<T>(
      isa, count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v;
        simd::load(v, row + i);
        v *= factor;
        simd::store(row + i, v);
      });
}

/// y = softmax(x) along rows; x and y may be the same memory.
template <class T>
void softmax_rows(const T* x, T* y, Index rows, Index cols) {
  parallel_for(rows, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        T* row = y + i * cols;
        if (x != y) std::copy_n(x + i * cols, cols, row);
        const T sum = exponentials(isa, row, cols).second;
        if (sum != 0) scale_row(isa, row, cols, T(1) / sum);  // a NaN spreads over the row
      }
    });
  });
}

/// row i of x <- row i * factors[i]
template <class T>
void scale_rows(T* x, const T* factors, Index rows, Index cols) {
  parallel_for(rows, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) scale_row(isa, x + i * cols, cols, factors[i]);
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
