/// \file
/// Scaled dot-product attention of several heads over sequences laid end to end, forward and backward.
///
///     Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V        (the paper's equation 1)
///
/// Work is done one (sequence, head) at a time, in blocks of query rows against all keys they may see; nothing of size
/// length x length is kept: backward computes the probabilities again from the log-sum-exp of each row.
#pragma once

#include <cmath>
#include <limits>

#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/dropout.hpp"
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
  TensorView<const T> query, key, value;  // [Nq, D], [.., D], [.., D]; head h is columns h d_k .. (h + 1) d_k
  std::span<const Index> query_offsets;   // [B + 1]
  std::span<const KeyRange> keys;         // [B]
  Index heads = 1;
  T scale = 1;
  bool causal = false;                // query i of Lq sees keys up to i + Lk - Lq
  Index window = 0;                   // if > 0: only keys at most this far from the query's position
  MaskView<bool> mask;                // true: may not attend
  MaskView<T> additive_mask;          // added to the scores
  const bool* key_padding = nullptr;  // [rows of key], true: nobody attends
  Dropout dropout;                    // of the probabilities
};

namespace detail {

inline constexpr Index kQueryBlock = 32;

/// One (sequence, head) of a problem, and the probabilities of blocks of its rows.
template <class T>
struct AttentionHead {
  const AttentionProblem<T>& p;
  Index sequence, head, d_k = p.query.cols() / p.heads;
  Index first_query = p.query_offsets[static_cast<std::size_t>(sequence)];
  Index queries = p.query_offsets[static_cast<std::size_t>(sequence) + 1] - first_query;
  KeyRange keys = p.keys[static_cast<std::size_t>(sequence)];
  Index offset = keys.length - queries;  // the position of query 0 among the keys

  [[nodiscard]] Operand<T> head_of(const TensorView<const T>& m, Index begin, Index rows) const {
    return Operand<T>{m.row(begin) + head * d_k, rows, d_k, m.stride(), 1};
  }
  [[nodiscard]] static Operand<T> turned(const Operand<T>& m) {
    return {m.data, m.cols, m.rows, m.col_stride, m.row_stride};
  }
  /// Keys that rows i .. i + rows may see: all, or up to the last row's own position.
  [[nodiscard]] Index visible(Index i, Index rows) const {
    return p.causal ? std::clamp<Index>(offset + i + rows, 0, keys.length) : keys.length;
  }

  /// scores[r, 0 .. count] of query i, raw dot products: scaled, masks applied.
  void apply_masks(Index i, T* scores, Index count) const {
    constexpr T kBlocked = -std::numeric_limits<T>::infinity();
    if (p.additive_mask.present()) {
      const T* mask = p.additive_mask.row(sequence, head, i);
      for (Index j = 0; j < count; ++j) scores[j] += mask[j];
    }
    if (p.mask.present()) {
      const bool* mask = p.mask.row(sequence, head, i);
      for (Index j = 0; j < count; ++j) scores[j] = mask[j] ? kBlocked : scores[j];
    }
    if (p.key_padding != nullptr) {
      const bool* padding = p.key_padding + keys.begin;
      for (Index j = 0; j < count; ++j) scores[j] = padding[j] ? kBlocked : scores[j];
    }
    const Index position = i + offset;
    if (p.causal) std::fill(scores + std::clamp<Index>(position + 1, 0, count), scores + count, kBlocked);
    if (p.window > 0) {
      std::fill_n(scores, std::clamp<Index>(position - p.window, 0, count), kBlocked);
      std::fill(scores + std::clamp<Index>(position + p.window + 1, 0, count), scores + count, kBlocked);
    }
  }

  /// Scaled and masked scores of rows i .. i + rows against keys 0 .. count; rows of `scores` are `stride` apart and
  /// filled up with -infinity.
  void block_scores(Index i, Index rows, Index count, const T* packed_keys, T* scores, Index stride) const {
    multiply_panels(head_of(p.query, first_query + i, rows), packed_keys,
                    BlockOutput<T>{.data = scores, .stride = stride, .columns = count});
    const bool masked =
        p.additive_mask.present() || p.mask.present() || p.key_padding != nullptr || p.causal || p.window > 0;
    for (Index r = 0; r < rows; ++r) {
      T* row = scores + r * stride;
      simd::with_simd([&](auto isa) __attribute__((always_inline)) { scale_row(isa, row, count, p.scale); });
      if (masked) apply_masks(i + r, row, count);
      std::fill(row + count, row + stride, -std::numeric_limits<T>::infinity());
    }
  }

