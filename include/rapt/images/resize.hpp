/// \file
/// Images in another size: interpolated as Pillow 13 does, bit for bit, so that a model sees the pixels that it was
/// trained on; and cut to the middle.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/images/image.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How a new pixel follows from those around its place.
enum class ResizeFilter {
  bilinear,  ///< weights fall linearly with the distance, to 0 at one pixel
  bicubic,   ///< cubic convolution (Keys 1981) with a = -1/2, over two pixels
};

[[nodiscard]] constexpr auto named_values(ResizeFilter) {
  return std::to_array<NamedValue<ResizeFilter>>(
      {{"bilinear", ResizeFilter::bilinear}, {"bicubic", ResizeFilter::bicubic}});
}

namespace detail {

/// The weights of the pixels of a line that make the pixels of a longer or shorter one.
struct ResizeTaps {
  struct Range {
    Index begin = 0, count = 0;  ///< the pixels that have a weight
  };
  std::vector<Range> ranges;          ///< of each new pixel
  std::vector<std::int32_t> weights;  ///< [new pixels, widest], in units of 2^-kBits
  Index widest = 0;

  static constexpr int kBits = 22;
};

[[nodiscard]] inline double filter_weight(ResizeFilter filter, double distance) {
  const double x = std::abs(distance);
  if (filter == ResizeFilter::bilinear) return std::max(0.0, 1 - x);
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

/// A new pixel i lies at the place (i + 1/2) from / to of the old line. Where a line becomes shorter, the filter is
/// widened by the same ratio, so that every old pixel counts. Weights are scaled to a sum of 1 and then rounded.
[[nodiscard]] inline ResizeTaps resize_taps(Index from, Index to, ResizeFilter filter) {
  const double step = static_cast<double>(from) / static_cast<double>(to), width = std::max(step, 1.0);
  const double reach = (filter == ResizeFilter::bicubic ? 2.0 : 1.0) * width;
  ResizeTaps taps;
  taps.widest = 2 * static_cast<Index>(std::ceil(reach)) + 1;
  taps.weights.assign(to_size(to * taps.widest), 0);
  taps.ranges.reserve(to_size(to));
  std::vector<double> exact(to_size(taps.widest));
  for (Index i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * step;
    const Index begin = std::max<Index>(0, static_cast<Index>(centre - reach + 0.5));
    const Index count = std::min(from, static_cast<Index>(centre + reach + 0.5)) - begin;
    double sum = 0;
    for (Index j = 0; j < count; ++j) {
      const double weight = filter_weight(filter, (static_cast<double>(begin + j) - centre + 0.5) * (1 / width));
      at(exact, j) = weight;
      sum += weight;
    }
    for (Index j = 0; j < count; ++j) {
      const double weight = (sum != 0 ? at(exact, j) / sum : at(exact, j)) * (1 << ResizeTaps::kBits);
      at(taps.weights, i * taps.widest + j) = static_cast<std::int32_t>(weight + (weight < 0 ? -0.5 : 0.5));
    }
    taps.ranges.push_back({begin, count});
  }
  return taps;
}

/// The sum of count values, `stride` bytes from one to the next, times their weights, rounded and clamped to a byte.
[[nodiscard]] inline std::uint8_t weighted_sum(const std::uint8_t* values, Index stride, const std::int32_t* weights,
                                               Index count) {
  std::int64_t sum = std::int64_t{1} << (ResizeTaps::kBits - 1);
  for (Index j = 0; j < count; ++j) sum += std::int64_t{values[j * stride]} * weights[j];
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> ResizeTaps::kBits, 0, 255));
}

