// Images of digits that are there without any file: seven bars, each digit with its own of them, of random place,
// size, slant, thickness and brightness.
#pragma once

#include <array>
#include <cmath>
#include <rapt/images/dataset.hpp>

/// How bright a pixel is at a distance from the middle of a bar: 1 inside, falling to 0 over one pixel.
inline double brightness(double distance, double half_thickness) {
  return std::clamp(half_thickness + 0.5 - distance, 0.0, 1.0);
}

/// 28 x 28 gray images with a black ground, classes drawn at random. The same for the same seed.
inline rapt::ImageDataset generated_digits(rapt::Index count, std::uint64_t seed) {
  constexpr rapt::Index kSide = 28;
  struct Bar {
    double x1, y1, x2, y2;  // in units of a digit's half width and half height
  };
  constexpr std::array<Bar, 7> kBars = {{{-1, -1, 1, -1},  // top, upper left, upper right, middle, lower left,
                                         {-1, -1, -1, 0},  // lower right, bottom
                                         {1, -1, 1, 0},
                                         {-1, 0, 1, 0},
                                         {-1, 0, -1, 1},
                                         {1, 0, 1, 1},
                                         {-1, 1, 1, 1}}};
  constexpr std::array<unsigned, 10> kDigits = {0b1110111, 0b0100100, 0b1011101, 0b1101101, 0b0101110,
                                                0b1101011, 0b1111011, 0b0100101, 0b1111111, 0b1101111};
  rapt::Rng rng(seed);
  std::vector<std::uint8_t> bytes;
  std::vector<rapt::TokenId> labels;
  for (rapt::Index n = 0; n < count; ++n) {
    const auto digit = static_cast<rapt::TokenId>(rng.below(10));
    std::array<double, 7> draw{};
    rng.fill_uniform(std::span<double>(draw), -1.0, 1.0);
    const double middle_x = 13.5 + 3 * draw[0], middle_y = 13.5 + 2 * draw[1], width = 4.5 + draw[2];
    const double height = 8 + 1.5 * draw[3], slant = 0.15 * (1 + draw[4]), half = 1.2 + 0.5 * draw[5];
    const double light = 220 + 35 * draw[6];
    for (rapt::Index y = 0; y < kSide; ++y) {
      for (rapt::Index x = 0; x < kSide; ++x) {
        const double v = static_cast<double>(y) - middle_y, u = static_cast<double>(x) - middle_x + slant * v;
        double most = 0;
        for (std::size_t bar = 0; bar < kBars.size(); ++bar) {
          if ((kDigits[static_cast<std::size_t>(digit)] >> bar & 1) == 0) continue;
          const Bar& b = kBars[bar];  // along an axis: the nearest point of it is the pixel, clamped
          const double nearest_u = std::clamp(u, b.x1 * width, b.x2 * width);
          const double nearest_v = std::clamp(v, b.y1 * height, b.y2 * height);
          most = std::max(most, brightness(std::hypot(u - nearest_u, v - nearest_v), half));
        }
        bytes.push_back(static_cast<std::uint8_t>(light * most));
      }
    }
    labels.push_back(digit);
  }
  return {rapt::ImageShape{1, kSide, kSide}, std::move(bytes), std::move(labels), 10};
}
