/// \file
/// The addresses of the random numbers of image training. Each use, epoch and image (or batch) has numbers of its own,
/// so that they do not depend on the order or the thread in which they are drawn.
#pragma once

#include <cstdint>

#include "rapt/core/error.hpp"
#include "rapt/core/rng.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

enum class ImageRandomUse : std::uint64_t { order = 1, augmentation = 2, mix = 3 };

/// The first of the 2^32 streams of a use and an epoch. An Rng of the same seed, which counts streams from 0, does not
/// reach them.
[[nodiscard]] inline RandomStream image_stream(std::uint64_t seed, ImageRandomUse use, Index epoch) {
  constexpr Index kEpochs = Index{1} << 28;
  require(epoch >= 0 && epoch < kEpochs, "image_random", "epochs are 0 to ", kEpochs - 1, ": ", epoch);
  return {seed, static_cast<std::uint64_t>(use) << 60 | static_cast<std::uint64_t>(epoch) << 32};
}

/// A uniform word as one of 2^32 numbers in [0, 1).
[[nodiscard]] inline double unit_of(std::uint32_t word) { return static_cast<double>(word) * 0x1p-32; }

}}}  // namespace rapt::RAPT_ABI::detail
