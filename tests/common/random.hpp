/// \file
/// Random tensors, the same in every run.
#pragma once

#include <cstdint>

#include "rapt/core/rng.hpp"
#include "rapt/core/tensor.hpp"

namespace rapt_test {

/// Uniform in [low, high).
template <class T>
[[nodiscard]] rapt::Tensor<T> random_tensor(rapt::Shape shape, std::uint64_t seed, double low = -1, double high = 1) {
  rapt::Tensor<T> tensor(shape);
  rapt::Rng(seed).fill_uniform(tensor.values(), low, high);
  return tensor;
}

template <class T>
[[nodiscard]] rapt::Tensor<double> to_double(const rapt::Tensor<T>& tensor) {
  rapt::Tensor<double> wide(tensor.shape());
  std::copy_n(tensor.data(), tensor.size(), wide.data());
  return wide;
}

}  // namespace rapt_test
