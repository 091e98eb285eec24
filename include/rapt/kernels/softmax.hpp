/// \file
/// Softmax of a row, and softmax with cross-entropy.
#pragma once

#include <cmath>
#include <limits>

#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt::inline RAPT_ABI::kernels {

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

/// row <- e^(row - max) in place, with max the largest of the row and `at_least`; returns {max, sum}. With nothing but
/// -infinity the row becomes zeros and sum is 0. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline std::pair<T, T> exponentials(Isa isa, T* row, Index count,
                                                           T at_least = -std::numeric_limits<T>::infinity()) {
  constexpr int kWidth = simd::kLanes<Isa, T>;
  using V = simd::Native<Isa, T>;
  T highest = row_max(isa, row, count);
  if (highest < at_least) highest = at_least;
  const auto is_nan = [](T x) { return x != x; };
  if (highest == -std::numeric_limits<T>::infinity() && std::none_of(row, row + count, is_nan)) {
    std::fill_n(row, count, T(0));
    return {highest, T(0)};
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
  return {highest, sum + simd::sum_lanes<kWidth>(sums)};
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
        if (sum > 0) scale_row(isa, row, cols, T(1) / sum);
      }
    });
  });
}

/// Cross-entropy of rows of logits against targets with label smoothing e (Szegedy et al. 2016; the paper's 5.4), the
/// target distribution being (1 - e) one-hot + e / V everywhere, as in PyTorch:
///   loss_i = log sum_j e^z_ij - (1 - e) z_i,target - e / V sum_j z_ij
/// Writes loss_i (double) and, in place of the logits, d(loss_i)/dz * gradient_scale unless that is 0.
template <class T>
void cross_entropy_rows(T* logits, Index rows, Index cols, std::span<const TokenId> targets, double smoothing,
                        T gradient_scale, double* losses) {
  parallel_for(rows, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      constexpr int kWidth = simd::kLanes<decltype(isa), T>;
      const T uniform = static_cast<T>(smoothing / static_cast<double>(cols));
      for (Index i = begin; i < end; ++i) {
        T* row = logits + i * cols;
        const TokenId target = targets[static_cast<std::size_t>(i)];
        const double target_logit = static_cast<double>(row[target]);
        double logit_sum = 0;
        if (smoothing > 0) {
          simd::Native<decltype(isa), T> sums{};
          Index j = 0;
          for (; j + kWidth <= cols; j += kWidth) {
            simd::Native<decltype(isa), T> v;
            simd::load(v, row + j);
            sums += v;
          }
          T rest = simd::sum_lanes<kWidth>(sums);
          for (; j < cols; ++j) rest += row[j];
          logit_sum = static_cast<double>(rest);
        }
        const auto [highest, sum] = exponentials(isa, row, cols);
        losses[i] = static_cast<double>(highest) + std::log(static_cast<double>(sum)) - (1 - smoothing) * target_logit -
                    smoothing / static_cast<double>(cols) * logit_sum;
        if (gradient_scale != 0) {
          const T factor = gradient_scale / sum, shift = gradient_scale * uniform;
          simd::for_lanes<T>(
              isa, cols, [&](auto lanes, Index j) __attribute__((always_inline)) {
                simd::Vector<T, lanes> v;
                simd::load(v, row + j);
                v = v * factor - shift;
                simd::store(row + j, v);
              });
          row[target] -= gradient_scale * static_cast<T>(1 - smoothing);
        }
      }
    });
  });
}

}  // namespace rapt::inline RAPT_ABI::kernels
