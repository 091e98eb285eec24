/// \file
/// Differentiable augmentation of images (Zhao et al. 2020), forward and backward: colour, translation, cutout. Where
/// real and generated images have changes of the same kind, drawn for each by itself, a discriminator cannot learn few
/// images by heart, and the gradient of its score reaches the generator through them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What images may be changed by. Defaults are the paper's, whose images have numbers from -1 to 1.
struct DifferentiableAugmentation {
  bool colour = true;         ///< brightness, saturation (which leaves gray images alone) and contrast
  double translation = .125;  ///< the largest shift, as a ratio of the image's sides
  double cutout = .5;         ///< the sides of the rectangle that is cut out, as a ratio of the image's; 0: none
  double background = 0;      ///< the number of pixels that are cut out, or come in from outside

  /// Nothing is changed.
  [[nodiscard]] static DifferentiableAugmentation none() { return {.colour = false, .translation = 0, .cutout = 0}; }
  /// False if every image stays as it is.
  [[nodiscard]] bool changes_anything() const { return colour || translation > 0 || cutout > 0; }
  /// Throws ValueError for ratios outside of [0, 1], and a background that is not finite.
  void validate(std::string_view where) const {
    require(translation >= 0 && translation <= 1 && cutout >= 0 && cutout <= 1, where,
            "translation and cutout are ratios of an image's sides, from 0 to 1: ", translation, ", ", cutout);
    require(std::isfinite(background), where, "the background must be finite: ", background);
  }
};

/// The changes of one image, in this order.
struct ImageChange {
  double brightness = 0;      ///< is added to all numbers
  double saturation = 1;      ///< factor of the differences from the mean of the pixel's channels
  double contrast = 1;        ///< factor of the differences from the mean of the whole image
  Index down = 0, right = 0;  ///< the shift
  /// The rectangle that is cut out, which must lie in the image.
  Index top = 0, left = 0, height = 0, width = 0;
};

/// Draws the changes of a batch; those of image i depend on the stream and i alone. Brightness is uniform in
/// [-0.5, 0.5), saturation in [0, 2), contrast in [0.5, 1.5), shifts are whole pixels, and the middle of the rectangle
/// may be anywhere in the image, beyond whose sides nothing is cut.
[[nodiscard]] inline std::vector<ImageChange> draw_image_changes(const DifferentiableAugmentation& options,
                                                                 const ImageShape& shape, Index images,
                                                                 const RandomStream& stream) {
  const auto unit = [](std::uint32_t word) { return static_cast<double>(word) * 0x1p-32; };
  const auto below = [](std::uint32_t word, Index count) {  // 0 .. count - 1
    return static_cast<Index>(std::uint64_t{word} * static_cast<std::uint64_t>(count) >> 32);
  };
  const auto part = [](Index side, double ratio) { return static_cast<Index>(static_cast<double>(side) * ratio + .5); };
  std::vector<ImageChange> changes(to_size(images));
  for (Index i = 0; i < images; ++i) {
    const auto place = 2 * static_cast<std::uint64_t>(i);
    const auto a = stream.block(place), b = stream.block(place + 1);
    ImageChange& change = at(changes, i);
    if (options.colour) {
      change.brightness = unit(a[0]) - .5;
      change.saturation = 2 * unit(a[1]);
      change.contrast = unit(a[2]) + .5;
    }
    const Index most_down = part(shape.height, options.translation),
                most_right = part(shape.width, options.translation);
    change.down = below(a[3], 2 * most_down + 1) - most_down;
    change.right = below(b[0], 2 * most_right + 1) - most_right;
    const auto cut = [&](std::uint32_t word, Index side, Index& begin, Index& count) {
      const Index length = part(side, options.cutout), first = below(word, side + 1 - length % 2) - length / 2;
      begin = std::max<Index>(first, 0);
      count = std::max<Index>(std::min(first + length, side) - begin, 0);
    };
    if (options.cutout > 0) {
      cut(b[1], shape.height, change.top, change.height);
      cut(b[2], shape.width, change.left, change.width);
    }
  }
  return changes;
}

