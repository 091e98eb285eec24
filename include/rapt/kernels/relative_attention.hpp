/// \file
/// Attention that knows distances instead of positions (Dai et al. 2019, section 3.3), forward and backward:
///
///     score_ij = scale ((q_i + u) k_j + (q_i + w) r_(i - j)),   output_i = sum over j of softmax_j(score_ij) v_j
///
/// Queries are the last of the keys' positions, and each sees its own key and those before it. Work is done one
/// (sequence, head) at a time, in tiles of queries by all the keys they see. Nothing of size length x length is kept:
/// backward computes the probabilities again from the log-sum-exp of each row.
#pragma once

#include <cmath>
#include <limits>

#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/dropout.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

template <class T>
struct RelativeAttentionProblem {
  TensorView<const T> query, key, value;  // [Nq, H d_k], [Nk, H d_k], [Nk, H d_k]
  TensorView<const T> relative;           // [P, H d_k]: row p is of distance p, the last one of all beyond, too
  const T* content_bias = nullptr;        // u [H, d_k]
  const T* position_bias = nullptr;       // w [H, d_k]
  std::span<const Index> query_offsets;   // [B + 1]
  std::span<const Index> key_offsets;     // [B + 1]; a sequence has at least as many keys as queries
  Index heads = 1;
  Index span = 0;  // if > 0: a query sees so many keys, its own the last of them
  T scale = 1;
  Dropout dropout;  // of the probabilities
};

/// Gradients to add to. Without data: not wanted.
template <class T>
struct RelativeAttentionGradients {
  TensorView<T> query, key, value, relative;
  T* content_bias = nullptr;
  T* position_bias = nullptr;
};

namespace detail {

/// Queries of a tile, and what keys they see begins at a multiple of: whole panels, and whole groups of dropout.
inline constexpr Index kRelativeQueries = 32, kRelativeStep = 64;
static_assert(kRelativeStep % kDropoutGroup == 0 && kRelativeStep % 32 == 0);

/// Queries first .. first + rows of a sequence, the keys begin .. end that one of them sees, and the distances to
/// those, which are columns first_column .. of the scores by position.
struct RelativeTile {
  Index first = 0, rows = 0, begin = 0, end = 0, first_column = 0;
  [[nodiscard]] Index keys() const { return end - begin; }
};

/// One (sequence, head) of a problem. Scores by position are computed by distance, the largest first, so that those of
/// a query's keys lie side by side: key j of query i is column j + columns - 1 - (i + offset), and what falls before
/// column 0 takes that one.
template <class T>
struct RelativeHead {
  const RelativeAttentionProblem<T>& p;
  Index sequence, head, d_k = p.query.cols() / p.heads;
  Index first_query = p.query_offsets[static_cast<std::size_t>(sequence)];
  Index queries = p.query_offsets[static_cast<std::size_t>(sequence) + 1] - first_query;
  Index first_key = p.key_offsets[static_cast<std::size_t>(sequence)];
  Index keys = p.key_offsets[static_cast<std::size_t>(sequence) + 1] - first_key;
  Index offset = keys - queries;  // the position of query 0 among the keys
  Index columns = std::min(p.relative.rows(), keys);
  Index stride = round_up(keys, 16) + 16, column_stride = round_up(columns, 16) + 16;  // of rows of scores

  [[nodiscard]] Operand<T> head_of(const TensorView<const T>& m, Index begin, Index rows) const {
    return Operand<T>{m.row(begin) + head * d_k, rows, d_k, m.stride(), 1};
  }
  [[nodiscard]] static Operand<T> turned(const Operand<T>& m) {
    return {m.data, m.cols, m.rows, m.col_stride, m.row_stride};
  }
  [[nodiscard]] Operand<T> head_keys() const { return head_of(p.key, first_key, keys); }
  [[nodiscard]] Operand<T> head_values() const { return head_of(p.value, first_key, keys); }
  /// Encodings of distances columns - 1 .. 0   // [columns, d_k]
  [[nodiscard]] Operand<T> head_distances() const {
    return {p.relative.row(columns - 1) + head * d_k, columns, d_k, -p.relative.stride(), 1};
  }

