/// \file
/// Numbers shown as colours, alone or over an image, e.g. to see what a model attends to.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/images/image.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// (1 - weight) a + weight b, rounded; the weight must be in [0, 1].
[[nodiscard]] inline Colour blended(const Colour& a, const Colour& b, double weight) {
  const auto between = [weight](std::uint8_t x, std::uint8_t y) {
    return static_cast<std::uint8_t>((1 - weight) * x + weight * y + 0.5);
  };
  return {between(a.red, b.red), between(a.green, b.green), between(a.blue, b.blue)};
}

namespace detail {

/// Interpolates between colours at equal distances: the value 0 is the first colour, 1 the last one. Values outside are
/// clamped, and NaN is taken as 0.
template <std::size_t N>
[[nodiscard]] Colour colour_between(const std::array<Colour, N>& colours, double value) {
  const double place = (value > 0 ? std::min(value, 1.0) : 0.0) * static_cast<double>(N - 1);
  const std::size_t i = std::min(static_cast<std::size_t>(place), N - 2);
  return blended(colours[i], colours[i + 1], place - static_cast<double>(i));
}

}  // namespace detail

/// The colour of a value from 0 to 1: black, violet, red, orange, pale yellow. Brightness rises all the way, so that
/// the scale can be read in gray, too.
[[nodiscard]] inline Colour heat_colour(double value) {
  constexpr std::array<Colour, 5> kHeat{{{0, 0, 0}, {92, 16, 110}, {200, 48, 64}, {248, 148, 32}, {255, 248, 190}}};
  return detail::colour_between(kHeat, value);
}

/// The colour of a value from -1 to 1: blue, white at 0, red.
[[nodiscard]] inline Colour diverging_colour(double value) {
  constexpr std::array<Colour, 3> kDiverging{{{32, 80, 180}, {255, 255, 255}, {190, 36, 40}}};
  return detail::colour_between(kDiverging, (value + 1) / 2);
}

/// How values are laid over an image as colours.
struct HeatOptions {
  double opacity = 0.6;  ///< 0 shows the image alone, 1 the colours alone
  bool smooth = true;    ///< interpolates between the numbers; else each number is a rectangle of one colour
};

/// The image in gray with the colours of a coarser field of numbers over it, such as one number for each patch
///   // heat [rows, columns]
/// The colour scale begins at the least number and ends at the greatest; if all numbers are equal, they have the first
/// colour. Throws ValueError for a number that is not finite.
template <class T>
[[nodiscard]] Image heat_overlay(const Image& image, const Tensor<T>& heat, const HeatOptions& options = {}) {
  constexpr std::string_view kWhere = "heat_overlay";
  require<ShapeError>(!image.empty() && heat.shape().rank() == 2 && !heat.empty(), kWhere, "an image of ",
                      to_string(image.shape()), " and a matrix are needed, the numbers' shape is ", heat.shape());
  require(options.opacity >= 0 && options.opacity <= 1, kWhere, "opacity must be in [0, 1]: ", options.opacity);
  double least = static_cast<double>(heat(0, 0)), greatest = least;
  for (const T value : heat.values()) {
    require(std::isfinite(value), kWhere, "numbers must be finite: ", value);
    least = std::min(least, static_cast<double>(value));
    greatest = std::max(greatest, static_cast<double>(value));
  }
  const double range = greatest > least ? greatest - least : 1;
  // The two numbers next to the middle of a pixel, and the weight of the second one in the interpolation.
  struct Place {
    Index low, high;
    double weight;
  };
  const auto place_of = [&](Index pixel, Index pixels, Index numbers) -> Place {
    const double at = (static_cast<double>(pixel) + 0.5) * static_cast<double>(numbers) / static_cast<double>(pixels);
    if (!options.smooth) return {static_cast<Index>(at), static_cast<Index>(at), 0};
    const double middle = std::clamp(at - 0.5, 0.0, static_cast<double>(numbers - 1));
    const auto low = static_cast<Index>(middle);
    return {low, std::min(low + 1, numbers - 1), middle - static_cast<double>(low)};
  };
  const Image gray = to_gray(image);
  Image result(image.height(), image.width(), 3);
  for (Index y = 0; y < result.height(); ++y) {
    const Place v = place_of(y, result.height(), heat.rows());
    for (Index x = 0; x < result.width(); ++x) {
      const Place h = place_of(x, result.width(), heat.cols());
      const auto along = [&](Index row) {
        return (1 - h.weight) * static_cast<double>(heat(row, h.low)) +
               h.weight * static_cast<double>(heat(row, h.high));
      };
      const double value = ((1 - v.weight) * along(v.low) + v.weight * along(v.high) - least) / range;
      const std::uint8_t level = *gray.pixel(y, x);
      const Colour colour = blended({level, level, level}, heat_colour(value), options.opacity);
      std::uint8_t* to = result.pixel(y, x);
      to[0] = colour.red;
      to[1] = colour.green;
      to[2] = colour.blue;
    }
  }
  return result;
}

}}  // namespace rapt::RAPT_ABI
