/// \file
/// Images in other sizes, with the filters, the order and the rounding of Pillow's `Image.resize`: the bytes are the
/// same as Pillow's, so that published models of images see what they were trained on. And the middle of images.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/images/image.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The function of the distance by which pixels are weighted. When an image becomes smaller, the function is stretched
/// by the ratio of the sizes, so that every pixel counts. The order is that of Pillow's numbers.
enum class Resampling {
  nearest,   ///< the one pixel in which the centre lies
  lanczos,   ///< sinc(x) sinc(x / 3), |x| < 3
  bilinear,  ///< 1 - |x|, |x| < 1
  bicubic,   ///< Keys's cubic with a = -1/2, |x| < 2
  box,       ///< 1, |x| <= 1/2
  hamming,   ///< sinc(x) (0.54 + 0.46 cos(pi x)), |x| < 1
};

[[nodiscard]] constexpr auto named_values(Resampling) {
  return std::to_array<NamedValue<Resampling>>({{"nearest", Resampling::nearest},
                                                {"lanczos", Resampling::lanczos},
                                                {"bilinear", Resampling::bilinear},
                                                {"bicubic", Resampling::bicubic},
                                                {"box", Resampling::box},
                                                {"hamming", Resampling::hamming}});
}

namespace detail {

/// How far from the centre the function is not 0.
[[nodiscard]] inline double resampling_support(Resampling filter) {
  switch (filter) {
    case Resampling::lanczos:
      return 3;
    case Resampling::bicubic:
      return 2;
    case Resampling::bilinear:
    case Resampling::hamming:
      return 1;
    default:
      return 0.5;
  }
}

[[nodiscard]] inline double resampling_weight(Resampling filter, double x) {
  const auto sinc = [](double t) { return t == 0 ? 1 : std::sin(t * std::numbers::pi) / (t * std::numbers::pi); };
  const double distance = std::abs(x);
  switch (filter) {
    case Resampling::lanczos:
      return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    case Resampling::bilinear:
      return distance < 1 ? 1 - distance : 0;
    case Resampling::bicubic:
      if (distance < 1) return (1.5 * distance - 2.5) * distance * distance + 1;
      return distance < 2 ? ((-0.5 * distance + 2.5) * distance - 4) * distance + 2 : 0;
    case Resampling::hamming:
      return distance < 1 ? sinc(x) * (0.54 + 0.46 * std::cos(x * std::numbers::pi)) : 0;
    default:
      return x > -0.5 && x <= 0.5 ? 1 : 0;
  }
}

inline constexpr int kResamplingBits = 22;  // behind the point of weights: 32 less the 8 of a byte and 2 for sums above

/// The weights of the old pixels in one row or column of new ones, as whole numbers.
struct ResamplingWeights {
  std::vector<Index> begins;          // [new] the first old pixel
  std::vector<Index> ends;            // [new] behind the last
  std::vector<std::int32_t> weights;  // [new, most]
  Index most = 0;                     // old pixels of one new pixel

  ResamplingWeights(Index from, Index to, Resampling filter) : begins(to_size(to)), ends(to_size(to)) {
    const double scale = static_cast<double>(from) / static_cast<double>(to), stretch = std::max(scale, 1.0);
    const double support = resampling_support(filter) * stretch;
    most = 2 * static_cast<Index>(std::ceil(support)) + 1;
    weights.resize(to_size(to * most));
    std::vector<double> exact(to_size(most));
    for (Index i = 0; i < to; ++i) {
      const double centre = (static_cast<double>(i) + 0.5) * scale;
      const Index begin = std::max<Index>(0, static_cast<Index>(centre - support + 0.5));
      const Index end = std::min(from, static_cast<Index>(centre + support + 0.5));
      double sum = 0;
      for (Index k = begin; k < end; ++k) {
        sum += at(exact, k - begin) = resampling_weight(filter, (static_cast<double>(k) - centre + 0.5) / stretch);
      }
      for (Index k = 0; k < end - begin; ++k) {
        const double weight = sum != 0 ? at(exact, k) / sum : at(exact, k);
        at(weights, i * most + k) =
            static_cast<std::int32_t>(std::ldexp(weight, kResamplingBits) + (weight < 0 ? -0.5 : 0.5));
      }
      at(begins, i) = begin;
      at(ends, i) = end;
    }
  }

