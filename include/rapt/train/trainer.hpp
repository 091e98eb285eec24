/// \file
/// The training loop: steps through a source of batches, validation, early stopping, the best model, interruption.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <limits>
#include <optional>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include "rapt/data/batch_source.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/train/micro_batches.hpp"
#include "rapt/train/progress.hpp"
#include "rapt/train/snapshot.hpp"
#include "rapt/train/step.hpp"
#include "rapt/train/training_communicator.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// When training stops, and when the model is validated and saved. 0 means never, or without limit.
struct TrainingPlan {
  Index steps = 0;  ///< optimizer steps in all, those before a resume included
  /// Of this call. Several processes look at rank 0's clock when they exchange the gradients of a step, and end after
  /// that step, so that they make one at least.
  double seconds = 0;
  Index epochs = 0;          ///< passes through the source, those before a resume included
  Index validate_every = 0;  ///< steps; the model is validated at the end of training, too
  Index patience = 0;        ///< validations without a new best after which training stops
  bool keep_best = true;     ///< leave the parameters of this call's best validation in the model
  Index save_every = 0;      ///< steps; the model is saved when `stop` ends the run, too
  /// If set, training ends after the step in which it becomes true, for example by a signal's handler.
  const std::atomic<bool>* stop = nullptr;
};

/// Why a run ended.
enum class StopReason { steps, seconds, epochs, patience, request };

/// What a training run returns.
struct TrainingSummary {
  Index steps = 0;       ///< optimizer steps in all, those before a resume included
  double seconds = 0;    ///< of this call
  double last_loss = 0;  ///< the last step's loss per target; 0 if there was no step
  /// The smallest loss of `validate` so far, infinity if there was none.
  double best_validation = std::numeric_limits<double>::infinity();
  Index best_step = 0;                    ///< the step in which it was
  StopReason reason = StopReason::steps;  ///< why the run ended
};

/// Where a run stands, beside parameters and the optimizer's state: all that is needed to go on bit for bit.
struct TrainerState {
  Rng::State dropout;  ///< see TrainingStep::dropout_state
  BatchPosition data;  ///< the source's position behind the last step's batches
  double best_validation = std::numeric_limits<double>::infinity();  ///< the smallest loss of a validation so far
  Index best_step = 0;                                               ///< the step in which it was
  Index misses = 0;                                                  ///< validations since the best one
};

/// Trains a model on the batches of a BatchSource. `model.loss(batch)` must be the mean over the batch's targets.
template <Module M, Optimizer O = Adam<typename M::ScalarType>>
class Trainer {
 public:
  using T = typename M::ScalarType;  ///< the type of a number of the parameters

  /// Trains with Adam.
  Trainer(M& model, const TrainerOptions& options) requires std::same_as<O, Adam<T>>
      : Trainer(model, options, O(model, options.adam)) {}
  /// Trains with any optimizer of the model, e.g. `Sgd(model, {.momentum = 0.9})`; `options.adam` is not used. Throws
  /// ValueError for an optimizer of another model.
  Trainer(M& model, const TrainerOptions& options, O optimizer) : step_(model, options, std::move(optimizer)) {}

  /// One optimizer step over a batch, as TrainingStep does it; returns its loss per target. Steps of several
  /// micro-batches take the batches of those of this process alone.
  template <TrainingBatch B>
  double step(const B& batch) {
    return step_(std::span<const B>(&batch, 1));
  }
  /// One optimizer step over all of these batches; returns their loss per target.
  template <std::ranges::contiguous_range R>
  requires TrainingBatch<std::ranges::range_value_t<R>>
  double step(const R& batches) { return step_(std::span<const std::ranges::range_value_t<R>>(batches)); }

