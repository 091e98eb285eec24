/// \file
/// The gradients of scaled dot-product attention (forward.hpp), given output O and its gradient dO. With P the
/// probabilities, F the dropout factors, and delta_i = sum over columns of dO_i O_i:
///
///     dV = (P F)^T dO,   dP = F (dO V^T),   dS = P (dP - delta),   dQ = scale dS K,   dK = scale dS^T Q,
///
/// where a soft cap multiplies dS by 1 - tanh^2(scaled score / cap). Probabilities are computed again, tile by tile,
/// from the scores and the log-sum-exp of each row. The gradient of a table's bias is the sum of dS over sequences;
/// that of Transformer-XL's terms is described in bias.hpp.
#pragma once

#include "rapt/kernels/attention/scores.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

namespace detail {

/// The sums of one head's gradients of biases over some sequences; nullptr: not wanted.
template <class T>
struct BiasSums {
  T* table = nullptr;
  typename DistanceTerms<T>::Sums distances = {};
};

/// The BiasSums of all query heads, one behind the other: of each head those of the table, of the distances' rows, and
/// of the two biases u and w. A size of 0 means that they are not wanted.
template <class T>
struct BiasSumsOfHeads {
  T* data = nullptr;
  Index table_size = 0, distances_size = 0, bias_size = 0;

