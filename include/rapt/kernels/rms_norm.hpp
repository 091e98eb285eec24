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

/// Computes y [N, D] and rstd [N], which is 1 / sqrt(mean(x^2) + epsilon).
template <class T>
void rms_norm(const RmsNorm<T>& p, T* y, T* rstd) {
  parallel_for(p.rows, kNormGrain, [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        const T* row = p.x + i * p.cols;
        T* out = y + i * p.cols;
        const T square = dot(isa, row, row, p.cols);
        if (!(square <= std::numeric_limits<T>::max())) [[unlikely]] {
          T mean = 0;
          const T* none = nullptr;
          if (detail::normalise_large_row(row, p.cols, p.gamma, none, p.epsilon, out, mean, rstd[i])) continue;
        }
        const T r = T(1) / std::sqrt(square / static_cast<T>(p.cols) + p.epsilon);
        rstd[i] = r;
        simd::for_lanes<T>(
            isa, p.cols, [&](auto lanes, Index j) __attribute__((always_inline)) {
              simd::Vector<T, lanes> v, gain;
              simd::load(v, row + j);
              simd::load(gain, p.gamma + j);
              v *= r;
              v *= gain;
              simd::store(out + j, v);
            });
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
      constexpr int kWidth = simd::kLanes<decltype(isa), T>;
      for (Index i = begin; i < end; ++i) {
        const T* row = p.x + i * p.cols;
        const T* up = dy + i * p.cols;
        const T r = rstd[i];
        simd::Native<decltype(isa), T> products{};
        T product = 0;
        simd::for_lanes<T>(
            isa, p.cols, [&](auto lanes, Index j) __attribute__((always_inline)) {
              simd::Vector<T, lanes> n, d, gain, sum;
              simd::load(n, row + j);
              simd::load(d, up + j);
              simd::load(gain, p.gamma + j);
              simd::load(sum, part_gamma + j);
              n *= r;
              d *= n;
              sum += d;
              simd::store(part_gamma + j, sum);
              d *= gain;
              if constexpr (lanes == kWidth) {
                products += d;
              } else {
                product += d[0];
              }
            });
        if (dx.data == nullptr) continue;
        const T mean_gn = (product + simd::sum_lanes<kWidth>(products)) / static_cast<T>(p.cols);
        simd::for_lanes<T>(
            isa, p.cols, [&](auto lanes, Index j) __attribute__((always_inline)) {
              simd::Vector<T, lanes> n, d, gain;
              simd::load(n, row + j);
              simd::load(d, up + j);
              simd::load(gain, p.gamma + j);
              const simd::Vector<T, lanes> change = r * (d * gain - n * r * mean_gn);
              detail::join(dx, i * p.cols + j, change);
            });
      }
    });
  });
  if (dgamma == nullptr) return;
  for (Index part = 0; part < parts; ++part) {
    for (Index j = 0; j < p.cols; ++j) dgamma[j] += partial.row(part)[j];
  }
}

}}}  // namespace rapt::RAPT_ABI::kernels
