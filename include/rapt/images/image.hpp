/// \file
/// An image as it is in files: bytes, with the channels of a pixel side by side.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The greatest number of pixels of an image. Files whose header says more are refused.
inline constexpr Index kMaxImagePixels = Index{1} << 28;

/// A red, a green and a blue value.
struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;
  friend bool operator==(const Colour&, const Colour&) = default;
};

/// A gray image (one channel) or a colour image (red, green, blue) with 8 bits for each value, in row-major order
///   // [height, width, channels]
/// There is no transparency: `decode_png` puts transparent images on a background.
class Image {
 public:
  Image() = default;
  /// All values are `value`. Throws ShapeError for sizes that are not positive or too large, and unless there are one
  /// or three channels.
  Image(Index height, Index width, Index channels, std::uint8_t value = 0)
      : height_(height), width_(width), channels_(channels) {
    require_sizes();
    bytes_.assign(to_size(height * width * channels), value);
  }
  /// Takes the bytes. Throws ShapeError also if there are not as many bytes as values.
  Image(Index height, Index width, Index channels, std::vector<std::uint8_t> bytes)
      : height_(height), width_(width), channels_(channels), bytes_(std::move(bytes)) {
    require_sizes();
    require<ShapeError>(std::ssize(bytes_) == height * width * channels, "image", height, " x ", width, " pixels of ",
                        channels, " channels need ", height * width * channels, " bytes, got ", bytes_.size());
  }

  [[nodiscard]] Index height() const { return height_; }
  [[nodiscard]] Index width() const { return width_; }
  [[nodiscard]] Index channels() const { return channels_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  /// The sizes in the order [C, H, W] of image batches, in which the bytes here are not stored.
  [[nodiscard]] ImageShape shape() const { return {channels_, height_, width_}; }

  /// All values: those of row y, column x, channel c stand at (y * width + x) * channels + c.
  [[nodiscard]] std::span<std::uint8_t> bytes() { return bytes_; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }
  /// The channels of row y, column x.
  [[nodiscard]] std::uint8_t* pixel(Index y, Index x) { return bytes_.data() + (y * width_ + x) * channels_; }
  [[nodiscard]] const std::uint8_t* pixel(Index y, Index x) const {
    return bytes_.data() + (y * width_ + x) * channels_;
  }

  friend bool operator==(const Image&, const Image&) = default;

 private:
  void require_sizes() const {
    require<ShapeError>(height_ > 0 && width_ > 0 && width_ <= kMaxImagePixels / height_, "image",
                        "sizes must be positive, and at most ", kMaxImagePixels, " pixels: ", height_, " x ", width_);
    require<ShapeError>(channels_ == 1 || channels_ == 3, "image", "one channel or three: ", channels_);
  }

  Index height_ = 0, width_ = 0, channels_ = 0;
  std::vector<std::uint8_t> bytes_;
};

/// Writes the bytes of an image channel by channel, as in image batches   // planes [C, H, W] from [H, W, C]
inline void to_planes(const Image& image, std::span<std::uint8_t> planes) {
  const Index pixels = image.height() * image.width(), channels = image.channels();
  require<ShapeError>(std::ssize(planes) == pixels * channels, "to_planes", planes.size(), " bytes for an image of ",
                      to_string(image.shape()));
  const std::uint8_t* from = image.bytes().data();
  for (Index c = 0; c < channels; ++c) {
    std::uint8_t* to = planes.data() + c * pixels;
    for (Index i = 0; i < pixels; ++i) to[i] = from[i * channels + c];
  }
}

/// The image of which to_planes wrote the bytes   // [H, W, C] from planes [C, H, W]
[[nodiscard]] inline Image from_planes(std::span<const std::uint8_t> planes, const ImageShape& shape) {
  Image image(shape.height, shape.width, shape.channels);
  const Index pixels = shape.height * shape.width;
  require<ShapeError>(std::ssize(planes) == shape.size(), "from_planes", planes.size(), " bytes for an image of ",
                      to_string(shape));
  std::uint8_t* to = image.bytes().data();
  for (Index c = 0; c < shape.channels; ++c) {
    const std::uint8_t* from = planes.data() + c * pixels;
    for (Index i = 0; i < pixels; ++i) to[i * shape.channels + c] = from[i];
  }
  return image;
}

/// A colour image with three equal channels from a gray image; a colour image is returned as it is.
[[nodiscard]] inline Image to_rgb(const Image& image) {
  if (image.channels() != 1) return image;
  Image rgb(image.height(), image.width(), 3);
  for (std::size_t i = 0; i < rgb.bytes().size(); ++i) rgb.bytes()[i] = image.bytes()[i / 3];
  return rgb;
}

/// A gray image with the values 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), rounded; a gray image is returned
/// as it is.
[[nodiscard]] inline Image to_gray(const Image& image) {
  if (image.channels() != 3) return image;
  Image gray(image.height(), image.width(), 1);
  for (std::size_t i = 0; i < gray.bytes().size(); ++i) {
    const std::uint8_t* rgb = image.bytes().data() + 3 * i;
    gray.bytes()[i] = static_cast<std::uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
  }
  return gray;
}

/// The image in which each pixel has become a square of factor x factor equal pixels.
[[nodiscard]] inline Image enlarged(const Image& image, Index factor) {
  require(factor >= 1, "enlarged", "the factor must be positive: ", factor);
  require<ShapeError>(factor <= kMaxImagePixels, "enlarged", "the factor is too large: ", factor);
  Image large(image.height() * factor, image.width() * factor, image.channels());
  for (Index y = 0; y < large.height(); ++y) {
    for (Index x = 0; x < large.width(); ++x) {
      const std::uint8_t* from = image.pixel(y / factor, x / factor);
      std::uint8_t* to = large.pixel(y, x);
      for (Index c = 0; c < image.channels(); ++c) to[c] = from[c];
    }
  }
  return large;
}

}}  // namespace rapt::RAPT_ABI
