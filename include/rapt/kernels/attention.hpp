/// \file
/// Scaled dot-product attention of several heads over sequences laid end to end, forward and backward.
///
///     Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V        (the paper's equation 1)
///
/// Work is done one (sequence, key head) at a time, in tiles of queries by keys; tiles that causal and window masks
/// hide are skipped, and nothing of size length x length is kept: backward computes the probabilities again from the
/// log-sum-exp of each row. A sentence of tens of tokens is a single tile of keys.
///
/// Several heads of queries may share a head of keys and values (Shazeer 2019; Ainslie et al. 2023).
#pragma once

#include <cmath>
#include <limits>

#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/dropout.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt::inline RAPT_ABI::kernels {

/// Where the keys of each sequence lie: `length` rows from `begin`. Row splits give it for whole sequences; a cache
/// gives it for rows of a larger table.
struct KeyRange {
  Index begin = 0, length = 0;
};

/// A mask of shape [Lq, Lk] (all sequences and heads), or [B, H, Lq, Lk] where B and H may also be 1; rows and columns
/// count from the start of each sequence, and a mask may be larger than a sequence.
template <class T>
struct MaskView {
  TensorView<const T> values;

  [[nodiscard]] bool present() const { return values.data() != nullptr; }
  /// The row of query i; column j is key j.
  [[nodiscard]] const T* row(Index sequence, Index head, Index i) const {
    const Shape& s = values.shape();
    if (s.rank() == 2) return values.row(i);
    return values.row(((s[0] > 1 ? sequence : 0) * s[1] + (s[1] > 1 ? head : 0)) * s[2] + i);
  }
};

template <class T>
struct AttentionProblem {
  TensorView<const T> query, key, value;  // [Nq, H d_k], [.., K d_k]; head h is columns h d_k .. (h + 1) d_k
  std::span<const Index> query_offsets;   // [B + 1]
  std::span<const KeyRange> keys;         // [B]
  Index heads = 1;                        // H
  Index key_heads = 0;  // K, which divides H: query head h reads key head h / (H / K); 0: as many as heads
  T scale = 1;
  bool causal = false;                // query i of Lq sees keys up to i + Lk - Lq
  Index window = 0;                   // if > 0: only keys at most this far from the query's position
  MaskView<bool> mask;                // true: may not attend
  MaskView<T> additive_mask;          // added to the scores
  const bool* key_padding = nullptr;  // [rows of key], true: nobody attends
  Dropout dropout;                    // of the probabilities
};

namespace detail {

/// Work goes in tiles of so many queries by so many keys; with fewer keys there are more queries in a tile. One tile's
/// scores about fill the first-level cache, its keys and values fit the second. Queries are a multiple of AVX-512's
/// rows of a register block.
inline constexpr Index kQueryTile = 28, kKeyTile = 256, kQueryStep = 14;
inline constexpr Index kMostScores = 8704;  // of a tile, 34 KiB of float

/// Keys begin .. begin + count.
struct KeyTile {
  Index begin = 0, count = 0;
};

/// One sequence and one key head of a problem, with query heads first_head .. first_head + heads, which read it. Tiles
/// of keys are the outer loop, then query heads, then tiles of queries.
template <class T>
struct AttentionGroup {
  const AttentionProblem<T>& p;
  Index sequence, key_head, first_head, heads, d_k = p.query.cols() / p.heads;
  Index first_query = p.query_offsets[static_cast<std::size_t>(sequence)];
  Index queries = p.query_offsets[static_cast<std::size_t>(sequence) + 1] - first_query;
  KeyRange keys = p.keys[static_cast<std::size_t>(sequence)];
  Index offset = keys.length - queries;  // the position of query 0 among the keys
  Index tile = std::min(kKeyTile, keys.length);
  Index stride = round_up(std::max<Index>(tile, 1), 16) + 16;  // of rows of scores: an odd number of cache lines
  // Tall tiles would compute much that causal and window masks hide.
  Index query_tile = p.causal || p.window > 0 ? kQueryTile
                                              : std::max(kQueryTile, kMostScores / stride / kQueryStep * kQueryStep);

  [[nodiscard]] Operand<T> head_of(const TensorView<const T>& m, Index head, Index begin, Index rows) const {
    return Operand<T>{m.row(begin) + head * d_k, rows, d_k, m.stride(), 1};
  }
  [[nodiscard]] static Operand<T> turned(const Operand<T>& m) {
    return {m.data, m.cols, m.rows, m.col_stride, m.row_stride};
  }

