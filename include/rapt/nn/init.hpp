/// \file
/// Initial values of parameters.
#pragma once

#include <cmath>

#include "rapt/core/rng.hpp"
#include "rapt/core/tensor.hpp"

namespace rapt::inline RAPT_ABI::init {

/// Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010): keeps variances through tanh-like layers.
template <class T>
[[nodiscard]] Tensor<T> xavier_uniform(Shape shape, Rng& rng) {
  Tensor<T> values(shape);
  const double bound = std::sqrt(6.0 / static_cast<double>(shape.rows() + shape.cols()));
  rng.fill_uniform(values.values(), -bound, bound);
  return values;
}
/// Normal with variance 2 / (fan_in + fan_out).
template <class T>
[[nodiscard]] Tensor<T> xavier_normal(Shape shape, Rng& rng) {
  Tensor<T> values(shape);
  rng.fill_normal(values.values(), 0.0, std::sqrt(2.0 / static_cast<double>(shape.rows() + shape.cols())));
  return values;
}
/// Uniform in +-sqrt(6 / fan_in) (He et al. 2015): keeps variances through ReLU.
template <class T>
[[nodiscard]] Tensor<T> kaiming_uniform(Shape shape, Rng& rng) {
  Tensor<T> values(shape);
  const double bound = std::sqrt(6.0 / static_cast<double>(shape.cols()));
  rng.fill_uniform(values.values(), -bound, bound);
  return values;
}
template <class T>
[[nodiscard]] Tensor<T> normal(Shape shape, Rng& rng, double deviation) {
  Tensor<T> values(shape);
  rng.fill_normal(values.values(), 0.0, deviation);
  return values;
}
template <class T>
[[nodiscard]] Tensor<T> constant(Shape shape, T value) {
  return Tensor<T>(shape, value);
}

}  // namespace rapt::inline RAPT_ABI::init
