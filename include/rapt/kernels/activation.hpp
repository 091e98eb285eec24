/// \file
/// The activations of the feed-forward layer by name, and kernels that apply them and their derivatives to memory.
#pragma once

#include "rapt/kernels/activation_functions.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The function between the two linear maps of a feed-forward layer.
enum class Activation {
  none,
  relu,        ///< max(0, x), the paper's equation 2
  gelu,        ///< x Phi(x) = x (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel 2016)
  gelu_tanh,   ///< x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, the same paper's approximation (GPT-2)
  quick_gelu,  ///< x sigmoid(1.702 x), the same paper's second approximation (CLIP)
  silu,        ///< x sigmoid(x), also called swish (Elfwing et al. 2018; Ramachandran et al. 2017)
  tanh,
  sigmoid,  ///< 1 / (1 + e^-x)
};

/// All activations but `none`, for looking one up by its name.
inline constexpr Activation kActivations[] = {Activation::relu,       Activation::gelu, Activation::gelu_tanh,
                                              Activation::quick_gelu, Activation::silu, Activation::tanh,
                                              Activation::sigmoid};

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
    case Activation::sigmoid:
      return "sigmoid";
    default:
      return "none";
  }
}

namespace kernels {

namespace detail {

/// Calls f with the function struct of the activation (activation_functions.hpp).
template <class F>
void with_activation(Activation activation, const F& f) {
  switch (activation) {
    case Activation::relu:
      return f(Relu{});
    case Activation::gelu:
      return f(Gelu{});
    case Activation::gelu_tanh:
      return f(GeluTanh{});
    case Activation::quick_gelu:
      return f(QuickGelu{});
    case Activation::silu:
      return f(Silu{});
    case Activation::tanh:
      return f(Tanh{});
    case Activation::sigmoid:
      return f(Sigmoid{});
    case Activation::none:
      return f(Identity{});
  }
}

}  // namespace detail

/// y = f(x) for a function f of activation_functions.hpp. x and y may be the same memory.
template <class T, class Function>
void map(const Function& f, const T* x, T* y, Index count) {
  for_each_lane<T>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v;
        simd::load(v, x + i);
        f.template value<T>(v);
        simd::store(y + i, v);
      });
}

/// dx = dy * f'(x), or dx += dy * f'(x) with accumulate.
template <class T, class Function>
void map_backward(const Function& f, const T* x, const T* dy, T* dx, Index count, bool accumulate) {
  for_each_lane<T>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v, upstream, old{};
        simd::load(v, x + i);
        simd::load(upstream, dy + i);
        if (accumulate) simd::load(old, dx + i);
        f.template derivative<T>(v);
        old += upstream * v;
        simd::store(dx + i, old);
      });
}

/// y = activation(x); x and y may be the same memory.
template <class T>
void activate(Activation activation, const T* x, T* y, Index count) {
  if (activation == Activation::none && x == y) return;
  detail::with_activation(activation, [&](const auto& f) { map(f, x, y, count); });
}

/// Replaces y by activation(y) and writes activation'(y) to `derivative`. Exponentials that both need are computed
/// once.
template <class T>
void activate_and_derive(Activation activation, T* y, T* derivative, Index count) {
  detail::with_activation(activation, [&](const auto& f) {
    for_each_lane<T>(
        count, [&](auto lanes, Index i) __attribute__((always_inline)) {
          simd::Vector<T, lanes> v, slope;
          simd::load(v, y + i);
          slope = v;
          f.template value<T>(v);
          f.template derivative<T>(slope);
          simd::store(y + i, v);
          simd::store(derivative + i, slope);
        });
  });
}

/// True if `activate_backward` may be given the activation's output in place of its input x: ReLU's output is positive
/// where x is, and the derivative of `none` does not depend on x.
[[nodiscard]] constexpr bool derivative_reads_output(Activation activation) {
  return activation == Activation::none || activation == Activation::relu;
}

/// dx = dy * activation'(x), or dx += dy * activation'(x) with accumulate. For `none`, x is not read and may be
/// nullptr.
template <class T>
void activate_backward(Activation activation, const T* x, const T* dy, T* dx, Index count, bool accumulate) {
  if (activation == Activation::none) {
    if (accumulate) return add_scaled(dx, dy, T(1), count);
    if (dx != dy) std::copy_n(dy, count, dx);
    return;
  }
  detail::with_activation(activation, [&](const auto& f) { map_backward(f, x, dy, dx, count, accumulate); });
}

}  // namespace kernels

}}  // namespace rapt::RAPT_ABI
