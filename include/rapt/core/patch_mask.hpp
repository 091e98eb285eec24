/// \file
/// Which patches of a batch of images are visible to a model, which are masked, and what stands in their place.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The number of an image's patches that are visible when the fraction `ratio` of them is masked, rounded down.
[[nodiscard]] inline Index visible_patches(Index patches, double ratio) {
  return static_cast<Index>(static_cast<double>(patches) * (1 - ratio));
}

/// The visible and the masked patches of a batch. With P patches an image, patch p of image b has the number b P + p;
/// patches of an image are numbered row by row.
class PatchMask {
 public:
  /// Among the numbers of `shown`: the learned mask embedding.
  static constexpr std::int32_t kMaskEmbedding = -1;

  PatchMask() = default;
  /// All patches are visible.
  PatchMask(Index images, Index patches) : PatchMask(images, patches, all(images * patches)) {}
  /// `visible` are the numbers of the visible patches, image by image, in any order within an image, none of them
  /// twice. Throws ValueError with the first number that is wrong.
  PatchMask(Index images, Index patches, std::vector<std::int32_t> visible)
      : images_(images), patches_(patches), visible_(std::move(visible)) {
    constexpr std::string_view kWhere = "patch_mask";
    require(images >= 0 && patches > 0, kWhere, "sizes must be positive: ", images, " images, ", patches, " patches");
    require_ids(visible_, images * patches, kWhere);
    std::vector<bool> seen(to_size(images * patches));
    std::vector<Index> lengths(to_size(images), 0);
    Index before = 0;
    for (const std::int32_t number : visible_) {
      const Index image = number / patches;
      require(image >= before && !at(seen, number), kWhere, "visible patch ", number,
              " is given twice, or stands behind one of a later image");
      at(seen, number) = true;
      ++at(lengths, before = image);
    }
    visible_splits_ = RowSplits::from_lengths(lengths);
    for (std::size_t i = 0; i < seen.size(); ++i) {
      if (!seen[i]) masked_.push_back(static_cast<std::int32_t>(i));
    }
  }
  /// From a flag for each patch, which is true if the patch is masked   // [images * patches]
  [[nodiscard]] static PatchMask from_flags(const std::vector<bool>& hidden, Index patches) {
    const auto count = std::ssize(hidden);
    require<ShapeError>(patches > 0 && count % patches == 0, "patch_mask", count, " flags for images of ", patches,
                        " patches");
    std::vector<std::int32_t> visible;
    for (std::size_t i = 0; i < hidden.size(); ++i) {
      if (!hidden[i]) visible.push_back(static_cast<std::int32_t>(i));
    }
    return {count / patches, patches, std::move(visible)};
  }

  /// The same mask, where the embedding of patch shown[i] stands in place of that of masked()[i]: another patch's, its
  /// own, so that the model must predict a patch which it sees, or kMaskEmbedding. Throws ShapeError unless there is
  /// one number for each masked patch, ValueError for a number that no patch has.
  [[nodiscard]] PatchMask showing(std::vector<std::int32_t> shown) const {
    constexpr std::string_view kWhere = "patch_mask";
    require<ShapeError>(shown.size() == masked_.size(), kWhere, shown.size(), " patches are shown in place of ",
                        masked_.size(), " masked ones");
    require_ids(shown, images_ * patches_, kWhere, kMaskEmbedding);
    PatchMask mask = *this;
    mask.shown_ = std::move(shown);
    return mask;
  }

  /// The number of images.
  [[nodiscard]] Index images() const { return images_; }
  /// P, the number of patches of an image.
  [[nodiscard]] Index patches() const { return patches_; }
  [[nodiscard]] const std::vector<std::int32_t>& visible() const { return visible_; }
  /// The visible patches of image b are visible()[begin(b) .. end(b)].
  [[nodiscard]] const RowSplits& visible_splits() const { return visible_splits_; }
  /// The numbers of the masked patches, ascending.
  [[nodiscard]] const std::vector<std::int32_t>& masked() const { return masked_; }
  /// What stands in place of each of `masked()` (see `showing`); empty: the mask embedding in place of all of them.
  [[nodiscard]] const std::vector<std::int32_t>& shown() const { return shown_; }

  /// The number of each visible patch within its image.
  [[nodiscard]] std::vector<std::int32_t> visible_in_image() const {
    std::vector<std::int32_t> numbers;
    numbers.reserve(visible_.size());
    for (const std::int32_t number : visible_) numbers.push_back(number % static_cast<std::int32_t>(patches_));
    return numbers;
  }
  /// The rows of patches in a matrix of all tokens, in which each image has a class token before its patches.
  [[nodiscard]] std::vector<std::int32_t> token_rows(const std::vector<std::int32_t>& numbers) const {
    std::vector<std::int32_t> rows;
    rows.reserve(numbers.size());
    for (const std::int32_t number : numbers) rows.push_back(number + number / static_cast<std::int32_t>(patches_) + 1);
    return rows;
  }

 private:
  [[nodiscard]] static std::vector<std::int32_t> all(Index count) {
    std::vector<std::int32_t> numbers;
    for (Index i = 0; i < count; ++i) numbers.push_back(static_cast<std::int32_t>(i));
    return numbers;
  }

  Index images_ = 0, patches_ = 0;
  std::vector<std::int32_t> visible_, masked_, shown_;
  RowSplits visible_splits_;
};

}}  // namespace rapt::RAPT_ABI
