/// \file
/// The concepts of training data: a batch, and a source of batches that can be put to any position.
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>
#include <utility>

#include "rapt/core/batch_position.hpp"

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
  /// A batch by value, or a reference to one that stays as it is until the next call.
  requires TrainingBatch<std::remove_cvref_t<decltype(source.next())>>;
  /// The position after the batch that `next` gave last.
  { constant.position() } -> std::same_as<BatchPosition>;
  /// Throws ValueError for a position that there is not; the source then stays where it is.
  source.seek(position);
  /// How many batches the epoch of `position()` has.
  { constant.batches_per_epoch() } -> std::same_as<Index>;
};

/// The type of a source's batches.
template <BatchSource S>
using BatchOf = std::remove_cvref_t<decltype(std::declval<S&>().next())>;

}}  // namespace rapt::RAPT_ABI
