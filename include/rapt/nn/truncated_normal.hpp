/// \file
/// The initial values that vision models have.
#pragma once

#include "rapt/nn/init.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace init {

/// Normal, but values more than two deviations from 0 are drawn again.
template <class T>
[[nodiscard]] Tensor<T> truncated_normal(Shape shape, Rng& rng, double deviation) {
  return rapt::detail::initialised<T>(shape, [&](std::span<T> values) {
    rng.fill_normal(values, 0.0, deviation);
    for (T& value : values) {
      while (std::abs(static_cast<double>(value)) > 2 * deviation)
        rng.fill_normal(std::span(&value, 1), 0.0, deviation);
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::init