  [[nodiscard]] Index head_size() const { return table_size + distances_size + 2 * bias_size; }
  [[nodiscard]] BiasSums<T> of(Index head) const {
    BiasSums<T> sums;
    T* const own = data + head * head_size();
    T* const distances = own + table_size;
    if (table_size > 0) sums.table = own;
    if (bias_size > 0) sums.distances = {distances, distances + distances_size, distances + distances_size + bias_size};
    return sums;
  }
};

/// Gradients of one group.
template <class T>
void group_backward(const AttentionGroup<T>& a, const T* log_sum_exp, TensorView<const T> output,
                    TensorView<const T> d_output, const AttentionGradients<T>& gradients,
                    const BiasSumsOfHeads<T>& sums) {
  const AttentionProblem<T>& p = a.p;
  const AttentionGradient<T>&d_query = gradients.query, &d_key = gradients.key, &d_value = gradients.value;
  const Index d_k = a.d_k, d_v = a.d_v;
  const auto clear = [](const AttentionGradient<T>& gradient, Index column, Index columns, Index first, Index rows) {
    if (gradient.accumulate || !gradient.wanted()) return;
    for (Index i = first; i < first + rows; ++i) std::fill_n(gradient.values.row(i) + column, columns, T(0));
  };
  const auto clear_keys = [&](Index first, Index rows) {
    clear(d_key, a.key_head * d_k, d_k, first, rows);
    clear(d_value, a.key_head * d_v, d_v, first, rows);
  };
  // Where each query stands at a key, some tile of keys is visible to it: the first product of its row writes and the
  // others add. With terms by distance dQ is the sum of two products.
  const bool by_distance = p.distance_bias.present(), writes_query = a.queries <= a.keys.length && !by_distance;
  if (!writes_query) clear(d_query, a.first_head * d_k, a.heads * d_k, a.first_query, a.queries);
  if (a.queries == 0) clear_keys(a.keys.begin, a.keys.length);
  if (a.queries == 0 || a.keys.length == 0) return;

  const Index tile_size = a.query_tile * a.stride, score_size = TileScores<T>::work_size(a, /*backward=*/true);
  const Index value_size = packed_size(d_v, a.tile), row_size = packed_size(a.tile, d_k);
  const Index block_size = packed_size(a.query_tile, std::max(d_k, d_v));
  const Index slope_size = p.soft_cap > 0 ? tile_size : 0, slots = a.heads * a.queries;
  Tensor<T> work(
      Shape{score_size + value_size + row_size + block_size + 2 * tile_size + slope_size + a.dropout_size() + slots});
  TileScores<T> tile_scores(a, work.data(), /*backward=*/true);
  T* packed_values = work.data() + score_size;   // V^T
  T* packed_rows = packed_values + value_size;   // K
  T* packed_block = packed_rows + row_size;      // dO, then Q, of some queries
  T* probabilities = packed_block + block_size;  // P, then P F
  T* d_scores = probabilities + tile_size;       // dO V^T, then scale dS
  T* slopes = d_scores + tile_size;              // of capped scores
  T* factors = slopes + slope_size;              // of the dropout
  T* delta = factors + a.dropout_size();
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    for (Index slot = 0; slot < slots; ++slot) {
      const Index row = a.first_query + slot % a.queries, column = (a.first_head + slot / a.queries) * d_v;
      delta[slot] = dot(isa, output.row(row) + column, d_output.row(row) + column, d_v);
    }
  });

  const auto gradient_rows = [](const AttentionGradient<T>& gradient, Index head, Index columns, Index first,
                                bool writes) {
    const TensorView<T>& m = gradient.values;
    return BlockOutput<T>{.data = m.row(first) + head * columns,
                          .stride = m.stride(),
                          .columns = columns,
                          .accumulate = gradient.accumulate || !writes};
  };
  a.for_each_key_tile([&](const KeyTile& k) {
    // A tile of queries below sees the keys, or their gradients are zeros.
    if (!a.is_visible(k)) return clear_keys(a.keys.begin + k.begin, k.count);
    tile_scores.set_keys(k);
    pack_panels(a.transposed(a.values_of(k)), packed_values);
    if (d_query.wanted() || by_distance) pack_panels(a.keys_of(k), packed_rows);
    // The first query tile that sees all of the keys may write their gradients.
    bool seen = false;
    a.for_each_score_tile(k, [&](const ScoreTile& t) {
      const Index first = a.first_query + t.query, slot = a.slot(t.head, t.query), first_key = a.keys.begin + t.key;
      const bool writes = !seen && t.keys == k.count;
      if (!seen && !writes) clear_keys(a.keys.begin + k.begin, k.count);
      seen = true;
      const BiasSums<T> bias_sums = sums.of(t.head);
      // With a table's bias dS is scaled after it was added to the gradient of the table.
      const T scale = p.table_bias.present() ? T(1) : p.scale;
      tile_scores.compute(t, probabilities, slope_size > 0 ? slopes : nullptr);
      multiply_panels(a.rows_of(d_output, d_v, t), packed_values + t.skipped * d_v,
                      BlockOutput<T>{.data = d_scores, .stride = a.stride, .columns = round_up(t.keys, 16)});
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        constexpr int kWidth = simd::kLanes<decltype(isa), T>;
        for (Index r = 0; r < t.rows; ++r) {
          T* prob = probabilities + r * a.stride;
          T* d_score = d_scores + r * a.stride;
          const T lse = log_sum_exp[(first + r) * p.heads + t.head], shift = delta[slot + r];
          if (p.dropout.active()) a.dropout_row(isa, t, r, factors);
          // Whole vectors: scores behind the last key are -infinity, so P is 0 there.
          for (Index j = 0; j < round_up(t.keys, kWidth); j += kWidth) {
            simd::Native<decltype(isa), T> s, d, factor = T(1) - simd::Native<decltype(isa), T>{};
            simd::load(s, prob + j);
            simd::load(d, d_score + j);
            if (p.dropout.active()) simd::load(factor, factors + j);
            s -= lse;
            simd::exp_in_place<T>(s);
            d = scale * s * (factor * d - shift);
            s *= factor;
            simd::store(prob + j, s);
            simd::store(d_score + j, d);
          }
          if (slope_size > 0) multiply_row(isa, d_score, slopes + r * a.stride, t.keys);
        }
      });
      if (p.table_bias.present()) add_table_gradient(a, t, d_scores, bias_sums.table);

      if (d_value.wanted()) {
        pack_panels(a.rows_of(d_output, d_v, t), packed_block);
        multiply_panels(Operand<T>{probabilities, t.keys, t.rows, 1, a.stride}, packed_block,
                        gradient_rows(d_value, a.key_head, d_v, first_key, writes));
      }
      const Operand<T> d_tile{d_scores, t.rows, t.keys, a.stride, 1};
      if (d_query.wanted() && !by_distance) {
        multiply_panels(d_tile, packed_rows + t.skipped * panel_columns<T>(),
                        gradient_rows(d_query, t.head, d_k, first, t.first && writes_query), k.count);
      }
      if (d_key.wanted()) {
        pack_panels(by_distance ? tile_scores.distances().biased_queries(t, p.distance_bias.content_bias)
                                : a.rows_of(p.query, d_k, t),
                    packed_block);
        multiply_panels(a.transposed(d_tile), packed_block, gradient_rows(d_key, a.key_head, d_k, first_key, writes));
      }
      if (by_distance) {
        tile_scores.distances().add_gradients(t, d_scores, {packed_rows, k.count}, packed_block, d_query.values,
                                              bias_sums.distances);
      }
    });
  });
}

