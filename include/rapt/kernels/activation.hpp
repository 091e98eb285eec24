/// \file
/// Activations of the feed-forward layer and their derivatives.
#pragma once

#include "rapt/kernels/elementwise.hpp"

namespace rapt::inline RAPT_ABI {

/// What stands between the two linear maps of a feed-forward layer.
enum class Activation {
  none,
  relu,       ///< max(0, x), the paper's equation 2
  gelu,       ///< x Phi(x) = x (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel 2016)
  gelu_tanh,  ///< x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, the same paper's approximation (GPT-2)
};

[[nodiscard]] inline std::string to_string(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return "relu";
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    default:
      return "none";
  }
}

namespace kernels {

namespace detail {

inline constexpr double kSqrtHalf = 0.70710678118654752440;        // sqrt(1 / 2)
inline constexpr double kInverseSqrt2Pi = 0.39894228040143267794;  // 1 / sqrt(2 pi)
inline constexpr double kSqrt2OverPi = 0.79788456080286535588;     // sqrt(2 / pi)
inline constexpr double kCubic = 0.044715;

/// x <- activation(x)
template <Activation kActivation, class T, class V>
[[gnu::always_inline]] inline void apply(V& x) {
  const V zero{};
  if constexpr (kActivation == Activation::relu) {
    x = x < zero ? zero : x;  // NaN stays
  } else if constexpr (kActivation == Activation::gelu) {
    V e = x * T(kSqrtHalf);
    simd::erf_in_place<T>(e);
    x = x * T(0.5) * (T(1) + e);
  } else {
    V t = T(kSqrt2OverPi) * (x + T(kCubic) * x * x * x);
    simd::tanh_in_place<T>(t);
    x = x * T(0.5) * (T(1) + t);
  }
}

/// x <- activation'(x)
template <Activation kActivation, class T, class V>
[[gnu::always_inline]] inline void derive(V& x) {
  const V zero{};
  if constexpr (kActivation == Activation::relu) {
    x = x > zero ? T(1) - zero : zero;
  } else if constexpr (kActivation == Activation::gelu) {  // Phi(x) + x phi(x)
    V e = x * T(kSqrtHalf), density = x * x * T(-0.5);
    simd::erf_in_place<T>(e);
    simd::exp_in_place<T>(density);
    x = T(0.5) * (T(1) + e) + x * T(kInverseSqrt2Pi) * density;
  } else {  // (1 + t) / 2 + x (1 - t^2) / 2 * d(inner)/dx
    V t = T(kSqrt2OverPi) * (x + T(kCubic) * x * x * x);
    simd::tanh_in_place<T>(t);
    const V slope = T(kSqrt2OverPi) * (T(1) + T(3 * kCubic) * x * x);
    x = T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * slope;
  }
}

/// Calls f with the activation as a constant; nothing for `none`.
template <class F>
void with_activation(Activation activation, const F& f) {
  switch (activation) {
    case Activation::relu:
      return f(std::integral_constant<Activation, Activation::relu>{});
    case Activation::gelu:
      return f(std::integral_constant<Activation, Activation::gelu>{});
    case Activation::gelu_tanh:
      return f(std::integral_constant<Activation, Activation::gelu_tanh>{});
    case Activation::none:
      return;
  }
}

}  // namespace detail

/// y = activation(x); x and y may be the same memory.
template <class T>
void activate(Activation activation, const T* x, T* y, Index count) {
  if (activation == Activation::none && x != y) std::copy_n(x, count, y);
  detail::with_activation(activation, [&](auto kind) {
    for_each_lane<T>(
        count, [&](auto lanes, Index i) __attribute__((always_inline)) {
          simd::Vector<T, lanes> v;
          simd::load(v, x + i);
          detail::apply<kind.value, T>(v);
          simd::store(y + i, v);
        });
  });
}

/// dx = dy * activation'(x), or += with accumulate. For relu x may be the output as well (its sign is the same).
template <class T>
void activate_backward(Activation activation, const T* x, const T* dy, T* dx, Index count, bool accumulate) {
  if (activation == Activation::none) {
    if (accumulate) return add_scaled(dx, dy, T(1), count);
    std::copy_n(dy, count, dx);
  }
  detail::with_activation(activation, [&](auto kind) {
    for_each_lane<T>(
        count, [&](auto lanes, Index i) __attribute__((always_inline)) {
          simd::Vector<T, lanes> v, upstream, old{};
          simd::load(v, x + i);
          simd::load(upstream, dy + i);
          if (accumulate) simd::load(old, dx + i);
          detail::derive<kind.value, T>(v);
          old += upstream * v;
          simd::store(dx + i, old);
        });
  });
}

}  // namespace kernels

}  // namespace rapt::inline RAPT_ABI
