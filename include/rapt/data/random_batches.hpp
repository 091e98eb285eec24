/// \file
/// Batches that are drawn at random, each from a generator of its own, so that a position says which batch comes next.
#pragma once

#include <functional>
#include <utility>

#include "rapt/core/rng.hpp"
#include "rapt/data/batch_source.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The random numbers of a source of batches: batch n, counted over all epochs, is drawn from the streams
/// `first.streams_taken + n * streams` and following of the seed.
struct BatchRandomness {
  Rng::State first = {1, 0};
  Index streams = 1;  ///< at least as many as drawing a batch takes (see Rng), so that no two batches share one

  /// The generator of the batch that comes at a position.
  [[nodiscard]] Rng generator(const BatchPosition& position, Index batches_per_epoch) const {
    const auto number = static_cast<std::uint64_t>(position.epoch * batches_per_epoch + position.batch);
    return Rng(Rng::State{first.seed, first.streams_taken + number * static_cast<std::uint64_t>(streams)});
  }
};

/// A BatchSource of what `draw(rng)` returns: windows of a text at random places, sentences with masked tokens. `draw`
/// must depend on its generator alone, so that the same position gives the same batch.
template <TrainingBatch B>
class RandomBatches {
 public:
  /// Throws ValueError for numbers that are not positive.
  RandomBatches(std::function<B(Rng& rng)> draw, Index batches_per_epoch, const BatchRandomness& randomness)
      : draw_(std::move(draw)), batches_per_epoch_(batches_per_epoch), randomness_(randomness) {
    require(batches_per_epoch > 0 && randomness.streams > 0, "random_batches",
            "batches of an epoch and streams of a batch must be positive: ", batches_per_epoch, ", ",
            randomness.streams);
  }

  [[nodiscard]] B next() {
    if (position_.batch == batches_per_epoch_) position_ = {position_.epoch + 1, 0};
    Rng rng = randomness_.generator(position_, batches_per_epoch_);
    B batch = draw_(rng);
    ++position_.batch;
    return batch;
  }
  [[nodiscard]] BatchPosition position() const { return position_; }
  /// Throws ValueError for a position that there is not; the source then stays where it is.
  void seek(BatchPosition position) {
    require(position.epoch >= 0 && position.batch >= 0 && position.batch <= batches_per_epoch_, "random_batches",
            "there is no batch ", position.batch, " of epoch ", position.epoch, ": an epoch has ", batches_per_epoch_);
    position_ = position;
  }
  [[nodiscard]] Index batches_per_epoch() const { return batches_per_epoch_; }

 private:
  std::function<B(Rng&)> draw_;
  Index batches_per_epoch_;
  BatchRandomness randomness_;
  BatchPosition position_;
};

}}  // namespace rapt::RAPT_ABI