  /// The first key that query i sees.
  [[nodiscard]] Index first_seen(Index i) const { return p.span > 0 ? std::max<Index>(0, i + offset + 1 - p.span) : 0; }
  template <class F>
  void for_each_tile(const F& f) const {
    for (Index i = 0; i < queries; i += kRelativeQueries) {
      const Index rows = std::min(kRelativeQueries, queries - i), end = i + rows + offset;
      const Index begin = first_seen(i) / kRelativeStep * kRelativeStep;
      const Index column = std::max<Index>(0, columns - (end - begin)) / kRelativeStep * kRelativeStep;
      f(RelativeTile{i, rows, begin, end, column});
    }
  }

  /// q + bias   // [tile.rows, d_k]
  void biased_queries(const RelativeTile& t, const T* bias, T* out) const {
    for (Index r = 0; r < t.rows; ++r) {
      const T* q = p.query.row(first_query + t.first + r) + head * d_k;
      for (Index c = 0; c < d_k; ++c) out[r * d_k + c] = q[c] + bias[head * d_k + c];
    }
  }

  /// Scores of a tile's queries by all keys from tile.begin on, -infinity where a query does not see, also in what
  /// fills up a row to whole vectors. Leaves q + u and q + w in `content` and `position`.
  void tile_scores(const RelativeTile& t, const T* packed_keys, const T* packed_distances, T* content, T* position,
                   T* by_position, T* scores) const {
    biased_queries(t, p.content_bias, content);
    biased_queries(t, p.position_bias, position);
    multiply_panels(Operand<T>{content, t.rows, d_k, d_k, 1}, packed_keys + t.begin * d_k,
                    BlockOutput<T>{.data = scores, .stride = stride, .columns = t.keys()});
    multiply_panels(Operand<T>{position, t.rows, d_k, d_k, 1}, packed_distances + t.first_column * d_k,
                    BlockOutput<T>{.data = by_position, .stride = column_stride, .columns = columns - t.first_column});
    constexpr T kBlocked = -std::numeric_limits<T>::infinity();
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index r = 0; r < t.rows; ++r) {
        T* row = scores + r * stride;
        const T* distances = by_position + r * column_stride;
        const Range seen = range(t, r);
        std::fill(row, row + seen.begin, kBlocked);
        for (Index j = seen.begin; j < seen.near; ++j) row[j] = p.scale * (row[j] + distances[0]);
        T* near = row + seen.near;
        const T* near_distances = distances + seen.near + seen.shift;
        simd::for_lanes<T>(
            isa, seen.end - seen.near, [&](auto lanes, Index j) __attribute__((always_inline)) {
              simd::Vector<T, lanes> a, b;
              simd::load(a, near + j);
              simd::load(b, near_distances + j);
              a = p.scale * (a + b);
              simd::store(near + j, a);
            });
        std::fill(row + seen.end, row + round_up(t.keys(), 16), kBlocked);
      }
    });
  }

  /// The gradient of scores by position from that of scores: the same numbers, each in the column of its distance.
  void scatter_by_position(const RelativeTile& t, const T* d_scores, T* d_by_position) const {
    for (Index r = 0; r < t.rows; ++r) {
      const T* row = d_scores + r * stride;
      T* to = d_by_position + r * column_stride;
      const Range seen = range(t, r);
      std::fill(to, to + columns - t.first_column, T(0));
      std::copy(row + seen.near, row + seen.end, to + seen.near + seen.shift);
      for (Index j = seen.begin; j < seen.near; ++j) to[0] += row[j];
    }
  }

  /// Factors of the dropout of query i's probabilities for `count` keys from key j, a multiple of kDropoutGroup, on.
  template <class Isa>
  [[gnu::always_inline]] void dropout_row(Isa isa, Index i, Index j, Index count, T* factors) const {
    const Index row = (first_query + i) * p.heads + head;
    // Rows of the element space are as long as any sequence's keys may be.
    dropout_factors(isa, p.dropout, row * (Index{1} << 20) + j, count, factors);
  }

 private:
  /// Keys that row r of a tile sees, counted from tile.begin; those before `near` are at distances beyond the last, key
  /// j of the others is column j + shift of its scores by position.
  struct Range {
    Index begin, near, end, shift;
  };
  [[nodiscard]] Range range(const RelativeTile& t, Index r) const {
    const Index position = t.first + r + offset - t.begin;
    const Index begin = std::max<Index>(0, first_seen(t.first + r) - t.begin);
    const Index near = std::max(begin, position + 1 - columns);
    return {begin, near, position + 1, columns - 1 - position - t.first_column};
  }
};

