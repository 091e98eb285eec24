/// \file
/// Images cut into patches, a row each: what a vision model's tokens are made of.
#pragma once

#include <cstdint>
#include <vector>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/patches.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Tokens of each of `images` images: all of the grid's patches, or as many as the list of visible ones has for each.
/// Throws ShapeError or ValueError that names the numbers which do not fit.
[[nodiscard]] inline Index visible_patches(std::string_view where, Index patches, Index images,
                                           std::span<const std::int32_t> visible) {
  if (visible.empty()) return patches;
  const auto count = static_cast<Index>(visible.size());
  require<ShapeError>(images > 0 && count % images == 0, where, count, " visible patches for ", images,
                      " images: each must have as many");
  for (std::size_t i = 0; i < visible.size(); ++i) {
    require(visible[i] >= 0 && visible[i] < patches, where, "visible patch ", visible[i], " at position ", i,
            ", images have ", patches);
  }
  return count / images;
}

}  // namespace detail

/// y_(b K + k) = patch k of image b, its numbers in the order (c, y, x), which is that of a convolution's weight: its
/// product with the flattened weight is the convolution whose stride is its size   // [B K, C p_h p_w]
/// `visible`: the patches to show, K of each image, those of an image one behind the other; empty: all in order.
template <class T>
[[nodiscard]] Variable<T> unfold_patches(const Variable<T>& pixels, const PatchGrid& grid,
                                         std::span<const std::int32_t> visible = {}) {
  constexpr std::string_view kWhere = "unfold_patches";
  grid.validate(kWhere);
  const Index images = pixels.rows();
  require<ShapeError>(pixels.cols() == grid.image.size(), kWhere, "images of ", to_string(grid.image), " need [B, ",
                      grid.image.size(), "] numbers, got ", pixels.shape());
  const Index per_image = detail::visible_patches(kWhere, grid.patches(), images, visible);
  Tensor<T> y(Shape{images * per_image, grid.patch_size()});
  kernels::unfold_patches<T>(pixels.value(), grid, visible, y);
  std::vector<std::int32_t> kept;
  if (will_record<T>({pixels})) kept.assign(visible.begin(), visible.end());
  return overwritable(record("unfold_patches", std::move(y), {pixels}, [grid, kept = std::move(kept)](Node<T>& out) {
    kernels::fold_patches<T>(out.grad, grid, kept, out.input(0).grad_sum());  // a patch's gradient, back in place
  }));
}

/// The same of images that need no gradient, without copying them.
template <class T>
[[nodiscard]] Variable<T> unfold_patches(const ImageBatch<T>& images, Index patch_height, Index patch_width,
                                         std::span<const std::int32_t> visible = {}) {
  constexpr std::string_view kWhere = "unfold_patches";
  const PatchGrid grid{images.shape(), patch_height, patch_width};
  grid.validate(kWhere);
  const Index per_image = detail::visible_patches(kWhere, grid.patches(), images.images(), visible);
  Tensor<T> y(Shape{images.images() * per_image, grid.patch_size()});
  kernels::unfold_patches<T>(images.pixels(), grid, visible, y);
  return unrecorded("unfold_patches", std::move(y));
}

}}  // namespace rapt::RAPT_ABI
