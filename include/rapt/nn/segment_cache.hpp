/// \file
/// What a stack of blocks keeps of the segments of a text that it has read (Dai et al. 2019, section 3.2).
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The last rows that each layer read: carried from segment to segment, without gradient. A value type; empty before
/// the first segment.
template <class T>
struct SegmentCache {
  std::vector<Tensor<T>> layers;  ///< [M, D] each, the input of the layer
  RowSplits row_splits;           ///< which rows are whose sequence

  [[nodiscard]] bool empty() const { return layers.empty(); }
  /// How many sequences there are: hypotheses, when decoding.
  [[nodiscard]] Index rows() const { return row_splits.sequences(); }

  /// Sequence r becomes what sequence parents[r] was.
  void select(std::span<const Index> parents) {
    RowSplits splits;
    for (const Index parent : parents) {
      require(parent >= 0 && parent < rows(), "segment_cache", "sequence ", parent, " of ", rows());
      splits.push_back(row_splits.length(parent));
    }
    for (Tensor<T>& layer : layers) {
      Tensor<T> selected(Shape{splits.rows(), layer.cols()});
      for (std::size_t r = 0; r < parents.size(); ++r) {
        const Index count = row_splits.length(parents[r]) * layer.cols();
        std::copy_n(layer.row(row_splits.begin(parents[r])), count, selected.row(splits.begin(static_cast<Index>(r))));
      }
      layer = std::move(selected);
    }
    row_splits = std::move(splits);
  }
};

/// How cached rows and the rows of a new segment stand in one matrix: of each sequence first the cached ones.
struct JoinedRows {
  RowSplits splits;                    ///< of the sequences, joined
  std::vector<Index> cached, segment;  ///< where the rows of each go

  JoinedRows(const RowSplits& before, const RowSplits& now) {
    for (Index i = 0; i < now.sequences(); ++i) {
      for (Index r = 0; r < before.length(i); ++r) cached.push_back(splits.rows() + r);
      for (Index r = 0; r < now.length(i); ++r) segment.push_back(splits.rows() + before.length(i) + r);
      splits.push_back(before.length(i) + now.length(i));
    }
  }
};

namespace detail {

/// Splits of the last rows of each sequence, at most so many.
[[nodiscard]] inline RowSplits last_rows(const RowSplits& splits, Index most) {
  RowSplits kept;
  for (Index i = 0; i < splits.sequences(); ++i) kept.push_back(std::min(splits.length(i), most));
  return kept;
}
/// The last rows of each sequence, as many as `kept` says.
template <class T>
[[nodiscard]] Tensor<T> last_rows(const Tensor<T>& all, const RowSplits& splits, const RowSplits& kept) {
  Tensor<T> rows(Shape{kept.rows(), all.cols()});
  for (Index i = 0; i < splits.sequences(); ++i) {
    std::copy_n(all.row(splits.end(i) - kept.length(i)), kept.length(i) * all.cols(), rows.row(kept.begin(i)));
  }
  return rows;
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
