/// \file
/// Activations as functions on vectors, each with its derivative. The kernels of activation.hpp apply them to memory.
///
/// A function is a small struct with its parameters and two members: `value<T>(x)` replaces x by f(x),
/// `derivative<T>(x)` by f'(x). Parameters are those of torch.nn.functional, and so are the derivatives at kinks, where
/// none exists. Values and derivatives are finite for every finite x, and the value at NaN is NaN. Formulas are
/// arranged so that no intermediate result overflows or cancels; where a formula differs from the textbook's, it stands
/// beside the code.
///
/// `V{}` is a vector of zeros, so that `T(1) - V{}` is a vector of ones.
#pragma once

#include "rapt/kernels/simd.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

namespace detail {

inline constexpr double kSqrtHalf = 0.70710678118654752440;        // sqrt(1 / 2)
inline constexpr double kInverseSqrt2Pi = 0.39894228040143267794;  // 1 / sqrt(2 pi)
inline constexpr double kSqrt2OverPi = 0.79788456080286535588;     // sqrt(2 / pi)
inline constexpr double kCubic = 0.044715;                         // of the tanh approximation of GELU

/// x <- 1 / (1 + e^-x)
template <class T, class V>
[[gnu::always_inline]] inline void sigmoid_in_place(V& x) {
  x = -x;
  simd::exp_in_place<T>(x);
  x = T(1) / (T(1) + x);
}

/// x <- e^-|x|
template <class T, class V>
[[gnu::always_inline]] inline void exp_of_minus_magnitude(V& x) {
  x = x < V{} ? x : -x;
  simd::exp_in_place<T>(x);
}

/// x <- min(max(x, low), high); NaN stays.
template <class T, class V>
[[gnu::always_inline]] inline void clamp(V& x, T low, T high) {
  const V lowest = low - V{}, highest = high - V{};
  x = x < lowest ? lowest : (x > highest ? highest : x);
}

}  // namespace detail

/// The `value` x, whose `derivative` is 1.
struct Identity {
  template <class T, class V>
  [[gnu::always_inline]] void value(V&) const {}
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    x = T(1) - V{};
  }
};

/// The `value` max(0, x); its `derivative` is 1 for x > 0, else 0.
struct Relu {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    x = x < V{} ? V{} : x;
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    x = x > V{} ? T(1) - V{} : V{};
  }
};

/// The `value` x for x > 0, else slope x; its `derivative` is 1 for x > 0, else the slope.
struct LeakyRelu {
  double slope = 0.01;

  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    x = x > V{} ? x : x * T(slope);
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    x = x > V{} ? T(1) - V{} : T(slope) - V{};
  }
};

/// The `value` scale x for x > 0, else scale alpha (e^(x / width) - 1); its `derivative` is scale for x > 0, else scale
/// alpha / width e^(x / width). ELU has scale = width = 1 (Clevert et al. 2015), CELU has scale = 1 and width = alpha
/// (Barron 2017), SELU has constants of its own (Klambauer et al. 2017).
struct Elu {
  double alpha = 1, scale = 1, width = 1;

  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    V e = x * T(1 / width), rest;
    e = e > V{} ? V{} : e;
    simd::exp_of_negative_in_place<T>(e, rest);
    x = x < V{} ? rest * T(-scale * alpha) : x * T(scale);
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    V below = x * T(1 / width), unused;
    below = below > V{} ? V{} : below;
    simd::exp_of_negative_in_place<T>(below, unused);
    x = x > V{} ? T(scale) - V{} : below * T(scale * alpha / width);
  }
};

/// The `value` min(max(x, low), high); its `derivative` is 1 for low < x < high, else 0. ReLU6 is the one with low = 0
/// and high = 6.
struct Hardtanh {
  double low = -1, high = 1;

  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    detail::clamp(x, T(low), T(high));
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    const V one = T(1) - V{};
    x = x > T(low) ? (x < T(high) ? one : V{}) : V{};
  }
};

/// The `value` relu6(x + 3) / 6; its `derivative` is 1 / 6 for -3 < x < 3, else 0.
struct Hardsigmoid {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    x += T(3);
    detail::clamp(x, T(0), T(6));
    x /= T(6);
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    const V sixth = T(1) / T(6) - V{};
    x = x > T(-3) ? (x < T(3) ? sixth : V{}) : V{};
  }
};

