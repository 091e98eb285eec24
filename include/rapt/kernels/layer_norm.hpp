/// \file
/// Layer normalisation (Ba et al. 2016, arXiv:1607.06450) and the residual sum before it, the "Add & Norm" boxes of the
/// Transformer's figure 1, in one pass over the rows:
///   h = x + dropout(sublayer),   y = (h - mean(h)) / sqrt(variance(h) + epsilon) * gamma + beta.
///
/// Mean and variance are those of a row of h. The variance is summed in a second pass over the row, as the difference
/// of mean(h^2) and mean(h)^2 would cancel. Forward keeps 1 / sqrt(variance + epsilon), which backward needs, and
/// backward takes the normalised row either from h or, where gamma allows it, from y, so that h need not be kept.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "rapt/kernels/dropout.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The number of rows of one part of the work. Each part sums its own gradients of gamma and beta, and these sums are
/// added in order, so that the result does not depend on the number of threads.
inline constexpr Index kNormGrain = 64;

/// The operands of the residual sum and the norm: x and sublayer [N, D], gamma and beta [D]. In add_norm, sublayer may
/// be nullptr; then h is x.
template <class T>
struct AddNorm {
  Index rows, cols;
  const T* x;
  const T* sublayer;
  Dropout dropout;  ///< of the sublayer's output
  const T* gamma;
  const T* beta;
  T epsilon;  ///< added to the variance before the square root
};

/// A gradient [N, D] that a kernel adds to (accumulate) or overwrites; with data = nullptr it is not computed.
template <class T>
struct GradientRows {
  T* data = nullptr;
  bool accumulate = true;
};

namespace detail {

/// Adds `value` to the gradient's elements from `at` on, or overwrites them.
template <class T, class V>
[[gnu::always_inline]] inline void join(const GradientRows<T>& gradient, Index at, const V& value) {
  V sum = value;
  if (gradient.accumulate) {
    V old;
    simd::load(old, gradient.data + at);
    sum += old;
  }
  simd::store(gradient.data + at, sum);
}

/// Row i of h = x + dropout(sublayer); `factors` has room for the dropout factors of a row.
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

/// Normalises a row whose sum of squares overflows T. The row is first scaled by a power of two, which is exact and
/// which the normalisation cancels. If beta is nullptr, this is the root mean square norm, whose mean is 0. Returns
/// false and writes nothing if an element is not finite.
template <class T>
[[gnu::noinline]] bool normalise_large_row(const T* row, Index cols, const T* gamma, const T* beta, T epsilon, T* out,
                                           T& mean, T& rstd) {
  T largest = 0;
  for (Index j = 0; j < cols; ++j) {
    if (!std::isfinite(row[j])) return false;
    largest = std::max(largest, std::abs(row[j]));
  }
  int exponent = 0;
  std::frexp(largest, &exponent);
  const T scale = std::ldexp(T(1), -std::min(exponent, 1 - std::numeric_limits<T>::min_exponent)),
          count = static_cast<T>(cols);
  const auto mean_from = [&](T from) {  // the mean of row * scale - from
    T sum = 0;
    for (Index j = 0; j < cols; ++j) sum += row[j] * scale - from;
    return sum / count;
  };
  T m = beta != nullptr ? mean_from(T(0)) : T(0), square = 0;
  if (beta != nullptr)
    m = std::clamp(m + mean_from(m), -largest * scale,
                   largest * scale);  // the second pass makes the mean of equal numbers exact
  for (Index j = 0; j < cols; ++j) square += (row[j] * scale - m) * (row[j] * scale - m) / count;
  const T r = square > 0 ? T(1) / std::sqrt(square + epsilon * scale * scale) : T(0);
  for (Index j = 0; j < cols; ++j) {
    out[j] = (row[j] * scale - m) * r * gamma[j] + (beta != nullptr ? beta[j] : T(0));
  }
  mean = m / scale;
  rstd = square > 0 ? r * scale : T(1) / std::sqrt(epsilon);
  return true;
}

}  // namespace detail

/// h = x + dropout(sublayer)   // [N, D]; h may be the memory of sublayer
template <class T>
void residual_add(const AddNorm<T>& p, T* h) {
  parallel_for(p.rows, kNormGrain, [&](Index begin, Index end) {
    Tensor<T> factors(Shape{dropout_row_size(p.cols)});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) detail::residual_row(isa, p, i, factors.data(), h + i * p.cols);
    });
  });
}

