/// \file
/// Images cut into patches, which become the tokens of a vision Transformer (Dosovitskiy et al. 2020), and the
/// gradients.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "rapt/core/image_batch.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How images are cut into patches: side by side, without overlap or margin, and numbered row by row from the top left.
struct PatchGrid {
  ImageShape image;                           ///< the sizes of an image
  Index patch_height = 16, patch_width = 16;  ///< in pixels; they divide the image's

  [[nodiscard]] Index rows() const { return image.height / patch_height; }
  [[nodiscard]] Index cols() const { return image.width / patch_width; }
  /// The number of patches of an image.
  [[nodiscard]] Index patches() const { return rows() * cols(); }
  /// The number of values of a patch.
  [[nodiscard]] Index patch_size() const { return image.channels * patch_height * patch_width; }

  /// Throws ValueError with both sizes unless whole patches fill the image.
  void validate(std::string_view where) const {
    require(image.channels > 0 && image.height > 0 && image.width > 0 && patch_height > 0 && patch_width > 0, where,
            "sizes must be positive: images of ", to_string(image), ", patches of ", patch_height, " x ", patch_width);
    require(image.height % patch_height == 0 && image.width % patch_width == 0, where, "images of ", image.height,
            " x ", image.width, " cannot be cut into patches of ", patch_height, " x ", patch_width);
  }
  friend bool operator==(const PatchGrid&, const PatchGrid&) = default;
};

}}  // namespace rapt::RAPT_ABI

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

namespace detail {

/// Calls f(offset in the image, offset in the patch) for each run of `patch_width` consecutive values of a patch.
template <class F>
void for_each_run(const PatchGrid& grid, Index patch, const F& f) {
  const Index height = grid.image.height, width = grid.image.width;
  const Index top = patch / grid.cols() * grid.patch_height, left = patch % grid.cols() * grid.patch_width;
  Index to = 0;
  for (Index c = 0; c < grid.image.channels; ++c) {
    for (Index y = 0; y < grid.patch_height; ++y, to += grid.patch_width) {
      f((c * height + top + y) * width + left, to);
    }
  }
}

/// The number of the patch that is token k of image b: visible[b * tokens + k], or k if `visible` is empty.
[[nodiscard]] inline Index patch_of(std::span<const std::int32_t> visible, Index tokens, Index b, Index k) {
  return visible.empty() ? k : at(visible, b * tokens + k);
}

}  // namespace detail

/// tokens[b K + k] = patch number visible[b K + k] of image b, its values in the order (c, y, x)
///   // pixels [B, C H W], tokens [B K, C p_h p_w], visible [B K]
/// If `visible` is empty, the tokens are all patches in order, and K = grid.patches().
template <class T>
void unfold_patches(TensorView<const T> pixels, const PatchGrid& grid, std::span<const std::int32_t> visible,
                    TensorView<T> tokens) {
  const Index images = pixels.rows(), per_image = images > 0 ? tokens.rows() / images : 0;
  const Index grain = std::max<Index>(1, kElementGrain / grid.patch_size()), width = grid.patch_width;
  parallel_for(tokens.rows(), grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index b = i / per_image;
      const T* from = pixels.row(b);
      T* to = tokens.row(i);
      detail::for_each_run(grid, detail::patch_of(visible, per_image, b, i % per_image),
                           [&](Index in_image, Index in_patch) { std::copy_n(from + in_image, width, to + in_patch); });
    }
  });
}

/// The transposed operation: adds each value of a token to the pixel that it was read from. Each thread takes whole
/// images, so that the values of a patch that is there twice are added in one order.
template <class T>
void fold_patches(TensorView<const T> tokens, const PatchGrid& grid, std::span<const std::int32_t> visible,
                  TensorView<T> pixels) {
  const Index images = pixels.rows(), per_image = images > 0 ? tokens.rows() / images : 0;
  const Index width = grid.patch_width;
  parallel_for(images, std::max<Index>(1, kElementGrain / grid.image.size()), [&](Index begin, Index end) {
    for (Index b = begin; b < end; ++b) {
      T* to = pixels.row(b);
      for (Index k = 0; k < per_image; ++k) {
        const T* from = tokens.row(b * per_image + k);
        detail::for_each_run(grid, detail::patch_of(visible, per_image, b, k), [&](Index in_image, Index in_patch) {
          for (Index x = 0; x < width; ++x) to[in_image + x] += from[in_patch + x];
        });
      }
    }
  });
}

/// The input of a vision Transformer: for each image its extra tokens (such as the class token) and then its patches,
/// with their positions added.
///   y[b (E + K) + e] = extra[e] + positions[e]
///   y[b (E + K) + E + k] = patches[b K + k] + positions[E + visible[b K + k]]
///   // y [B (E + K), D], patches [B K, D], extra [E, D], positions [E + P, D]; without memory positions are not added
template <class T>
void assemble_tokens(TensorView<const T> patches, TensorView<const T> extra, TensorView<const T> positions,
                     std::span<const std::int32_t> visible, Index images, TensorView<T> y) {
  const Index first = extra.rows(), per_image = images > 0 ? patches.rows() / images : 0;
  const Index length = first + per_image, cols = y.cols();
  parallel_for(y.rows(), std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index b = i / length, at = i % length;
      const bool is_patch = at >= first;
      const T* from = is_patch ? patches.row(b * per_image + at - first) : extra.row(at);
      T* to = y.row(i);
      if (positions.data() == nullptr) {
        std::copy_n(from, cols, to);
        continue;
      }
      const T* position = positions.row(is_patch ? first + detail::patch_of(visible, per_image, b, at - first) : at);
      for (Index j = 0; j < cols; ++j) to[j] = from[j] + position[j];
    }
  });
}

/// Adds the gradients of `assemble_tokens` to each tensor that has memory. The gradients of extra tokens and positions
/// are sums over images; each thread takes some columns of them, so that images are added in one order.
template <class T>
void assemble_tokens_backward(TensorView<const T> dy, TensorView<T> d_patches, TensorView<T> d_extra,
                              TensorView<T> d_positions, Index extras, std::span<const std::int32_t> visible,
                              Index images) {
  if (images == 0) return;
  const Index length = dy.rows() / images, per_image = length - extras, cols = dy.cols();
  if (d_patches.data() != nullptr) {
    parallel_for(images * per_image, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)),
                 [&](Index begin, Index end) {
                   for (Index i = begin; i < end; ++i) {
                     const T* from = dy.row(i / per_image * length + extras + i % per_image);
                     T* to = d_patches.row(i);
                     for (Index j = 0; j < cols; ++j) to[j] += from[j];
                   }
                 });
  }
  if (d_extra.data() == nullptr && d_positions.data() == nullptr) return;
  parallel_for(cols, 16, [&](Index begin, Index end) {
    for (Index b = 0; b < images; ++b) {
      for (Index at = 0; at < length; ++at) {
        const T* from = dy.row(b * length + at);
        if (at < extras && d_extra.data() != nullptr) {
          T* to = d_extra.row(at);
          for (Index j = begin; j < end; ++j) to[j] += from[j];
        }
        if (d_positions.data() == nullptr) continue;
        T* to = d_positions.row(at < extras ? at : extras + detail::patch_of(visible, per_image, b, at - extras));
        for (Index j = begin; j < end; ++j) to[j] += from[j];
      }
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
