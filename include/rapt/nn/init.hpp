/// \file
/// Initial values of parameters.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <tuple>
#include <utility>

#include "rapt/core/initialisation.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

template <class T, class Fill>
[[nodiscard]] Tensor<T> initialised(Shape shape, const Fill& fill) {
  if (initialises_nothing()) return Tensor<T>::without_elements(shape);
  Tensor<T> values(shape);
  fill(values.values());
  return values;
}

/// Values that `fill` draws from the next stream of `rng`.
template <class T, class Fill>
[[nodiscard]] Tensor<T> drawn(Shape shape, Rng& rng, const Fill& fill) {
  if (initialisation() == Initialisation::draw_later) {
    std::ignore = rng.next_stream();
    return Tensor<T>::without_elements(shape);
  }
  return initialised<T>(shape, fill);
}

}  // namespace detail

namespace init {

/// Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010): keeps variances through tanh-like layers.
template <class T>
[[nodiscard]] Tensor<T> xavier_uniform(Shape shape, Rng& rng) {
  const double bound = std::sqrt(6.0 / static_cast<double>(shape.rows() + shape.cols()));
  return detail::drawn<T>(shape, rng, [&](std::span<T> values) { rng.fill_uniform(values, -bound, bound); });
}
/// Normal with variance 2 / (fan_in + fan_out).
template <class T>
[[nodiscard]] Tensor<T> xavier_normal(Shape shape, Rng& rng) {
  return detail::drawn<T>(shape, rng, [&](std::span<T> values) {
    rng.fill_normal(values, 0.0, std::sqrt(2.0 / static_cast<double>(shape.rows() + shape.cols())));
  });
}
/// Uniform in +-sqrt(6 / fan_in) (He et al. 2015): keeps variances through ReLU.
template <class T>
[[nodiscard]] Tensor<T> kaiming_uniform(Shape shape, Rng& rng) {
  const double bound = std::sqrt(6.0 / static_cast<double>(shape.cols()));
  return detail::drawn<T>(shape, rng, [&](std::span<T> values) { rng.fill_uniform(values, -bound, bound); });
}
/// Normal with mean 0.
template <class T>
[[nodiscard]] Tensor<T> normal(Shape shape, Rng& rng, double standard_deviation) {
  return detail::drawn<T>(shape, rng, [&](std::span<T> values) { rng.fill_normal(values, 0.0, standard_deviation); });
}
/// Uniform in +-bound.
template <class T>
[[nodiscard]] Tensor<T> uniform(Shape shape, Rng& rng, double bound) {
  return detail::drawn<T>(shape, rng, [&](std::span<T> values) { rng.fill_uniform(values, -bound, bound); });
}
/// A tensor whose elements are all `value`.
template <class T>
[[nodiscard]] Tensor<T> constant(Shape shape, T value) {
  return detail::initialised<T>(shape, [&](std::span<T> values) { std::fill(values.begin(), values.end(), value); });
}

}  // namespace init

}}  // namespace rapt::RAPT_ABI
