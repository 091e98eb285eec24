/// \file
/// Hiding patches of images for a model to find: any of them, as masked autoencoders do (He et al. 2021), or blocks
/// of neighbours, as BEiT does (Bao et al. 2021).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/core/rng.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Hides `share` of each image's patches: those with the largest noise. Visible patches come in the order of their
/// noise. `noise`: a number for each patch   // [images * patches]
template <class T>
[[nodiscard]] PatchMask mask_by_noise(std::span<const T> noise, Index patches, double share) {
  constexpr std::string_view kWhere = "mask_by_noise";
  require(share >= 0 && share < 1, kWhere, "the share of hidden patches must be in [0, 1): ", share);
  require<ShapeError>(patches > 0 && std::ssize(noise) % patches == 0, kWhere, noise.size(), " numbers for images of ",
                      patches, " patches");
  const auto keep = static_cast<Index>(static_cast<double>(patches) * (1 - share));
  require(keep > 0, kWhere, "of ", patches, " patches none is left when ", share, " of them are hidden");
  const Index images = std::ssize(noise) / patches;
  std::vector<std::int32_t> visible, order(to_size(patches));
  for (Index b = 0; b < images; ++b) {
    std::iota(order.begin(), order.end(), static_cast<std::int32_t>(b * patches));
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t i, std::int32_t j) { return at(noise, i) < at(noise, j); });
    visible.insert(visible.end(), order.begin(), order.begin() + keep);
  }
  return {images, patches, std::move(visible)};
}

/// Hides `share` of each image's patches, drawn uniformly; the paper of masked autoencoders hides 0.75.
[[nodiscard]] inline PatchMask random_patch_mask(Index images, Index patches, double share, Rng& rng) {
  require(images >= 0 && patches > 0, "random_patch_mask", "sizes must be positive: ", images, " images, ", patches,
          " patches");
  std::vector<double> noise(to_size(images * patches));
  rng.fill_uniform(std::span(noise), 0.0, 1.0);
  return mask_by_noise(std::span<const double>(noise), patches, share);
}

/// Blocks of hidden patches; defaults are the paper's algorithm 1.
struct BlockMaskOptions {
  double share = 0.4;      ///< of each image's patches
  Index smallest = 16;     ///< patches of a block, where so many are still to be hidden
  double narrowest = 0.3;  ///< ratio of a block's sides; the widest is its inverse
};

/// Hides `share` of the patches of each image's grid, rounded, in rectangles at random places; the last one may be
/// cut, so that the number is the same for all.
[[nodiscard]] inline PatchMask block_patch_mask(Index images, Index grid_rows, Index grid_cols, Rng& rng,
                                                const BlockMaskOptions& options = {}) {
  constexpr std::string_view kWhere = "block_patch_mask";
  require(images >= 0 && grid_rows > 0 && grid_cols > 0, kWhere, "sizes must be positive: ", images, " images of ",
          grid_rows, " x ", grid_cols, " patches");
  require(options.share >= 0 && options.share <= 1 && options.smallest > 0 && options.narrowest > 0 &&
              options.narrowest <= 1,
          kWhere,
          "the share must be in [0, 1], the smallest block positive, its narrowest ratio in (0, 1]: ", options.share,
          ", ", options.smallest, ", ", options.narrowest);
  const Index patches = grid_rows * grid_cols;
  const auto wanted = static_cast<Index>(std::lround(options.share * static_cast<double>(patches)));
  std::vector<bool> hidden(to_size(images * patches), false);
  const auto between = [&](double low, double high) { return low + (high - low) * rng.uniform(); };
  for (Index b = 0; b < images; ++b) {
    Index left = wanted;
    while (left > 0) {
      const auto most = static_cast<double>(left), least = std::min(most, static_cast<double>(options.smallest));
      const double area = between(least, most), ratio = std::exp(between(-1, 1) * -std::log(options.narrowest));
      const auto side = [](double length, Index limit) {
        return std::clamp(static_cast<Index>(std::lround(length)), Index{1}, limit);
      };
      const Index rows = side(std::sqrt(area * ratio), grid_rows), cols = side(std::sqrt(area / ratio), grid_cols);
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