  /// f(tile of keys) for all of them.
  template <class F>
  void for_each_key_tile(const F& f) const {
    for (Index j = 0; j < keys.length; j += kKeyTile) f(KeyTile{j, std::min(kKeyTile, keys.length - j)});
  }
  /// f(head, i, rows, count, first) for tiles of queries i .. i + rows that see keys of a tile: the first `count` of
  /// it; `first` tells whether they saw none before. Causal and window masks skip the rest.
  template <class F>
  void for_each_query_tile(const KeyTile& k, const F& f) const {
    for (Index head = first_head; head < first_head + heads; ++head) {
      for (Index i = 0; i < queries; i += query_tile) {
        const Index rows = std::min(query_tile, queries - i), last = i + rows - 1 + offset;
        Index begin = 0, end = keys.length;
        if (p.causal) end = std::min(end, last + 1);
        if (p.window > 0) begin = std::max<Index>(0, i + offset - p.window), end = std::min(end, last + p.window + 1);
        const Index count = std::min(k.count, end - k.begin);
        if (count > 0 && k.begin + k.count > begin) f(head, i, rows, count, k.begin <= begin);
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
    pack_panels(turned(head_of(p.key, key_head, keys.begin + k.begin, k.count)), packed_keys);
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      scale_row(isa, packed_keys, d_k * round_up(k.count, kPanelColumns<decltype(isa), T>), p.scale);
    });
  }

  /// Scaled and masked scores of queries i .. i + rows against `count` keys of a tile, whose packed form is given. Rows
  /// are filled up with -infinity to whole vectors.
  void tile_scores(Index head, Index i, Index rows, const KeyTile& k, Index count, const T* packed_keys,
                   T* scores) const {
    multiply_panels(head_of(p.query, head, first_query + i, rows), packed_keys,
                    BlockOutput<T>{.data = scores, .stride = stride, .columns = round_up(count, 16)});
    const bool masked =
        p.additive_mask.present() || p.mask.present() || p.key_padding != nullptr || p.causal || p.window > 0;
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
  const Index key_heads = p.key_heads > 0 ? p.key_heads : p.heads, shared = p.heads / key_heads;
  const Index heads = splits && sequences * key_heads < 4 * threads() ? 1 : shared, groups = p.heads / heads;
  const Index together = sequences >= 8 * threads() ? groups : 1, parts = groups / together;
  parallel_parts(sequences * parts, [&](Index part) {
    const Index first = part % parts * together;
    for (Index group = first; group < first + together; ++group) {
      f(AttentionGroup<T>{p, part / parts, group * heads / shared, group * heads, heads});
    }
  });
}

/// The probabilities of one group, once the log-sum-exp of each row is known, into [B, H, Lq, Lk].
template <class T>
void write_attention_weights(const AttentionGroup<T>& a, const T* log_sum_exp, Tensor<T>& weights) {
  const Shape& s = weights.shape();
  const Index key_size = packed_size(a.d_k, a.tile);
  Tensor<T> work(Shape{key_size + a.query_tile * a.stride});
  T* packed_keys = work.data();
  T* scores = packed_keys + key_size;
  a.for_each_key_tile([&](const KeyTile& k) {
    a.pack_keys(k, packed_keys);
    a.for_each_query_tile(k, [&](Index head, Index i, Index rows, Index count, bool) {
      a.tile_scores(head, i, rows, k, count, packed_keys, scores);
      for (Index r = 0; r < rows; ++r) {
        const T lse = log_sum_exp[(a.first_query + i + r) * a.p.heads + head];
        T* to = weights.data() + ((a.sequence * s[1] + head) * s[2] + i + r) * s[3] + k.begin;
        for (Index j = 0; j < count; ++j) to[j] = std::exp(scores[r * a.stride + j] - lse);
      }
    });
  });
}

}  // namespace detail

/// output = heads side by side, [Nq, D]; log_sum_exp of the scores, [Nq, heads] (nullptr: not wanted). `weights`
/// (nullptr: not wanted) is [B, heads, longest query, longest key], the probabilities before dropout, zeros elsewhere.
/// A query that may attend to nothing gives zeros.
///
/// The softmax is a running one (Milakov and Gimelshein 2018; Dao et al. 2022): with m the largest score so far and
/// l = sum e^(s - m), a tile with larger scores multiplies l and the output so far by e^(m - new m).
template <class T>
void attention(const AttentionProblem<T>& p, TensorView<T> output, T* log_sum_exp, Tensor<T>* weights = nullptr) {
  Tensor<T> kept;
  if (weights != nullptr && log_sum_exp == nullptr) {
    kept = Tensor<T>(Shape{p.query.rows(), p.heads});
    log_sum_exp = kept.data();
  }
  detail::for_each_group(p, /*splits=*/true, [&](const detail::AttentionGroup<T>& a) {
    if (a.queries == 0) return;
    const Index tile_size = a.query_tile * a.stride;
    const Index key_size = packed_size(a.d_k, a.tile), value_size = packed_size(a.tile, a.d_k);
    const Index slots = a.heads * a.queries;
    Tensor<T> work(Shape{key_size + value_size + tile_size + detail::kKeyTile + 2 * slots});
    T* packed_keys = work.data();               // K^T
    T* packed_values = packed_keys + key_size;  // V
    T* scores = packed_values + value_size;
    T* factors = scores + tile_size;          // of the dropout
    T* highest = factors + detail::kKeyTile;  // m of each query
    T* sums = highest + slots;                // l
    std::fill_n(highest, slots, -std::numeric_limits<T>::infinity());
    std::fill_n(sums, slots, T(0));
    const auto out = [&](Index head, Index i) { return output.row(a.first_query + i) + head * a.d_k; };

    a.for_each_key_tile([&](const detail::KeyTile& k) {
      a.pack_keys(k, packed_keys);
      pack_panels(a.head_of(p.value, a.key_head, a.keys.begin + k.begin, k.count), packed_values);
      a.for_each_query_tile(k, [&](Index head, Index i, Index rows, Index count, bool first) {
        const Index slot = a.slot(head, i);
        a.tile_scores(head, i, rows, k, count, packed_keys, scores);
        simd::with_simd([&](auto isa) __attribute__((always_inline)) {
          for (Index r = 0; r < rows; ++r) {
            T* row = scores + r * a.stride;
            const T before = highest[slot + r];
            const auto [now, sum] = exponentials(isa, row, detail::round_up(count, 16), before);
            if (!first && now != before) {
              const T shrink = before == -std::numeric_limits<T>::infinity() ? T(0) : std::exp(before - now);
              sums[slot + r] *= shrink;
              scale_row(isa, out(head, i + r), a.d_k, shrink);
            }
            highest[slot + r] = now;
            sums[slot + r] += sum;
            if (p.dropout.active()) {
              a.dropout_row(isa, head, i + r, k.begin, count, factors);
              detail::multiply_row(isa, row, factors, count);
            }
          }
        });
        multiply_panels(
            Operand<T>{scores, rows, count, a.stride, 1}, packed_values,
            BlockOutput<T>{.data = out(head, i), .stride = output.stride(), .columns = a.d_k, .accumulate = !first},
            k.count);
      });
    });
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index slot = 0; slot < slots; ++slot) {
        const Index head = a.first_head + slot / a.queries, i = slot % a.queries;
        if (sums[slot] == 0) {
          std::fill_n(out(head, i), a.d_k, T(0));
        } else {
          scale_row(isa, out(head, i), a.d_k, T(1) / sums[slot]);
        }
        if (log_sum_exp == nullptr) continue;
        log_sum_exp[(a.first_query + i) * p.heads + head] =
            sums[slot] == 0 ? std::numeric_limits<T>::infinity() : highest[slot] + std::log(sums[slot]);
      }
    });
    if (weights != nullptr) detail::write_attention_weights(a, log_sum_exp, *weights);
  });
}