  /// Factors of the dropout of row i's probabilities.
  template <class Isa>
  [[gnu::always_inline]] void dropout_row(Isa isa, Index i, Index count, T* factors) const {
    const Index row = ((first_query + i) * p.heads + head);
    // Rows of the element space are as long as any sequence's keys may be.
    dropout_factors(isa, p.dropout, row * (Index{1} << 20), count, factors);
  }
};

[[nodiscard]] inline Index longest_keys(std::span<const KeyRange> keys) {
  Index most = 0;
  for (const KeyRange& k : keys) most = std::max(most, k.length);
  return most;
}

}  // namespace detail

/// output = heads side by side, [Nq, D]; log_sum_exp of the scores, [Nq, heads] (nullptr: not wanted). `weights`
/// (nullptr: not wanted) is [B, heads, longest query, longest key], the probabilities before dropout, zeros elsewhere.
/// A query that may attend to nothing gives zeros.
template <class T>
void attention(const AttentionProblem<T>& p, TensorView<T> output, T* log_sum_exp, Tensor<T>* weights = nullptr) {
  const auto sequences = static_cast<Index>(p.keys.size());
  parallel_parts(sequences * p.heads, [&](Index part) {
    const detail::AttentionHead<T> a{p, part / p.heads, part % p.heads};
    if (a.queries == 0) return;
    const Index length = a.keys.length, stride = detail::round_up(std::max<Index>(length, 1), kDropoutGroup);
    const Index block = std::min(detail::kQueryBlock, a.queries);
    const Index key_size = packed_size(a.d_k, length), value_size = packed_size(length, a.d_k);
    Tensor<T> work(Shape{key_size + value_size + block * stride + stride});
    T* packed_keys = work.data();
    T* packed_values = packed_keys + key_size;
    T* scores = packed_values + value_size;
    T* factors = scores + block * stride;
    pack_panels(a.turned(a.head_of(p.key, a.keys.begin, length)), packed_keys);
    const bool whole = !p.causal;  // values of the keys that a block sees
    if (whole) pack_panels(a.head_of(p.value, a.keys.begin, length), packed_values);

    for (Index i = 0; i < a.queries; i += block) {
      const Index rows = std::min(block, a.queries - i), count = a.visible(i, rows);
      a.block_scores(i, rows, count, packed_keys, scores, stride);
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index r = 0; r < rows; ++r) {
          T* row = scores + r * stride;
          const auto [highest, sum] = exponentials(isa, row, detail::round_up(count, 16));
          scale_row(isa, row, count, sum > 0 ? T(1) / sum : T(0));
          if (log_sum_exp != nullptr) {
            log_sum_exp[(a.first_query + i + r) * p.heads + a.head] =
                sum > 0 ? highest + std::log(sum) : std::numeric_limits<T>::infinity();
          }
          if (weights != nullptr) {
            const Shape& s = weights->shape();
            std::copy_n(row, count, weights->data() + ((a.sequence * s[1] + a.head) * s[2] + i + r) * s[3]);
          }
          if (p.dropout.active()) {
            a.dropout_row(isa, i + r, count, factors);
            simd::for_lanes<T>(
                isa, count, [&](auto lanes, Index j) __attribute__((always_inline)) {
                  simd::Vector<T, lanes> v, factor;
                  simd::load(v, row + j);
                  simd::load(factor, factors + j);
                  v *= factor;
                  simd::store(row + j, v);
                });
          }
        }
      });
      if (!whole) pack_panels(a.head_of(p.value, a.keys.begin, count), packed_values);
      multiply_panels(
          Operand<T>{scores, rows, count, stride, 1}, packed_values,
          BlockOutput<T>{
              .data = output.row(a.first_query + i) + a.head * a.d_k, .stride = output.stride(), .columns = a.d_k});
    }
  });
}