/// The image with so many columns: each row is resized.
[[nodiscard]] inline Image resize_rows(const Image& image, Index width, ResizeFilter filter) {
  if (width == image.width()) return image;
  const Index channels = image.channels();
  Image result(image.height(), width, channels);
  const ResizeTaps taps = resize_taps(image.width(), width, filter);
  for (Index y = 0; y < image.height(); ++y) {
    for (Index x = 0; x < width; ++x) {
      const auto [begin, count] = at(taps.ranges, x);
      const std::int32_t* const weights = taps.weights.data() + x * taps.widest;
      for (Index c = 0; c < channels; ++c) {
        result.pixel(y, x)[c] = weighted_sum(image.pixel(y, begin) + c, channels, weights, count);
      }
    }
  }
  return result;
}
/// The image with so many rows: each column is resized.
[[nodiscard]] inline Image resize_columns(const Image& image, Index height, ResizeFilter filter) {
  if (height == image.height()) return image;
  const Index row = image.width() * image.channels();
  Image result(height, image.width(), image.channels());
  const ResizeTaps taps = resize_taps(image.height(), height, filter);
  for (Index y = 0; y < height; ++y) {
    const auto [begin, count] = at(taps.ranges, y);
    const std::int32_t* const weights = taps.weights.data() + y * taps.widest;
    std::uint8_t* const to = result.pixel(y, 0);
    for (Index i = 0; i < row; ++i) to[i] = weighted_sum(image.pixel(begin, 0) + i, row, weights, count);
  }
  return result;
}

}  // namespace detail

/// The image with so many rows and columns. Rows and columns are resized one after the other, with bytes in between.
/// The order is that of Pillow 13: rows first, unless more than twice as many rows vanish as columns; earlier versions
/// always resize the rows first, so that a value may differ by one. Throws ShapeError for an empty image, and for sizes
/// that an image cannot have.
[[nodiscard]] inline Image resized(const Image& image, Index height, Index width, ResizeFilter filter) {
  require<ShapeError>(!image.empty(), "resized", "the image is empty");
  require<ShapeError>(height > 0 && width > 0 && width <= kMaxImagePixels / height, "resized",
                      "sizes must be positive, and at most ", kMaxImagePixels, " pixels: ", height, " x ", width);
  const Index rows = image.height() - height, columns = image.width() - width;
  return rows > 0 && 2 * columns < rows
             ? detail::resize_rows(detail::resize_columns(image, height, filter), width, filter)
             : detail::resize_columns(detail::resize_rows(image, width, filter), height, filter);
}

/// The image resized so that its shorter side has `length` pixels and its longer one as many as the ratio of the sides
/// gives, rounded down.
[[nodiscard]] inline Image resized_to_shortest(const Image& image, Index length, ResizeFilter filter) {
  require<ShapeError>(!image.empty(), "resized", "the image is empty");
  require<ShapeError>(length > 0 && length <= kMaxImagePixels, "resized", "the shorter side must have 1 to ",
                      kMaxImagePixels, " pixels: ", length);
  const Index height = image.height(), width = image.width();
  return width <= height ? resized(image, length * height / width, length, filter)
                         : resized(image, length, length * width / height, filter);
}

/// The middle of the image, of that size; where the image is smaller there are zeros around it. If the margins cannot
/// be equal, of an image that is cut the top and the left one are the smaller, and of zeros the larger.
[[nodiscard]] inline Image centre_cropped(const Image& image, Index height, Index width) {
  require<ShapeError>(!image.empty(), "centre_cropped", "the image is empty");
  Image result(height, width, image.channels());
  const auto first = [](Index from, Index to) {  // the place in the image of the result's first row or column
    return from >= to ? (from - to) / 2 : -((to - from + 1) / 2);
  };
  const Index top = first(image.height(), height), left = first(image.width(), width);
  const Index begin = std::max<Index>(0, -left), end = std::min(width, image.width() - left);
  for (Index y = std::max<Index>(0, -top); y < std::min(height, image.height() - top); ++y) {
    std::copy_n(image.pixel(y + top, begin + left), (end - begin) * image.channels(), result.pixel(y, begin));
  }
  return result;
}

}}  // namespace rapt::RAPT_ABI
