/// \file
/// Activations of the feed-forward layer and their derivatives.
#pragma once

#include "rapt/kernels/elementwise.hpp"

namespace rapt::inline RAPT_ABI {

/// What stands between the two linear maps of a feed-forward layer.
enum class Activation {
  none,
  relu,        ///< max(0, x), the paper's equation 2
  gelu,        ///< x Phi(x) = x (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel 2016)
  gelu_tanh,   ///< x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, the same paper's approximation (GPT-2)
  quick_gelu,  ///< x sigmoid(1.702 x), the same paper's other one (CLIP)
  silu,        ///< x sigmoid(x), also called swish (Elfwing et al. 2018; Ramachandran et al. 2017)
  tanh,
};

/// All that are functions of their own, for whoever looks one up by name.
inline constexpr Activation kActivations[] = {Activation::relu,       Activation::gelu, Activation::gelu_tanh,
                                              Activation::quick_gelu, Activation::silu, Activation::tanh};

[[nodiscard]] inline std::string to_string(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return "relu";
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::quick_gelu:
      return "quick_gelu";
    case Activation::silu:
      return "silu";
    case Activation::tanh:
      return "tanh";
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

/// b of x sigmoid(b x); 0: the activation is none of that form.
[[nodiscard]] constexpr double sigmoid_slope(Activation activation) {
  return activation == Activation::silu ? 1.0 : activation == Activation::quick_gelu ? 1.702 : 0.0;
}

/// x <- 1 / (1 + e^-x)
template <class T, class V>
[[gnu::always_inline]] inline void sigmoid_in_place(V& x) {
  x = -x;
  simd::exp_in_place<T>(x);
  x = T(1) / (T(1) + x);
}

/// x <- activation(x)
template <Activation kActivation, class T, class V>
[[gnu::always_inline]] inline void apply(V& x) {
  [[maybe_unused]] const V zero{};
  if constexpr (kActivation == Activation::none) {
    return;
  } else if constexpr (kActivation == Activation::relu) {
    x = x < zero ? zero : x;  // NaN stays
  } else if constexpr (kActivation == Activation::tanh) {
    simd::tanh_in_place<T>(x);
  } else if constexpr (sigmoid_slope(kActivation) > 0) {
    V s = x * T(sigmoid_slope(kActivation));
    sigmoid_in_place<T>(s);
    x *= s;
  } else if constexpr (kActivation == Activation::gelu) {
    V e = x * T(kSqrtHalf), unused;
    simd::erf_in_place<T>(e, unused);
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
  if constexpr (kActivation == Activation::none) {
    x = T(1) - zero;
  } else if constexpr (kActivation == Activation::relu) {
    x = x > zero ? T(1) - zero : zero;
  } else if constexpr (kActivation == Activation::tanh) {  // 1 - tanh^2 = 4 e / (1 + e)^2, e = e^-2|x|
    V e = x < zero ? x * T(2) : x * T(-2);
    simd::exp_in_place<T>(e);
    x = T(4) * e / ((T(1) + e) * (T(1) + e));
  } else if constexpr (sigmoid_slope(kActivation) > 0) {  // s (1 + b x (1 - s))
    const V inner = x * T(sigmoid_slope(kActivation));
    V s = inner;
    sigmoid_in_place<T>(s);
    x = s * (T(1) + inner * (T(1) - s));
  } else if constexpr (kActivation == Activation::gelu) {  // Phi(x) + x phi(x)
    V e = x * T(kSqrtHalf), gauss;                         // gauss = e^(-x^2 / 2)
    simd::erf_in_place<T>(e, gauss);
    x = T(0.5) * (T(1) + e) + x * T(kInverseSqrt2Pi) * gauss;
  } else {  // (1 + t) / 2 + x (1 - t^2) / 2 * d(inner)/dx
    V t = T(kSqrt2OverPi) * (x + T(kCubic) * x * x * x);
    simd::tanh_in_place<T>(t);
    const V slope = T(kSqrt2OverPi) * (T(1) + T(3 * kCubic) * x * x);
    x = T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * slope;
  }
}

/// Calls f with the activation as a constant.
template <class F>
void with_activation(Activation activation, const F& f) {
  switch (activation) {
    case Activation::relu:
      return f(std::integral_constant<Activation, Activation::relu>{});
    case Activation::gelu:
      return f(std::integral_constant<Activation, Activation::gelu>{});
    case Activation::gelu_tanh:
      return f(std::integral_constant<Activation, Activation::gelu_tanh>{});
    case Activation::quick_gelu:
      return f(std::integral_constant<Activation, Activation::quick_gelu>{});
    case Activation::silu:
      return f(std::integral_constant<Activation, Activation::silu>{});
    case Activation::tanh:
      return f(std::integral_constant<Activation, Activation::tanh>{});
    case Activation::none:
      return f(std::integral_constant<Activation, Activation::none>{});
  }
}

}  // namespace detail

/// y = activation(x); x and y may be the same memory.
template <class T>
void activate(Activation activation, const T* x, T* y, Index count) {
  if (activation == Activation::none && x == y) return;
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

/// derivative = activation'(y), then y <- activation(y): what both share is computed once.
template <class T>
void activate_and_derive(Activation activation, T* y, T* derivative, Index count) {
  detail::with_activation(activation, [&](auto kind) {
    for_each_lane<T>(
        count, [&](auto lanes, Index i) __attribute__((always_inline)) {
          simd::Vector<T, lanes> v, slope;
          simd::load(v, y + i);
          slope = v;
          detail::apply<kind.value, T>(v);
          detail::derive<kind.value, T>(slope);
          simd::store(y + i, v);
          simd::store(derivative + i, slope);
        });
  });
}

/// Whether `activate_backward` may be given the output in place of x: relu's has the same sign, and none looks at it.
[[nodiscard]] constexpr bool derivative_reads_output(Activation activation) {
  return activation == Activation::none || activation == Activation::relu;
}

/// dx = dy * activation'(x), or += with accumulate; here of one that is known.
template <Activation kActivation, class T>
void activate_backward(const T* x, const T* dy, T* dx, Index count, bool accumulate) {
  for_each_lane<T>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v, upstream, old{};
        simd::load(v, x + i);
        simd::load(upstream, dy + i);
        if (accumulate) simd::load(old, dx + i);
        detail::derive<kActivation, T>(v);
        old += upstream * v;
        simd::store(dx + i, old);
      });
}
template <class T>
void activate_backward(Activation activation, const T* x, const T* dy, T* dx, Index count, bool accumulate) {
  if (activation == Activation::none) {  // x may be nullptr
    if (accumulate) return add_scaled(dx, dy, T(1), count);
    if (dx != dy) std::copy_n(dy, count, dx);
    return;
  }
  detail::with_activation(activation, [&](auto kind) { activate_backward<kind.value>(x, dy, dx, count, accumulate); });
}

}  // namespace kernels

}  // namespace rapt::inline RAPT_ABI
