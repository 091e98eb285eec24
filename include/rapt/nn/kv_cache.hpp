/// \file
/// Keys and values of what was decoded so far, so that each step computes one token and not the whole prefix.
#pragma once

#include <algorithm>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/attention.hpp"

namespace rapt::inline RAPT_ABI {

/// [keys | values] of one attention layer for some rows (hypotheses): row r occupies entries r * capacity ..
/// r * capacity + length(r) of one table, whose capacity doubles when it is full. A value type.
template <class T>
class KeyValueCache {
 public:
  KeyValueCache() = default;
  KeyValueCache(Index rows, Index d_model)
      : width_(2 * d_model), table_(Shape{0, 2 * d_model}), lengths_(static_cast<std::size_t>(rows), 0) {}

  [[nodiscard]] Index rows() const { return static_cast<Index>(lengths_.size()); }
  [[nodiscard]] Index length(Index row) const { return lengths_[static_cast<std::size_t>(row)]; }
  [[nodiscard]] const std::vector<Index>& lengths() const { return lengths_; }

  /// Adds the entries of sequence r behind those of row r   // keys_values [N, 2 D] (any stride), splits of `rows()`
  void append(const TensorView<const T>& keys_values, const RowSplits& splits) {
    require<ShapeError>(
        splits.sequences() == rows() && keys_values.cols() == width_ && splits.rows() == keys_values.rows(), "kv_cache",
        keys_values.shape(), " in ", splits.sequences(), " sequences for ", rows(), " rows of width ", width_);
    Index needed = 0;
    for (Index r = 0; r < rows(); ++r) needed = std::max(needed, length(r) + splits.length(r));
    if (needed > capacity_) gather_into(std::max(needed, std::max<Index>(2 * capacity_, 16)), all_rows());
    for (Index r = 0; r < rows(); ++r) {
      for (Index i = splits.begin(r); i < splits.end(r); ++i) {
        std::copy_n(keys_values.row(i), width_, table_.row(r * capacity_ + lengths_[static_cast<std::size_t>(r)]++));
      }
    }
  }

  /// Row r becomes what row `parents[r]` was: hypotheses are dropped, moved and doubled.
  void select(std::span<const Index> parents) {
    for (const Index parent : parents) {
      require(parent >= 0 && parent < rows(), "kv_cache", "row ", parent, " of ", rows());
    }
    std::vector<Index> rows_from(parents.begin(), parents.end());
    if (rows_from != all_rows()) gather_into(capacity_, rows_from);
  }

  [[nodiscard]] TensorView<const T> keys() const { return std::as_const(table_).view().columns(0, width_ / 2); }
  [[nodiscard]] TensorView<const T> values() const {
    return std::as_const(table_).view().columns(width_ / 2, width_ / 2);
  }
  [[nodiscard]] std::vector<kernels::KeyRange> ranges() const {
    std::vector<kernels::KeyRange> result;
    for (Index r = 0; r < rows(); ++r) result.push_back({r * capacity_, length(r)});
    return result;
  }

 private:
  [[nodiscard]] std::vector<Index> all_rows() const {
    std::vector<Index> rows_now(lengths_.size());
    for (std::size_t r = 0; r < rows_now.size(); ++r) rows_now[r] = static_cast<Index>(r);
    return rows_now;
  }

  void gather_into(Index capacity, const std::vector<Index>& parents) {
    Tensor<T> table(Shape{static_cast<Index>(parents.size()) * capacity, width_});
    std::vector<Index> lengths;
    for (std::size_t r = 0; r < parents.size(); ++r) {
      lengths.push_back(length(parents[r]));
      if (lengths.back() == 0) continue;
      std::copy_n(table_.row(parents[r] * capacity_), lengths.back() * width_,
                  table.row(static_cast<Index>(r) * capacity));
    }
    table_ = std::move(table);
    lengths_ = std::move(lengths);
    capacity_ = capacity;
  }

  Index width_ = 0, capacity_ = 0;
  Tensor<T> table_;  // [rows * capacity, 2 D]
  std::vector<Index> lengths_;
};

}  // namespace rapt::inline RAPT_ABI