/// Computes y [N, D], mean [N] and rstd [N] (1 / sqrt(variance + epsilon)), and with a sublayer also h, unless it is
/// nullptr. h, or y if h is nullptr, may be the memory of the sublayer.
template <class T>
void add_norm(const AddNorm<T>& p, T* h, T* y, T* mean, T* rstd) {
  parallel_for(p.rows, kNormGrain, [&](Index begin, Index end) {
    Tensor<T> work(Shape{dropout_row_size(p.cols) + p.cols});
    T* factors = work.data();
    T* scratch = factors + dropout_row_size(p.cols);
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      using V = simd::Native<decltype(isa), T>;
      constexpr int kWidth = simd::kLanes<decltype(isa), T>;
      const auto count = static_cast<T>(p.cols);
      for (Index i = begin; i < end; ++i) {
        const T* row = p.x + i * p.cols;
        if (p.sublayer != nullptr) {
          T* sum_row = h != nullptr ? h + i * p.cols : scratch;
          detail::residual_row(isa, p, i, factors, sum_row);
          row = sum_row;
        }
        T* out = y + i * p.cols;
        V sums{};  // the mean
        Index j = 0;
        for (; j + kWidth <= p.cols; j += kWidth) {
          V v;
          simd::load(v, row + j);
          sums += v;
        }
        T sum = simd::sum_lanes<kWidth>(sums);
        for (; j < p.cols; ++j) sum += row[j];
        const T m = sum / count;
        V squares{};  // the variance, of differences from the mean
        for (j = 0; j + kWidth <= p.cols; j += kWidth) {
          V v;
          simd::load(v, row + j);
          v -= m;
          squares += v * v;
        }
        T square = simd::sum_lanes<kWidth>(squares);
        for (; j < p.cols; ++j) square += (row[j] - m) * (row[j] - m);
        if (!(square <= std::numeric_limits<T>::max())) [[unlikely]] {
          if (detail::normalise_large_row(row, p.cols, p.gamma, p.beta, p.epsilon, out, mean[i], rstd[i])) continue;
        }
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

/// True if the normalised rows n = (h - mean) rstd can be recomputed from y = n gamma + beta with an error of a few
/// epsilon, so that backward does not need h.
template <class T>
[[nodiscard]] bool norm_is_invertible(const T* gamma, const T* beta, Index cols) {
  for (Index j = 0; j < cols; ++j) {
    const T size = std::abs(gamma[j]);
    if (!(size > T(1e-3) && size < T(1e3) && std::abs(beta[j]) < 16 * size)) return false;
  }
  return true;
}

/// What backward reads of the forward pass: rstd [N], and either h [N, D] with mean [N], or y [N, D] if h is nullptr.
template <class T>
struct NormValues {
  const T* h = nullptr;
  const T* mean = nullptr;
  const T* rstd = nullptr;
  const T* y = nullptr;
};

/// The gradients of add_norm. With n = (h - mean) rstd and g = dy gamma, for each row:
///   dh = rstd (g - mean(g) - n mean(g n)),   dgamma += sum over rows of dy n,   dbeta += sum over rows of dy,
///   dx (+)= dh,   dsublayer (+)= dh * (dropout factors).
/// dgamma and dbeta [D] may be nullptr.
template <class T>
void add_norm_backward(const AddNorm<T>& p, const NormValues<T>& values, const T* dy, const GradientRows<T>& dx,
                       const GradientRows<T>& dsublayer, T* dgamma, T* dbeta) {
  const Index parts = (p.rows + kNormGrain - 1) / kNormGrain;
  Tensor<T> partial(Shape{parts, 2 * p.cols}, T(0));  // [parts][dgamma | dbeta]
  const bool from_y = values.h == nullptr;
  Tensor<T> inverse(from_y ? Shape{p.cols} : Shape{});  // 1 / gamma
  if (from_y) std::transform(p.gamma, p.gamma + p.cols, inverse.data(), [](T g) { return T(1) / g; });
  parallel_for(p.rows, kNormGrain, [&](Index begin, Index end) {
    Tensor<T> factors(Shape{dropout_row_size(p.cols)});
    T* part_gamma = partial.row(begin / kNormGrain);
    T* part_beta = part_gamma + p.cols;
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      using V = simd::Native<decltype(isa), T>;
      constexpr int kWidth = simd::kLanes<decltype(isa), T>;
      const auto count = static_cast<T>(p.cols);
      for (Index i = begin; i < end; ++i) {
        const T* row = (from_y ? values.y : values.h) + i * p.cols;
        const T* up = dy + i * p.cols;
        const T m = from_y ? T(0) : values.mean[i], r = values.rstd[i];
        // n of columns j and following, from h or from y
        const auto load_normalised = [&](auto& n, Index j) __attribute__((always_inline)) {
          simd::load(n, row + j);
          if (from_y) {
            std::remove_reference_t<decltype(n)> shift, factor;
            simd::load(shift, p.beta + j);
            simd::load(factor, inverse.data() + j);
            n = (n - shift) * factor;
          } else {
            n = (n - m) * r;
          }
        };
        // First pass: what the row adds to dgamma and dbeta, and the sums of g and g n.
        V sums{}, products{};
        T sum = 0, product = 0;
        const auto gather = [&](auto lanes, Index j, auto& s, auto& q) __attribute__((always_inline)) {
          simd::Vector<T, lanes> n, d, gain, a, b;
          load_normalised(n, j);
          simd::load(d, up + j);
          simd::load(gain, p.gamma + j);
          simd::load(a, part_gamma + j);
          simd::load(b, part_beta + j);
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
        // Second pass: dh, and from it dx and dsublayer.
        if (dsublayer.data != nullptr && p.dropout.active()) {
          dropout_factors(isa, p.dropout, i * dropout_row_size(p.cols), p.cols, factors.data());
        }
        simd::for_lanes<T>(
            isa, p.cols, [&](auto lanes, Index c) __attribute__((always_inline)) {
              simd::Vector<T, lanes> n, d, gain;
              load_normalised(n, c);
              simd::load(d, up + c);
              simd::load(gain, p.gamma + c);
              simd::Vector<T, lanes> dh = r * (d * gain - mean_g - n * mean_gn);
              if (dx.data != nullptr) detail::join(dx, i * p.cols + c, dh);
              if (dsublayer.data != nullptr) {
                if (p.dropout.active()) {
                  simd::load(d, factors.data() + c);
                  dh *= d;
                }
                detail::join(dsublayer, i * p.cols + c, dh);
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

}}}  // namespace rapt::RAPT_ABI::kernels
