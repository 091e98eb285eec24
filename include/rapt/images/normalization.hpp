/// \file
/// Conversion of bytes to the numbers that a model reads, and back.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/core/image_batch.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/images/image.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A byte v of channel c becomes (v / 255 - mean_c) / (standard deviation)_c. A single number holds for all channels.
struct Normalization {
  std::vector<double> mean = {0.0};                ///< of values from 0 to 1, not of bytes
  std::vector<double> standard_deviation = {1.0};  ///< of the same values; positive

  /// Throws ValueError unless there is one number, or one for each channel, and every standard deviation is positive.
  void validate(Index channels) const {
    for (const std::vector<double>* values : {&mean, &standard_deviation}) {
      const auto count = std::ssize(*values);
      require(count == 1 || count == channels, "normalization", values == &mean ? "mean" : "standard deviation",
              " must be one number, or one for each of ", channels, " channels: there are ", count);
    }
    for (const double value : mean) require(std::isfinite(value), "normalization", "mean must be finite: ", value);
    for (const double value : standard_deviation) {
      require(std::isfinite(value) && value > 0, "normalization", "standard deviation must be positive: ", value);
    }
  }
  /// The number that holds for a channel. `validate` must have passed.
  [[nodiscard]] double mean_of(Index channel) const { return of(mean, channel); }
  /// The same of the standard deviations.
  [[nodiscard]] double standard_deviation_of(Index channel) const { return of(standard_deviation, channel); }

 private:
  [[nodiscard]] static double of(const std::vector<double>& values, Index channel) {
    return values.size() == 1 ? values[0] : at(values, channel);
  }
};

/// A normalization as a table with the number that each byte of each channel becomes.
template <class T>
class NormalizationTable {
 public:
  /// Throws ValueError as `validate` does.
  NormalizationTable(const Normalization& normalization, Index channels) : channels_(channels) {
    normalization.validate(channels);
    table_.reserve(to_size(channels) * 256);
    for (Index c = 0; c < channels; ++c) {
      for (int v = 0; v < 256; ++v) {
        table_.push_back(
            static_cast<T>((v / 255.0 - normalization.mean_of(c)) / normalization.standard_deviation_of(c)));
      }
    }
  }

  /// Normalises one image   // planes and values [C, H * W]
  void operator()(const std::uint8_t* planes, Index pixels, T* values) const {
    for (Index c = 0; c < channels_; ++c) {
      const T* table = table_.data() + c * 256;
      for (Index i = c * pixels; i < (c + 1) * pixels; ++i) values[i] = table[planes[i]];
    }
  }

 private:
  Index channels_;
  std::vector<T> table_;  // [C, 256]
};

/// The batch of images that are stored one after the other, channel by channel   // bytes [B, C * H * W]
template <class T>
[[nodiscard]] ImageBatch<T> to_image_batch(std::span<const std::uint8_t> bytes, const ImageShape& shape,
                                           const Normalization& normalization = {}) {
  constexpr std::string_view kWhere = "to_image_batch";
  require<ShapeError>(shape.channels > 0 && shape.height > 0 && shape.width > 0, kWhere,
                      "sizes must be positive: ", to_string(shape));
  const Index size = shape.size(), count = std::ssize(bytes) / size;
  require<ShapeError>(count > 0 && std::ssize(bytes) == count * size, kWhere, bytes.size(),
                      " bytes are not one or more images of ", to_string(shape));
  const NormalizationTable<T> normalize(normalization, shape.channels);
  Tensor<T> pixels(Shape{count, size});
  parallel_for(count, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) normalize(bytes.data() + i * size, shape.height * shape.width, pixels.row(i));
  });
  return ImageBatch<T>(std::move(pixels), shape);
}

/// The batch of images, which must have one shape. Throws ShapeError if there is no image, or with the number of the
/// first image of another shape.
template <class T>
[[nodiscard]] ImageBatch<T> to_image_batch(std::span<const Image> images, const Normalization& normalization = {}) {
  constexpr std::string_view kWhere = "to_image_batch";
  require<ShapeError>(!images.empty() && !images[0].empty(), kWhere, "there is no image");
  const ImageShape shape = images[0].shape();
  const auto size = to_size(shape.size());
  std::vector<std::uint8_t> bytes(images.size() * size);
  for (std::size_t i = 0; i < images.size(); ++i) {
    require<ShapeError>(images[i].shape() == shape, kWhere, "image ", i, " is ", to_string(images[i].shape()),
                        ", the first is ", to_string(shape));
    to_planes(images[i], std::span(bytes).subspan(i * size, size));
  }
  return to_image_batch<T>(bytes, shape, normalization);
}

/// Image i of a batch with the normalization undone, rounded to bytes. Values below 0 or above 1 are clamped; NaN
/// becomes 0.
template <class T>
[[nodiscard]] Image to_image(const ImageBatch<T>& batch, Index i, const Normalization& normalization = {}) {
  require(i >= 0 && i < batch.images(), "to_image", "no image ", i, " in a batch of ", batch.images());
  const ImageShape& shape = batch.shape();
  normalization.validate(shape.channels);
  const Index pixels = shape.height * shape.width;
  std::vector<std::uint8_t> planes(to_size(shape.size()));
  const T* values = batch.pixels().row(i);
  for (Index j = 0; j < shape.size(); ++j) {
    const Index c = j / pixels;
    const double value =
        255 * (static_cast<double>(values[j]) * normalization.standard_deviation_of(c) + normalization.mean_of(c));
    at(planes, j) = value >= 255 ? std::uint8_t{255}
                    : value > 0  ? static_cast<std::uint8_t>(value + 0.5)
                                 : std::uint8_t{0};
  }
  return from_planes(planes, shape);
}

}}  // namespace rapt::RAPT_ABI
