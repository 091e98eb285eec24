/// \file
/// Softmax of rows: y_j = e^(x_j - max x) / sum_k e^(x_k - max x).
///
/// The largest element is subtracted first, which changes nothing mathematically and keeps every exponential at most 1,
/// so that nothing overflows and at least one term of the sum is 1. Rows are worked on in vectors with one sum for each
/// lane; the lanes' sums are added in a fixed order, so that the result is the same bits on any number of threads. The
/// pieces (largest element, exponentials, scaling) are functions of their own, as attention and cross-entropy use them,
/// too.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The largest element of a row, or -infinity if the row is empty. Call inside `with_simd`.
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

/// Replaces each x of a row by e^(x - highest) and returns their sum; `highest` must be at least the largest element. A
/// row in which everything is masked, that is -infinity, becomes zeros with the sum 0. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline T exponentials_below(Isa isa, T* row, Index count, T highest) {
  constexpr int kWidth = simd::kLanes<Isa, T>;
  using V = simd::Native<Isa, T>;
  const auto is_nan = [](T x) { return x != x; };
  if (highest == -std::numeric_limits<T>::infinity() && std::none_of(row, row + count, is_nan)) {
    std::fill_n(row, count, T(0));
    return T(0);
  }
  V sums{};   // of whole vectors, one sum for each lane
  T sum = 0;  // of the elements behind the last whole vector
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

/// Replaces each x of a row by e^(x - m), where m is the largest of the row's elements and `at_least`, and returns m
/// and the sum. A caller that sums over several parts of a row passes the largest element so far. Call inside
/// `with_simd`.
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

/// log(sum_j e^row_j), computed as m + log(sum_j e^(row_j - m)) with m the largest element.
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

/// Multiplies a row by a factor. Call inside `with_simd`.
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

/// y = softmax(x) along rows   // x, y [rows, cols]
/// x and y may be the same memory. A row of -infinity becomes zeros.
template <class T>
void softmax_rows(const T* x, T* y, Index rows, Index cols) {
  parallel_for(rows, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        T* row = y + i * cols;
        if (x != y) std::copy_n(x + i * cols, cols, row);
        const T sum = exponentials(isa, row, cols).second;
        if (sum != 0)
          scale_row(isa, row, cols, T(1) / sum);  // of a row with NaN the sum is NaN, too, and so is the whole row
      }
    });
  });
}

/// Multiplies row i of x by factors[i]   // x [rows, cols]
template <class T>
void scale_rows(T* x, const T* factors, Index rows, Index cols) {
  parallel_for(rows, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) scale_row(isa, x + i * cols, cols, factors[i]);
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
