/// \file
/// How attention's work is cut: one (sequence, key head) at a time, in tiles of queries by keys, of which those that
/// causal and window masks hide are skipped.
#pragma once

#include <algorithm>
#include <limits>

#include "rapt/kernels/attention/problem.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/soft_cap.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels::detail {

/// Work goes in tiles of so many queries by so many keys; with fewer keys there are more queries in a tile. One tile's
/// scores about fill the first-level cache, its keys and values fit the second. Queries are a multiple of AVX-512's
/// rows of a register block.
inline constexpr Index kQueryTile = 28, kKeyTile = 256, kQueryStep = 14;
inline constexpr Index kMostScores = 8704;  // of a tile, 34 KiB of float

/// Keys begin .. begin + count.
struct KeyTile {
  Index begin = 0, count = 0;
};
/// Keys begin .. end; none if end <= begin.
struct KeySpan {
  Index begin = 0, end = 0;
};

/// One sequence and one key head of a problem, with query heads first_head .. first_head + heads, which read it. Tiles
/// of keys are the outer loop, then query heads, then tiles of queries.
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
  Index tile = std::min(kKeyTile, keys.length);
  Index stride = round_up(std::max<Index>(tile, 1), 16) + 16;  // of rows of scores: an odd number of cache lines
  // Tall tiles would compute much that causal and window masks hide.
  Index query_tile = p.causal || p.window > 0 ? kQueryTile
                                              : std::max(kQueryTile, kMostScores / stride / kQueryStep * kQueryStep);

  /// Rows begin .. begin + rows of a head that has `columns` columns.
  [[nodiscard]] static Operand<T> head_of(const TensorView<const T>& m, Index head, Index columns, Index begin,
                                          Index rows) {
    return Operand<T>{m.row(begin) + head * columns, rows, columns, m.stride(), 1};
  }
  [[nodiscard]] static Operand<T> turned(const Operand<T>& m) {
    return {m.data, m.cols, m.rows, m.col_stride, m.row_stride};
  }

  /// What causal and window masks leave of the keys to queries first .. last taken together.
  [[nodiscard]] KeySpan visible(Index first, Index last) const {
    KeySpan seen{0, keys.length};
    if (p.causal) seen.end = std::min(seen.end, last + offset + 1);
    if (p.window > 0) {
      seen.begin = std::max<Index>(0, first + offset - p.window);
      seen.end = std::min(seen.end, last + offset + p.window + 1);
    }
    return seen;
  }
  /// True if causal and window masks leave keys of the tile to any query.
  [[nodiscard]] bool is_visible(const KeyTile& k) const {
    const KeySpan seen = visible(0, queries - 1);
    return k.begin < seen.end && k.begin + k.count > seen.begin;
  }

  /// f(tile of keys) for all of them.
  template <class F>
  void for_each_key_tile(const F& f) const {
    for (Index j = 0; j < keys.length; j += kKeyTile) f(KeyTile{j, std::min(kKeyTile, keys.length - j)});
  }
  /// f(head, i, rows, count, first) for tiles of queries i .. i + rows that see keys of a tile: the first `count` of
  /// it; `first` tells whether they saw none before. Causal and window masks skip the rest, unless `all`.
  template <class F>
  void for_each_query_tile(const KeyTile& k, const F& f, bool all = false) const {
    for (Index head = first_head; head < first_head + heads; ++head) {
      for (Index i = 0; i < queries; i += query_tile) {
        const Index rows = std::min(query_tile, queries - i);
        const KeySpan seen = all ? KeySpan{0, keys.length} : visible(i, i + rows - 1);
        const Index count = std::min(k.count, seen.end - k.begin);
        if (count > 0 && k.begin + k.count > seen.begin) f(head, i, rows, count, k.begin <= seen.begin);
      }
    }
  }
  /// Where numbers of query i of a head stand among those of the group, [heads, queries].
  [[nodiscard]] Index slot(Index head, Index i) const { return (head - first_head) * queries + i; }

  /// Masks on the scores of query i against `count` keys from key j on.
  void apply_masks(Index head, Index i, Index j, T* scores, Index count) const {
    constexpr T kBlocked = -std::numeric_limits<T>::infinity();
    if (p.additive_mask.present()) {
      const T* mask = p.additive_mask.row(sequence, head, i) + j;
      for (Index c = 0; c < count; ++c) scores[c] += mask[c];
    }
    if (p.mask.present()) {
      const bool* mask = p.mask.row(sequence, head, i) + j;
      for (Index c = 0; c < count; ++c) scores[c] = mask[c] ? kBlocked : scores[c];
    }
    if (p.key_padding != nullptr) {
      const bool* padding = p.key_padding + keys.begin + j;
      for (Index c = 0; c < count; ++c) scores[c] = padding[c] ? kBlocked : scores[c];
    }
    const Index position = i + offset - j;  // the query's own among the tile's keys
    if (p.causal) std::fill(scores + std::clamp<Index>(position + 1, 0, count), scores + count, kBlocked);
    if (p.window > 0) {
      std::fill_n(scores, std::clamp<Index>(position - p.window, 0, count), kBlocked);
      std::fill(scores + std::clamp<Index>(position + p.window + 1, 0, count), scores + count, kBlocked);
    }
  }

  /// Keys of a tile, scaled and packed for `tile_scores`.
  void pack_keys(const KeyTile& k, T* packed_keys) const {
    pack_panels(turned(head_of(p.key, key_head, d_k, keys.begin + k.begin, k.count)), packed_keys);
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      scale_row(isa, packed_keys, d_k * round_up(k.count, kPanelColumns<decltype(isa), T>), p.scale);
    });
  }

  /// Scores of queries i .. i + rows against `count` keys of a tile, whose packed form is given: scaled, capped and
  /// masked, or as they are at an earlier stage. Rows are filled up with -infinity to whole vectors. With a soft cap,
  /// `slopes`, if not nullptr, receives the derivatives of the capped scores by the scaled ones.
  void tile_scores(Index head, Index i, Index rows, const KeyTile& k, Index count, const T* packed_keys, T* scores,
                   T* slopes = nullptr, ScoreStage stage = ScoreStage::masked) const {
    multiply_panels(head_of(p.query, head, d_k, first_query + i, rows), packed_keys,
                    BlockOutput<T>{.data = scores, .stride = stride, .columns = round_up(count, 16)});
    if (p.soft_cap > 0 && stage != ScoreStage::scaled) {
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index r = 0; r < rows; ++r) {
          soft_cap_row(isa, scores + r * stride, round_up(count, 16), p.soft_cap,
                       slopes == nullptr ? nullptr : slopes + r * stride);
        }
      });
    }
    const bool masked = stage == ScoreStage::masked && (p.additive_mask.present() || p.mask.present() ||
                                                        p.key_padding != nullptr || p.causal || p.window > 0);
    for (Index r = 0; r < rows; ++r) {
      T* row = scores + r * stride;
      if (masked) apply_masks(head, i + r, k.begin, row, count);
      std::fill(row + count, row + round_up(count, 16), -std::numeric_limits<T>::infinity());
    }
  }

  /// Factors of the dropout of query i's probabilities for `count` keys from key j, a multiple of kDropoutGroup, on.
  template <class Isa>
  [[gnu::always_inline]] void dropout_row(Isa isa, Index head, Index i, Index j, Index count, T* factors) const {
    const Index row = ((first_query + i) * p.heads + head);
    // Rows of the element space are as long as any sequence's keys may be.
    dropout_factors(isa, p.dropout, row * (Index{1} << 20) + j, count, factors);
  }
};
static_assert(kKeyTile % kDropoutGroup == 0);

