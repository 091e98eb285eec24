/// \file
/// Datasets of labelled images of one shape, and parts of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/images/image.hpp"
#include "rapt/images/normalization.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// n images as bytes [n, C * H * W], and the class of each image.
class ImageDataset {
 public:
  ImageDataset() = default;
  /// Throws ShapeError if the numbers of bytes and labels do not fit, and ValueError for a label outside 0 .. classes
  /// - 1.
  ImageDataset(const ImageShape& shape, std::vector<std::uint8_t> bytes, std::vector<std::int32_t> labels,
               Index classes)
      : shape_(shape), bytes_(std::move(bytes)), labels_(std::move(labels)), classes_(classes) {
    constexpr std::string_view kWhere = "image_dataset";
    require<ShapeError>(
        shape.channels > 0 && shape.height > 0 && shape.width > 0 && shape.height <= kMaxImagePixels / shape.width &&
            shape.channels <= kMaxImagePixels / (shape.height * shape.width),
        kWhere, "sizes must be positive, and at most ", kMaxImagePixels, " numbers an image: ", to_string(shape));
    const auto count = std::ssize(labels_), size = std::ssize(bytes_);
    require<ShapeError>(size % shape.size() == 0 && size / shape.size() == count, kWhere, count, " images of ",
                        to_string(shape), " need ", shape.size(), " bytes each, got ", size, " in all");
    require(classes > 0, kWhere, "the number of classes must be positive: ", classes);
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      require(labels_[i] >= 0 && labels_[i] < classes, kWhere, "label ", labels_[i], " of image ", i,
              " is outside the ", classes, " classes");
    }
  }

  [[nodiscard]] const ImageShape& shape() const { return shape_; }
  /// n, the number of images.
  [[nodiscard]] Index images() const { return std::ssize(labels_); }
  /// The number of classes; labels are 0 .. classes() - 1.
  [[nodiscard]] Index classes() const { return classes_; }
  /// The bytes of all images, one image behind the other   // [n, C * H * W]
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }
  /// The class of each image   // [n]
  [[nodiscard]] std::span<const std::int32_t> labels() const { return labels_; }
  /// The class of image i. Throws ValueError unless 0 <= i < images(), as `planes` does.
  [[nodiscard]] std::int32_t label(Index i) const { return labels_[checked(i)]; }
  /// The bytes of image i   // [C, H, W]
  [[nodiscard]] std::span<const std::uint8_t> planes(Index i) const {
    const auto size = to_size(shape_.size());
    return std::span(bytes_).subspan(checked(i) * size, size);
  }
  /// Image i as an Image, e.g. to write it to a file. Throws ShapeError unless it has one or three channels.
  [[nodiscard]] Image image(Index i) const { return from_planes(planes(i), shape_); }

  /// The images with the given numbers, in their order.
  [[nodiscard]] ImageDataset subset(std::span<const Index> numbers) const {
    std::vector<std::uint8_t> bytes;
    std::vector<std::int32_t> labels;
    bytes.reserve(numbers.size() * to_size(shape_.size()));
    labels.reserve(numbers.size());
    for (const Index i : numbers) {
      const auto image = planes(i);
      bytes.insert(bytes.end(), image.begin(), image.end());
      labels.push_back(label(i));
    }
    return {shape_, std::move(bytes), std::move(labels), classes_};
  }

 private:
  [[nodiscard]] std::size_t checked(Index i) const {
    require(i >= 0 && i < images(), "image_dataset", "no image ", i, " among ", images());
    return to_size(i);
  }

  ImageShape shape_;
  std::vector<std::uint8_t> bytes_;
  std::vector<std::int32_t> labels_;
  Index classes_ = 0;
};

/// The two parts of a dataset: the images that a split has `taken`, and the `rest`.
struct ImageDatasetSplit {
  ImageDataset taken, rest;
};

/// The number of images of each class   // [classes]
[[nodiscard]] inline std::vector<Index> class_counts(const ImageDataset& dataset) {
  std::vector<Index> counts(to_size(dataset.classes()), 0);
  for (const std::int32_t label : dataset.labels()) ++at(counts, label);
  return counts;
}

