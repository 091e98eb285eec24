/// \file
/// Which row of a table of learned biases the score of two positions takes: for each distance between two patches of an
/// image (BEiT, section 2.1), or for buckets of offsets in a text (T5).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The number of distances between patches of a grid.
[[nodiscard]] inline Index patch_distances(Index grid_rows, Index grid_cols) {
  return (2 * grid_rows - 1) * (2 * grid_cols - 1);
}

/// The number of the distance for each pair of patches, at i P + j for query i and key j; patches follow row by row
///   // [P * P], P = rows * cols
[[nodiscard]] inline std::vector<std::int32_t> patch_pairs(Index grid_rows, Index grid_cols) {
  const Index patches = grid_rows * grid_cols;
  std::vector<std::int32_t> pairs;
  pairs.reserve(to_size(patches * patches));
  for (Index i = 0; i < patches; ++i) {
    for (Index j = 0; j < patches; ++j) {
      const Index down = i / grid_cols - j / grid_cols + grid_rows - 1,
                  right = i % grid_cols - j % grid_cols + grid_cols - 1;
      pairs.push_back(static_cast<std::int32_t>(down * (2 * grid_cols - 1) + right));
    }
  }
  return pairs;
}

/// As patch_distances, and three more: the class token attends to a patch, a patch attends to it, and it attends to
/// itself.
[[nodiscard]] inline Index relative_distances(Index grid_rows, Index grid_cols) {
  return patch_distances(grid_rows, grid_cols) + 3;
}

/// As patch_pairs, with a class token: token 0 is the class token and the patches follow row by row
///   // [L * L], L = rows * cols + 1
[[nodiscard]] inline std::vector<std::int32_t> relative_pairs(Index grid_rows, Index grid_cols) {
  const Index patches = grid_rows * grid_cols, length = patches + 1,
              distances = relative_distances(grid_rows, grid_cols);
  const std::vector<std::int32_t> of_patches = patch_pairs(grid_rows, grid_cols);
  std::vector<std::int32_t> pairs(to_size(length * length));
  for (Index i = 0; i < patches; ++i) {
    at(pairs, i + 1) = static_cast<std::int32_t>(distances - 3);
    at(pairs, (i + 1) * length) = static_cast<std::int32_t>(distances - 2);
    std::copy_n(of_patches.begin() + i * patches, patches, pairs.begin() + (i + 1) * length + 1);
  }
  pairs[0] = static_cast<std::int32_t>(distances - 1);
  return pairs;
}

/// T5's buckets of offsets (Raffel et al. 2020, section 2.1), of which each has a bias in every head. Half of the
/// buckets are for one offset each; the others hold offsets whose range grows by a constant factor, up to
/// `max_distance`, and the last one all beyond. Offsets are j - i for query i and key j.
struct RelativeBuckets {
  Index buckets = 32;
  Index max_distance = 128;
  /// True: keys before and behind the query have buckets of their own, half of them each. False: for causal attention;
  /// all keys behind the query share the bucket of offset 0.
  bool bidirectional = true;

  /// Throws ValueError unless each direction has at least two buckets and distances that exceed the exact ones.
  void validate(std::string_view where) const {
    const Index exact = directed() / 2;
    require(exact >= 1, where, "relative positions need at least ", bidirectional ? 4 : 2, " buckets: ", buckets);
    require(max_distance > exact, where, "max_distance must exceed the ", exact,
            " distances that have buckets of their own: ", max_distance);
  }

  /// The bucket of an offset, from 0 to buckets - 1.
  [[nodiscard]] Index bucket(Index offset) const {
    const Index count = directed(), exact = count / 2;
    const Index first = bidirectional && offset > 0 ? count : 0;
    const Index distance = bidirectional ? std::abs(offset) : std::max<Index>(-offset, 0);
    if (distance < exact) return first + distance;
    // In float, as in the implementations whose weights are published: bounds between buckets depend on it.
    const float ratio = std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
                        static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
    return first + std::min(exact + static_cast<Index>(ratio * static_cast<float>(count - exact)), count - 1);
  }
  /// The buckets of offsets -before .. behind   // [before + 1 + behind]
  [[nodiscard]] std::vector<std::int32_t> numbers(Index before, Index behind) const {
    std::vector<std::int32_t> result;
    result.reserve(to_size(before + 1 + behind));
    for (Index offset = -before; offset <= behind; ++offset)
      result.push_back(static_cast<std::int32_t>(bucket(offset)));
    return result;
  }

 private:
  /// Buckets of one direction.
  [[nodiscard]] Index directed() const { return bidirectional ? buckets / 2 : buckets; }
};

}}  // namespace rapt::RAPT_ABI
