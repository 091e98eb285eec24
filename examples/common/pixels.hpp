// Gray images as tokens: made smaller, and each pixel one of a few grays; and how pixels are masked.
#pragma once

#include <array>
#include <rapt/data/masked_language.hpp>
#include <rapt/images/dataset.hpp>
#include <rapt/models/image_gpt.hpp>
#include <rapt/rapt.hpp>

/// Appends the mean of each block of factor x factor pixels of a gray image, row after row; rows and columns that fill
/// no block are left out.
inline void append_smaller(std::vector<std::uint8_t>& bytes, std::span<const std::uint8_t> image,
                           const rapt::ImageShape& shape, rapt::Index factor) {
  rapt::require(shape.channels == 1 && factor >= 1 && factor <= std::min(shape.height, shape.width), "smaller",
                "cannot make blocks of ", factor, " x ", factor, " pixels of images of ", to_string(shape));
  for (rapt::Index y = 0; y < shape.height / factor; ++y) {
    for (rapt::Index x = 0; x < shape.width / factor; ++x) {
      rapt::Index sum = 0;
      for (rapt::Index block = 0; block < factor * factor; ++block) {
        const rapt::Index row = y * factor + block / factor, column = x * factor + block % factor;
        sum += image[static_cast<std::size_t>(row * shape.width + column)];
      }
      bytes.push_back(static_cast<std::uint8_t>(sum / (factor * factor)));
    }
  }
}
/// A dataset of such images.
inline rapt::ImageDataset smaller(const rapt::ImageDataset& dataset, rapt::Index factor) {
  const rapt::ImageShape from = dataset.shape();
  std::vector<std::uint8_t> bytes;
  for (rapt::Index i = 0; i < dataset.images(); ++i) append_smaller(bytes, dataset.planes(i), from, factor);
  return {rapt::ImageShape{1, from.height / factor, from.width / factor},
          std::move(bytes),
          {dataset.labels().begin(), dataset.labels().end()},
          dataset.classes()};
}

/// A few grays, and for each byte the nearest of them.
class Grays {
 public:
  /// k-means (Lloyd 1982) over all bytes of a dataset, from grays at equal distances; ones that no byte is near to
  /// stay.
  Grays(const rapt::ImageDataset& dataset, rapt::Index count) {
    rapt::require(count >= 2 && count <= 256, "grays", "2 to 256 grays: ", count);
    std::array<double, 256> frequency{};
    for (const std::uint8_t byte : dataset.bytes()) ++frequency[byte];
    for (rapt::Index i = 0; i < count; ++i) {
      means_.push_back(255 * static_cast<double>(i) / static_cast<double>(count - 1));
    }
    for (int round = 0; round < 100; ++round) {
      std::vector<double> sums(means_.size(), 0), counts(means_.size(), 0);
      for (std::size_t byte = 0; byte < 256; ++byte) {
        nearest_[byte] = nearest(static_cast<double>(byte));
        const auto gray = static_cast<std::size_t>(nearest_[byte]);
        sums[gray] += frequency[byte] * static_cast<double>(byte);
        counts[gray] += frequency[byte];
      }
      const std::vector<double> before = means_;
      for (std::size_t i = 0; i < means_.size(); ++i) {
        if (counts[i] > 0) means_[i] = sums[i] / counts[i];
      }
      if (means_ == before) break;
    }
  }

  [[nodiscard]] rapt::Index count() const { return static_cast<rapt::Index>(means_.size()); }
  /// An image's pixels, row after row.
  [[nodiscard]] std::vector<rapt::TokenId> encode(std::span<const std::uint8_t> bytes) const {
    std::vector<rapt::TokenId> tokens;
    for (const std::uint8_t byte : bytes) tokens.push_back(nearest_[byte]);
    return tokens;
  }
  /// The image that tokens are; gray where there are none.
  [[nodiscard]] rapt::Image decode(std::span<const rapt::TokenId> tokens, const rapt::ImageShape& shape) const {
    rapt::Image image(shape.height, shape.width, 1, 128);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      image.bytes()[i] = static_cast<std::uint8_t>(means_[static_cast<std::size_t>(tokens[i])] + 0.5);
    }
    return image;
  }

 private:
  [[nodiscard]] rapt::TokenId nearest(double value) const {
    std::size_t best = 0;
    for (std::size_t i = 1; i < means_.size(); ++i) {
      if (std::abs(means_[i] - value) < std::abs(means_[best] - value)) best = i;
    }
    return static_cast<rapt::TokenId>(best);
  }

  std::vector<double> means_;  // rising
  std::array<rapt::TokenId, 256> nearest_{};
};

/// Images `begin` .. `begin + count` of a dataset as sequences of tokens.
inline rapt::TokenBatch tokens_of(const rapt::ImageDataset& dataset, const Grays& grays, rapt::Index begin,
                                  rapt::Index count) {
  rapt::TokenBatch images;
  for (rapt::Index i = begin; i < std::min(begin + count, dataset.images()); ++i) {
    images.push_back(grays.encode(dataset.planes(i)));
  }
  return images;
}

/// Each pixel is masked with the paper's probability of 0.15, for `ImageGpt::masked_loss` of `images` images at once.
/// Fewer than 256 pixels might be left without a masked one (256 are once in 10^18 times): of them 0.15 of each image
/// are masked, at least one.
inline rapt::MaskingOptions pixel_masking(const rapt::ImageGptConfig& config, rapt::Index images) {
  return {.vocabulary = config.vocabulary(),
          .mask = config.begin_token(),
          .rate = 0.15,
          .mask_ratio = 1,
          .random_ratio = 0,
          .independent = images * config.positions >= 256};
}
