/// \file
/// What a Transformer-XL remembers of the segments that it has read (Dai et al. 2019, section 3.2).
#pragma once

#include <algorithm>
#include <vector>

#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What each layer read: carried from segment to segment, without gradient. A value type; empty before the first.
template <class T>
struct TransformerXlMemory {
  std::vector<Tensor<T>> layers;  ///< [M, D] each: the input of the layer; nobody reads the last one's output again
  RowSplits row_splits;           ///< of the sequences

  [[nodiscard]] bool empty() const { return layers.empty(); }
  /// Sequences that are remembered: hypotheses, when decoding.
  [[nodiscard]] Index rows() const { return row_splits.sequences(); }

  /// Sequence r becomes what sequence parents[r] was.
  void select(std::span<const Index> parents) {
    RowSplits splits;
    for (const Index parent : parents) {
      require(parent >= 0 && parent < rows(), "transformer_xl", "memory of sequence ", parent, " of ", rows());
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
