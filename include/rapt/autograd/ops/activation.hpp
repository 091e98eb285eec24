/// \file
/// ReLU, GELU and the other activations of torch.nn.functional, with its names, parameters and defaults, all element by
/// element. Those of a feed-forward layer are in the enum `Activation`, which fused ops take; the ones with parameters
/// are functions here alone.
#pragma once

#include <cmath>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/activation.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// f(x), a function of kernels/activation_functions.hpp
template <class T, class Function>
[[nodiscard]] Tensor<T> map(const Function& f, const Variable<T>& x) {
  Tensor<T> y(x.shape());
  kernels::map(f, x.value().data(), y.data(), y.size());
  return y;
}

/// The backward of y = f(x).
template <class T, class Function>
[[nodiscard]] auto map_backward(const Function& f) {
  return [f](Node<T>& out) {
    Node<T>& in = out.input(0);
    auto [dx, accumulate] = in.grad_target();
    kernels::map_backward(f, in.value.data(), out.grad.data(), dx.data(), out.grad.size(), accumulate);
  };
}

}  // namespace detail

/// y = activation(x)
template <class T>
[[nodiscard]] Variable<T> activate(const Variable<T>& x, Activation activation) {
  Tensor<T> y(x.shape());
  kernels::activate(activation, x.value().data(), y.data(), y.size());
  return record("activate", std::move(y), {x}, [activation](Node<T>& out) {
    Node<T>& in = out.input(0);
    auto [dx, accumulate] = in.grad_target();
    kernels::activate_backward(activation, in.value.data(), out.grad.data(), dx.data(), out.grad.size(), accumulate);
  });
}

/// max(0, x), element by element.
template <class T>
[[nodiscard]] Variable<T> relu(const Variable<T>& x) {
  return activate(x, Activation::relu);
}
/// x Phi(x), with the normal distribution Phi computed by erf (Hendrycks and Gimpel 2016).
template <class T>
[[nodiscard]] Variable<T> gelu(const Variable<T>& x) {
  return activate(x, Activation::gelu);
}
/// torch's gelu with approximate="tanh"
template <class T>
[[nodiscard]] Variable<T> gelu_tanh(const Variable<T>& x) {
  return activate(x, Activation::gelu_tanh);
}
/// x sigmoid(x), also called swish.
template <class T>
[[nodiscard]] Variable<T> silu(const Variable<T>& x) {
  return activate(x, Activation::silu);
}
/// The hyperbolic tangent, element by element.
template <class T>
[[nodiscard]] Variable<T> tanh(const Variable<T>& x) {
  return activate(x, Activation::tanh);
}
/// 1 / (1 + exp(-x)), element by element.
template <class T>
[[nodiscard]] Variable<T> sigmoid(const Variable<T>& x) {
  return activate(x, Activation::sigmoid);
}

/// x for x > 0, slope x below
template <class T>
[[nodiscard]] Variable<T> leaky_relu(const Variable<T>& x, double slope = 0.01) {
  const kernels::LeakyRelu f{slope};
  return record("leaky_relu", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// min(max(0, x), 6)
template <class T>
[[nodiscard]] Variable<T> relu6(const Variable<T>& x) {
  const kernels::Hardtanh f{0, 6};
  return record("relu6", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// x for x > 0, alpha (e^x - 1) below (Clevert et al. 2015)
template <class T>
[[nodiscard]] Variable<T> elu(const Variable<T>& x, double alpha = 1) {
  const kernels::Elu f{.alpha = alpha};
  return record("elu", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// x for x > 0, alpha (e^(x / alpha) - 1) below (Barron 2017). Throws ValueError unless alpha is positive and finite.
template <class T>
[[nodiscard]] Variable<T> celu(const Variable<T>& x, double alpha = 1) {
  require(alpha > 0 && std::isfinite(alpha), "celu", "alpha must be positive and finite: ", alpha);
  const kernels::Elu f{.alpha = alpha, .width = alpha};
  return record("celu", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// elu times a scale, with constants that keep the means and variances of deep networks (Klambauer et al. 2017)
template <class T>
[[nodiscard]] Variable<T> selu(const Variable<T>& x) {
  const kernels::Elu f{.alpha = 1.6732632423543772848, .scale = 1.0507009873554804934};
  return record("selu", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// log(1 + e^(beta x)) / beta, and x where beta x > threshold. Throws ValueError unless beta is positive and finite.
template <class T>
[[nodiscard]] Variable<T> softplus(const Variable<T>& x, double beta = 1, double threshold = 20) {
  require(beta > 0 && std::isfinite(beta), "softplus", "beta must be positive and finite: ", beta);
  const kernels::Softplus f{beta, threshold};
  return record("softplus", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// x / (1 + |x|)
template <class T>
[[nodiscard]] Variable<T> softsign(const Variable<T>& x) {
  const kernels::Softsign f;
  return record("softsign", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// x tanh(softplus(x)) (Misra 2019)
template <class T>
[[nodiscard]] Variable<T> mish(const Variable<T>& x) {
  const kernels::Mish f;
  return record("mish", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// min(max(low, x), high). Throws ValueError unless low < high.
template <class T>
[[nodiscard]] Variable<T> hardtanh(const Variable<T>& x, double low = -1, double high = 1) {
  require(low < high, "hardtanh", "low must be below high: ", low, ", ", high);
  const kernels::Hardtanh f{low, high};
  return record("hardtanh", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// relu6(x + 3) / 6
template <class T>
[[nodiscard]] Variable<T> hardsigmoid(const Variable<T>& x) {
  const kernels::Hardsigmoid f;
  return record("hardsigmoid", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// x relu6(x + 3) / 6 (Howard et al. 2019)
template <class T>
[[nodiscard]] Variable<T> hardswish(const Variable<T>& x) {
  const kernels::Hardswish f;
  return record("hardswish", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// log sigmoid(x), without losing digits on either side
template <class T>
[[nodiscard]] Variable<T> logsigmoid(const Variable<T>& x) {
  const kernels::Logsigmoid f;
  return record("logsigmoid", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// x - tanh(x)
template <class T>
[[nodiscard]] Variable<T> tanhshrink(const Variable<T>& x) {
  const kernels::Tanhshrink f;
  return record("tanhshrink", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// 0 within -lambda .. lambda; outside x, nearer to 0 by lambda. Throws ValueError for a negative lambda.
template <class T>
[[nodiscard]] Variable<T> softshrink(const Variable<T>& x, double lambda = 0.5) {
  require(lambda >= 0, "softshrink", "lambda must not be negative: ", lambda);
  const kernels::Softshrink f{lambda};
  return record("softshrink", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// 0 within -lambda .. lambda, x outside
template <class T>
[[nodiscard]] Variable<T> hardshrink(const Variable<T>& x, double lambda = 0.5) {
  const kernels::Hardshrink f{lambda};
  return record("hardshrink", detail::map(f, x), {x}, detail::map_backward<T>(f));
}
/// x for x > at, else `replacement`
template <class T>
[[nodiscard]] Variable<T> threshold(const Variable<T>& x, double at, double replacement) {
  const kernels::Threshold f{at, replacement};
  return record("threshold", detail::map(f, x), {x}, detail::map_backward<T>(f));
}

}}  // namespace rapt::RAPT_ABI
