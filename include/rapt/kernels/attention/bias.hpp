/// \file
/// What is added to attention's scores, forward and backward: numbers from a table (TableBias), and Transformer-XL's
/// terms by distance (DistanceBias).
///
/// The terms by distance of one tile are a product of their own, B = scale (Q + w) R^T, one column for each distance.
/// The rows of R stand from the largest distance to 0, so that the keys of a query, whose distances fall by one from
/// key to key, meet columns side by side: row i of B shifted by the query's position is what its scores need. Backward
/// moves dS to those columns, dB, and multiplies: dR = dB^T (Q + w), dQ += dB R. The terms of u and w alone, u K^T and
/// w R^T, are one row for all queries and join the products as their bias.
#pragma once

#include <cstdint>

#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/attention/tile.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// bias[h, p] = table[numbers[p], h]: a TableBias from a table with a row for each kind of pair, or of offset
/// // [H, numbers] from [R, H]
template <class T>
void gather_bias(TensorView<const T> table, std::span<const std::int32_t> numbers, T* bias) {
  const auto count = static_cast<Index>(numbers.size());
  parallel_parts(table.cols(), [&](Index h) {
    for (Index p = 0; p < count; ++p) bias[h * count + p] = table.row(numbers[static_cast<std::size_t>(p)])[h];
  });
}

/// dtable[numbers[p], h] += dbias[h, p]. Each head is summed by one thread, so that equal numbers add up in one order.
template <class T>
void scatter_bias(TensorView<T> dtable, std::span<const std::int32_t> numbers, const T* dbias) {
  const auto count = static_cast<Index>(numbers.size());
  parallel_parts(dtable.cols(), [&](Index h) {
    for (Index p = 0; p < count; ++p) dtable.row(numbers[static_cast<std::size_t>(p)])[h] += dbias[h * count + p];
  });
}

namespace detail {

/// Adds the table's bias to a tile's scores.
template <class T>
[[gnu::noinline]] void add_table_bias(const AttentionGroup<T>& a, const ScoreTile& t, T* scores) {
  const TableBias<T>& table = a.p.table_bias;
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    for (Index r = 0; r < t.rows; ++r) {
      const auto part = table.part(a.position(t.query + r), t.key, t.keys);
      add_row(isa, table.values + t.head * table.head_size + part.place, scores + r * a.stride + part.first,
              part.count);
    }
  });
}

/// Adds dS, the gradient of a tile's scores, to that of the table's bias, and then scales it in place. `d_table` is the
/// gradient of the tile's head alone, or nullptr: not wanted.
template <class T>
[[gnu::noinline]] void add_table_gradient(const AttentionGroup<T>& a, const ScoreTile& t, T* d_scores, T* d_table) {
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    for (Index r = 0; r < t.rows; ++r) {
      T* d_score = d_scores + r * a.stride;
      const auto part = a.p.table_bias.part(a.position(t.query + r), t.key, t.keys);
      if (d_table != nullptr) add_row(isa, d_score + part.first, d_table + part.place, part.count);
      scale_row(isa, d_score, t.keys, a.p.scale);
    }
  });
}

/// The terms of DistanceBias for one group. Only distances that some pair of the sequence has count: `columns` of them,
/// at most P, of which column c is distance columns - 1 - c. Pairs farther apart take column 0.
template <class T>
class DistanceTerms {
 public:
  /// Memory that the terms need, of which `backward` needs more.
  [[nodiscard]] static Index work_size(const AttentionGroup<T>& a, bool backward) {
    if (!a.p.distance_bias.present()) return 0;
    const DistanceTerms s(a);
    const Index forward = a.heads * (s.distance_size_ + s.column_row_ + s.key_row_) + a.query_tile * s.stride_;
    return forward + (backward ? a.heads * s.row_size_ + a.query_tile * a.d_k : 0);
  }

  /// Packs the distances, if the problem has them; `work` must stay.
  DistanceTerms(const AttentionGroup<T>& a, T* work, bool backward) : DistanceTerms(a) {
    if (!present()) return;
    packed_ = work;
    from_position_bias_ = packed_ + a.heads * distance_size_;
    from_content_bias_ = from_position_bias_ + a.heads * column_row_;
    by_distance_ = from_content_bias_ + a.heads * key_row_;
    rows_ = by_distance_ + a.query_tile * stride_;
    block_ = rows_ + (backward ? a.heads * row_size_ : 0);
    for (Index h = 0; h < a.heads; ++h) {
      T* packed = packed_ + h * distance_size_;
      pack_panels(a.transposed(distances_of(a.first_head + h)), packed);
      scale(packed, a.d_k * round_up(columns_, panel_columns<T>()));
      if (backward) pack_panels(distances_of(a.first_head + h), rows_ + h * row_size_);
      multiply_panels(bias_row(a.p.distance_bias.position_bias, a.first_head + h), packed,
                      BlockOutput<T>{.data = from_position_bias_ + h * column_row_, .columns = columns_});
    }
  }