  /// The weighted sum of the bytes first[k * stride] for old pixels k of new pixel i, rounded.
  [[nodiscard]] std::uint8_t sum(Index i, const std::uint8_t* first, Index stride) const {
    std::int32_t total = std::int32_t{1} << (kResamplingBits - 1);
    const std::int32_t* weight = weights.data() + i * most;
    for (Index k = at(begins, i); k < at(ends, i); ++k) total += *weight++ * std::int32_t{first[k * stride]};
    return static_cast<std::uint8_t>(std::clamp(total >> kResamplingBits, 0, 255));
  }
};

[[nodiscard]] inline Image with_width(const Image& image, Index width, Resampling filter) {
  if (width == image.width()) return image;
  Image result(image.height(), width, image.channels());
  const ResamplingWeights weights(image.width(), width, filter);
  parallel_for(image.height(), 16, [&](Index begin, Index end) {
    for (Index y = begin; y < end; ++y) {
      for (Index x = 0; x < width; ++x) {
        for (Index c = 0; c < image.channels(); ++c) {
          result.pixel(y, x)[c] = weights.sum(x, image.pixel(y, 0) + c, image.channels());
        }
      }
    }
  });
  return result;
}
[[nodiscard]] inline Image with_height(const Image& image, Index height, Resampling filter) {
  if (height == image.height()) return image;
  Image result(height, image.width(), image.channels());
  const ResamplingWeights weights(image.height(), height, filter);
  const Index row = image.width() * image.channels();
  parallel_for(height, 16, [&](Index begin, Index end) {
    for (Index y = begin; y < end; ++y) {
      for (Index i = 0; i < row; ++i) result.pixel(y, 0)[i] = weights.sum(y, image.pixel(0, 0) + i, row);
    }
  });
  return result;
}

/// The old pixel in which the centre of each new one lies   // [to]
/// The centres are added up as Pillow does, so that those on an edge are rounded to the same side.
[[nodiscard]] inline std::vector<Index> nearest_places(Index from, Index to) {
  std::vector<Index> places(to_size(to));
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  double centre = scale * 0.5;
  for (Index& place : places) {
    place = std::min(from - 1, static_cast<Index>(centre));
    centre += scale;
  }
  return places;
}

}  // namespace detail

/// The image with other sizes: first rows get their new width, then columns their new height, or the other way round
/// where the height becomes smaller by more than twice as many pixels as the width does (as in Pillow 13; earlier
/// versions resize the rows first always, so that a value may differ by one). Between the two, numbers are rounded to
/// bytes. Throws ShapeError for an empty image and for sizes that are not positive or too large.
[[nodiscard]] inline Image resized(const Image& image, Index height, Index width, Resampling filter) {
  require<ShapeError>(!image.empty(), "resized", "the image is empty");
  require<ShapeError>(height > 0 && width > 0 && width <= kMaxImagePixels / height, "resized",
                      "sizes must be positive, and at most ", kMaxImagePixels, " pixels: ", height, " x ", width);
  using detail::with_height;
  using detail::with_width;
  if (filter == Resampling::nearest) {
    Image result(height, width, image.channels());
    const std::vector<Index> rows = detail::nearest_places(image.height(), height);
    const std::vector<Index> columns = detail::nearest_places(image.width(), width);
    for (Index y = 0; y < height; ++y) {
      for (Index x = 0; x < width; ++x) {
        std::copy_n(image.pixel(at(rows, y), at(columns, x)), image.channels(), result.pixel(y, x));
      }
    }
    return result;
  }
  const bool columns_first = height < image.height() && image.height() - height > 2 * (image.width() - width);
  if (columns_first) return with_width(with_height(image, height, filter), width, filter);
  return with_height(with_width(image, width, filter), height, filter);
}

/// The image resized so that its shorter side has `length` pixels and its longer one as many as the ratio of the sides
/// gives, rounded down.
[[nodiscard]] inline Image resized_to_shortest(const Image& image, Index length, Resampling filter) {
  require<ShapeError>(!image.empty(), "resized", "the image is empty");
  require<ShapeError>(length > 0 && length <= kMaxImagePixels, "resized", "the shorter side must have 1 to ",
                      kMaxImagePixels, " pixels: ", length);
  const Index height = image.height(), width = image.width();
  return width <= height ? resized(image, length * height / width, length, filter)
                         : resized(image, length, length * width / height, filter);
}

/// The middle of the image in these sizes. Where the image is smaller, there are zeros around it, as in transformers'
/// `center_crop`. If two margins cannot be equal, the top or left one is the smaller where the image is cut and the
/// larger where zeros are added. Throws ShapeError for an empty image and for sizes that are not positive or too large.
[[nodiscard]] inline Image centre_cropped(const Image& image, Index height, Index width) {
  require<ShapeError>(!image.empty(), "centre_cropped", "the image is empty");
  Image result(height, width, image.channels());
  const auto first = [](Index from, Index to) {  // the place in the image of the result's first row or column
    return from >= to ? (from - to) / 2 : -((to - from + 1) / 2);
  };
  const Index top = first(image.height(), height), left = first(image.width(), width);
  const Index begin = std::max<Index>(0, -left), end = std::min(width, image.width() - left);
  for (Index y = std::max<Index>(0, -top); y < std::min(height, image.height() - top); ++y) {
    std::copy_n(image.pixel(y + top, begin + left), (end - begin) * image.channels(), result.pixel(y, begin));
  }
  return result;
}

}}  // namespace rapt::RAPT_ABI
