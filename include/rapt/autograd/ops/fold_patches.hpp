/// \file
/// Images put together from their patches: what a model that writes images does with its tokens. The inverse of
/// unfold_patches.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/autograd/ops/unfold_patches.hpp"
#include "rapt/autograd/pass_gradient.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/kernels/patches.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Pixels of images of which row b P + k of x is patch k of image b, its numbers in the order (c, y, x)
///   // [B, C H W] from x [B P, C p_h p_w]
/// `numbers`: the patch that each row is, P of each image, every patch once; empty: 0, 1, .. in order.
template <class T>
[[nodiscard]] Variable<T> fold_patches(const Variable<T>& x, const PatchGrid& grid,
                                       std::span<const std::int32_t> numbers = {}) {
  constexpr std::string_view kWhere = "fold_patches";
  grid.validate(kWhere);
  const Index patches = grid.patches();
  require<ShapeError>(x.rows() % patches == 0 && x.cols() == grid.patch_size(), kWhere, "images of ",
                      to_string(grid.image), " need [B ", patches, ", ", grid.patch_size(), "] numbers, got ",
                      x.shape());
  const Index images = x.rows() / patches;
  if (!numbers.empty()) {
    require<ShapeError>(detail::visible_patches(kWhere, patches, images, numbers) == patches, kWhere, numbers.size(),
                        " numbers of patches for ", x.rows(), " rows");
    std::vector<bool> given(to_size(x.rows()));
    for (Index i = 0; i < x.rows(); ++i) {
      const Index place = i / patches * patches + at(numbers, i);
      require(!given[to_size(place)], kWhere, "patch ", at(numbers, i), " of image ", i / patches, " is given twice");
      given[to_size(place)] = true;
    }
  }
  Tensor<T> y(Shape{images, grid.image.size()}, T(0));
  kernels::fold_patches<T>(x.value(), grid, numbers, y);
  std::vector<std::int32_t> kept;
  if (will_record<T>({x})) kept.assign(numbers.begin(), numbers.end());
  return overwritable(record("fold_patches", std::move(y), {x}, [grid, kept = std::move(kept)](Node<T>& out) {
    Tensor<T> dx(out.input(0).value.shape());  // each number's gradient is that of the pixel that it became
    kernels::unfold_patches<T>(out.grad, grid, kept, dx);
    pass_gradient(std::move(dx), out.input(0));
  }));
}

}}  // namespace rapt::RAPT_ABI
