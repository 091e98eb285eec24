/// \file
/// Micro-batches: the equal parts of a training step that processes share, and how a process reads the batches of its
/// own ones.
///
/// A step has G micro-batches, G a power of two; micro-batch g is the batches g * accumulate .. (g + 1) * accumulate of
/// the next G * accumulate batches of the source. G and the order in which gradients are added over micro-batches
/// (GradientTree) do not depend on the number of processes, so that it does not change a bit of the model.
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/core/batch_position.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/data/batch_source.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Micro-batches first .. first + count of the `of` in a step.
struct MicroBatchBlock {
  Index first = 0, count = 1, of = 1;
  friend bool operator==(const MicroBatchBlock&, const MicroBatchBlock&) = default;
};

/// The micro-batches that each of the first `contributors` processes computes; the processes after them have none.
struct MicroBatchShare {
  Index size = 1, contributors = 1;
};

/// Blocks of the smallest power of two with which P processes have room for all G micro-batches, so that every block is
/// a subtree of the tree over micro-batches. Throws ValueError unless G is a power of two.
[[nodiscard]] inline MicroBatchShare micro_batch_share(Index micro_batches, Index processes) {
  require(micro_batches >= 1 && (micro_batches & (micro_batches - 1)) == 0, "trainer",
          "micro_batches must be a power of two: ", micro_batches);
  MicroBatchShare share;
  while (share.size * processes < micro_batches) share.size *= 2;
  share.contributors = micro_batches / share.size;
  return share;
}

/// The block of a process.
[[nodiscard]] inline MicroBatchBlock micro_batch_block(Index micro_batches, Index processes, Index rank) {
  const MicroBatchShare share = micro_batch_share(micro_batches, processes);
  if (rank >= share.contributors) return {micro_batches, 0, micro_batches};
  return {rank * share.size, share.size, micro_batches};
}

/// Reads the batches of a process's micro-batches, step by step, and passes over those of other processes without
/// making them.
///
/// Between steps the source may stand further than the step that was read last: a source that prefetches then already
/// prepares this process's first batch of the next one. `finish` puts it back, and so does the destructor, which runs
/// when something is thrown between steps or in one: the sources of all processes then stand at the same position.
template <BatchSource S>
class StepBatches {
 public:
  /// Keeps a reference to the source, of which the next step begins at its position.
  StepBatches(S& source, const MicroBatchBlock& block, Index accumulate)
      : source_(source),
        before_(block.first * accumulate),
        count_(block.count * accumulate),
        after_((block.of - block.first - block.count) * accumulate) {
    // Batches that share a step must all be there before their weights are known; a single one is not copied.
    batches_.resize(to_size(count_ > 1 || !kKeepsBatch ? count_ : 0));
    note_position();
  }
  StepBatches(const StepBatches&) = delete;
  StepBatches& operator=(const StepBatches&) = delete;
  ~StepBatches() {
    try {
      finish();
    } catch (...) {  // what ended the training says more than a source that cannot go back
    }
  }

  /// The batches of this process in the next step. They stay as they are until the next call.
  [[nodiscard]] std::span<const BatchOf<S>> read() {
    if (!std::exchange(is_ahead_, false)) skip(source_, before_);
    std::span<const BatchOf<S>> result = batches_;
    if constexpr (kKeepsBatch) {
      if (count_ == 1) result = {&next(/*is_last=*/true), 1};
    }
    for (std::size_t i = 0; i < batches_.size(); ++i) batches_[i] = next(i + 1 == batches_.size());
    skip(source_, after_);
    note_position();
    if constexpr (PrefetchingBatchSource<S>) {
      if (before_ + after_ > 0 && count_ > 0) {
        skip(source_, before_);
        source_.prefetch();
        is_ahead_ = true;
      }
    }
    return result;
  }

  /// After all batches of the step that was read last, those of other processes included.
  [[nodiscard]] const BatchPosition& position() const { return position_; }
  /// Epochs that were read to their end.
  [[nodiscard]] Index epochs() const { return epochs_; }
  /// Puts the source to `position()`, from where it was ahead or in the middle of a step whose reading failed.
  void finish() {
    is_ahead_ = false;
    if (source_.position() != position_) source_.seek(position_);
  }

 private:
  /// Whether a batch stays in the source until the next one is asked for.
  static constexpr bool kKeepsBatch = std::is_reference_v<decltype(std::declval<S&>().next())>;

  [[nodiscard]] decltype(auto) next(bool is_last) {
    if constexpr (PrefetchingBatchSource<S>) {
      return source_.next(!is_last || before_ + after_ == 0);
    } else {
      return source_.next();
    }
  }
  void note_position() {
    position_ = source_.position();
    epochs_ = position_.epoch + (position_.batch == source_.batches_per_epoch() ? 1 : 0);
  }

  S& source_;
  Index before_, count_, after_;  // batches of a step: of processes before, of this one, of those after it
  std::vector<BatchOf<S>> batches_;
  BatchPosition position_;
  Index epochs_ = 0;
  bool is_ahead_ = false;
};

}}  // namespace rapt::RAPT_ABI