/// The `value` x relu6(x + 3) / 6 (Howard et al. 2019); its `derivative` is x / 3 + 1 / 2 for -3 < x < 3, 0 below and 1
/// above.
struct Hardswish {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    V gate = x;
    Hardsigmoid{}.value<T>(gate);
    x *= gate;
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    const V one = T(1) - V{}, slope = x / T(3) + T(0.5);
    x = x > T(-3) ? (x < T(3) ? slope : one) : V{};
  }
};

/// The `value` x for x > threshold, else the replacement; its `derivative` is 1 for x > threshold, else 0.
struct Threshold {
  double threshold = 0, replacement = 0;

  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    x = x <= T(threshold) ? T(replacement) - V{} : x;
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    x = x > T(threshold) ? T(1) - V{} : V{};
  }
};

/// The `value` 0 for |x| <= lambda, else x; its `derivative` is 0 for |x| <= lambda, else 1.
struct Hardshrink {
  double lambda = 0.5;

  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    x = x >= T(-lambda) ? (x <= T(lambda) ? V{} : x) : x;
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    const V one = T(1) - V{};
    x = x >= T(-lambda) ? (x <= T(lambda) ? V{} : one) : one;
  }
};

/// The `value` 0 for |x| <= lambda, else x - lambda sign(x); its `derivative` is 0 for |x| <= lambda, else
/// 1.
struct Softshrink {
  double lambda = 0.5;

  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    const V inner = x > V{} ? x - T(lambda) : x + T(lambda);
    x = x >= T(-lambda) ? (x <= T(lambda) ? V{} : inner) : inner;
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    Hardshrink{lambda}.derivative<T>(x);
  }
};

/// The `value` tanh(x); its `derivative` is 1 - tanh(x)^2.
struct Tanh {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    simd::tanh_in_place<T>(x);
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {  // 1 - tanh^2 = 4 e / (1 + e)^2, e = e^-2|x|
    V e = x < V{} ? x * T(2) : x * T(-2), unused;
    simd::exp_of_negative_in_place<T>(e, unused);
    x = T(4) * e / ((T(1) + e) * (T(1) + e));
  }
};

/// The `value` x - tanh(x); its `derivative` is tanh(x)^2.
struct Tanhshrink {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    V t = x;
    simd::tanh_in_place<T>(t);
    x -= t;
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    simd::tanh_in_place<T>(x);
    x *= x;
  }
};

/// The `value` s(x) = 1 / (1 + e^-x); its `derivative` is s(x) (1 - s(x)).
struct Sigmoid {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    detail::sigmoid_in_place<T>(x);
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {  // e / (1 + e)^2, e = e^-|x|
    detail::exp_of_minus_magnitude<T>(x);
    x = x / ((T(1) + x) * (T(1) + x));
  }
};

/// The `value` log sigmoid(x) = min(x, 0) - log(1 + e^-|x|); its `derivative` is sigmoid(-x).
struct Logsigmoid {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    V e = x;
    detail::exp_of_minus_magnitude<T>(e);
    simd::log1p_in_place<T>(e);
    x = (x > V{} ? V{} : x) - e;
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    x = -x;
    detail::sigmoid_in_place<T>(x);
  }
};

/// The `value` log(1 + e^(beta x)) / beta, whose `derivative` is sigmoid(beta x); they are replaced by x and 1 where
/// beta x > threshold.
struct Softplus {
  double beta = 1, threshold = 20;

  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    const V inner = x * T(beta);
    V e = inner;
    detail::exp_of_minus_magnitude<T>(e);
    simd::log1p_in_place<T>(e);
    x = inner > T(threshold) ? x : ((inner < V{} ? V{} : inner) + e) / T(beta);
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    const V inner = x * T(beta);
    V s = inner;
    detail::sigmoid_in_place<T>(s);
    x = inner > T(threshold) ? T(1) - V{} : s;
  }
};

/// The `value` x / (1 + |x|); its `derivative` is 1 / (1 + |x|)^2.
struct Softsign {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    x /= T(1) + (x < V{} ? -x : x);
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {
    const V inverse = T(1) / (T(1) + (x < V{} ? -x : x));
    x = inverse * inverse;
  }
};

