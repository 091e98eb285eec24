/// \file
/// Layer normalisation (Ba et al. 2016) with the residual sum before it: the "Add & Norm" boxes of the paper's
/// figure 1.
#pragma once

#include <cmath>

#include "rapt/kernels/dropout.hpp"

namespace rapt::inline RAPT_ABI::kernels {

/// Rows that one part handles; partial sums of the parameters' gradients are kept per part.
inline constexpr Index kNormGrain = 64;

/// Residual sum: h = x + dropout(sublayer), all [N, D]; for add_norm sublayer may be nullptr, and h is x.
/// Norm: y = (h - mean) / sqrt(variance + epsilon) * gamma + beta per row; mean and rstd (1 / sqrt) are kept, [N] each.
template <class T>
struct AddNorm {
  Index rows, cols;
  const T* x;
  const T* sublayer;
  Dropout dropout;
  const T* gamma;
  const T* beta;
  T epsilon;
};

namespace detail {

/// One row of h = x + dropout(sublayer).
template <class Isa, class T>
[[gnu::always_inline]] inline void residual_row(Isa isa, const AddNorm<T>& p, Index i, T* factors, T* h) {
  const T* x = p.x + i * p.cols;
  const T* sublayer = p.sublayer + i * p.cols;
  if (p.dropout.active()) dropout_factors(isa, p.dropout, i * dropout_row_size(p.cols), p.cols, factors);
  simd::for_lanes<T>(
      isa, p.cols, [&](auto lanes, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> a, b;
        simd::load(a, x + j);
        simd::load(b, sublayer + j);
        if (p.dropout.active()) {
          simd::Vector<T, lanes> factor;
          simd::load(factor, factors + j);
          b *= factor;
        }
        a += b;
        simd::store(h + j, a);
      });
}

}  // namespace detail

/// h = x + dropout(sublayer)
template <class T>
void residual_add(const AddNorm<T>& p, T* h) {
  parallel_for(p.rows, kNormGrain, [&](Index begin, Index end) {
    Tensor<T> factors(Shape{dropout_row_size(p.cols)});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) detail::residual_row(isa, p, i, factors.data(), h + i * p.cols);
    });
  });
}

/// y, mean and rstd; h as well when there is a sublayer.
template <class T>
void add_norm(const AddNorm<T>& p, T* h, T* y, T* mean, T* rstd) {
  parallel_for(p.rows, kNormGrain, [&](Index begin, Index end) {
    Tensor<T> factors(Shape{dropout_row_size(p.cols)});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      using V = simd::Native<decltype(isa), T>;
      constexpr int kWidth = simd::kLanes<decltype(isa), T>;
      const auto count = static_cast<T>(p.cols);
      for (Index i = begin; i < end; ++i) {
        if (p.sublayer != nullptr) detail::residual_row(isa, p, i, factors.data(), h + i * p.cols);
        const T* row = (p.sublayer != nullptr ? h : p.x) + i * p.cols;
        T* out = y + i * p.cols;
        V sums{};
        Index j = 0;
        for (; j + kWidth <= p.cols; j += kWidth) {
          V v;
          simd::load(v, row + j);
          sums += v;
        }
        T sum = simd::sum_lanes<kWidth>(sums);
        for (; j < p.cols; ++j) sum += row[j];
        const T m = sum / count;
        V squares{};  // two passes: the variance of nearly equal numbers must not cancel
        for (j = 0; j + kWidth <= p.cols; j += kWidth) {
          V v;
          simd::load(v, row + j);
          v -= m;
          squares += v * v;
        }
        T square = simd::sum_lanes<kWidth>(squares);
        for (; j < p.cols; ++j) square += (row[j] - m) * (row[j] - m);
        const T r = T(1) / std::sqrt(square / count + p.epsilon);
        mean[i] = m;
        rstd[i] = r;
        simd::for_lanes<T>(
            isa, p.cols, [&](auto lanes, Index c) __attribute__((always_inline)) {
              simd::Vector<T, lanes> v, gain, shift;
              simd::load(v, row + c);
              simd::load(gain, p.gamma + c);
              simd::load(shift, p.beta + c);
              v = (v - m) * r * gain + shift;
              simd::store(out + c, v);
            });
      }
    });
  });
}

