/// \file
/// The mean loss of a model over batches, on one process or shared by several.
#pragma once

#include <cstddef>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/data/batch_source.hpp"
#include "rapt/data/batching.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/train/training_communicator.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Appends the number of the batch's targets and its mean loss: both in one vector, so that processes gather them by
/// one operation.
template <Module M, TrainingBatch B>
void append_loss(std::vector<double>& numbers, const M& model, const B& batch) {
  const double loss = batch.target_count() == 0 ? 0 : static_cast<double>(model.loss(batch).item());
  numbers.insert(numbers.end(), {static_cast<double>(batch.target_count()), loss});
}

/// The mean over all targets of batches whose targets and mean losses are `numbers`. A template, so that programs that
/// compute no mean loss need not compile it.
template <class T>
[[nodiscard]] T mean_of_losses(const std::vector<T>& numbers) {
  T sum = 0, targets = 0;
  for (std::size_t i = 0; i < numbers.size(); i += 2) {
    if (numbers[i] == 0) continue;
    sum += numbers[i] * numbers[i + 1];
    targets += numbers[i];
  }
  require(targets > 0, "mean_loss", "the batches have ", targets, " targets: there is nothing to take the mean of");
  return sum / targets;
}

/// Mean loss per target over `count` batches. `batch_at(i)` gives batch i, for rising i; with a communicator each
/// process asks for a part of them, and the mean is the same for any number of processes.
template <Module M, class BatchAt>
[[nodiscard]] double mean_loss_of(const M& model, Index count, const BatchAt& batch_at,
                                  const TrainingCommunicator& communicator) {
  const Inference scope;
  const Index processes = communicator.size(), rank = communicator.rank();
  const auto first_of = [&](Index p) { return count * p / processes; };
  std::vector<double> numbers;
  numbers.reserve(to_size(2 * count));
  for (Index i = first_of(rank); i < first_of(rank + 1); ++i) append_loss(numbers, model, batch_at(i));
  if (processes > 1) {
    std::vector<Index> bounds;
    for (Index p = 0; p <= processes; ++p) bounds.push_back(2 * first_of(p));
    numbers.insert(numbers.begin(), to_size(at(bounds, rank)), 0.0);  // those of other processes
    numbers.resize(to_size(2 * count));
    communicator.all_gather(bounds, numbers);
  }
  return mean_of_losses(numbers);
}

}  // namespace detail

/// Mean loss per target over some batches, without dropout, label smoothing or gradients. With a communicator all of
/// its processes call this with the same batches and share the work; the result has the same bits as that of one
/// process. Throws ValueError if the batches have no targets.
template <Module M, std::ranges::forward_range R>
requires TrainingBatch<std::ranges::range_value_t<R>>
[[nodiscard]] double mean_loss(const M& model, const R& batches, const TrainingCommunicator& communicator = {}) {
  Index count = 0;
  for (auto batch = std::ranges::begin(batches); batch != std::ranges::end(batches); ++batch) ++count;
  auto batch = std::ranges::begin(batches);
  Index number = 0;
  const auto batch_at = [&](Index i) -> decltype(auto) {  // i only grows
    for (; number < i; ++number) ++batch;
    return *batch;
  };
  return detail::mean_loss_of(model, count, batch_at, communicator);
}

/// The same over batches that can be gone through only once, on one process.
template <Module M, std::ranges::input_range R>
requires TrainingBatch<std::ranges::range_value_t<R>> &&(!std::ranges::forward_range<R>)
    [[nodiscard]] double mean_loss(const M& model, R&& batches) {
  const Inference scope;
  std::vector<double> numbers;
  for (const auto& batch : batches) detail::append_loss(numbers, model, batch);
  return detail::mean_of_losses(numbers);
}

/// The same over a corpus.
template <Module M>
[[nodiscard]] double mean_loss(const M& model, std::span<const TokenPair> pairs, const BatchOptions& options,
                               const TrainingCommunicator& communicator = {}) {
  BatchStream stream(pairs, options);
  Index next = 0;
  const auto batch_at = [&](Index i) -> decltype(auto) {
    skip(stream, i - std::exchange(next, i + 1));
    return stream.next();
  };
  return detail::mean_loss_of(model, stream.batches_per_epoch(), batch_at, communicator);
}

}}  // namespace rapt::RAPT_ABI
