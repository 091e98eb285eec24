/// \file
/// Softmax of rows.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

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

/// row <- e^(row - its largest element) in place, on one thread: softmax without the division by the sum.
template <class T>
void exponentials_of(T* row, Index count) {
  simd::with_simd([&](auto isa) __attribute__((always_inline)) { exponentials(isa, row, count); });
}

/// visit(j) in order for each j with row_j > threshold, on one thread. The threshold is a reference, as `visit` may
/// raise it: a search for the largest elements then skips most of a row in vectors.
template <class T, class Visit>
void for_each_above(const T* row, Index count, const T& threshold, const Visit& visit) {
  constexpr Index kChunk = 128, kPart = 16;  // most of them hold nothing above the threshold
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    const auto has_one = [&](Index from, Index to) __attribute__((always_inline)) {
      return row_max(isa, row + from, to - from) > threshold;
    };
    for (Index begin = 0; begin < count; begin += kChunk) {
      const Index end = std::min(begin + kChunk, count);
      if (!has_one(begin, end)) continue;
      for (Index part = begin; part < end; part += kPart) {
        const Index part_end = std::min(part + kPart, end);
        if (!has_one(part, part_end)) continue;
        for (Index j = part; j < part_end; ++j) {
          if (row[j] > threshold) visit(j);
        }
      }
    }
  });
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