/// row *= factors
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

/// f(score, query head, row of query) of every score of one group, at a stage, into [B, H, Lq, Lk]. Elements of keys
/// that causal and window masks hide from `masked` scores may be left as they are.
template <class T, class F>
void write_scores(const AttentionGroup<T>& a, ScoreStage stage, Tensor<T>& to, const F& f) {
  const Shape& s = to.shape();
  const bool all = stage != ScoreStage::masked;
  const Index key_size = packed_size(a.d_k, a.tile);
  Tensor<T> work(Shape{key_size + a.query_tile * a.stride});
  T* packed_keys = work.data();
  T* scores = packed_keys + key_size;
  a.for_each_key_tile([&](const KeyTile& k) {
    if (!all && !a.is_visible(k)) return;
    a.pack_keys(k, packed_keys);
    const auto write = [&](Index head, Index i, Index rows, Index count, bool) {
      a.tile_scores(head, i, rows, k, count, packed_keys, scores, nullptr, stage);
      for (Index r = 0; r < rows; ++r) {
        T* row = to.data() + ((a.sequence * s[1] + head) * s[2] + i + r) * s[3] + k.begin;
        for (Index j = 0; j < count; ++j) row[j] = f(scores[r * a.stride + j], head, a.first_query + i + r);
      }
    };
    a.for_each_query_tile(k, write, all);
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels::detail