/// row *= factors. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void apply_factors(Isa isa, T* row, const T* factors, Index count) {
  simd::for_lanes<T>(
      isa, count, [&](auto lanes, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v, factor;
        simd::load(v, row + j);
        simd::load(factor, factors + j);
        v *= factor;
        simd::store(row + j, v);
      });
}

}  // namespace detail

/// output = heads side by side, [Nq, H d_k]; log_sum_exp of the scores, [Nq, heads] (nullptr: not wanted).
template <class T>
void relative_attention(const RelativeAttentionProblem<T>& p, TensorView<T> output, T* log_sum_exp) {
  const Index sequences = static_cast<Index>(p.query_offsets.size()) - 1;
  parallel_parts(sequences * p.heads, [&](Index part) {
    const detail::RelativeHead<T> a{p, part / p.heads, part % p.heads};
    if (a.queries == 0) return;
    constexpr Index kRows = detail::kRelativeQueries;
    const Index d_k = a.d_k, key_size = packed_size(d_k, a.keys), value_size = packed_size(a.keys, d_k);
    const Index distance_size = packed_size(d_k, a.columns), factor_size = dropout_row_size(a.keys);
    Tensor<T> work(
        Shape{key_size + value_size + distance_size + kRows * (a.stride + a.column_stride + 2 * d_k) + factor_size});
    T* packed_keys = work.data();                      // K^T
    T* packed_values = packed_keys + key_size;         // V
    T* packed_distances = packed_values + value_size;  // R^T, the largest distance first
    T* scores = packed_distances + distance_size;
    T* by_position = scores + kRows * a.stride;
    T* content = by_position + kRows * a.column_stride;  // Q + u
    T* position = content + kRows * d_k;                 // Q + w
    T* factors = position + kRows * d_k;                 // of the dropout
    pack_panels(a.turned(a.head_keys()), packed_keys);
    pack_panels(a.head_values(), packed_values);
    pack_panels(a.turned(a.head_distances()), packed_distances);
    const Index width = panel_columns<T>();

    a.for_each_tile([&](const detail::RelativeTile& t) {
      a.tile_scores(t, packed_keys, packed_distances, content, position, by_position, scores);
      const Index first = a.first_query + t.first;
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index r = 0; r < t.rows; ++r) {
          T* row = scores + r * a.stride;
          const auto [highest, sum] = exponentials(isa, row, detail::round_up(t.keys(), 16));
          scale_row(isa, row, t.keys(), T(1) / sum);
          if (log_sum_exp != nullptr) log_sum_exp[(first + r) * p.heads + a.head] = highest + std::log(sum);
          if (!p.dropout.active()) continue;
          a.dropout_row(isa, t.first + r, t.begin, t.keys(), factors);
          detail::apply_factors(isa, row, factors, t.keys());
        }
      });
      multiply_panels(
          Operand<T>{scores, t.rows, t.keys(), a.stride, 1}, packed_values + t.begin * width,
          BlockOutput<T>{.data = output.row(first) + a.head * d_k, .stride = output.stride(), .columns = d_k}, a.keys);
    });
  });
}

