/// \file
/// Keys and values of what was decoded so far, so that each step computes one token and not the whole prefix.
#pragma once

#include <algorithm>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/attention/cached.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// [keys | values] of one attention layer for some rows (hypotheses). Entries stay where they were written; each row is
/// a list of entry numbers, so that hypotheses which share a beginning share its entries, and following a search moves
/// numbers and no keys. A value type.
template <class T>
class KeyValueCache {
 public:
  KeyValueCache() = default;
  /// `key_columns`: of keys, heads times d_k. That is D, unless several heads of queries share one. `value_columns`: of
  /// values, heads times d_v; as many as of keys where they are not given.
  KeyValueCache(Index rows, Index key_columns) : KeyValueCache(rows, key_columns, key_columns) {}
  KeyValueCache(Index rows, Index key_columns, Index value_columns)
      : key_columns_(key_columns),
        width_(key_columns + value_columns),
        table_(Shape{0, width_}),
        entries_(static_cast<std::size_t>(rows)) {}

  [[nodiscard]] Index rows() const { return static_cast<Index>(entries_.size()); }
  /// How many tokens of a row are kept; `row` is not checked.
  [[nodiscard]] Index length(Index row) const {
    return static_cast<Index>(entries_[static_cast<std::size_t>(row)].size());
  }
  /// How many tokens of each row are kept   // [rows]
  [[nodiscard]] std::vector<Index> lengths() const {
    std::vector<Index> lengths;
    for (Index r = 0; r < rows(); ++r) lengths.push_back(length(r));
    return lengths;
  }

  /// Adds the entries of sequence r behind those of row r   // [keys | values], of any stride
  void append(const TensorView<const T>& keys_values, const RowSplits& splits) {
    require<ShapeError>(
        splits.sequences() == rows() && keys_values.cols() == width_ && splits.rows() == keys_values.rows(), "kv_cache",
        keys_values.shape(), " in ", splits.sequences(), " sequences for ", rows(), " rows of width ", width_);
    if (size_ + keys_values.rows() > table_.rows()) make_room(keys_values.rows());
    for (Index r = 0; r < rows(); ++r) {
      for (Index i = splits.begin(r); i < splits.end(r); ++i) {
        std::copy_n(keys_values.row(i), width_, table_.row(size_));
        entries_[static_cast<std::size_t>(r)].push_back(static_cast<std::int32_t>(size_++));
      }
    }
  }

  /// Row r becomes what row `parents[r]` was: hypotheses are dropped, moved and doubled.
  void select(std::span<const Index> parents) {
    for (const Index parent : parents) {
      require(parent >= 0 && parent < rows(), "kv_cache", "row ", parent, " of ", rows());
    }
    selected_.resize(parents.size());
    for (std::size_t r = 0; r < parents.size(); ++r) {
      const auto& from = entries_[static_cast<std::size_t>(parents[r])];
      selected_[r].assign(from.begin(), from.end());
    }
    entries_.swap(selected_);
  }

  /// Leaves of each row its first entries, at most so many: what comes next is appended behind them.
  void truncate(Index length) {
    require(length >= 0, "kv_cache", "a length must not be negative: ", length);
    size_ = 0;
    for (auto& row : entries_) {
      if (std::ssize(row) > length) row.resize(static_cast<std::size_t>(length));
      if (!row.empty()) size_ = std::max<Index>(size_, row.back() + 1);  // entries of a row grow
    }
  }

  [[nodiscard]] TensorView<const T> keys() const { return std::as_const(table_).view().columns(0, key_columns_); }
  [[nodiscard]] TensorView<const T> values() const {
    return std::as_const(table_).view().columns(key_columns_, width_ - key_columns_);
  }
  /// Rows of `keys` and `values` that row r's entries are, in their order.
  [[nodiscard]] std::span<const std::int32_t> entries(Index row) const {
    return entries_[static_cast<std::size_t>(row)];
  }

 private:
  /// A table for all entries that a row still has, and `more`: twice as many as those, to grow into.
  void make_room(Index more) {
    std::vector<std::int32_t> moved(static_cast<std::size_t>(size_), -1);
    Index used = 0;
    for (const auto& row : entries_) {
      for (const std::int32_t entry : row) {
        if (moved[static_cast<std::size_t>(entry)] < 0) moved[static_cast<std::size_t>(entry)] = 0, ++used;
      }
    }
    Tensor<T> table(Shape{2 * (used + more), width_});
    Index next = 0;
    for (Index entry = 0; entry < size_; ++entry) {  // in the order they were written in
      if (moved[static_cast<std::size_t>(entry)] < 0) continue;
      std::copy_n(table_.row(entry), width_, table.row(next));
      moved[static_cast<std::size_t>(entry)] = static_cast<std::int32_t>(next++);
    }
    for (auto& row : entries_) {
      for (std::int32_t& entry : row) entry = moved[static_cast<std::size_t>(entry)];
    }
    table_ = std::move(table);
    size_ = next;
  }

  Index key_columns_ = 0, width_ = 0, size_ = 0;
  Tensor<T> table_;                                            // [capacity, width_], of which size_ are written
  std::vector<std::vector<std::int32_t>> entries_, selected_;  // of each row; selected_ is memory to reuse
};

}}  // namespace rapt::RAPT_ABI
