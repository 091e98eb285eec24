/// \file
/// The order in which a recurrent layer visits the rows of a batch of sequences of different lengths.
///
/// Sequences are ranked by falling length. At each time step the sequences that are long enough are then the first
/// ranks, and the states of these ranks are the first rows of one matrix, so that a step is one product for all of them
/// and no padding is computed.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Which row of the batch each rank reads at each time step. A reversed schedule reads sequences from their last row to
/// their first. Sequences of equal length are ranked in their order. Every sequence must have a row.
class StepSchedule {
 public:
  StepSchedule(const RowSplits& splits, bool reversed) : direction_(reversed ? -1 : 1) {
    const Index count = splits.sequences();
    ranked_.resize(to_size(count));
    std::iota(ranked_.begin(), ranked_.end(), Index{0});
    std::stable_sort(ranked_.begin(), ranked_.end(),
                     [&](Index a, Index b) { return splits.length(a) > splits.length(b); });
    for (const Index sequence : ranked_) {
      first_row_.push_back(reversed ? splits.end(sequence) - 1 : splits.begin(sequence));
    }
    active_.resize(to_size(splits.longest()));
    Index rank = count;
    for (Index t = 0; t < steps(); ++t) {
      while (rank > 0 && splits.length(sequence(rank - 1)) <= t) --rank;
      at(active_, t) = rank;
    }
  }

  /// The length of the longest sequence.
  [[nodiscard]] Index steps() const { return std::ssize(active_); }
  [[nodiscard]] Index sequences() const { return std::ssize(ranked_); }
  /// The number of sequences that have a row at step t: ranks 0 .. active(t); 0 from steps() on.
  [[nodiscard]] Index active(Index t) const { return t < steps() ? at(active_, t) : 0; }
  /// The number in the batch of the sequence of a rank.
  [[nodiscard]] Index sequence(Index rank) const { return at(ranked_, rank); }
  /// The row of the batch that a rank reads at step t, 0 <= t < the length of its sequence.
  [[nodiscard]] Index row(Index t, Index rank) const { return at(first_row_, rank) + direction_ * t; }

 private:
  Index direction_;
  std::vector<Index> ranked_, first_row_, active_;
};

/// What a rank's state was before a step: the state of the step before, and at t = 0 the initial one, or zeros. Reads
/// the schedule and both arrays whenever it is asked, so that they must outlive it.
template <class T>
class PreviousStates {
 public:
  /// states [N, width] in the order of the batch's rows; initial [B, width], nullptr: zeros.
  PreviousStates(const StepSchedule& schedule, const T* states, const T* initial, Index width)
      : schedule_(schedule),
        states_(states),
        initial_(initial),
        width_(width),
        zeros_(Shape{initial == nullptr ? width : 0}, T(0)) {}

  /// `width` numbers.
  [[nodiscard]] const T* operator()(Index t, Index rank) const {
    if (t > 0) return states_ + schedule_.row(t - 1, rank) * width_;
    return initial_ != nullptr ? initial_ + schedule_.sequence(rank) * width_ : zeros_.data();
  }

 private:
  const StepSchedule& schedule_;
  const T *states_, *initial_;
  Index width_;
  Tensor<T> zeros_;
};

/// What each row saw as the state before it: previous[row(t, rank)] = states[row(t - 1, rank)], and the initial state
/// of the sequence at t = 0   // [N, H] from states [N, H], initial [B, H]; nullptr: zeros
template <class T>
void gather_previous_states(const StepSchedule& schedule, TensorView<const T> states, const T* initial,
                            TensorView<T> previous) {
  const Index width = states.cols(), grain = std::max<Index>(1, kElementGrain / std::max<Index>(1, width));
  const PreviousStates<T> before(schedule, states.data(), initial, width);
  for (Index t = 0; t < schedule.steps(); ++t) {
    parallel_for(schedule.active(t), grain, [&](Index begin, Index end) {
      for (Index rank = begin; rank < end; ++rank) {
        std::copy_n(before(t, rank), width, previous.row(schedule.row(t, rank)));
      }
    });
  }
}

/// The rows [B, H] of all sequences in the order of ranks; zeros if there are none (nullptr).
template <class T>
void rank_rows(const StepSchedule& schedule, const T* rows, TensorView<T> ranked) {
  for (Index rank = 0; rank < schedule.sequences(); ++rank) {
    if (rows == nullptr) {
      std::fill_n(ranked.row(rank), ranked.cols(), T(0));
    } else {
      std::copy_n(rows + schedule.sequence(rank) * ranked.cols(), ranked.cols(), ranked.row(rank));
    }
  }
}

/// to[sequence(rank)] += ranked[rank]   // [B, H]
template <class T>
void add_ranked_rows(const StepSchedule& schedule, TensorView<const T> ranked, T* to) {
  for (Index rank = 0; rank < schedule.sequences(); ++rank) {
    T* const row = to + schedule.sequence(rank) * ranked.cols();
    for (Index j = 0; j < ranked.cols(); ++j) row[j] += ranked.row(rank)[j];
  }
}

/// The number of ranks of one part of a step's element-wise work, which depends on the state's width alone.
[[nodiscard]] inline Index step_grain(Index hidden) { return std::max<Index>(1, 4096 / std::max<Index>(1, hidden)); }

}}}  // namespace rapt::RAPT_ABI::kernels