/// The `value` x t with t = tanh(log(1 + e^x)) (Misra 2019); its `derivative` is t + x (1 - t^2) sigmoid(x). With e =
/// e^-|x|, t is n / d, where n = 1 + 2 e and d = n + 2 e^2 for x >= 0, and n = e^2 + 2 e and d = n + 2 for x < 0.
struct Mish {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    V e = x, n, d;
    parts<T>(x, e, n, d);
    x *= n / d;
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {  // tanh + x (1 - tanh^2) sigmoid(x)
    V e = x, n, d;
    parts<T>(x, e, n, d);
    x = n / d + x * (T(4) * (T(1) + e) * (x < V{} ? e : e * e) / (d * d));
  }

 private:
  template <class T, class V>
  [[gnu::always_inline]] static void parts(const V& x, V& e, V& n, V& d) {
    detail::exp_of_minus_magnitude<T>(e);
    n = x < V{} ? e * (e + T(2)) : T(1) + T(2) * e;
    d = n + (x < V{} ? T(2) - V{} : T(2) * e * e);
  }
};

/// The `value` x s with s = sigmoid(b x): SiLU with b = 1, the quick approximation of GELU with b = 1.702. Its
/// `derivative` is s + b x s (1 - s).
template <bool kQuick>
struct TimesSigmoid {
  static constexpr double kSlope = kQuick ? 1.702 : 1.0;  ///< b

  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    V s = x * T(kSlope);
    detail::sigmoid_in_place<T>(s);
    x *= s;
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {  // s + s (1 - s) x b, in this order, as b x may overflow
#if defined(__clang__)
#pragma clang fp reassociate(off)
#endif
    V s = x * T(kSlope);
    detail::sigmoid_in_place<T>(s);
    x = s + s * (T(1) - s) * x * T(kSlope);
  }
};
/// x sigmoid(x)
using Silu = TimesSigmoid<false>;
/// x sigmoid(1.702 x), CLIP's approximation of gelu
using QuickGelu = TimesSigmoid<true>;

/// The `value` x Phi(x) with the normal distribution Phi(x) = (1 + erf(x / sqrt 2)) / 2; its `derivative` is Phi(x) + x
/// phi(x), where phi(x) = e^(-x^2 / 2) / sqrt(2 pi).
struct Gelu {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    V e = x * T(detail::kSqrtHalf), unused;
    simd::erf_in_place<T>(e, unused);
    x = x * T(0.5) * (T(1) + e);
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {  // Phi(x) + x phi(x)
    V e = x * T(detail::kSqrtHalf), gauss;              // gauss = e^(-x^2 / 2)
    simd::erf_in_place<T>(e, gauss);
    x = T(0.5) * (T(1) + e) + x * T(detail::kInverseSqrt2Pi) * gauss;
  }
};

/// The `value` x (1 + tanh(u)) / 2 = x s, s = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3), which approximates
/// GELU; its `derivative`, that of this formula, is s + 2 x s (1 - s) u'.
struct GeluTanh {
  template <class T, class V>
  [[gnu::always_inline]] void value(V& x) const {
    V s, other;
    sigmoids<T>(x, s, other);
    x *= s;
  }
  template <class T, class V>
  [[gnu::always_inline]] void derivative(V& x) const {  // s + s (1 - s) x 2 u', in this order, as x^2 may overflow
#if defined(__clang__)
#pragma clang fp reassociate(off)
#endif
    V s, other;
    sigmoids<T>(x, s, other);
    const V bend = s * other * x;
    x = s + bend * T(2 * detail::kSqrt2OverPi) + bend * x * x * T(6 * detail::kCubic * detail::kSqrt2OverPi);
  }

 private:
  /// sigmoid(2 u) and sigmoid(-2 u)
  template <class T, class V>
  [[gnu::always_inline]] static void sigmoids(const V& x, V& s, V& other) {
    V e = T(2 * detail::kSqrt2OverPi) * (x + T(detail::kCubic) * x * x * x);
    detail::exp_of_minus_magnitude<T>(e);
    const V larger = T(1) / (T(1) + e), smaller = e * larger;
    s = x < V{} ? smaller : larger;
    other = x < V{} ? larger : smaller;
  }
};

}}}  // namespace rapt::RAPT_ABI::kernels
