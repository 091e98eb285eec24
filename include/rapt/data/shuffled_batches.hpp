/// \file
/// Batches of a set of examples: a shuffle for each epoch, so many examples a batch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/batch_position.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/data/batch_source.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The size of batches, and the order of examples.
struct ShuffledBatchOptions {
  Index examples = 0;  ///< of the set
  Index batch = 16;    ///< examples of a batch
  std::uint64_t seed = 1;
  std::string_view where = "shuffled_batches";  ///< for messages; must live as long as the source
};

/// A BatchSource of what `make(numbers)` makes of the examples with these numbers, which count from 0. Each epoch has
/// all of them, in an order that is a function of (seed, epoch); its last batch has what is left. `make` must give the
/// same for the same numbers.
template <TrainingBatch B>
class ShuffledBatches {
 public:
  /// Throws ValueError for no examples, and batches of none.
  ShuffledBatches(std::function<B(std::span<const Index> numbers)> make, const ShuffledBatchOptions& options)
      : make_(std::move(make)), options_(options) {
    require(options.batch > 0 && options.examples > 0, options.where, "there must be examples, and some in a ",
            "batch: ", options.examples, ", ", options.batch);
    start_epoch(0);
  }

  [[nodiscard]] B next() {
    if (position_.batch == batches_per_epoch()) start_epoch(position_.epoch + 1);
    const Index begin = position_.batch++ * options_.batch;
    const Index count = std::min(options_.batch, std::ssize(order_) - begin);
    return make_(std::span<const Index>(order_).subspan(to_size(begin), to_size(count)));
  }
  [[nodiscard]] Index batches_per_epoch() const { return (std::ssize(order_) + options_.batch - 1) / options_.batch; }
  [[nodiscard]] BatchPosition position() const { return position_; }
  /// Throws ValueError for a position that there is not; the stream then stays where it is.
  void seek(BatchPosition position) {
    require(position.epoch >= 0 && position.batch >= 0 && position.batch <= batches_per_epoch(), options_.where,
            "there is no batch ", position.batch, " of epoch ", position.epoch, ": an epoch has ", batches_per_epoch());
    if (position.epoch != position_.epoch) start_epoch(position.epoch);
    position_ = position;
  }

 private:
  void start_epoch(Index epoch) {
    order_.resize(to_size(options_.examples));
    std::iota(order_.begin(), order_.end(), Index{0});
    Rng rng(options_.seed + static_cast<std::uint64_t>(epoch) * 0x9E3779B97F4A7C15ull);
    rng.shuffle(std::span(order_));
    position_ = {epoch, 0};
  }

  std::function<B(std::span<const Index>)> make_;
  ShuffledBatchOptions options_;
  std::vector<Index> order_;
  BatchPosition position_;
};

}}  // namespace rapt::RAPT_ABI
