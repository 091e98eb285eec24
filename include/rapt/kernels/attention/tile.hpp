/// \file
/// How the work of attention is cut into tiles.
///
/// A group is one sequence with one head of keys and the heads of queries that read it; groups are spread over threads.
/// Inside of a group the outer loop runs over tiles of keys, which are packed once, and the inner one over the tiles of
/// queries of all its heads. One tile's scores about fill the first-level cache, and its packed keys and values fit the
/// second. Tiles that causal and window masks hide are skipped, and so are hidden keys at both ends of a tile. Sizes of
/// tiles depend on lengths and masks alone, so that results are the same bits on any number of threads.
#pragma once

#include <algorithm>
#include <limits>

#include "rapt/kernels/attention/problem.hpp"
#include "rapt/kernels/gemm/block.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels::detail {

/// The least queries of a tile, and what more of them come in: the rows of AVX-512's register block.
inline constexpr Index kQueryTile = 28, kQueryStep = 14;
/// The most keys of a tile. Tiles with biases are longer: what a tile costs beside its scores, as the kQueryTile
/// distances more than it has keys, is then shared by more of them.
inline constexpr Index kKeyTile = 256, kBiasedKeyTile = 1024;
inline constexpr Index kMostScores = 8704;  // of a tile, 34 KiB of float
/// Keys that a tile skips come in multiples of this: whole groups of dropout, and whole panels of a packed operand.
inline constexpr Index kKeyStep = 64;
static_assert(kKeyStep % kDropoutGroup == 0 && kKeyStep % 32 == 0 && kKeyTile % kKeyStep == 0);

/// Keys begin .. end of a sequence; none if end <= begin.
struct KeySpan {
  Index begin = 0, end = 0;
};
/// Keys begin .. begin + count of a sequence, which are packed together.
struct KeyTile {
  Index begin = 0, count = 0;
};
/// Scores that are computed together: queries query .. query + rows of one head against keys key .. key + keys, which
/// are those of a KeyTile that any of the queries sees, behind the first `skipped`.
struct ScoreTile {
  Index head = 0, query = 0, rows = 0;
  Index key = 0, keys = 0, skipped = 0;
  bool first = false;  // no tile of keys before this one is visible to the queries
};

/// One sequence and one key head of a problem, with query heads first_head .. first_head + heads, which read it.
template <class T>
struct AttentionGroup {
  const AttentionProblem<T>& p;
  Index sequence, key_head, first_head, heads;
  Index d_k = p.query.cols() / p.heads, d_v = p.value.cols() / p.heads_of_keys();
  Index first_query = p.query_offsets[static_cast<std::size_t>(sequence)];
  Index queries = p.query_offsets[static_cast<std::size_t>(sequence) + 1] - first_query;
  KeyRange keys = p.keys[static_cast<std::size_t>(sequence)];
  // The position of query 0 among the keys.
  Index offset = p.alignment == MaskAlignment::last_key ? keys.length - queries : 0;
  Index tile = std::min(p.table_bias.present() || p.distance_bias.present() ? kBiasedKeyTile : kKeyTile, keys.length);
  Index stride = round_up(std::max<Index>(tile, 1), 16) + 16;  // of rows of scores: an odd number of cache lines
  // Tall tiles would compute much that causal and window masks hide.
  Index query_tile =
      p.causal || p.window ? kQueryTile : std::max(kQueryTile, kMostScores / stride / kQueryStep * kQueryStep);

  /// Rows begin .. begin + rows of a head that has `columns` columns.
  [[nodiscard]] static Operand<T> head_of(const TensorView<const T>& m, Index head, Index columns, Index begin,
                                          Index rows) {
    return Operand<T>{m.row(begin) + head * columns, rows, columns, m.stride(), 1};
  }
  [[nodiscard]] static Operand<T> transposed(const Operand<T>& m) {
    return {m.data, m.cols, m.rows, m.col_stride, m.row_stride};
  }
  /// The keys (values) of a tile   // [count, d_k] ([count, d_v])
  [[nodiscard]] Operand<T> keys_of(const KeyTile& k) const {
    return head_of(p.key, key_head, d_k, keys.begin + k.begin, k.count);
  }
  [[nodiscard]] Operand<T> values_of(const KeyTile& k) const {
    return head_of(p.value, key_head, d_v, keys.begin + k.begin, k.count);
  }
  /// The rows of a tile's queries in a matrix with one row a query and heads of `columns` columns.
  [[nodiscard]] Operand<T> rows_of(const TensorView<const T>& m, Index columns, const ScoreTile& t) const {
    return head_of(m, t.head, columns, first_query + t.query, t.rows);
  }

  /// The position of query i among the keys.
  [[nodiscard]] Index position(Index i) const { return i + offset; }
  /// Where numbers of query i of a head stand among those of the group, [heads, queries].
  [[nodiscard]] Index slot(Index head, Index i) const { return (head - first_head) * queries + i; }

  /// What causal and window masks leave of the keys to queries first .. last taken together.
  [[nodiscard]] KeySpan visible(Index first, Index last) const {
    KeySpan seen{0, keys.length};
    if (p.causal) seen.end = std::min(seen.end, position(last) + 1);
    if (p.window) {
      seen.begin = std::max<Index>(0, position(first) - *p.window);
      seen.end = std::min(seen.end, position(last) + *p.window + 1);
    }
    return seen;
  }
  /// True if causal and window masks leave keys of the tile to any query.
  [[nodiscard]] bool is_visible(const KeyTile& k) const {
    const KeySpan seen = visible(0, queries - 1);
    return k.begin < seen.end && k.begin + k.count > seen.begin;
  }

