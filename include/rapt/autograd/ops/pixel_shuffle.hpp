/// \file
/// Up-sampling of grids of tokens without new numbers: channels become pixels (Shi et al. 2016).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "rapt/autograd/ops/fold_patches.hpp"
#include "rapt/autograd/ops/unfold_patches.hpp"
#include "rapt/kernels/resize_grid.hpp"

namespace rapt { inline namespace RAPT_ABI {

using kernels::GridSize;

/// Each token of a grid becomes r x r tokens with an r^2-th of its columns:
///   y[b, r i + u, r j + v, c] = x[b, i, j, c r^2 + u r + v]
///   // [B (r rows) (r cols), D / r^2] from x [B rows cols, D]
/// The order of channels is that of torch.nn.PixelShuffle. `from` and `to` say which tokens of the grids the rows of x
/// and y are, as many of each image as its grid has; empty: row by row of the grid.
template <class T>
[[nodiscard]] Variable<T> pixel_shuffle(const Variable<T>& x, const GridSize& grid, Index r,
                                        std::span<const std::int32_t> from = {},
                                        std::span<const std::int32_t> to = {}) {
  constexpr std::string_view kWhere = "pixel_shuffle";
  require(r > 0 && grid.rows > 0 && grid.cols > 0, kWhere, "sizes must be positive: a grid of ", grid.rows, " x ",
          grid.cols, ", factor ", r);
  require<ShapeError>(x.cols() % (r * r) == 0 && x.rows() % grid.cells() == 0, kWhere, "x has shape ", x.shape(),
                      ": rows must be a multiple of ", grid.cells(), ", columns of ", r * r);
  // A token is a patch of r x r pixels with D / r^2 channels; patches of one pixel are the new tokens.
  const ImageShape image{.channels = x.cols() / (r * r), .height = grid.rows * r, .width = grid.cols * r};
  return unfold_patches<T>(fold_patches<T>(x, {image, r, r}, from), {image, 1, 1}, to);
}

}}  // namespace rapt::RAPT_ABI
