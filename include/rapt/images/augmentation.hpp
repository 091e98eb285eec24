/// \file
/// Random augmentation of training images: crops, flips, and small rotations, shifts and zooms.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/index.hpp"
#include "rapt/images/image_random.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How images are augmented; by default not at all. Pixels that come from outside the image have the value `fill`.
struct AugmentationOptions {
  Index padding = 0;      ///< random crop: the image is padded by so many pixels on each side, then cut to its size
  double flip = 0;        ///< probability that left and right are exchanged
  double rotation = 0;    ///< in degrees: the angle is uniform in [-rotation, rotation], around the middle
  double shift = 0;       ///< in pixels: shifts down and to the right are uniform in [-shift, shift], with fractions
  double zoom = 0;        ///< the factor is uniform in [1 - zoom, 1 + zoom]
  std::uint8_t fill = 0;  ///< black

  void validate() const {
    constexpr std::string_view kWhere = "augmentation";
    constexpr Index kMostPadding = Index{1} << 20;
    require(padding >= 0 && padding <= kMostPadding, kWhere, "padding must be 0 to ", kMostPadding, ": ", padding);
    require(flip >= 0 && flip <= 1, kWhere, "flip must be a probability: ", flip);
    require(rotation >= 0 && rotation <= 180, kWhere, "rotation must be 0 to 180 degrees: ", rotation);
    require(shift >= 0 && shift <= static_cast<double>(kMostPadding), kWhere, "shift must be 0 to ", kMostPadding, ": ",
            shift);
    require(zoom >= 0 && zoom < 1, kWhere, "zoom must be in [0, 1): ", zoom);
  }
  /// False for the defaults: every image stays as it is.
  [[nodiscard]] bool changes_anything() const {
    return padding != 0 || flip != 0 || rotation != 0 || shift != 0 || zoom != 0;
  }
};

/// The augmentation of one image: it is rotated, zoomed and shifted, then cropped, then flipped.
struct ImageTransform {
  double angle = 0;                 ///< in degrees, anticlockwise
  double shift_y = 0, shift_x = 0;  ///< in pixels, down and to the right
  double zoom = 1;                  ///< above 1 things become larger
  Index crop_y = 0, crop_x = 0;     ///< upper left corner of the crop; negative in the padding
  bool flip = false;                ///< left and right are exchanged

  friend bool operator==(const ImageTransform&, const ImageTransform&) = default;
};

/// Draws the augmentation of image number `image` in `epoch`. It depends on these two, the seed and the options alone.
[[nodiscard]] inline ImageTransform draw_transform(const AugmentationOptions& options, std::uint64_t seed, Index epoch,
                                                   Index image) {
  const RandomStream stream = detail::image_stream(seed, detail::ImageRandomUse::augmentation, epoch);
  const auto place = 2 * static_cast<std::uint64_t>(image);
  const auto a = stream.block(place), b = stream.block(place + 1);
  const auto within = [](std::uint32_t word, double most) { return most * (2 * detail::unit_of(word) - 1); };
  const auto crop = [&](std::uint32_t word) {  // uniform in -padding .. padding
    const auto places = static_cast<std::uint64_t>(2 * options.padding + 1);
    return static_cast<Index>(std::uint64_t{word} * places >> 32) - options.padding;
  };
  return {.angle = within(b[0], options.rotation),
          .shift_y = within(b[1], options.shift),
          .shift_x = within(b[2], options.shift),
          .zoom = 1 + within(b[3], options.zoom),
          .crop_y = crop(a[0]),
          .crop_x = crop(a[1]),
          .flip = detail::unit_of(a[2]) < options.flip};
}

namespace detail {

/// The bilinear interpolation between the four pixels around (y, x); pixels outside the image have the value `fill`.
[[nodiscard]] inline std::uint8_t bilinear(const std::uint8_t* plane, Index height, Index width, double y, double x,
                                           std::uint8_t fill) {
  const auto top = static_cast<Index>(y + 1) - 1, left = static_cast<Index>(x + 1) - 1;  // rounded down: y, x > -1
  const double down = y - static_cast<double>(top), right = x - static_cast<double>(left);
  const auto at = [&](Index row, Index column) -> double {
    return row >= 0 && row < height && column >= 0 && column < width ? plane[row * width + column] : fill;
  };
  const double upper = at(top, left) + right * (at(top, left + 1) - at(top, left));
  const double lower = at(top + 1, left) + right * (at(top + 1, left + 1) - at(top + 1, left));
  return static_cast<std::uint8_t>(upper + down * (lower - upper) + 0.5);
}

}  // namespace detail

/// Writes the transformed image   // image and result [C, H, W]
/// Rotation, zoom and shift are one affine map, whose values are interpolated between four pixels; crops and flips
/// alone only move bytes.
inline void transform_image(std::span<const std::uint8_t> image, const ImageShape& shape,
                            const ImageTransform& transform, std::uint8_t fill, std::span<std::uint8_t> result) {
  require<ShapeError>(std::ssize(image) == shape.size() && image.size() == result.size(), "transform_image",
                      "images of ", to_string(shape), " have ", shape.size(), " bytes, got ", image.size(),
                      " and room for ", result.size());
  const Index height = shape.height, width = shape.width, pixels = height * width;
  const auto mirrored = [&](Index x) { return transform.flip ? width - 1 - x : x; };
  if (transform.angle == 0 && transform.shift_y == 0 && transform.shift_x == 0 && transform.zoom == 1) {
    for (Index i = 0; i < shape.channels * height; ++i) {
      const Index y = i % height + transform.crop_y;
      std::uint8_t* row = result.data() + i * width;
      if (y < 0 || y >= height) {
        std::fill_n(row, width, fill);
        continue;
      }
      const std::uint8_t* from = image.data() + i / height * pixels + y * width;
      for (Index x = 0; x < width; ++x) {
        const Index column = mirrored(x) + transform.crop_x;
        row[x] = column >= 0 && column < width ? from[column] : fill;
      }
    }
    return;
  }
  // The value at place p of the result is that of the image at the place which the map takes to p: with the middle m
  // and the rotation R, this is m + R^-1 (p - m - shift) / zoom.
  const double radians = transform.angle * 3.14159265358979323846 / 180;
  const double cosine = std::cos(radians) / transform.zoom, sine = std::sin(radians) / transform.zoom;
  const double middle_y = static_cast<double>(height - 1) / 2, middle_x = static_cast<double>(width - 1) / 2;
  for (Index y = 0; y < height; ++y) {
    for (Index x = 0; x < width; ++x) {
      const double v = static_cast<double>(y + transform.crop_y) - middle_y - transform.shift_y;
      const double u = static_cast<double>(mirrored(x) + transform.crop_x) - middle_x - transform.shift_x;
      const double from_y = middle_y + sine * u + cosine * v, from_x = middle_x + cosine * u - sine * v;
      const bool is_inside =
          from_y > -1 && from_y < static_cast<double>(height) && from_x > -1 && from_x < static_cast<double>(width);
      for (Index c = 0; c < shape.channels; ++c) {
        at(result, c * pixels + y * width + x) =
            is_inside ? detail::bilinear(image.data() + c * pixels, height, width, from_y, from_x, fill) : fill;
      }
    }
  }
}

}}  // namespace rapt::RAPT_ABI