  /// Steps through the source until the plan ends it. With several processes, all of them call this with the same plan
  /// and sources of the same batches, of which each makes its own alone. They take the same decisions: rank 0's clock
  /// and rank 0's outcome of `validate` count, and if `stop` is true on one of them when the gradients of a step are
  /// exchanged, training ends on all of them after this step.
  ///
  /// When something is thrown, from a step or from these functions, the source stands after the batches of the step
  /// that was read last, on all processes alike. (Before those of a step whose reading failed.)
  ///
  /// `validate()` returns a loss (smaller is better) and is called outside of the Training scope; `report(progress)` is
  /// called after every step; `save()` when the plan says so, after a validation of the same step, so that a checkpoint
  /// holds its outcome.
  template <BatchSource S, class Validate, class Report, class Save = void (*)()>
  requires Trainable<M, BatchOf<S>> TrainingSummary run(
      S& source, const TrainingPlan& plan, const Validate& validate, const Report& report, const Save& save = [] {}) {
    require(plan.steps > 0 || plan.seconds > 0 || plan.epochs > 0 || (plan.patience > 0 && plan.validate_every > 0),
            "trainer", "the plan never ends: steps, seconds, epochs and patience are all 0");
    require(plan.steps >= 0 && plan.seconds >= 0 && plan.epochs >= 0 && plan.validate_every >= 0 &&
                plan.patience >= 0 && plan.save_every >= 0,
            "trainer", "no number of the plan may be negative: steps ", plan.steps, ", seconds ", plan.seconds,
            ", epochs ", plan.epochs, ", validate_every ", plan.validate_every, ", patience ", plan.patience,
            ", save_every ", plan.save_every);
    using Clock = std::chrono::steady_clock;
    const auto seconds_since = [](Clock::time_point t) {
      return std::chrono::duration<double>(Clock::now() - t).count();
    };
    const auto start = Clock::now();
    const Index first_step = steps();
    Index items = 0;
    TrainingSummary summary{.best_validation = best_validation_, .best_step = best_step_};
    ParameterSnapshot<T> best;
    const bool is_shared = step_.processes() > 1;
    const auto validate_now = [&] {
      const double score = step_.from_first(validate());
      misses_ = score < best_validation_ ? 0 : misses_ + 1;
      if (misses_ > 0) return;
      best_validation_ = score;
      best_step_ = steps();
      if (plan.keep_best) best = ParameterSnapshot<T>(model());
    };

    StepBatches<S> batches(source, step_.block(), step_.options().accumulate);
    const auto signals = [&] {
      return StepSignals{.stop = plan.stop != nullptr && plan.stop->load(),
                         .time_is_over = plan.seconds > 0 && seconds_since(start) >= plan.seconds};
    };
    StepSignals agreed;
    bool validated = false;
    for (;;) {
      summary.seconds = seconds_since(start);
      const bool is_time_over = is_shared ? agreed.time_is_over : signals().time_is_over;
      if (const auto reason = reason_to_stop(plan, batches.epochs(), is_time_over)) {
        summary.reason = *reason;
        break;
      }
      summary.last_loss = step_(batches.read(), signals);
      agreed = step_.agreed_signals();
      items += step_.last_items();
      data_ = batches.position();
      validated = false;

      Progress progress{.step = steps(),
                        .loss = summary.last_loss,
                        .gradient_norm = step_.last_gradient_norm(),
                        .learning_rate = step_.last_learning_rate(),
                        .items = BatchOf<S>::kItems,
                        .seconds = seconds_since(start)};
      progress.items_per_second = static_cast<double>(items) / progress.seconds;
      const double per_step = progress.seconds / static_cast<double>(steps() - first_step);
      progress.seconds_left = plan.steps > 0 ? per_step * static_cast<double>(plan.steps - steps()) : -1;
      if (plan.seconds > 0) {
        const double left = plan.seconds - progress.seconds;
        progress.seconds_left = progress.seconds_left < 0 ? left : std::min(left, progress.seconds_left);
      }
      report(progress);
      if (plan.validate_every > 0 && steps() % plan.validate_every == 0) {
        validate_now();
        validated = true;
      }
      const bool stops = is_shared ? agreed.stop : signals().stop;
      if (stops || (plan.save_every > 0 && steps() % plan.save_every == 0)) save();
      if (stops) {
        summary.reason = StopReason::request;
        break;
      }
    }
    batches.finish();
    summary.seconds = seconds_since(start);
    if (plan.validate_every > 0 && !validated && steps() > first_step && summary.reason != StopReason::request) {
      validate_now();
    }
    if (!best.empty()) best.swap_with(model());
    summary.steps = steps();
    summary.best_validation = best_validation_;
    summary.best_step = best_step_;
    return summary;
  }

  [[nodiscard]] M& model() { return step_.model(); }
  /// The optimizer, with its state.
  [[nodiscard]] O& optimizer() { return step_.optimizer(); }
  /// The same, in a trainer with Adam.
  [[nodiscard]] Adam<T>& adam() requires std::same_as<O, Adam<T>> { return step_.optimizer(); }
  /// The optimizer steps so far, those before a resume included.
  [[nodiscard]] Index steps() const { return step_.optimizer().steps(); }
  /// The steps of training: how processes share them, see TrainingStep.
  [[nodiscard]] const TrainingStep<M, O>& training_step() const { return step_; }
  /// The moving average of the parameters, if the options ask for one.
  [[nodiscard]] std::optional<ExponentialMovingAverage<T>>& average() { return step_.average(); }

  /// Where the run stands now.
  [[nodiscard]] TrainerState state() const {
    return {step_.dropout_state(), data_, best_validation_, best_step_, misses_};
  }
  /// Goes on from a state; the caller restores parameters and the optimizer, and puts the source to `state.data`.
  void restore(const TrainerState& state) {
    step_.set_dropout_state(state.dropout);
    data_ = state.data;
    best_validation_ = state.best_validation;
    best_step_ = state.best_step;
    misses_ = state.misses;
  }

 private:
  [[nodiscard]] std::optional<StopReason> reason_to_stop(const TrainingPlan& plan, Index epochs,
                                                         bool is_time_over) const {
    if (plan.steps > 0 && steps() >= plan.steps) return StopReason::steps;
    if (is_time_over) return StopReason::seconds;
    if (plan.epochs > 0 && epochs >= plan.epochs) return StopReason::epochs;
    if (plan.patience > 0 && misses_ >= plan.patience) return StopReason::patience;
    return std::nullopt;
  }

  TrainingStep<M, O> step_;
  BatchPosition data_;
  double best_validation_ = std::numeric_limits<double>::infinity();
  Index best_step_ = 0, misses_ = 0;
};

}}  // namespace rapt::RAPT_ABI