  /// f(KeyTile) for all tiles of keys.
  template <class F>
  void for_each_key_tile(const F& f) const {
    for (Index j = 0; j < keys.length; j += tile) f(KeyTile{j, std::min(tile, keys.length - j)});
  }
  /// f(ScoreTile) for the tiles of queries that see keys of a tile, without the keys at its ends that causal and window
  /// masks hide from all of the queries; with `all`, for all queries and keys.
  template <class F>
  void for_each_score_tile(const KeyTile& k, const F& f, bool all = false) const {
    for (Index head = first_head; head < first_head + heads; ++head) {
      for (Index i = 0; i < queries; i += query_tile) {
        const Index rows = std::min(query_tile, queries - i);
        const KeySpan seen = all ? KeySpan{0, keys.length} : visible(i, i + rows - 1);
        if (k.begin >= seen.end || k.begin + k.count <= seen.begin) continue;
        const Index skipped = std::max<Index>(0, seen.begin - k.begin) / kKeyStep * kKeyStep;
        f(ScoreTile{.head = head,
                    .query = i,
                    .rows = rows,
                    .key = k.begin + skipped,
                    .keys = std::min(k.count, seen.end - k.begin) - skipped,
                    .skipped = skipped,
                    .first = k.begin <= seen.begin});
      }
    }
  }

  [[nodiscard]] bool masked() const {
    return p.additive_mask.present() || p.mask.present() || p.key_padding != nullptr || p.causal || p.window;
  }
  /// Masks on row r of a tile's scores.
  void apply_masks(const ScoreTile& t, Index r, T* scores) const {
    constexpr T kBlocked = -std::numeric_limits<T>::infinity();
    const Index i = t.query + r, count = t.keys;
    if (p.additive_mask.present()) {
      const T* mask = p.additive_mask.row(sequence, t.head, i) + t.key;
      for (Index c = 0; c < count; ++c) scores[c] += mask[c];
    }
    if (p.mask.present()) {
      const bool* mask = p.mask.row(sequence, t.head, i) + t.key;
      for (Index c = 0; c < count; ++c) scores[c] = mask[c] ? kBlocked : scores[c];
    }
    if (p.key_padding != nullptr) {
      const bool* padding = p.key_padding + keys.begin + t.key;
      for (Index c = 0; c < count; ++c) scores[c] = padding[c] ? kBlocked : scores[c];
    }
    const Index own = position(i) - t.key;  // the query's position, counted from the tile's first key
    if (p.causal) std::fill(scores + std::clamp<Index>(own + 1, 0, count), scores + count, kBlocked);
    if (p.window) {
      std::fill_n(scores, std::clamp<Index>(own - *p.window, 0, count), kBlocked);
      std::fill(scores + std::clamp<Index>(own + *p.window + 1, 0, count), scores + count, kBlocked);
    }
  }

  /// Writes the dropout factors (0 or 1 / (1 - rate)) of the probabilities in row r of a tile, in whole groups of
  /// kDropoutGroup. Call inside `with_simd`.
  template <class Isa>
  [[gnu::always_inline]] void dropout_row(Isa isa, const ScoreTile& t, Index r, T* factors) const {
    const Index row = (first_query + t.query + r) * p.heads + t.head;
    // Rows of the element space are as long as any sequence's keys may be.
    dropout_factors(isa, p.dropout, row * (Index{1} << 20) + t.key, t.keys, factors);
  }
  [[nodiscard]] Index dropout_size() const { return dropout_row_size(tile); }
};

[[nodiscard]] inline Index longest_keys(std::span<const KeyRange> keys) {
  Index most = 0;
  for (const KeyRange& k : keys) most = std::max(most, k.length);
  return most;
}

/// f(group) for all heads of all sequences. Heads of one sequence lie side by side, so where there are sequences enough
/// for all threads, a thread takes all heads of one. Where there are few key heads and `splits`, a group has one head.
template <class T, class F>
void for_each_group(const AttentionProblem<T>& p, bool splits, const F& f) {
  const auto sequences = static_cast<Index>(p.keys.size());
  const Index key_value_heads = p.heads_of_keys(), shared = p.heads / key_value_heads;
  const Index heads = splits && sequences * key_value_heads < 4 * threads() ? 1 : shared, groups = p.heads / heads;
  const Index together = sequences >= 8 * threads() ? groups : 1, parts = groups / together;
  parallel_parts(sequences * parts, [&](Index part) {
    const Index first = part % parts * together;
    for (Index group = first; group < first + together; ++group) {
      f(AttentionGroup<T>{p, part / parts, group * heads / shared, group * heads, heads});
    }
  });
}

/// to[j] += from[j]. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void add_row(Isa isa, const T* from, T* to, Index count) {
  simd::for_lanes<T>(
      isa, count, [&](auto lanes, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> sum, v;
        simd::load(sum, to + j);
        simd::load(v, from + j);
        sum += v;
        simd::store(to + j, sum);
      });
}

/// row[j] *= factors[j]. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void multiply_row(Isa isa, T* row, const T* factors, Index count) {
  simd::for_lanes<T>(
      isa, count, [&](auto lanes, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v, factor;
        simd::load(v, row + j);
        simd::load(factor, factors + j);
        v *= factor;
        simd::store(row + j, v);
      });
}

}}}  // namespace rapt::RAPT_ABI::kernels::detail
