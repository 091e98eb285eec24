/// \file
/// The colours of patches as classes that a model can predict: the mean colour of a patch, or of each cell of a mosaic
/// in it, in a few bits a channel (Dosovitskiy et al. 2021, section B.1.2).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/kernels/patches.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How the colours of a patch are rounded. The defaults give one colour of 3 bits a channel, of images with values from
/// 0 to 1; with three channels there are 512 colours.
struct PatchColours {
  Index rows = 1, cols = 1;  ///< cells of the mosaic; the paper's 4 x 4 mosaic has 16 colours a patch
  Index bits = 3;            ///< of each channel
  /// The values of a channel at its darkest and at its brightest: one number for all channels, or one for each. With a
  /// normalisation they are (0 - mean) / standard deviation and (1 - mean) / standard deviation.
  std::vector<double> lowest = {0.0}, highest = {1.0};

  /// The number of colours that a patch has.
  [[nodiscard]] Index cells() const { return rows * cols; }
  /// The number of colours, 2^(bits * channels).
  [[nodiscard]] Index colours(Index channels) const { return Index{1} << (bits * channels); }
  /// The darkest value of a channel.
  [[nodiscard]] double lowest_of(Index channel) const { return of(lowest, channel); }
  /// The brightest value of a channel.
  [[nodiscard]] double highest_of(Index channel) const { return of(highest, channel); }

  /// Throws ValueError, which names the values, unless whole pixels fill the cells and the colours can be numbered.
  void validate(const PatchGrid& grid, std::string_view where) const {
    const Index channels = grid.image.channels;
    require(rows > 0 && cols > 0 && grid.patch_height % rows == 0 && grid.patch_width % cols == 0, where,
            "a mosaic of ", rows, " x ", cols, " cells does not divide patches of ", grid.patch_height, " x ",
            grid.patch_width, " pixels");
    require(bits > 0 && channels <= kMostBits / bits, where, "colours must have from 1 to ", kMostBits, " bits: ", bits,
            " bits of ", channels, " channels");
    require(rows <= (kMostScores >> (bits * channels)) / cols, where, "a patch may have ", kMostScores,
            " scores: ", rows, " x ", cols, " cells of ", colours(channels), " colours have more");
    for (const std::vector<double>* values : {&lowest, &highest}) {
      require(values->size() == 1 || std::ssize(*values) == channels, where, "lowest and highest need one number, or ",
              channels, " for the channels: there are ", values->size());
    }
    for (Index c = 0; c < channels; ++c) {
      const double range = highest_of(c) - lowest_of(c);
      require(std::isfinite(range) && range > 0, where, "the lowest value of channel ", c,
              " must be below the highest, both finite: ", lowest_of(c), ", ", highest_of(c));
    }
  }

 private:
  static constexpr Index kMostBits = 24;                // colours of true-colour images
  static constexpr Index kMostScores = Index{1} << 30;  // of all cells' colours

  [[nodiscard]] static double of(const std::vector<double>& values, Index channel) {
    return values.size() == 1 ? values[0] : at(values, channel);
  }
};

}}  // namespace rapt::RAPT_ABI

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The colours of the patches with the given numbers, cell by cell, row by row. With P patches an image, number b P + p
/// is patch p of image b.
///   level_c = floor((mean_c - lowest_c) / (highest_c - lowest_c) 2^bits), clamped to 0 .. 2^bits - 1
///   colour = sum over channels c of level_c 2^(bits (C - 1 - c))
/// where mean_c is the mean of channel c over the cell. Throws ValueError for numbers that no patch has, for options
/// that do not fit, and for a mean that is not finite   // [n cells]
template <class T>
[[nodiscard]] std::vector<std::int32_t> patch_colours(const ImageBatch<T>& images, const PatchGrid& grid,
                                                      std::span<const std::int32_t> numbers,
                                                      const PatchColours& options) {
  constexpr std::string_view kWhere = "patch_colours";
  require<ShapeError>(images.shape() == grid.image, kWhere, "images of ", to_string(images.shape()),
                      ", the grid's are ", to_string(grid.image));
  options.validate(grid, kWhere);
  require_ids(numbers, images.images() * grid.patches(), kWhere);
  const Index channels = grid.image.channels, width = grid.image.width, plane = grid.image.height * width;
  const Index cell_rows = grid.patch_height / options.rows, cell_cols = grid.patch_width / options.cols;
  const auto levels = static_cast<double>(Index{1} << options.bits);
  std::vector<std::int32_t> colours(numbers.size() * to_size(options.cells()));
  for (std::size_t i = 0; i < colours.size(); ++i) {
    const auto cell = static_cast<Index>(i) % options.cells();
    const Index number = at(numbers, static_cast<Index>(i) / options.cells()), patch = number % grid.patches();
    const Index top = patch / grid.cols() * grid.patch_height + cell / options.cols * cell_rows;
    const Index left = patch % grid.cols() * grid.patch_width + cell % options.cols * cell_cols;
    for (Index c = 0; c < channels; ++c) {
      const T* from = images.pixels().row(number / grid.patches()) + c * plane;
      double sum = 0;
      for (Index y = top; y < top + cell_rows; ++y) {
        for (Index x = left; x < left + cell_cols; ++x) sum += static_cast<double>(from[y * width + x]);
      }
      const double mean = sum / static_cast<double>(cell_rows * cell_cols), low = options.lowest_of(c);
      require(std::isfinite(mean), kWhere, "the mean of patch ", number, " is not finite: ", mean);
      const double level = std::floor((mean - low) / (options.highest_of(c) - low) * levels);
      colours[i] = colours[i] << options.bits | static_cast<std::int32_t>(std::clamp(level, 0.0, levels - 1));
    }
  }
  return colours;
}

}}}  // namespace rapt::RAPT_ABI::kernels