/// With n = (h - mean) rstd and g = dy gamma:  dh = rstd (g - mean(g) - n mean(g n)),  dgamma += sum dy n,
/// dbeta += sum dy. dx += dh; dsublayer += dh * dropout factors. Any of dx, dsublayer, dgamma, dbeta may be nullptr.
template <class T>
void add_norm_backward(const AddNorm<T>& p, const T* h, const T* mean, const T* rstd, const T* dy, T* dx, T* dsublayer,
                       T* dgamma, T* dbeta) {
  const Index parts = (p.rows + kNormGrain - 1) / kNormGrain;
  Tensor<T> partial(Shape{parts, 2 * p.cols}, T(0));  // [parts][dgamma | dbeta]
  parallel_for(p.rows, kNormGrain, [&](Index begin, Index end) {
    Tensor<T> factors(Shape{dropout_row_size(p.cols)});
    T* part_gamma = partial.row(begin / kNormGrain);
    T* part_beta = part_gamma + p.cols;
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      using V = simd::Native<decltype(isa), T>;
      constexpr int kWidth = simd::kLanes<decltype(isa), T>;
      const auto count = static_cast<T>(p.cols);
      for (Index i = begin; i < end; ++i) {
        const T* row = h + i * p.cols;
        const T* up = dy + i * p.cols;
        const T m = mean[i], r = rstd[i];
        V sums{}, products{};
        T sum = 0, product = 0;
        const auto gather = [&](auto lanes, Index j, auto& s, auto& q) __attribute__((always_inline)) {
          simd::Vector<T, lanes> v, d, gain, a, b;
          simd::load(v, row + j);
          simd::load(d, up + j);
          simd::load(gain, p.gamma + j);
          simd::load(a, part_gamma + j);
          simd::load(b, part_beta + j);
          const simd::Vector<T, lanes> n = (v - m) * r;
          a += d * n;
          b += d;
          simd::store(part_gamma + j, a);
          simd::store(part_beta + j, b);
          d *= gain;
          s += d;
          q += d * n;
        };
        Index j = 0;
        for (; j + kWidth <= p.cols; j += kWidth) {
          gather(std::integral_constant<int, kWidth>{}, j, sums, products);
        }
        for (; j < p.cols; ++j) {
          simd::Vector<T, 1> s{}, q{};
          gather(std::integral_constant<int, 1>{}, j, s, q);
          sum += s[0];
          product += q[0];
        }
        const T mean_g = (sum + simd::sum_lanes<kWidth>(sums)) / count;
        const T mean_gn = (product + simd::sum_lanes<kWidth>(products)) / count;
        if (dsublayer != nullptr && p.dropout.active()) {
          dropout_factors(isa, p.dropout, i * dropout_row_size(p.cols), p.cols, factors.data());
        }
        simd::for_lanes<T>(
            isa, p.cols, [&](auto lanes, Index c) __attribute__((always_inline)) {
              simd::Vector<T, lanes> v, d, gain, old;
              simd::load(v, row + c);
              simd::load(d, up + c);
              simd::load(gain, p.gamma + c);
              const simd::Vector<T, lanes> dh = r * (d * gain - mean_g - (v - m) * r * mean_gn);
              if (dx != nullptr) {
                simd::load(old, dx + i * p.cols + c);
                old += dh;
                simd::store(dx + i * p.cols + c, old);
              }
              if (dsublayer != nullptr) {
                simd::Vector<T, lanes> factor = T(1) - simd::Vector<T, lanes>{};
                if (p.dropout.active()) simd::load(factor, factors.data() + c);
                simd::load(old, dsublayer + i * p.cols + c);
                old += dh * factor;
                simd::store(dsublayer + i * p.cols + c, old);
              }
            });
      }
    });
  });
  for (Index part = 0; part < parts; ++part) {
    for (Index j = 0; j < p.cols; ++j) {
      if (dgamma != nullptr) dgamma[j] += partial.row(part)[j];
      if (dbeta != nullptr) dbeta[j] += partial.row(part)[p.cols + j];
    }
  }
}

}  // namespace rapt::inline RAPT_ABI::kernels