/// A gradient that `attention_backward` adds to, or writes: then every row and column of the view, as long as sequences
/// cover all rows. Without data: not wanted.
template <class T>
struct AttentionGradient {
  TensorView<T> values;
  bool accumulate = true;
};

/// The gradients of query, key and value, given output and its gradient. With P the probabilities, F the dropout
/// factors, and delta_i = sum over columns of d_output_i output_i:
///   dV = (P F)^T dO,   dP = F (dO V^T),   dS = P (dP - delta),   dQ = scale dS K,   dK = scale dS^T Q.
/// Those of a key head that several query heads read are summed in the order of these.
/// Key ranges must not overlap: sequences are worked on at the same time.
template <class T>
void attention_backward(const AttentionProblem<T>& p, const T* log_sum_exp, TensorView<const T> output,
                        TensorView<const T> d_output, const AttentionGradient<T>& d_query,
                        const AttentionGradient<T>& d_key, const AttentionGradient<T>& d_value) {
  detail::for_each_group(p, /*splits=*/false, [&](const detail::AttentionGroup<T>& a) {
    const auto clear = [&](const AttentionGradient<T>& gradient, Index head, Index heads, Index first, Index rows) {
      if (gradient.accumulate || gradient.values.data() == nullptr) return;
      for (Index i = first; i < first + rows; ++i) {
        std::fill_n(gradient.values.row(i) + head * a.d_k, heads * a.d_k, T(0));
      }
    };
    const auto clear_keys = [&](Index first, Index rows) {
      clear(d_key, a.key_head, 1, first, rows);
      clear(d_value, a.key_head, 1, first, rows);
    };
    // Where each query sees a key, the first product of its row writes and the others add.
    const bool all_see = a.queries <= a.keys.length;
    if (!all_see) clear(d_query, a.first_head, a.heads, a.first_query, a.queries);
    if (a.queries == 0) clear_keys(a.keys.begin, a.keys.length);
    if (a.queries == 0 || a.keys.length == 0) return;
    const Index tile_size = a.query_tile * a.stride;
    const Index d_k = a.d_k, wide_size = packed_size(d_k, a.tile), tall_size = packed_size(a.tile, d_k);
    const Index block_size = packed_size(a.query_tile, d_k);
    Tensor<T> work(
        Shape{2 * wide_size + tall_size + block_size + 2 * tile_size + detail::kKeyTile + a.heads * a.queries});
    T* packed_keys = work.data();                  // K^T
    T* packed_values = packed_keys + wide_size;    // V^T
    T* packed_rows = packed_values + wide_size;    // K
    T* packed_block = packed_rows + tall_size;     // dO, then Q, of some queries
    T* probabilities = packed_block + block_size;  // P, then P F
    T* d_scores = probabilities + tile_size;       // dO V^T, then scale dS
    T* factors = d_scores + tile_size;             // of the dropout
    T* delta = factors + detail::kKeyTile;
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index slot = 0; slot < a.heads * a.queries; ++slot) {
        const Index row = a.first_query + slot % a.queries, column = (a.first_head + slot / a.queries) * d_k;
        delta[slot] = dot(isa, output.row(row) + column, d_output.row(row) + column, d_k);
      }
    });

    const auto gradient_rows = [&](const AttentionGradient<T>& gradient, Index head, Index first, bool writes) {
      const TensorView<T>& m = gradient.values;
      return BlockOutput<T>{.data = m.row(first) + head * d_k,
                            .stride = m.stride(),
                            .columns = d_k,
                            .accumulate = gradient.accumulate || !writes};
    };
    a.for_each_key_tile([&](const detail::KeyTile& k) {
      const Index first_key = a.keys.begin + k.begin;
      a.pack_keys(k, packed_keys);
      pack_panels(a.turned(a.head_of(p.value, a.key_head, first_key, k.count)), packed_values);
      if (d_query.values.data() != nullptr) pack_panels(a.head_of(p.key, a.key_head, first_key, k.count), packed_rows);
      // The first query tile that sees all of the keys may write their gradients.
      bool seen = false;
      a.for_each_query_tile(k, [&](Index head, Index i, Index rows, Index count, bool first_keys) {
        const Index first = a.first_query + i, slot = a.slot(head, i);
        const bool writes = !seen && count == k.count;
        if (!seen && !writes) clear_keys(first_key, k.count);
        seen = true;
        a.tile_scores(head, i, rows, k, count, packed_keys, probabilities);
        multiply_panels(a.head_of(d_output, head, first, rows), packed_values,
                        BlockOutput<T>{.data = d_scores, .stride = a.stride, .columns = detail::round_up(count, 16)});
        simd::with_simd([&](auto isa) __attribute__((always_inline)) {
          constexpr int kWidth = simd::kLanes<decltype(isa), T>;
          for (Index r = 0; r < rows; ++r) {
            T* prob = probabilities + r * a.stride;
            T* d_score = d_scores + r * a.stride;
            const T lse = log_sum_exp[(first + r) * p.heads + head], shift = delta[slot + r];
            if (p.dropout.active()) a.dropout_row(isa, head, i + r, k.begin, count, factors);
            // Whole vectors: scores behind the last key are -infinity, so P is 0 there.
            for (Index j = 0; j < detail::round_up(count, kWidth); j += kWidth) {
              simd::Native<decltype(isa), T> s, d, factor = T(1) - simd::Native<decltype(isa), T>{};
              simd::load(s, prob + j);
              simd::load(d, d_score + j);
              if (p.dropout.active()) simd::load(factor, factors + j);
              s -= lse;
              simd::exp_in_place<T>(s);
              d = p.scale * s * (factor * d - shift);
              s *= factor;
              simd::store(prob + j, s);
              simd::store(d_score + j, d);
            }
          }
        });
        if (d_value.values.data() != nullptr) {
          pack_panels(a.head_of(d_output, head, first, rows), packed_block);
          multiply_panels(Operand<T>{probabilities, count, rows, 1, a.stride}, packed_block,
                          gradient_rows(d_value, a.key_head, first_key, writes));
        }
        if (d_query.values.data() != nullptr) {
          multiply_panels(Operand<T>{d_scores, rows, count, a.stride, 1}, packed_rows,
                          gradient_rows(d_query, head, first, first_keys && all_see), k.count);
        }
        if (d_key.values.data() != nullptr) {
          pack_panels(a.head_of(p.query, head, first, rows), packed_block);
          multiply_panels(Operand<T>{d_scores, count, rows, 1, a.stride}, packed_block,
                          gradient_rows(d_key, a.key_head, first_key, writes));
        }
      });
      if (!seen) clear_keys(first_key, k.count);
    });
  });
}

}  // namespace rapt::inline RAPT_ABI::kernels
