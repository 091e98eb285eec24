/// \file
/// A learned bias of attention scores for each distance between two patches of an image (BEiT, section 2.1).
#pragma once

#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The number of distances between patches of a grid, and three more: the class token attends to a patch, a patch
/// attends to it, and it attends to itself.
[[nodiscard]] inline Index relative_distances(Index grid_rows, Index grid_cols) {
  return (2 * grid_rows - 1) * (2 * grid_cols - 1) + 3;
}

/// The number of the distance for each pair of tokens, at i L + j for query i and key j; token 0 is the class token and
/// the patches follow row by row   // [L * L], L = rows * cols + 1
[[nodiscard]] inline std::vector<TokenId> relative_pairs(Index grid_rows, Index grid_cols) {
  const Index patches = grid_rows * grid_cols, length = patches + 1,
              distances = relative_distances(grid_rows, grid_cols);
  std::vector<TokenId> pairs(static_cast<std::size_t>(length * length));
  const auto pair = [&](Index i, Index j) -> TokenId& { return pairs[static_cast<std::size_t>(i * length + j)]; };
  for (Index i = 0; i < patches; ++i) {
    pair(0, i + 1) = static_cast<TokenId>(distances - 3);
    pair(i + 1, 0) = static_cast<TokenId>(distances - 2);
    for (Index j = 0; j < patches; ++j) {
      const Index down = i / grid_cols - j / grid_cols + grid_rows - 1,
                  right = i % grid_cols - j % grid_cols + grid_cols - 1;
      pair(i + 1, j + 1) = static_cast<TokenId>(down * (2 * grid_cols - 1) + right);
    }
  }
  pair(0, 0) = static_cast<TokenId>(distances - 1);
  return pairs;
}

/// The table of biases, zeros at first   // [distances, heads]
template <class T = float>
class RelativePositionBias {
 public:
  RelativePositionBias(Index grid_rows, Index grid_cols, Index heads)
      : table_(init::constant<T>(Shape{relative_distances(grid_rows, grid_cols), heads}, T(0))) {}

  [[nodiscard]] const Parameter<T>& table() const { return table_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("table", self.table_);
  }

 private:
  Parameter<T> table_;
};
static_assert(Module<RelativePositionBias<float>>);

}}  // namespace rapt::RAPT_ABI