/// Where biases have gradients, sequences are dealt out to at most so many parts a head. Each part sums them in memory
/// of its own: a table may be [H, L, L], encodings of distances are smaller.
inline constexpr Index kTableParts = 8, kDistanceParts = 16;

}  // namespace detail

/// Computes the gradients that are wanted, given the log_sum_exp and output of `attention` and the output's gradient.
/// Those of a key head that several query heads read are summed in the order of these; those of biases in an order that
/// depends on the number of sequences alone. Key ranges must not overlap: sequences are worked on at the same time.
template <class T>
void attention_backward(const AttentionProblem<T>& p, const T* log_sum_exp, TensorView<const T> output,
                        TensorView<const T> d_output, const AttentionGradients<T>& gradients) {
  const auto backward = [&](const detail::AttentionGroup<T>& a, const detail::BiasSumsOfHeads<T>& sums) {
    detail::group_backward<T>(a, log_sum_exp, output, d_output, gradients, sums);
  };
  const bool table = gradients.table_bias != nullptr, by_distance = p.distance_bias.present();
  if (!table && !by_distance) {
    return detail::for_each_group(p, /*splits=*/false, [&](const detail::AttentionGroup<T>& a) { backward(a, {}); });
  }
  const Index sequences = static_cast<Index>(p.keys.size()), key_heads = p.heads_of_keys(),
              shared = p.heads / key_heads;
  const Index parts = std::min(sequences, table ? detail::kTableParts : detail::kDistanceParts);
  const Index d_k = p.query.cols() / p.heads, table_size = table ? p.table_bias.head_size : 0;
  const Index rows = by_distance ? p.distance_bias.distances.rows() + 2 : 0;  // those of r, then u and w
  Tensor<T> all_sums(Shape{parts * p.heads, table_size + rows * d_k}, T(0));
  parallel_parts(parts * key_heads, [&](Index number) {
    const Index part = number / key_heads, key_head = number % key_heads, end = (part + 1) * sequences / parts;
    const detail::BiasSumsOfHeads<T> sums{.data = all_sums.row(part * p.heads),
                                          .table_size = table_size,
                                          .distances_size = by_distance ? (rows - 2) * d_k : 0,
                                          .bias_size = by_distance ? d_k : 0};
    for (Index sequence = part * sequences / parts; sequence < end; ++sequence) {
      backward(detail::AttentionGroup<T>{p, sequence, key_head, key_head * shared, shared}, sums);
    }
  });
  // to[0 .. count] of a head += the elements of its sums from `begin` on, part by part.
  const auto add_parts = [&](Index head, Index begin, Index count, T* to) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index part = 0; part < parts; ++part) {
        detail::add_row(isa, all_sums.row(part * p.heads + head) + begin, to, count);
      }
    });
  };
  parallel_for(p.heads * table_size, kElementGrain, [&](Index begin, Index end) {
    for (Index i = begin, count = 0; i < end; i += count) {
      count = std::min(end - i, table_size - i % table_size);
      add_parts(i / table_size, i % table_size, count, gradients.table_bias + i);
    }
  });
  parallel_for(rows, 16, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      T* to = row == rows - 2 ? gradients.content_bias : row == rows - 1 ? gradients.position_bias : nullptr;
      if (row < rows - 2 && gradients.distances.data() != nullptr) to = gradients.distances.row(row);
      for (Index head = 0; head < p.heads && to != nullptr; ++head) {
        add_parts(head, table_size + row * d_k, d_k, to + head * d_k);
      }
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
