// Gray images of 16 x 16 pixels with a disc, a square or a cross of any size, place and brightness, under noise.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <rapt/images/dataset.hpp>
#include <string>
#include <vector>

inline const std::vector<std::string> kShapes = {"disc", "square", "cross"};

inline rapt::ImageDataset shapes(rapt::Index count, std::uint64_t seed) {
  constexpr rapt::Index kSide = 16;
  rapt::Rng rng(seed);
  std::vector<std::uint8_t> bytes;
  std::vector<std::int32_t> labels;
  for (rapt::Index i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(rng.below(3));
    const rapt::Index radius = 4 + rng.below(3);
    const rapt::Index middle_x = radius + rng.below(kSide - 2 * radius),
                      middle_y = radius + rng.below(kSide - 2 * radius);
    const rapt::Index shape = 150 + rng.below(80), background = rng.below(60);
    for (rapt::Index y = 0; y < kSide; ++y) {
      for (rapt::Index x = 0; x < kSide; ++x) {
        const rapt::Index dx = std::abs(x - middle_x), dy = std::abs(y - middle_y);
        const bool is_inside = std::max(dx, dy) <= radius;
        const bool in_shape[] = {dx * dx + dy * dy <= radius * radius, is_inside, is_inside && std::min(dx, dy) <= 1};
        bytes.push_back(static_cast<std::uint8_t>((in_shape[label] ? shape : background) + rng.below(20)));
      }
    }
    labels.push_back(label);
  }
  return {rapt::ImageShape{1, kSide, kSide}, std::move(bytes), std::move(labels), std::ssize(kShapes)};
}