namespace kernels {

namespace detail {

/// Calls f(pixel of the result, pixel of the image that it shows) for every pixel that is neither cut out nor comes in
/// from outside.
template <class F>
void for_each_shown_pixel(const ImageShape& shape, const ImageChange& change, const F& f) {
  for (Index y = std::max<Index>(change.down, 0); y < std::min(shape.height, shape.height + change.down); ++y) {
    const bool crosses = y >= change.top && y < change.top + change.height;
    for (Index x = std::max<Index>(change.right, 0); x < std::min(shape.width, shape.width + change.right); ++x) {
      if (crosses && x >= change.left && x < change.left + change.width) continue;
      f(y * shape.width + x, (y - change.down) * shape.width + x - change.right);
    }
  }
}

/// Pulls the numbers of one image towards means, as its colour says:
///   x'_cp = (x_cp - m_p) saturation + m_p,  y_cp = (x'_cp - m) contrast + m
/// with m_p the mean of pixel p over channels and m that of the image, which saturation leaves alone. As the map is
/// symmetric, it is its own transpose, and takes gradients back, too   // x [C, H W]
template <class T>
void change_colour(const ImageShape& shape, const ImageChange& change, T* x) {
  const Index pixels = shape.height * shape.width, channels = shape.channels;
  if (channels > 1 && change.saturation != 1) {
    const T factor = static_cast<T>(change.saturation);
    for (Index p = 0; p < pixels; ++p) {
      T mean = 0;
      for (Index c = 0; c < channels; ++c) mean += x[c * pixels + p];
      mean /= static_cast<T>(channels);
      for (Index c = 0; c < channels; ++c) x[c * pixels + p] = (x[c * pixels + p] - mean) * factor + mean;
    }
  }
  if (change.contrast != 1) {
    double sum = 0;
    for (Index i = 0; i < shape.size(); ++i) sum += static_cast<double>(x[i]);
    const T mean = static_cast<T>(sum / static_cast<double>(shape.size())), factor = static_cast<T>(change.contrast);
    for (Index i = 0; i < shape.size(); ++i) x[i] = (x[i] - mean) * factor + mean;
  }
}

}  // namespace detail

/// y_b is image x_b after changes[b]   // [B, C H W] both; `background` as in DifferentiableAugmentation
template <class T>
void augment_images(TensorView<const T> x, const ImageShape& shape, std::span<const ImageChange> changes, T background,
                    TensorView<T> y) {
  const Index pixels = shape.height * shape.width;
  parallel_for(x.rows(), std::max<Index>(1, kElementGrain / shape.size()), [&](Index begin, Index end) {
    Tensor<T> coloured(Shape{shape.size()});
    for (Index b = begin; b < end; ++b) {
      const ImageChange& change = at(changes, b);
      const T brightness = static_cast<T>(change.brightness);
      for (Index i = 0; i < shape.size(); ++i) coloured.data()[i] = x.row(b)[i] + brightness;
      detail::change_colour(shape, change, coloured.data());
      std::fill_n(y.row(b), shape.size(), background);
      detail::for_each_shown_pixel(shape, change, [&](Index to, Index from) {
        for (Index c = 0; c < shape.channels; ++c) y.row(b)[c * pixels + to] = coloured.data()[c * pixels + from];
      });
    }
  });
}

/// dx += the gradient of augment_images   // [B, C H W] both
template <class T>
void augment_images_backward(TensorView<const T> dy, const ImageShape& shape, std::span<const ImageChange> changes,
                             TensorView<T> dx) {
  const Index pixels = shape.height * shape.width;
  parallel_for(dy.rows(), std::max<Index>(1, kElementGrain / shape.size()), [&](Index begin, Index end) {
    Tensor<T> coloured(Shape{shape.size()});  // the gradient of the coloured image
    for (Index b = begin; b < end; ++b) {
      const ImageChange& change = at(changes, b);
      coloured.fill(T(0));
      detail::for_each_shown_pixel(shape, change, [&](Index to, Index from) {
        for (Index c = 0; c < shape.channels; ++c) coloured.data()[c * pixels + from] = dy.row(b)[c * pixels + to];
      });
      detail::change_colour(shape, change, coloured.data());
      for (Index i = 0; i < shape.size(); ++i) dx.row(b)[i] += coloured.data()[i];
    }
  });
}

}  // namespace kernels

}}  // namespace rapt::RAPT_ABI