namespace detail {

/// Adds the gradients of one (sequence, head). `shared` [P + 2, d_k] receives those of all sequences: rows of
/// `relative`, then u and w.
template <class T>
void relative_head_backward(const RelativeHead<T>& a, const T* log_sum_exp, TensorView<const T> output,
                            TensorView<const T> d_output, const RelativeAttentionGradients<T>& gradients, T* shared) {
  if (a.queries == 0) return;
  const auto& p = a.p;
  constexpr Index kRows = kRelativeQueries;
  const Index d_k = a.d_k, wide_size = packed_size(d_k, a.keys), tall_size = packed_size(a.keys, d_k);
  const Index distance_size = packed_size(d_k, a.columns), distance_rows_size = packed_size(a.columns, d_k);
  const Index block_size = packed_size(kRows, d_k), tile_size = kRows * d_k, factor_size = dropout_row_size(a.keys);
  Tensor<T> work(Shape{2 * wide_size + tall_size + distance_size + distance_rows_size + block_size + 4 * tile_size +
                       kRows * (2 * a.stride + a.column_stride) + factor_size});
  T* packed_keys = work.data();                          // K^T
  T* packed_values = packed_keys + wide_size;            // V^T
  T* key_rows = packed_values + wide_size;               // K
  T* packed_distances = key_rows + tall_size;            // R^T, the largest distance first
  T* distance_rows = packed_distances + distance_size;   // R, in the same order
  T* packed_block = distance_rows + distance_rows_size;  // dO, Q + u or Q + w, of some queries
  T* content = packed_block + block_size;                // Q + u
  T* position = content + tile_size;                     // Q + w
  T* d_content = position + tile_size;                   // their gradients
  T* d_position = d_content + tile_size;
  T* probabilities = d_position + tile_size;           // P, then P F
  T* d_scores = probabilities + kRows * a.stride;      // dO V^T, then scale dS
  T* by_position = d_scores + kRows * a.stride;        // scores by distance, then their gradient
  T* factors = by_position + kRows * a.column_stride;  // of the dropout
  pack_panels(a.turned(a.head_keys()), packed_keys);
  pack_panels(a.turned(a.head_values()), packed_values);
  pack_panels(a.head_keys(), key_rows);
  pack_panels(a.turned(a.head_distances()), packed_distances);
  pack_panels(a.head_distances(), distance_rows);
  const Index width = panel_columns<T>();
  const auto gradient_rows = [&](const TensorView<T>& gradient, Index first) {
    return BlockOutput<T>{
        .data = gradient.row(first) + a.head * d_k, .stride = gradient.stride(), .columns = d_k, .accumulate = true};
  };

  a.for_each_tile([&](const RelativeTile& t) {
    const Index first = a.first_query + t.first, first_key = a.first_key + t.begin, count = t.keys();
    a.tile_scores(t, packed_keys, packed_distances, content, position, by_position, probabilities);
    multiply_panels(a.head_of(d_output, first, t.rows), packed_values + t.begin * d_k,
                    BlockOutput<T>{.data = d_scores, .stride = a.stride, .columns = count});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index r = 0; r < t.rows; ++r) {
        T* prob = probabilities + r * a.stride;
        T* d_score = d_scores + r * a.stride;
        const T lse = log_sum_exp[(first + r) * p.heads + a.head];
        const T delta = dot(isa, output.row(first + r) + a.head * d_k, d_output.row(first + r) + a.head * d_k, d_k);
        if (p.dropout.active()) a.dropout_row(isa, t.first + r, t.begin, count, factors);
        simd::for_lanes<T>(
            isa, count, [&](auto lanes, Index j) __attribute__((always_inline)) {
              simd::Vector<T, lanes> s, d, factor = T(1) - simd::Vector<T, lanes>{};
              simd::load(s, prob + j);
              simd::load(d, d_score + j);
              if (p.dropout.active()) simd::load(factor, factors + j);
              s -= lse;
              simd::exp_in_place<T>(s);
              d = p.scale * s * (factor * d - delta);
              s *= factor;
              simd::store(prob + j, s);
              simd::store(d_score + j, d);
            });
      }
    });
    const Operand<T> d_tile{d_scores, t.rows, count, a.stride, 1};
    if (gradients.value.data() != nullptr) {
      pack_panels(a.head_of(d_output, first, t.rows), packed_block);
      multiply_panels(Operand<T>{probabilities, count, t.rows, 1, a.stride}, packed_block,
                      gradient_rows(gradients.value, first_key));
    }
    if (gradients.key.data() != nullptr) {
      pack_panels(Operand<T>{content, t.rows, d_k, d_k, 1}, packed_block);
      multiply_panels(a.turned(d_tile), packed_block, gradient_rows(gradients.key, first_key));
    }
    multiply_panels(d_tile, key_rows + t.begin * width,
                    BlockOutput<T>{.data = d_content, .stride = d_k, .columns = d_k}, a.keys);

