/// \file
/// Root mean square normalisation (Zhang and Sennrich 2019, arXiv:1910.07467): layer normalisation without the mean and
/// without beta.
#pragma once

#include <cmath>

#include "rapt/kernels/layer_norm.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The operands of y = x / sqrt(mean(x^2) + epsilon) * gamma, with the mean over each row: x [N, D], gamma [D].
template <class T>
struct RmsNorm {
  Index rows, cols;
  const T* x;
  const T* gamma;
  T epsilon;
};

namespace detail {

/// One row of rms_norm; returns its rstd. `out` may be `row`. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline T rms_norm_row(Isa isa, const T* row, Index cols, const T* gamma, T epsilon, T* out) {
  const T square = dot(isa, row, row, cols);
  if (!(square <= std::numeric_limits<T>::max())) [[unlikely]] {
    T mean = 0, large_rstd = 0;
    const T* none = nullptr;
    if (normalise_large_row(row, cols, gamma, none, epsilon, out, mean, large_rstd)) return large_rstd;
  }
  const T r = T(1) / std::sqrt(square / static_cast<T>(cols) + epsilon);
  simd::for_lanes<T>(
      isa, cols, [&](auto lanes, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v, gain;
        simd::load(v, row + j);
        simd::load(gain, gamma + j);
        v *= r;
        v *= gain;
        simd::store(out + j, v);
      });
  return r;
}

/// One row of rms_norm_backward, from its x and dy: adds to dgamma, and writes or adds the row of dx that begins at
/// element `first` of it, unless dx.data is nullptr. dx may be dy's memory. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void rms_norm_backward_row(Isa isa, const T* row, const T* up, Index cols, const T* gamma,
                                                         T r, T* dgamma, const GradientRows<T>& dx, Index first) {
  constexpr int kWidth = simd::kLanes<Isa, T>;
  simd::Native<Isa, T> products{};
  T product = 0;
  simd::for_lanes<T>(
      isa, cols, [&](auto lanes, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> n, d, gain, sum;
        simd::load(n, row + j);
        simd::load(d, up + j);
        simd::load(gain, gamma + j);
        simd::load(sum, dgamma + j);
        n *= r;
        d *= n;
        sum += d;
        simd::store(dgamma + j, sum);
        d *= gain;
        if constexpr (lanes == kWidth) {
          products += d;
        } else {
          product += d[0];
        }
      });
  if (dx.data == nullptr) return;
  const T mean_gn = (product + simd::sum_lanes<kWidth>(products)) / static_cast<T>(cols);
  simd::for_lanes<T>(
      isa, cols, [&](auto lanes, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> n, d, gain;
        simd::load(n, row + j);
        simd::load(d, up + j);
        simd::load(gain, gamma + j);
        const simd::Vector<T, lanes> change = r * (d * gain - n * r * mean_gn);
        join(dx, first + j, change);
      });
}

}  // namespace detail

/// Computes y [N, D] and rstd [N], which is 1 / sqrt(mean(x^2) + epsilon).
template <class T>
void rms_norm(const RmsNorm<T>& p, T* y, T* rstd) {
  parallel_for(p.rows, kNormGrain, [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        rstd[i] = detail::rms_norm_row(isa, p.x + i * p.cols, p.cols, p.gamma, p.epsilon, y + i * p.cols);
      }
    });
  });
}

/// The gradients of rms_norm. With n = x rstd and g = dy gamma, for each row:
///   dx (+)= rstd (g - n mean(g n)),   dgamma += sum over rows of dy n.
/// dgamma [D] may be nullptr.
template <class T>
void rms_norm_backward(const RmsNorm<T>& p, const T* rstd, const T* dy, const GradientRows<T>& dx, T* dgamma) {
  const Index parts = (p.rows + kNormGrain - 1) / kNormGrain;
  Tensor<T> partial(Shape{parts, p.cols}, T(0));  // dgamma of each part
  parallel_for(p.rows, kNormGrain, [&](Index begin, Index end) {
    T* part_gamma = partial.row(begin / kNormGrain);
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        const Index first = i * p.cols;
        detail::rms_norm_backward_row(isa, p.x + first, dy + first, p.cols, p.gamma, rstd[i], part_gamma, dx, first);
      }
    });
  });
  if (dgamma == nullptr) return;
  for (Index part = 0; part < parts; ++part) {
    for (Index j = 0; j < p.cols; ++j) dgamma[j] += partial.row(part)[j];
  }
}

}}}  // namespace rapt::RAPT_ABI::kernels
