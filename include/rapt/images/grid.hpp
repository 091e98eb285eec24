/// \file
/// Many images in rows and columns as one image, each with a coloured frame if wanted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/images/image.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How images are laid out in a grid.
struct GridOptions {
  Index columns = 8;                    ///< images of a row, if there are so many
  Index scale = 1;                      ///< each pixel becomes a square of scale x scale pixels
  Index gap = 2;                        ///< pixels between the cells and around the grid
  Index frame = 2;                      ///< thickness of the frames in pixels
  Colour background = {255, 255, 255};  ///< of gaps, and around images smaller than their cell
};

namespace detail {

/// Fills a rectangle with a colour.
inline void paint(Image& image, Index top, Index left, Index height, Index width, const Colour& colour) {
  for (Index y = top; y < top + height; ++y) {
    for (Index x = left; x < left + width; ++x) {
      std::uint8_t* to = image.pixel(y, x);
      to[0] = colour.red;
      to[1] = colour.green;
      to[2] = colour.blue;
    }
  }
}

/// Copies `image`, enlarged `scale` times, into `canvas` with its upper left corner at (top, left).
inline void place(Image& canvas, Index top, Index left, Index scale, const Image& image) {
  const Index blue = image.channels() - 1;
  for (Index y = 0; y < image.height(); ++y) {
    for (Index x = 0; x < image.width(); ++x) {
      const std::uint8_t* from = image.pixel(y, x);
      const Colour colour{from[0], from[blue / 2], from[blue]};
      paint(canvas, top + y * scale, left + x * scale, scale, scale, colour);
    }
  }
}

}  // namespace detail

/// The images in reading order as one colour image. Every cell has the size of the largest image; smaller images are
/// centred in it. If `frames` is not empty, frames[i] is the colour of image i's frame, or no frame; if it is empty, no
/// room is left for frames. Throws ValueError for options that do not fit, and ShapeError for an empty image, which the
/// text names, or a grid that would be too large.
[[nodiscard]] inline Image image_grid(std::span<const Image> images, const GridOptions& options = {},
                                      std::span<const std::optional<Colour>> frames = {}) {
  constexpr std::string_view kWhere = "image_grid";
  constexpr Index kMost = Index{1} << 14;  // so that no product below can overflow
  require(options.columns >= 1 && options.scale >= 1 && options.scale <= kMost && options.gap >= 0 &&
              options.gap <= kMost && options.frame >= 0 && options.frame <= kMost,
          kWhere, "columns and scale must be positive, gap and frame not negative, the last three at most ", kMost,
          ": ", options.columns, ", ", options.scale, ", ", options.gap, ", ", options.frame);
  require(!images.empty(), kWhere, "there is no image");
  require<ShapeError>(frames.empty() || frames.size() == images.size(), kWhere, frames.size(), " frames for ",
                      images.size(), " images");
  Index height = 0, width = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    require<ShapeError>(!images[i].empty(), kWhere, "image ", i, " is empty");
    height = std::max(height, images[i].height());
    width = std::max(width, images[i].width());
  }
  const auto count = std::ssize(images);
  const Index columns = std::min(options.columns, count), rows = (count + columns - 1) / columns;
  const Index frame = frames.empty() ? 0 : options.frame, scale = options.scale;
  const Index cell_height = height * scale + 2 * frame, cell_width = width * scale + 2 * frame;
  const Index row_step = cell_height + options.gap, column_step = cell_width + options.gap;
  require<ShapeError>(rows <= kMaxImagePixels / row_step && columns <= kMaxImagePixels / column_step, kWhere, count,
                      " images of ", cell_height, " x ", cell_width, " pixels are too many");
  Image grid(rows * row_step + options.gap, columns * column_step + options.gap, 3);
  detail::paint(grid, 0, 0, grid.height(), grid.width(), options.background);
  for (Index i = 0; i < count; ++i) {
    const Image& image = at(images, i);
    const Index top = options.gap + i / columns * row_step, left = options.gap + i % columns * column_step;
    if (frame > 0) {
      if (const std::optional<Colour>& colour = at(frames, i); colour.has_value()) {
        detail::paint(grid, top, left, cell_height, cell_width, *colour);
        detail::paint(grid, top + frame, left + frame, height * scale, width * scale, options.background);
      }
    }
    detail::place(grid, top + frame + (height - image.height()) * scale / 2,
                  left + frame + (width - image.width()) * scale / 2, scale, image);
  }
  return grid;
}

}}  // namespace rapt::RAPT_ABI