    a.scatter_by_position(t, d_scores, by_position);
    const Operand<T> d_columns{by_position, t.rows, a.columns - t.first_column, a.column_stride, 1};
    pack_panels(Operand<T>{position, t.rows, d_k, d_k, 1}, packed_block);
    multiply_panels(a.turned(d_columns), packed_block,
                    BlockOutput<T>{.data = shared + (a.columns - 1 - t.first_column) * d_k,  // column c is of distance
                                   .stride = -d_k,                                           // columns - 1 - c
                                   .columns = d_k,
                                   .accumulate = true});
    multiply_panels(d_columns, distance_rows + t.first_column * width,
                    BlockOutput<T>{.data = d_position, .stride = d_k, .columns = d_k}, a.columns);
    T* d_biases = shared + p.relative.rows() * d_k;
    for (Index r = 0; r < t.rows; ++r) {
      const T *from_content = d_content + r * d_k, *from_position = d_position + r * d_k;
      T* to = gradients.query.data() == nullptr ? nullptr : gradients.query.row(first + r) + a.head * d_k;
      for (Index c = 0; c < d_k; ++c) {
        d_biases[c] += from_content[c];
        d_biases[d_k + c] += from_position[c];
        if (to != nullptr) to[c] += from_content[c] + from_position[c];
      }
    }
  });
}

/// Sequences are dealt out to at most so many parts a head, each of which has gradients of its own for what all
/// sequences share.
inline constexpr Index kRelativeGroups = 16;

}  // namespace detail

/// Adds to the gradients, given output and its gradient. With P the probabilities, F the dropout factors, delta_i = sum
/// over columns of d_output_i output_i, and dB the gradient of scores by position, dS moved to the columns of
/// distances:
///   dV = (P F)^T dO,   dS = P (F (dO V^T) - delta),   dK = scale dS^T (Q + u),   dR = scale dB^T (Q + w),
///   dQ = scale (dS K + dB R),   du and dw are the column sums of the two terms of dQ.
/// What all sequences share is summed in an order that depends on their number alone.
template <class T>
void relative_attention_backward(const RelativeAttentionProblem<T>& p, const T* log_sum_exp, TensorView<const T> output,
                                 TensorView<const T> d_output, const RelativeAttentionGradients<T>& gradients) {
  const Index sequences = static_cast<Index>(p.query_offsets.size()) - 1, d_k = p.query.cols() / p.heads;
  const Index groups = std::min(sequences, detail::kRelativeGroups), rows = p.relative.rows() + 2;
  Tensor<T> shared(Shape{groups * p.heads * rows, d_k}, T(0));
  parallel_parts(groups * p.heads, [&](Index part) {
    const Index group = part / p.heads, end = (group + 1) * sequences / groups;
    for (Index sequence = group * sequences / groups; sequence < end; ++sequence) {
      const detail::RelativeHead<T> a{p, sequence, part % p.heads};
      detail::relative_head_backward<T>(a, log_sum_exp, output, d_output, gradients, shared.row(part * rows));
    }
  });
  parallel_for(rows, 16, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      T* to = row == rows - 2 ? gradients.content_bias : row == rows - 1 ? gradients.position_bias : nullptr;
      if (row < rows - 2 && gradients.relative.data() != nullptr) to = gradients.relative.row(row);
      if (to == nullptr) continue;
      for (Index part = 0; part < groups * p.heads; ++part) {
        const T* from = shared.row(part * rows + row);
        T* head = to + part % p.heads * d_k;
        for (Index c = 0; c < d_k; ++c) head[c] += from[c];
      }
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
