/// \file
/// The gradients of scaled dot-product attention (forward.hpp).
#pragma once

#include "rapt/kernels/attention/tile.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// A gradient that `attention_backward` adds to, or writes: then every row and column of the view, as long as sequences
/// cover all rows. Without data: not wanted.
template <class T>
struct AttentionGradient {
  TensorView<T> values;
  bool accumulate = true;
};

/// The gradients of query, key and value, given output and its gradient. With P the probabilities, F the dropout
/// factors, and delta_i = sum over columns of d_output_i output_i:
///   dV = (P F)^T dO,   dP = F (dO V^T),   dS = P (dP - delta),   dQ = scale dS K,   dK = scale dS^T Q,
/// where a soft cap multiplies dS by 1 - tanh^2(scaled score / cap).
/// Those of a key head that several query heads read are summed in the order of these.
/// Key ranges must not overlap: sequences are worked on at the same time.
template <class T>
void attention_backward(const AttentionProblem<T>& p, const T* log_sum_exp, TensorView<const T> output,
                        TensorView<const T> d_output, const AttentionGradient<T>& d_query,
                        const AttentionGradient<T>& d_key, const AttentionGradient<T>& d_value) {
  detail::for_each_group(p, /*splits=*/false, [&](const detail::AttentionGroup<T>& a) {
    const Index d_k = a.d_k, d_v = a.d_v;
    const auto clear = [](const AttentionGradient<T>& gradient, Index column, Index columns, Index first, Index rows) {
      if (gradient.accumulate || gradient.values.data() == nullptr) return;
      for (Index i = first; i < first + rows; ++i) std::fill_n(gradient.values.row(i) + column, columns, T(0));
    };
    const auto clear_keys = [&](Index first, Index rows) {
      clear(d_key, a.key_head * d_k, d_k, first, rows);
      clear(d_value, a.key_head * d_v, d_v, first, rows);
    };
    // Where each query stands at a key, some tile of keys is visible to it: the first product of its row writes and the
    // others add.
    const bool all_see = a.queries <= a.keys.length;
    if (!all_see) clear(d_query, a.first_head * d_k, a.heads * d_k, a.first_query, a.queries);
    if (a.queries == 0) clear_keys(a.keys.begin, a.keys.length);
    if (a.queries == 0 || a.keys.length == 0) return;
    const Index tile_size = a.query_tile * a.stride;
    const Index key_size = packed_size(d_k, a.tile), value_size = packed_size(d_v, a.tile);
    const Index tall_size = packed_size(a.tile, d_k), block_size = packed_size(a.query_tile, std::max(d_k, d_v));
    const Index slope_size = p.soft_cap > 0 ? tile_size : 0, slots = a.heads * a.queries;
    Tensor<T> work(
        Shape{key_size + value_size + tall_size + block_size + 2 * tile_size + slope_size + detail::kKeyTile + slots});
    T* packed_keys = work.data();                  // K^T
    T* packed_values = packed_keys + key_size;     // V^T
    T* packed_rows = packed_values + value_size;   // K
    T* packed_block = packed_rows + tall_size;     // dO, then Q, of some queries
    T* probabilities = packed_block + block_size;  // P, then P F
    T* d_scores = probabilities + tile_size;       // dO V^T, then scale dS
    T* slopes = d_scores + tile_size;              // of capped scores
    T* factors = slopes + slope_size;              // of the dropout
    T* delta = factors + detail::kKeyTile;
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
    a.for_each_key_tile([&](const detail::KeyTile& k) {
      const Index first_key = a.keys.begin + k.begin;
      if (!a.is_visible(k)) return clear_keys(first_key, k.count);  // otherwise a tile of queries below sees it
      a.pack_keys(k, packed_keys);
      pack_panels(a.turned(a.head_of(p.value, a.key_head, d_v, first_key, k.count)), packed_values);
      if (d_query.values.data() != nullptr) {
        pack_panels(a.head_of(p.key, a.key_head, d_k, first_key, k.count), packed_rows);
      }
      // The first query tile that sees all of the keys may write their gradients.
      bool seen = false;
      a.for_each_query_tile(k, [&](Index head, Index i, Index rows, Index count, bool first_keys) {
        const Index first = a.first_query + i, slot = a.slot(head, i);
        const bool writes = !seen && count == k.count;
        if (!seen && !writes) clear_keys(first_key, k.count);
        seen = true;
        a.tile_scores(head, i, rows, k, count, packed_keys, probabilities, slope_size > 0 ? slopes : nullptr);
        multiply_panels(a.head_of(d_output, head, d_v, first, rows), packed_values,
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
            if (slope_size > 0) detail::multiply_row(isa, d_score, slopes + r * a.stride, count);
          }
        });
        if (d_value.values.data() != nullptr) {
          pack_panels(a.head_of(d_output, head, d_v, first, rows), packed_block);
          multiply_panels(Operand<T>{probabilities, count, rows, 1, a.stride}, packed_block,
                          gradient_rows(d_value, a.key_head, d_v, first_key, writes));
        }
        if (d_query.values.data() != nullptr) {
          multiply_panels(Operand<T>{d_scores, rows, count, a.stride, 1}, packed_rows,
                          gradient_rows(d_query, head, d_k, first, first_keys && all_see), k.count);
        }
        if (d_key.values.data() != nullptr) {
          pack_panels(a.head_of(p.query, head, d_k, first, rows), packed_block);
          multiply_panels(Operand<T>{d_scores, count, rows, 1, a.stride}, packed_block,
                          gradient_rows(d_key, a.key_head, d_k, first_key, writes));
        }
      });
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
