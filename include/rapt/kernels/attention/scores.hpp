/// \file
/// The scores of attention, one tile at a time.
#pragma once

#include "rapt/kernels/attention/bias.hpp"
#include "rapt/kernels/soft_cap.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels::detail {

/// Computes scores of one group: holds the packed keys of one tile of keys, and what biases need.
template <class T>
class TileScores {
 public:
  [[nodiscard]] static Index work_size(const AttentionGroup<T>& a, bool backward = false) {
    return packed_size(a.d_k, a.tile) + DistanceTerms<T>::work_size(a, backward);
  }
  /// `work` has work_size elements and must stay, and so must the group.
  TileScores(const AttentionGroup<T>& a, T* work, bool backward = false)
      : a_(a), packed_keys_(work), distances_(a, work + packed_size(a.d_k, a.tile), backward) {}

  [[nodiscard]] const DistanceTerms<T>& distances() const { return distances_; }

  /// Packs the keys of a tile, scaled, from which the next scores are computed.
  void set_keys(const KeyTile& k) {
    pack_panels(a_.transposed(a_.keys_of(k)), packed_keys_);
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      scale_row(isa, packed_keys_, a_.d_k * round_up(k.count, kPanelColumns<decltype(isa), T>), a_.p.scale);
    });
    distances_.set_keys(k, packed_keys_);
  }

  /// The scores of a tile, row by row at the group's stride: scaled, with their biases, capped and masked, or as they
  /// are at an earlier stage. Rows are filled up with -infinity to whole vectors. With a soft cap, `slopes`, if not
  /// nullptr, receives the derivatives of the capped scores by the scaled ones.
  void compute(const ScoreTile& t, T* scores, T* slopes = nullptr, ScoreStage stage = ScoreStage::masked) const {
    const AttentionProblem<T>& p = a_.p;
    const Index whole = round_up(t.keys, 16);
    multiply_panels(
        a_.rows_of(p.query, a_.d_k, t), packed_keys_ + t.skipped * a_.d_k,
        BlockOutput<T>{.data = scores, .stride = a_.stride, .columns = whole, .bias = distances_.content_terms(t)});
    if (distances_.present()) distances_.add_to(t, scores);
    if (p.table_bias.present()) add_table_bias(a_, t, scores);
    if (p.soft_cap > 0 && stage != ScoreStage::scaled) {
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index r = 0; r < t.rows; ++r) {
          soft_cap_row(isa, scores + r * a_.stride, whole, p.soft_cap,
                       slopes == nullptr ? nullptr : slopes + r * a_.stride);
        }
      });
    }
    const bool masks = stage == ScoreStage::masked && a_.masked();
    for (Index r = 0; r < t.rows; ++r) {
      T* row = scores + r * a_.stride;
      if (masks) a_.apply_masks(t, r, row);
      std::fill(row + t.keys, row + whole, -std::numeric_limits<T>::infinity());
    }
  }

 private:
  const AttentionGroup<T>& a_;
  T* packed_keys_;  // scale K^T
  DistanceTerms<T> distances_;
};

/// f(score, query head, row of query) of every score of one group, at a stage, into [B, H, Lq, Lk]. Elements of keys
/// that causal and window masks hide from `masked` scores may be left as they are.
template <class T, class F>
void write_scores(const AttentionGroup<T>& a, ScoreStage stage, Tensor<T>& to, const F& f) {
  const Shape& s = to.shape();
  const bool all = stage != ScoreStage::masked;
  const Index size = TileScores<T>::work_size(a);
  Tensor<T> work(Shape{size + a.query_tile * a.stride});
  TileScores<T> tile_scores(a, work.data());
  T* scores = work.data() + size;
  a.for_each_key_tile([&](const KeyTile& k) {
    if (!all && !a.is_visible(k)) return;
    tile_scores.set_keys(k);
    const auto write = [&](const ScoreTile& t) {
      tile_scores.compute(t, scores, nullptr, stage);
      for (Index r = 0; r < t.rows; ++r) {
        T* row = to.data() + ((a.sequence * s[1] + t.head) * s[2] + t.query + r) * s[3] + t.key;
        for (Index j = 0; j < t.keys; ++j) row[j] = f(scores[r * a.stride + j], t.head, a.first_query + t.query + r);
      }
    };
    a.for_each_score_tile(k, write, all);
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels::detail
