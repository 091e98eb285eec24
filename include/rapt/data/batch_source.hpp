/// \file
/// The concepts of training data: a batch, and a source of batches that can be put to any position.
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>
#include <utility>

#include "rapt/core/batch_position.hpp"
#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What training needs to know of a batch beside what the model reads.
template <class B>
concept TrainingBatch = requires(const B& batch) {
  /// The number of targets: batches that are accumulated into one step weigh by it.
  { batch.target_count() } -> std::same_as<Index>;
  /// What the model reads, in units of `kItems` ("tokens", "images"): for the speed that is shown.
  { batch.item_count() } -> std::same_as<Index>;
  { B::kItems } -> std::convertible_to<std::string_view>;
};

/// An endless sequence of batches, in epochs. Which batch comes at a position is a function of the source's options and
/// the position alone, so that a source which was put to a position goes on as if it had come there by itself: a
/// resumed run needs no more of its data than the position.
template <class S>
concept BatchSource = requires(S& source, const S& constant, BatchPosition position) {
  /// A batch by value, or a reference to one that stays as it is until the next call of `next`: `seek`, and `prefetch`
  /// if there is one, leave it alone.
  requires TrainingBatch<std::remove_cvref_t<decltype(source.next())>>;
  /// The position after the batch that `next` gave last.
  { constant.position() } -> std::same_as<BatchPosition>;
  /// Throws ValueError for a position that there is not; the source then stays where it is. Within the epoch of
  /// `position()` this costs next to nothing.
  source.seek(position);
  /// How many batches the epoch of `position()` has.
  { constant.batches_per_epoch() } -> std::same_as<Index>;
};

/// A source that prepares the batch after the one that `next` gives. `next(false)` does not, and leaves it to
/// `prefetch()`, which prepares the batch that then comes next: so that a source whose next batches are to be skipped
/// prepares none of them.
template <class S>
concept PrefetchingBatchSource = BatchSource<S> && requires(S& source) {
  source.next(false);
  source.prefetch();
};

/// The type of a source's batches.
template <BatchSource S>
using BatchOf = std::remove_cvref_t<decltype(std::declval<S&>().next())>;

/// Puts the source where `count` calls of `next` would put it, without making the batches. Throws ValueError for a
/// negative count, and what `seek` throws.
template <BatchSource S>
void skip(S& source, Index count) {
  require(count >= 0, "skip", "the number of batches must not be negative: ", count);
  while (count > 0) {
    const BatchPosition at = source.position();
    const Index left = source.batches_per_epoch() - at.batch;
    if (count <= left) return source.seek({at.epoch, at.batch + count});
    count -= left;
    source.seek({at.epoch + 1, 0});
  }
}

}}  // namespace rapt::RAPT_ABI
