/// \file
/// The initial values that vision models have.
#pragma once

#include "rapt/nn/init.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace init {

/// Normal with mean 0, but values more than two standard deviations from 0 are drawn again.
template <class T>
[[nodiscard]] Tensor<T> truncated_normal(Shape shape, Rng& rng, double standard_deviation) {
  return rapt::detail::initialised<T>(shape, [&](std::span<T> values) {
    rng.fill_normal(values, 0.0, standard_deviation);
    for (T& value : values) {
      while (std::abs(static_cast<double>(value)) > 2 * standard_deviation)
        rng.fill_normal(std::span(&value, 1), 0.0, standard_deviation);
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::init
