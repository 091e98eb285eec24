/// \file
/// Scaled dot-product attention of several heads over sequences laid end to end, forward and backward.
///
///     Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V        (the paper's equation 1)
///
/// Work is done one (sequence, key head) at a time, in tiles of queries by keys; tiles that causal and window masks
/// hide are skipped, and nothing of size length x length is kept: backward computes the probabilities again from the
/// log-sum-exp of each row. A sentence of tens of tokens is a single tile of keys.
///
/// Several heads of queries may share a head of keys and values (Shazeer 2019; Ainslie et al. 2023), and heads of
/// values may have another width than those of keys.
#pragma once

#include <cmath>
#include <limits>

#include "rapt/kernels/attention/tile.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// output = heads side by side, [Nq, H d_v]; log_sum_exp of the scores, [Nq, heads] (nullptr: not wanted). `weights`
/// and `scores` (nullptr: not wanted) are [B, heads, longest query, longest key] and receive the probabilities before
/// dropout and the scores at `stage`; they must hold zeros, and `scores` -infinity for `ScoreStage::masked`, as keys
/// that are hidden and elements outside of a sequence are not written. A query that may attend to nothing gives zeros.
///
/// The softmax is a running one (Milakov and Gimelshein 2018; Dao et al. 2022): with m the largest score so far and
/// l = sum e^(s - m), a tile with larger scores multiplies l and the output so far by e^(m - new m).
template <class T>
void attention(const AttentionProblem<T>& p, TensorView<T> output, T* log_sum_exp, Tensor<T>* weights = nullptr,
               Tensor<T>* scores = nullptr, ScoreStage stage = ScoreStage::masked) {
  Tensor<T> kept;
  if (weights != nullptr && log_sum_exp == nullptr) {
    kept = Tensor<T>(Shape{p.query.rows(), p.heads});
    log_sum_exp = kept.data();
  }
  detail::for_each_group(p, /*splits=*/true, [&](const detail::AttentionGroup<T>& a) {
    if (a.queries == 0) return;
    const Index tile_size = a.query_tile * a.stride;
    const Index key_size = packed_size(a.d_k, a.tile), value_size = packed_size(a.tile, a.d_v);
    const Index slots = a.heads * a.queries;
    Tensor<T> work(Shape{key_size + value_size + tile_size + detail::kKeyTile + 2 * slots});
    T* packed_keys = work.data();               // K^T
    T* packed_values = packed_keys + key_size;  // V
    T* tile = packed_values + value_size;       // of scores, then of e^(s - m)
    T* factors = tile + tile_size;              // of the dropout
    T* highest = factors + detail::kKeyTile;    // m of each query
    T* sums = highest + slots;                  // l
    std::fill_n(highest, slots, -std::numeric_limits<T>::infinity());
    std::fill_n(sums, slots, T(0));
    const auto out = [&](Index head, Index i) { return output.row(a.first_query + i) + head * a.d_v; };

    a.for_each_key_tile([&](const detail::KeyTile& k) {
      if (!a.is_visible(k)) return;
      a.pack_keys(k, packed_keys);
      pack_panels(a.head_of(p.value, a.key_head, a.d_v, a.keys.begin + k.begin, k.count), packed_values);
      a.for_each_query_tile(k, [&](Index head, Index i, Index rows, Index count, bool first) {
        const Index slot = a.slot(head, i);
        a.tile_scores(head, i, rows, k, count, packed_keys, tile);
        simd::with_simd([&](auto isa) __attribute__((always_inline)) {
          for (Index r = 0; r < rows; ++r) {
            T* row = tile + r * a.stride;
            const T before = highest[slot + r];
            const auto [now, sum] = exponentials(isa, row, detail::round_up(count, 16), before);
            if (!first && now != before) {
              const T shrink = before == -std::numeric_limits<T>::infinity() ? T(0) : std::exp(before - now);
              sums[slot + r] *= shrink;
              scale_row(isa, out(head, i + r), a.d_v, shrink);
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
            Operand<T>{tile, rows, count, a.stride, 1}, packed_values,
            BlockOutput<T>{.data = out(head, i), .stride = output.stride(), .columns = a.d_v, .accumulate = !first},
            k.count);
      });
    });
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index slot = 0; slot < slots; ++slot) {
        const Index head = a.first_head + slot / a.queries, i = slot % a.queries;
        if (sums[slot] == 0) {
          std::fill_n(out(head, i), a.d_v, T(0));
        } else {
          scale_row(isa, out(head, i), a.d_v, T(1) / sums[slot]);
        }
        if (log_sum_exp == nullptr) continue;
        log_sum_exp[(a.first_query + i) * p.heads + head] =
            sums[slot] == 0 ? std::numeric_limits<T>::infinity() : highest[slot] + std::log(sums[slot]);
      }
    });
    if (weights != nullptr) {
      detail::write_scores(a, ScoreStage::masked, *weights, [&](T score, Index head, Index row) {
        return std::exp(score - log_sum_exp[row * p.heads + head]);
      });
    }
    if (scores != nullptr) detail::write_scores(a, stage, *scores, [](T score, Index, Index) { return score; });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
