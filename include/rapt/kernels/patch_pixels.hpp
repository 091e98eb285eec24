/// \file
/// The pixels of single patches, taken out of images and put into them, in the order (y, x, c) in which masked
/// autoencoders predict them (He et al. 2021).
#pragma once

#include <cmath>
#include <cstdint>

#include "rapt/core/index.hpp"
#include "rapt/kernels/patches.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

namespace detail {

/// Calls f(offset in the image, offset in the patch) for every number of a patch.
template <class F>
void for_each_patch_pixel(const PatchGrid& grid, Index patch, const F& f) {
  const Index channels = grid.image.channels, plane = grid.patch_height * grid.patch_width;
  for_each_run(grid, patch, [&](Index in_image, Index at) {  // `at` is the offset in a patch in the order (c, y, x)
    for (Index x = 0; x < grid.patch_width; ++x) f(in_image + x, (at + x) % plane * channels + (at + x) / plane);
  });
}

}  // namespace detail

/// The patches with the given numbers, one in each row. With P patches an image, number b P + p is patch p of image b.
/// Throws ValueError for a number that no patch has   // [n, p_h p_w C]
template <class T>
[[nodiscard]] Tensor<T> patch_pixels(const ImageBatch<T>& images, const PatchGrid& grid,
                                     std::span<const std::int32_t> numbers) {
  require_ids(numbers, images.images() * grid.patches(), "patch_pixels");
  Tensor<T> patches(Shape{std::ssize(numbers), grid.patch_size()});
  parallel_for(patches.rows(), 64, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index number = at(numbers, i);
      const T* from = images.pixels().row(number / grid.patches());
      T* to = patches.row(i);
      detail::for_each_patch_pixel(grid, number % grid.patches(),
                                   [&](Index in_image, Index in_patch) { to[in_patch] = from[in_image]; });
    }
  });
  return patches;
}

/// A copy of the images in which row i of `patches` has taken the place of patch numbers[i]. Throws ValueError or
/// ShapeError for numbers or shapes that do not fit.
template <class T>
[[nodiscard]] ImageBatch<T> with_patches(const ImageBatch<T>& images, const PatchGrid& grid,
                                         std::span<const std::int32_t> numbers, const Tensor<T>& patches) {
  require_ids(numbers, images.images() * grid.patches(), "with_patches");
  require<ShapeError>(patches.rows() == std::ssize(numbers) && patches.cols() == grid.patch_size(), "with_patches",
                      numbers.size(), " patches of ", grid.patch_size(), " numbers, got ", patches.shape());
  Tensor<T> pixels = images.pixels();
  for (Index i = 0; i < patches.rows(); ++i) {
    const Index number = at(numbers, i);
    const T* from = patches.row(i);
    T* to = pixels.row(number / grid.patches());
    detail::for_each_patch_pixel(grid, number % grid.patches(),
                                 [&](Index in_image, Index in_patch) { to[in_image] = from[in_patch]; });
  }
  return {std::move(pixels), images.shape()};
}

/// The mean of each row, and its standard deviation as sqrt(variance + 1e-6), where the variance is the unbiased one
/// (divided by n - 1) and 1e-6 keeps patches of one colour from the division by zero   // [n, 2]
template <class T>
[[nodiscard]] Tensor<T> patch_statistics(const Tensor<T>& patches) {
  Tensor<T> statistics(Shape{patches.rows(), 2});
  const auto count = static_cast<double>(patches.cols());
  for (Index i = 0; i < patches.rows(); ++i) {
    double sum = 0, squares = 0;
    for (Index j = 0; j < patches.cols(); ++j) sum += static_cast<double>(patches(i, j));
    const double mean = sum / count;
    for (Index j = 0; j < patches.cols(); ++j) squares += std::pow(static_cast<double>(patches(i, j)) - mean, 2);
    statistics(i, 0) = static_cast<T>(mean);
    statistics(i, 1) = static_cast<T>(std::sqrt(squares / (count - 1) + 1e-6));
  }
  return statistics;
}

}}}  // namespace rapt::RAPT_ABI::kernels