/// Takes the first `count` images; the others are the rest. Both keep their order.
[[nodiscard]] inline ImageDatasetSplit split_first(const ImageDataset& dataset, Index count) {
  require(count >= 0 && count <= dataset.images(), "split_first", "cannot take ", count, " of ", dataset.images(),
          " images");
  std::vector<Index> all(to_size(dataset.images()));
  std::iota(all.begin(), all.end(), Index{0});
  const auto numbers = std::span<const Index>(all);
  const auto middle = to_size(count);
  return {dataset.subset(numbers.first(middle)), dataset.subset(numbers.subspan(middle))};
}

/// Takes the first `count` images of every class; the others are the rest. Both keep their order. Throws ValueError
/// with the class that has fewer images.
[[nodiscard]] inline ImageDatasetSplit split_first_of_each_class(const ImageDataset& dataset, Index count) {
  require(count >= 0, "split_first_of_each_class", "cannot take ", count, " images");
  std::vector<Index> seen(to_size(dataset.classes()), 0), taken, rest;
  for (Index i = 0; i < dataset.images(); ++i) {
    Index& of_class = at(seen, dataset.label(i));
    (of_class++ < count ? taken : rest).push_back(i);
  }
  for (std::size_t c = 0; c < seen.size(); ++c) {
    require(seen[c] >= count, "split_first_of_each_class", "class ", c, " has ", seen[c], " images, not ", count);
  }
  return {dataset.subset(taken), dataset.subset(rest)};
}

/// The images in a random order, which depends on the seed alone.
[[nodiscard]] inline ImageDataset shuffled(const ImageDataset& dataset, std::uint64_t seed) {
  std::vector<Index> order(to_size(dataset.images()));
  std::iota(order.begin(), order.end(), Index{0});
  Rng(seed).shuffle(std::span(order));
  return dataset.subset(order);
}

/// The mean and the standard deviation of each channel over all images, for values between 0 and 1. Throws ValueError
/// for an empty dataset, and for a channel that has the same value everywhere.
[[nodiscard]] inline Normalization normalization_of(const ImageDataset& dataset) {
  require(dataset.images() > 0, "normalization_of", "the dataset is empty");
  const auto channels = to_size(dataset.shape().channels);
  const auto pixels = to_size(dataset.shape().height * dataset.shape().width);
  Normalization found{std::vector<double>(channels), std::vector<double>(channels)};
  for (std::size_t c = 0; c < channels; ++c) {
    std::uint64_t sum = 0, squares = 0;  // exact, as sums of fewer than 2^48 bytes and squares cannot overflow
    for (std::size_t begin = c * pixels; begin < dataset.bytes().size(); begin += channels * pixels) {
      for (const std::uint64_t v : dataset.bytes().subspan(begin, pixels)) {
        sum += v;
        squares += v * v;
      }
    }
    const double count = static_cast<double>(pixels) * static_cast<double>(dataset.images());
    const double mean = static_cast<double>(sum) / count;
    found.mean[c] = mean / 255;
    found.standard_deviation[c] = std::sqrt(std::max(0.0, static_cast<double>(squares) / count - mean * mean)) / 255;
    require(found.standard_deviation[c] > 0, "normalization_of", "channel ", c,
            " has the same value everywhere: ", mean);
  }
  return found;
}

/// Images begin .. begin + count as a batch, e.g. for evaluation.
template <class T>
[[nodiscard]] ImageBatch<T> to_image_batch(const ImageDataset& dataset, Index begin, Index count,
                                           const Normalization& normalization = {}) {
  require(begin >= 0 && count > 0 && begin <= dataset.images() - count, "to_image_batch", "no images ", begin, " .. ",
          begin + count, " among ", dataset.images());
  const auto size = to_size(dataset.shape().size());
  return to_image_batch<T>(dataset.bytes().subspan(to_size(begin) * size, to_size(count) * size), dataset.shape(),
                           normalization);
}

}}  // namespace rapt::RAPT_ABI