  [[nodiscard]] bool present() const { return a_.p.distance_bias.present(); }

  /// Computes u K^T for a tile of packed and scaled keys.
  void set_keys(const KeyTile& k, const T* packed_keys) {
    if (!present()) return;
    for (Index h = 0; h < a_.heads; ++h) {
      multiply_panels(bias_row(a_.p.distance_bias.content_bias, a_.first_head + h), packed_keys,
                      BlockOutput<T>{.data = from_content_bias_ + h * key_row_, .columns = round_up(k.count, 16)});
    }
  }
  /// scale u K^T for the keys of a tile, which the product of queries and keys adds to each row; nullptr: nothing.
  [[nodiscard]] const T* content_terms(const ScoreTile& t) const {
    return present() ? from_content_bias_ + (t.head - a_.first_head) * key_row_ + t.skipped : nullptr;
  }

  /// Adds scale (q_i + w) r_(position - j) to a tile's scores. Keys behind a query, which causal masks hide, have no
  /// distance and get nothing.
  [[gnu::noinline]] void add_to(const ScoreTile& t, T* scores) const {
    const Columns c = columns_of(t);
    if (c.count <= 0) return;
    const Index head = t.head - a_.first_head;
    multiply_panels(a_.rows_of(a_.p.query, a_.d_k, t), packed_ + head * distance_size_ + c.first * a_.d_k,
                    BlockOutput<T>{.data = by_distance_,
                                   .stride = stride_,
                                   .columns = c.count,
                                   .bias = from_position_bias_ + head * column_row_ + c.first});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index r = 0; r < t.rows; ++r) {
        T* row = scores + r * a_.stride;
        const T* terms = by_distance_ + r * stride_;
        const Seen seen = seen_by(t, r);
        for (Index j = 0; j < seen.begin; ++j) row[j] += terms[0];
        add_row(isa, terms + seen.column - c.first, row + seen.begin, seen.end - seen.begin);
      }
    });
  }

  /// A block of q + bias, for bias u or w   // [rows, d_k]
  [[nodiscard]] Operand<T> biased_queries(const ScoreTile& t, const T* bias) const {
    const Operand<T> q = a_.rows_of(a_.p.query, a_.d_k, t);
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index r = 0; r < t.rows; ++r) {
        std::copy_n(q.data + r * q.row_stride, a_.d_k, block_ + r * a_.d_k);
        add_row(isa, bias + t.head * a_.d_k, block_ + r * a_.d_k, a_.d_k);
      }
    });
    return {block_, t.rows, a_.d_k, a_.d_k, 1};
  }

  /// What the gradients of all sequences are summed in, for one head.
  struct Sums {
    T *distances = nullptr, *content_bias = nullptr, *position_bias = nullptr;  // [P, d_k], [d_k], [d_k]
  };
  /// The keys of a tile, packed as a right operand   // [count, d_k]
  struct PackedKeys {
    const T* data;
    Index count;
  };
  /// Adds the gradients of a tile from scale dS, given room for packed queries:
  ///   dQ += dS K + dB R,   dR += dB^T (Q + w),   du, dw += the column sums of the two terms of dQ.
  /// `d_query` may be without data: not wanted.
  void add_gradients(const ScoreTile& t, const T* d_scores, const PackedKeys& keys, T* packed_block,
                     const TensorView<T>& d_query, const Sums& sums) const {
    const Index d_k = a_.d_k, width = panel_columns<T>(), head = t.head - a_.first_head;
    const BlockOutput<T> block{.data = block_, .stride = d_k, .columns = d_k};
    multiply_panels(Operand<T>{d_scores, t.rows, t.keys, a_.stride, 1}, keys.data + t.skipped * width, block,
                    keys.count);
    add_block(t, d_query, sums.content_bias);

    const Columns c = columns_of(t);
    if (c.count <= 0) return;
    for (Index r = 0; r < t.rows; ++r) {
      const T* row = d_scores + r * a_.stride;
      T* to = by_distance_ + r * stride_;
      const Seen seen = seen_by(t, r);
      std::fill_n(to, c.count, T(0));
      std::copy(row + seen.begin, row + seen.end, to + seen.column - c.first);
      for (Index j = 0; j < seen.begin; ++j) to[0] += row[j];
    }
    const Operand<T> d_columns{by_distance_, t.rows, c.count, stride_, 1};
    pack_panels(biased_queries(t, a_.p.distance_bias.position_bias), packed_block);
    multiply_panels(a_.transposed(d_columns), packed_block,
                    BlockOutput<T>{.data = sums.distances + (columns_ - 1 - c.first) * d_k,  // column c is of distance
                                   .stride = -d_k,                                           // columns - 1 - c
                                   .columns = d_k,
                                   .accumulate = true});
    multiply_panels(d_columns, rows_ + head * row_size_ + c.first * width, block, columns_);
    add_block(t, d_query, sums.position_bias);
  }

 private:
  explicit DistanceTerms(const AttentionGroup<T>& a) : a_(a) {}

  /// Columns of B that a tile's pairs have, from the beginning of a panel on; none if all its keys stand behind its
  /// queries.
  struct Columns {
    Index first, count;
  };
  [[nodiscard]] Columns columns_of(const ScoreTile& t) const {
    const Index last = columns_ - 1, farthest = std::min(last, a_.position(t.query + t.rows - 1) - t.key);
    const Index nearest = std::clamp<Index>(a_.position(t.query) - (t.key + t.keys - 1), 0, last);
    if (farthest < 0) return {0, 0};
    const Index first = (last - farthest) / 32 * 32;
    return {first, last - nearest + 1 - first};
  }
  /// Keys of a tile that are at or before the query of row r: those before `begin`, counted from the tile's first, are
  /// beyond the last distance, and key `begin` is of `column`.
  struct Seen {
    Index begin, end, column;
  };
  [[nodiscard]] Seen seen_by(const ScoreTile& t, Index r) const {
    const Index own = a_.position(t.query + r) - t.key, end = std::clamp<Index>(own + 1, 0, t.keys);
    const Index begin = std::clamp<Index>(own + 1 - columns_, 0, end);
    return {begin, end, columns_ - 1 - own + begin};
  }

  /// Rows of distances columns - 1 .. 0   // [columns, d_k]
  [[nodiscard]] Operand<T> distances_of(Index head) const {
    const TensorView<const T>& r = a_.p.distance_bias.distances;
    return {r.row(columns_ - 1) + head * a_.d_k, columns_, a_.d_k, -r.stride(), 1};
  }
  [[nodiscard]] Operand<T> bias_row(const T* bias, Index head) const {
    return {bias + head * a_.d_k, 1, a_.d_k, a_.d_k, 1};
  }
  void scale(T* values, Index count) const {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) { scale_row(isa, values, count, a_.p.scale); });
  }
  /// Adds the block's rows to the gradients of a tile's queries, and their sum to a bias.
  void add_block(const ScoreTile& t, const TensorView<T>& d_query, T* d_bias) const {
    const Index d_k = a_.d_k, first = a_.first_query + t.query;
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index r = 0; r < t.rows; ++r) {
        add_row(isa, block_ + r * d_k, d_bias, d_k);
        if (d_query.data() != nullptr) add_row(isa, block_ + r * d_k, d_query.row(first + r) + t.head * d_k, d_k);
      }
    });
  }

  const AttentionGroup<T>& a_;
  Index columns_ =
      present() ? std::clamp<Index>(a_.position(a_.queries - 1) + 1, 1, a_.p.distance_bias.distances.rows()) : 0;
  Index stride_ = round_up(std::min(columns_, a_.tile + a_.query_tile + 32), 16) + 16;              // of rows of B
  Index distance_size_ = packed_size(a_.d_k, columns_), row_size_ = packed_size(columns_, a_.d_k);  // of a head
  Index column_row_ = round_up(columns_, 32), key_row_ = round_up(a_.tile, 32);
  T* packed_ = nullptr;              // scale R^T, [heads][d_k, columns]
  T* from_position_bias_ = nullptr;  // scale w R^T, [heads][columns]
  T* from_content_bias_ = nullptr;   // scale u K^T, [heads][tile]
  T* by_distance_ = nullptr;         // B or dB, [query_tile, stride]
  T* rows_ = nullptr;                // R, [heads][columns, d_k], for backward as is the next
  T* block_ = nullptr;               // Q + u, Q + w or a term of dQ, [query_tile, d_k]
};

}  // namespace detail

}}}  // namespace rapt::RAPT_ABI::kernels