/// Adds to the gradients of query, key and value (a view without data: not wanted), given output and its gradient. With
/// P the probabilities, F the dropout factors, and delta_i = sum over columns of d_output_i output_i:
///   dV = (P F)^T dO,   dP = F (dO V^T),   dS = P (dP - delta),   dQ = scale dS K,   dK = scale dS^T Q.
/// Key ranges must not overlap: sequences are worked on at the same time.
template <class T>
void attention_backward(const AttentionProblem<T>& p, const T* log_sum_exp, TensorView<const T> output,
                        TensorView<const T> d_output, TensorView<T> d_query, TensorView<T> d_key,
                        TensorView<T> d_value) {
  const auto sequences = static_cast<Index>(p.keys.size());
  parallel_parts(sequences * p.heads, [&](Index part) {
    const detail::AttentionHead<T> a{p, part / p.heads, part % p.heads};
    if (a.queries == 0 || a.keys.length == 0) return;
    const Index length = a.keys.length, stride = detail::round_up(length, kDropoutGroup), d_k = a.d_k;
    const Index block = std::min(detail::kQueryBlock, a.queries);
    const Index wide_size = packed_size(d_k, length), tall_size = packed_size(length, d_k);
    const Index block_size = packed_size(block, d_k);
    Tensor<T> work(Shape{2 * wide_size + tall_size + block_size + 2 * block * stride + stride});
    T* packed_keys = work.data();                  // K^T
    T* packed_values = packed_keys + wide_size;    // V^T
    T* packed_rows = packed_values + wide_size;    // K
    T* packed_block = packed_rows + tall_size;     // dO, then Q, of the block
    T* probabilities = packed_block + block_size;  // P, then P F
    T* d_scores = probabilities + block * stride;  // dO V^T, then scale dS
    T* factors = d_scores + block * stride;
    pack_panels(a.turned(a.head_of(p.key, a.keys.begin, length)), packed_keys);
    pack_panels(a.turned(a.head_of(p.value, a.keys.begin, length)), packed_values);
    if (!p.causal) pack_panels(a.head_of(p.key, a.keys.begin, length), packed_rows);

    const auto gradient_rows = [&](const TensorView<T>& m, Index first) {
      return BlockOutput<T>{
          .data = m.row(first) + a.head * d_k, .stride = m.stride(), .columns = d_k, .accumulate = true};
    };
    for (Index i = 0; i < a.queries; i += block) {
      const Index rows = std::min(block, a.queries - i), count = a.visible(i, rows), first = a.first_query + i;
      a.block_scores(i, rows, count, packed_keys, probabilities, stride);
      multiply_panels(a.head_of(d_output, first, rows), packed_values,
                      BlockOutput<T>{.data = d_scores, .stride = stride, .columns = count});
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        constexpr int kWidth = simd::kLanes<decltype(isa), T>;
        for (Index r = 0; r < rows; ++r) {
          T* prob = probabilities + r * stride;
          T* d_score = d_scores + r * stride;
          const T* out = output.row(first + r) + a.head * d_k;
          const T* d_out = d_output.row(first + r) + a.head * d_k;
          const T lse = log_sum_exp[(first + r) * p.heads + a.head];
          simd::Native<decltype(isa), T> products{};
          T delta = 0;
          simd::for_lanes<T>(
              isa, d_k, [&](auto lanes, Index j) __attribute__((always_inline)) {
                simd::Vector<T, lanes> x, y;
                simd::load(x, out + j);
                simd::load(y, d_out + j);
                x *= y;
                if constexpr (lanes == kWidth) {
                  products += x;
                } else {
                  delta += x[0];
                }
              });
          delta += simd::sum_lanes<kWidth>(products);
          if (p.dropout.active()) a.dropout_row(isa, i + r, count, factors);
          // Whole vectors: scores behind the last key are -infinity, so P is 0 there; stride has room.
          for (Index j = 0; j < detail::round_up(count, kWidth); j += kWidth) {
            simd::Native<decltype(isa), T> s, d, factor = T(1) - simd::Native<decltype(isa), T>{};
            simd::load(s, prob + j);
            simd::load(d, d_score + j);
            if (p.dropout.active()) simd::load(factor, factors + j);
            s -= lse;
            simd::exp_in_place<T>(s);
            d = p.scale * s * (factor * d - delta);
            s *= factor;
            simd::store(prob + j, s);
            simd::store(d_score + j, d);
          }
        }
      });
      if (d_value.data() != nullptr) {
        pack_panels(a.head_of(d_output, first, rows), packed_block);
        multiply_panels(Operand<T>{probabilities, count, rows, 1, stride}, packed_block,
                        gradient_rows(d_value, a.keys.begin));
      }
      if (d_query.data() != nullptr) {
        if (p.causal) pack_panels(a.head_of(p.key, a.keys.begin, count), packed_rows);
        multiply_panels(Operand<T>{d_scores, rows, count, stride, 1}, packed_rows, gradient_rows(d_query, first));
      }
      if (d_key.data() != nullptr) {
        pack_panels(a.head_of(p.query, first, rows), packed_block);
        multiply_panels(Operand<T>{d_scores, count, rows, 1, stride}, packed_block, gradient_rows(d_key, a.keys.begin));
      }
    }
  });
}

}  // namespace rapt::inline RAPT_ABI::kernels
