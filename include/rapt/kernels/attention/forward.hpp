/// \file
/// Scaled dot-product attention of several heads over sequences laid end to end.
///
///     Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V        (the paper's equation 1)
///
/// Work is done one (sequence, key head) at a time, in tiles of queries by keys (tile.hpp), and nothing of size length
/// x length is kept. Each tile's scores (scores.hpp) are multiplied with its values at once: the softmax is a running
/// one (Milakov and Gimelshein 2018; Dao et al. 2022). With m the largest score so far and l = sum e^(s - m), a tile
/// with larger scores multiplies l and the output so far by e^(m - new m). A sentence of tens of tokens is a single
/// tile of keys.
///
/// Several heads of queries may share a head of keys and values (Shazeer 2019; Ainslie et al. 2023), and heads of
/// values may have another width than those of keys. Scores may have a bias (bias.hpp).
#pragma once

#include <cmath>
#include <limits>

#include "rapt/kernels/attention/scores.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// output = heads side by side, [Nq, H d_v]; log_sum_exp of the scores, [Nq, heads] (nullptr: not wanted). A query that
/// may attend to nothing gives zeros, and infinity as its log_sum_exp.
template <class T>
void attention(const AttentionProblem<T>& p, TensorView<T> output, T* log_sum_exp,
               const AttentionCapture<T>& maps = {}) {
  Tensor<T> kept;
  if (maps.weights != nullptr && log_sum_exp == nullptr) {
    kept = Tensor<T>(Shape{p.query.rows(), p.heads});
    log_sum_exp = kept.data();
  }
  detail::for_each_group(p, /*splits=*/true, [&](const detail::AttentionGroup<T>& a) {
    if (a.queries == 0) return;
    const Index tile_size = a.query_tile * a.stride, slots = a.heads * a.queries;
    const Index score_size = detail::TileScores<T>::work_size(a), value_size = packed_size(a.tile, a.d_v);
    Tensor<T> work(Shape{score_size + value_size + tile_size + a.dropout_size() + 2 * slots});
    detail::TileScores<T> tile_scores(a, work.data());
    T* packed_values = work.data() + score_size;  // V
    T* tile = packed_values + value_size;         // of scores, then of e^(s - m)
    T* factors = tile + tile_size;                // of the dropout
    T* highest = factors + a.dropout_size();      // m of each query
    T* sums = highest + slots;                    // l
    std::fill_n(highest, slots, -std::numeric_limits<T>::infinity());
    std::fill_n(sums, slots, T(0));
    const auto out = [&](Index head, Index i) { return output.row(a.first_query + i) + head * a.d_v; };

    a.for_each_key_tile([&](const detail::KeyTile& k) {
      if (!a.is_visible(k)) return;
      tile_scores.set_keys(k);
      pack_panels(a.values_of(k), packed_values);
      a.for_each_score_tile(k, [&](const detail::ScoreTile& t) {
        const Index slot = a.slot(t.head, t.query);
        tile_scores.compute(t, tile);
        simd::with_simd([&](auto isa) __attribute__((always_inline)) {
          for (Index r = 0; r < t.rows; ++r) {
            T* row = tile + r * a.stride;
            const T before = highest[slot + r];
            const auto [now, sum] = exponentials(isa, row, detail::round_up(t.keys, 16), before);
            if (!t.first && now != before) {
              const T shrink = before == -std::numeric_limits<T>::infinity() ? T(0) : std::exp(before - now);
              sums[slot + r] *= shrink;
              scale_row(isa, out(t.head, t.query + r), a.d_v, shrink);
            }
            highest[slot + r] = now;
            sums[slot + r] += sum;
            if (p.dropout.active()) {
              a.dropout_row(isa, t, r, factors);
              detail::multiply_row(isa, row, factors, t.keys);
            }
          }
        });
        multiply_panels(
            Operand<T>{tile, t.rows, t.keys, a.stride, 1}, packed_values + t.skipped * panel_columns<T>(),
            BlockOutput<T>{
                .data = out(t.head, t.query), .stride = output.stride(), .columns = a.d_v, .accumulate = !t.first},
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
    if (maps.weights != nullptr) {
      detail::write_scores(a, ScoreStage::masked, *maps.weights, [&](T score, Index head, Index row) {
        return std::exp(score - log_sum_exp[row * p.heads + head]);
      });
    }
    if (maps.scores != nullptr) {
      detail::write_scores(a, maps.stage, *maps.scores, [](T score, Index, Index) { return score; });
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
