/// \file
/// Masking patches of images that a model must predict: single patches, as for masked autoencoders (He et al. 2021),
/// blocks of neighbouring patches, as for BEiT (Bao et al. 2021), or single patches of which some are replaced by
/// others or kept, as for ViT (Dosovitskiy et al. 2021, section B.1.2).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/core/rng.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Masks the fraction `ratio` of each image's patches, those with the largest noise. Visible patches are in the order
/// of their noise. `noise` has a number for each patch. Throws ValueError or ShapeError for a ratio or a size that does
/// not fit   // noise [images * patches]
template <class T>
[[nodiscard]] PatchMask mask_by_noise(std::span<const T> noise, Index patches, double ratio) {
  constexpr std::string_view kWhere = "mask_by_noise";
  require(ratio >= 0 && ratio < 1, kWhere, "the ratio of hidden patches must be in [0, 1): ", ratio);
  require<ShapeError>(patches > 0 && std::ssize(noise) % patches == 0, kWhere, noise.size(), " numbers for images of ",
                      patches, " patches");
  const Index keep = visible_patches(patches, ratio);
  require(keep > 0, kWhere, "of ", patches, " patches none is left when ", ratio, " of them are hidden");
  const Index images = std::ssize(noise) / patches;
  std::vector<std::int32_t> visible, order(to_size(patches));
  for (Index b = 0; b < images; ++b) {
    std::iota(order.begin(), order.end(), static_cast<std::int32_t>(b * patches));
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int32_t i, std::int32_t j) { return at(noise, i) < at(noise, j); });
    visible.insert(visible.end(), order.begin(), order.begin() + keep);
  }
  return {images, patches, std::move(visible)};
}

/// Masks the fraction `ratio` of each image's patches, drawn uniformly. The paper of masked autoencoders masks 0.75.
[[nodiscard]] inline PatchMask random_patch_mask(Index images, Index patches, double ratio, Rng& rng) {
  require(images >= 0 && patches > 0, "random_patch_mask", "sizes must be positive: ", images, " images, ", patches,
          " patches");
  std::vector<double> noise(to_size(images * patches));
  rng.fill_uniform(std::span(noise), 0.0, 1.0);
  return mask_by_noise(std::span<const double>(noise), patches, ratio);
}

/// How patches are corrupted; the defaults are those of ViT's paper.
struct CorruptionOptions {
  double ratio = 0.5;        ///< fraction of each image's patches that is to be predicted
  double mask_ratio = 0.8;   ///< probability that the mask embedding stands in place of such a patch
  double other_ratio = 0.1;  ///< probability that another patch of the same image does; otherwise the patch is kept
};

/// Masks the fraction `options.ratio` of each image's patches, drawn uniformly, and draws for each of them what stands
/// in its place (`PatchMask::shown`). The paper does not say among which patches the other ones are drawn; here they
/// are the other patches of the same image, masked ones included, so that images do not depend on one another. Takes
/// two streams from `rng`. Throws ValueError for options that do not fit.
[[nodiscard]] inline PatchMask corrupted_patch_mask(Index images, Index patches, Rng& rng,
                                                    const CorruptionOptions& options = {}) {
  constexpr std::string_view kWhere = "corrupted_patch_mask";
  require(options.mask_ratio >= 0 && options.other_ratio >= 0 && options.mask_ratio + options.other_ratio <= 1, kWhere,
          "the ratios of masked and of other patches must be in [0, 1] together: ", options.mask_ratio, ", ",
          options.other_ratio);
  require(patches > 1 || options.other_ratio == 0, kWhere, "an image of ", patches,
          " patches has no other one to show: other_ratio ", options.other_ratio);
  const PatchMask mask = random_patch_mask(images, patches, options.ratio, rng);
  const RandomStream stream = rng.next_stream();
  std::vector<std::int32_t> shown;
  shown.reserve(mask.masked().size());
  for (const std::int32_t number : mask.masked()) {
    const auto words = stream.block(static_cast<std::uint64_t>(number));
    const double fate = static_cast<double>(words[0]) * 0x1p-32;
    if (fate < options.mask_ratio) {
      shown.push_back(PatchMask::kMaskEmbedding);
    } else if (fate < options.mask_ratio + options.other_ratio) {
      const auto first = static_cast<std::int32_t>(number / patches * patches);
      const double uniform = static_cast<double>(words[1]) * 0x1p-32;
      const auto other = first + static_cast<std::int32_t>(uniform * static_cast<double>(patches - 1));
      shown.push_back(other >= number ? other + 1 : other);
    } else {
      shown.push_back(number);
    }
  }
  return mask.showing(std::move(shown));
}

/// The blocks of masked patches; the defaults are those of algorithm 1 in BEiT's paper.
struct BlockMaskOptions {
  double ratio = 0.4;      ///< fraction of each image's patches that is masked
  Index smallest = 16;     ///< least patches of a block, unless fewer are still to be masked
  double narrowest = 0.3;  ///< least ratio of a block's sides; the greatest is 1 / narrowest
};

/// Masks the fraction `options.ratio` of each image's patches, rounded to whole patches, in rectangles at random
/// places. The last rectangle of an image may be cut off, so that all images have the same number of masked patches.
[[nodiscard]] inline PatchMask block_patch_mask(Index images, Index grid_rows, Index grid_cols, Rng& rng,
                                                const BlockMaskOptions& options = {}) {
  constexpr std::string_view kWhere = "block_patch_mask";
  require(images >= 0 && grid_rows > 0 && grid_cols > 0, kWhere, "sizes must be positive: ", images, " images of ",
          grid_rows, " x ", grid_cols, " patches");
  require(options.ratio >= 0 && options.ratio <= 1 && options.smallest > 0 && options.narrowest > 0 &&
              options.narrowest <= 1,
          kWhere,
          "the ratio must be in [0, 1], the smallest block positive, its narrowest ratio in (0, 1]: ", options.ratio,
          ", ", options.smallest, ", ", options.narrowest);
  const Index patches = grid_rows * grid_cols;
  const auto wanted = static_cast<Index>(std::lround(options.ratio * static_cast<double>(patches)));
  std::vector<bool> hidden(to_size(images * patches), false);
  const auto between = [&](double low, double high) { return low + (high - low) * rng.uniform(); };
  for (Index b = 0; b < images; ++b) {
    Index left = wanted;
    while (left > 0) {
      const auto most = static_cast<double>(left), least = std::min(most, static_cast<double>(options.smallest));
      const double area = between(least, most), aspect = std::exp(between(-1, 1) * -std::log(options.narrowest));
      const auto side = [](double length, Index limit) {
        return std::clamp(static_cast<Index>(std::lround(length)), Index{1}, limit);
      };
      const Index rows = side(std::sqrt(area * aspect), grid_rows), cols = side(std::sqrt(area / aspect), grid_cols);
      const Index top = rng.below(grid_rows - rows + 1), at = rng.below(grid_cols - cols + 1);
      for (Index i = top; i < top + rows && left > 0; ++i) {
        for (Index j = at; j < at + cols && left > 0; ++j) {
          const auto patch = to_size(b * patches + i * grid_cols + j);
          if (hidden[patch]) continue;
          hidden[patch] = true;
          --left;
        }
      }
    }
  }
  return PatchMask::from_flags(hidden, patches);
}

}}  // namespace rapt::RAPT_ABI
