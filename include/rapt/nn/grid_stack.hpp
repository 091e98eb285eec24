/// \file
/// A stack of blocks on the tokens of a grid, which attend within windows: the stages of TransGAN (Jiang et al. 2021).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/autograd/ops/assemble_tokens.hpp"
#include "rapt/core/index.hpp"
#include "rapt/kernels/resize_grid.hpp"
#include "rapt/nn/relative_position_bias.hpp"
#include "rapt/nn/stack.hpp"
#include "rapt/nn/truncated_normal.hpp"

namespace rapt { inline namespace RAPT_ABI {

using kernels::GridSize;

/// The grid whose cells are a stack's tokens, and the windows of its attention.
struct GridStackOptions {
  GridSize grid = {};
  /// The side of the windows that the grid is cut into: a token attends to those of its window alone ("grid
  /// self-attention" in the paper). 0: all tokens of an image are one window.
  Index window = 0;
  Index layers = 1;                ///< the number of blocks
  BlockOptions block = {};         ///< of each layer; its positions are this stack's to set
  bool relative_positions = true;  ///< each layer adds a learned bias by the distance of two tokens to their scores
  bool class_token = false;        ///< a learned token before the others of each image; needs a single window
  bool final_norm = false;         ///< a norm behind the last block
  double init_std = 0.02;          ///< of positions and the class token, a truncated normal
};

/// Adds learned positions to the tokens of each image's grid, and applies blocks.
///
/// The rows of an image stand window by window, and row by row within a window. Thereby a window is a sequence of the
/// row splits, attention costs no more than its windows, and no row moves between blocks. `order` says which token of
/// the grid each row is; without windows it is row by row. With a class token, that is the first row of each image.
///
/// A const stack may be used from many threads.
template <class T = float, BlockKinds kKinds = kAllKinds>
class GridStack {
 public:
  /// Throws ValueError for options that do not fit.
  GridStack(const GridStackOptions& options, Rng& rng)
      : grid_(checked(options).grid),
        window_(options.window > 0 ? GridSize{options.window, options.window} : options.grid),
        has_class_token_(options.class_token),
        stack_(options.layers, with_positions(options), options.final_norm, rng) {
    const Index width = options.block.attention.d_model;
    if (has_class_token_)
      class_token_ = Parameter<T>(init::truncated_normal<T>(Shape{1, width}, rng, options.init_std));
    positions_ = Parameter<T>(init::truncated_normal<T>(Shape{length(), width}, rng, options.init_std));
    if (options.relative_positions) {
      pairs_ = has_class_token_ ? relative_pairs(grid_.rows, grid_.cols) : patch_pairs(window_.rows, window_.cols);
    }
    const Index windows_across = grid_.cols / window_.cols;
    for (Index k = 0; k < grid_.cells(); ++k) {
      const Index window = k / window_.cells(), inside = k % window_.cells();
      const Index row = window / windows_across * window_.rows + inside / window_.cols;
      const Index col = window % windows_across * window_.cols + inside % window_.cols;
      order_.push_back(static_cast<std::int32_t>(row * grid_.cols + col));
    }
  }

  /// [B L, D] from x [B P, D], P = grid().cells() and L = length()
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, Index images) const {
    require<ShapeError>(images > 0 && x.rows() == images * grid_.cells(), kWhere, "x has shape ", x.shape(), ", ",
                        images, " images have ", grid_.cells(), " tokens each");
    const Variable<T> extra[] = {class_token_};
    const Index extras = has_class_token_ ? 1 : 0, windows = grid_.cells() / window_.cells();
    const Variable<T> tokens = assemble_tokens<T>(x, std::span<const Variable<T>>(extra).first(to_size(extras)),
                                                  positions_, images, order(images));
    return stack_(tokens, RowSplits::equal(images * windows, window_.cells() + extras),
                  {.positions = {.numbers = pairs_}});
  }

  /// The token of the grid, counted row by row, that each row of a batch is, apart from class tokens   // [B P]
  [[nodiscard]] std::vector<std::int32_t> order(Index images) const {
    std::vector<std::int32_t> rows;
    rows.reserve(to_size(images * grid_.cells()));
    for (Index b = 0; b < images; ++b) rows.insert(rows.end(), order_.begin(), order_.end());
    return rows;
  }
  [[nodiscard]] const GridSize& grid() const { return grid_; }
  /// Rows of an image: those of the grid and the class token.
  [[nodiscard]] Index length() const { return grid_.cells() + (has_class_token_ ? 1 : 0); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("class_token", self.class_token_);
    visitor("positions", self.positions_);
    Stack<T, kKinds>::visit(self.stack_, visitor);
  }

 private:
  static constexpr std::string_view kWhere = "grid_stack";

  static const GridStackOptions& checked(const GridStackOptions& options) {
    const GridSize& grid = options.grid;
    const Index window = options.window;
    require(grid.rows > 0 && grid.cols > 0 && window >= 0, kWhere, "sizes must be positive: a grid of ", grid.rows,
            " x ", grid.cols, ", windows of side ", window);
    require(window == 0 || (grid.rows % window == 0 && grid.cols % window == 0), kWhere, "a grid of ", grid.rows, " x ",
            grid.cols, " cannot be cut into windows of side ", window);
    require(!options.class_token || window == 0, kWhere,
            "a class token attends to all tokens, so that there are no windows: their side is ", window);
    return options;
  }
  static BlockOptions with_positions(const GridStackOptions& options) {
    BlockOptions block = options.block;
    const GridSize window = options.window > 0 ? GridSize{options.window, options.window} : options.grid;
    if (options.relative_positions) {
      block.attention.positions =
          RelativePositionBias{.rows = options.class_token ? relative_distances(window.rows, window.cols)
                                                           : patch_distances(window.rows, window.cols)};
    }
    return block;
  }

  GridSize grid_, window_;
  bool has_class_token_;
  Parameter<T> class_token_;         // [1, D]
  Parameter<T> positions_;           // [L, D], in the order of the grid
  std::vector<std::int32_t> order_;  // of one image
  std::vector<std::int32_t> pairs_;  // numbers of distances in a window
  Stack<T, kKinds> stack_;
};
static_assert(Module<GridStack<float>>);

}}  // namespace rapt::RAPT_ABI
