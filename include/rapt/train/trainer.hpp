/// \file
/// A training loop: accumulation, clipping, learning-rate schedule, validation, early stopping, best model, averages,
/// interruption.
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <functional>
#include <limits>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/data/batching.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/optim/averaging.hpp"
#include "rapt/optim/clip.hpp"
#include "rapt/optim/schedule.hpp"
#include "rapt/train/progress.hpp"

namespace rapt { inline namespace RAPT_ABI {

struct TrainerOptions {
  std::function<double(Index)> learning_rate = PaperSchedule{};  ///< of a step, which counts from 1
  AdamOptions adam = {};
  float label_smoothing = 0.1f;
  Index accumulate = 1;      ///< batches per optimizer step; each counts by its number of target tokens
  double clip_norm = 0;      ///< largest norm of all gradients together; 0: any
  double average_decay = 0;  ///< of an exponential moving average of the parameters; 0: none is kept
  std::uint64_t seed = 1;    ///< of dropout
};

/// When to stop and when to look. 0 means never (without limit).
struct TrainingPlan {
  Index steps = 0;     ///< optimizer steps in all, those before a resume included
  double seconds = 0;  ///< of this call
  Index epochs = 0;
  Index validate_every = 0;  ///< steps; also once at the end
  Index patience = 0;        ///< validations without a new best after which training stops
  bool keep_best = true;     ///< leave the parameters of this call's best validation in the model
  Index save_every = 0;      ///< steps; and when `stop` ends the run
  /// If set: training ends after the step in which it becomes true, e.g. by a signal's handler.
  const std::atomic<bool>* stop = nullptr;
};

/// Why a run ended.
enum class StopReason { steps, seconds, epochs, patience, request };

/// What a training run returns.
struct TrainingSummary {
  Index steps = 0;
  double seconds = 0;
  double last_loss = 0;
  double best_validation = std::numeric_limits<double>::infinity();
  Index best_step = 0;
  StopReason reason = StopReason::steps;
};

/// Where a run stands, beside parameters and the optimizer's state: all that is needed to go on bit for bit.
struct TrainerState {
  Rng::State dropout;
  BatchStream::Position data;
  double best_validation = std::numeric_limits<double>::infinity();
  Index best_step = 0;
  Index misses = 0;  ///< validations since the best one
};

/// Trains a model whose `loss(TranslationBatch, CrossEntropyOptions)` is the mean over target tokens.
template <Module M, Optimizer O = Adam<typename M::ScalarType>>
class Trainer {
 public:
  using T = typename M::ScalarType;

  /// Trains with Adam.
  Trainer(M& model, const TrainerOptions& options) requires std::same_as<O, Adam<T>>
      : Trainer(model, options, O(model, options.adam)) {}
  /// Trains with any optimizer of the model, e.g. `Sgd(model, {.momentum = 0.9})`; `options.adam` is not used. Throws
  /// ValueError for an optimizer of another model.
  Trainer(M& model, const TrainerOptions& options, O optimizer)
      : model_(model), options_(options), optimizer_(std::move(optimizer)), rng_(options.seed) {
    std::size_t i = 0;
    for_each_parameter(model, [&](const std::string& name, const Parameter<T>& parameter) {
      const auto slots = optimizer_.slots();
      require(i < slots.size() && slots[i].node == parameter.node(), "trainer", "the optimizer ", O::kName,
              " was not made for this model: it does not know the parameter '", name, "'");
      ++i;
    });
    require(options.accumulate >= 1, "trainer", "accumulate must be at least 1: ", options.accumulate);
    if (options.average_decay != 0) average_.emplace(model, options.average_decay);
  }

  /// One optimizer step over these batches together; returns their loss per target token. Throws ValueError that says
  /// where NaN or infinity came up first, before anything has changed, when loss or gradients are not finite.
  double step(std::span<const TranslationBatch> batches) {
    const Rng::State random = rng_.state();
    const double loss = loss_and_gradients(batches);
    gradient_norm_ = std::isfinite(loss) ? gradient_norm(model_) : 0;
    if (!std::isfinite(loss) || !std::isfinite(gradient_norm_)) explain(batches, random, loss);
    const double factor = options_.clip_norm > 0 ? clip_factor(gradient_norm_, options_.clip_norm) : 1.0;
    optimizer_.step(options_.learning_rate(optimizer_.steps() + 1), factor);
    if (average_) average_->update(optimizer_.steps());
    return loss;
  }

  /// Steps through the stream until the plan ends it. `validate()` returns a loss (smaller is better), outside of the
  /// Training scope; `report(progress)` is called after every step; `save()` when the plan says so, after a validation
  /// of the same step, so that a checkpoint holds its outcome.
  template <class Validate, class Report, class Save = void (*)()>
  TrainingSummary run(
      BatchStream& stream, const TrainingPlan& plan, const Validate& validate, const Report& report,
      const Save& save = [] {}) {
    require(plan.steps > 0 || plan.seconds > 0 || plan.epochs > 0 || (plan.patience > 0 && plan.validate_every > 0),
            "trainer", "the plan never ends: steps, seconds, epochs and patience are all 0");
    using Clock = std::chrono::steady_clock;
    const auto seconds_since = [](Clock::time_point t) {
      return std::chrono::duration<double>(Clock::now() - t).count();
    };
    const auto start = Clock::now();
    const Index first_step = optimizer_.steps();
    Index tokens = 0;
    TrainingSummary summary{.best_validation = best_validation_, .best_step = best_step_};
    std::optional<M> best;
    const auto look = [&] {
      const double score = validate();
      misses_ = score < best_validation_ ? 0 : misses_ + 1;
      if (misses_ > 0) return;
      best_validation_ = score;
      best_step_ = optimizer_.steps();
      if (plan.keep_best) best = model_;
    };

    std::vector<TranslationBatch> batches(static_cast<std::size_t>(options_.accumulate));
    bool validated = false;
    for (;;) {
      summary.seconds = seconds_since(start);
      if (const auto reason = reason_to_stop(stream, plan, summary.seconds)) {
        summary.reason = *reason;
        break;
      }
      for (auto& batch : batches) {
        batch = stream.next();
        tokens += batch.source.size() + batch.target_input.size();
      }
      summary.last_loss = step(batches);
      data_ = stream.position();
      validated = false;

      Progress progress{.step = optimizer_.steps(),
                        .loss = summary.last_loss,
                        .gradient_norm = gradient_norm_,
                        .learning_rate = options_.learning_rate(optimizer_.steps()),
                        .seconds = seconds_since(start)};
      progress.tokens_per_second = static_cast<double>(tokens) / progress.seconds;
      const double per_step = progress.seconds / static_cast<double>(optimizer_.steps() - first_step);
      progress.seconds_left = plan.steps > 0 ? per_step * static_cast<double>(plan.steps - optimizer_.steps()) : -1;
      if (plan.seconds > 0) {
        const double left = plan.seconds - progress.seconds;
        progress.seconds_left = progress.seconds_left < 0 ? left : std::min(left, progress.seconds_left);
      }
      report(progress);
      if (plan.validate_every > 0 && optimizer_.steps() % plan.validate_every == 0) {
        look();
        validated = true;
      }
      const bool stops = plan.stop != nullptr && plan.stop->load();
      if (stops || (plan.save_every > 0 && optimizer_.steps() % plan.save_every == 0)) save();
      if (stops) {
        summary.reason = StopReason::request;
        break;
      }
    }
    summary.seconds = seconds_since(start);
    if (plan.validate_every > 0 && !validated && optimizer_.steps() > first_step &&
        summary.reason != StopReason::request) {
      look();
    }
    if (best) model_ = *best;
    summary.steps = optimizer_.steps();
    summary.best_validation = best_validation_;
    summary.best_step = best_step_;
    return summary;
  }

  [[nodiscard]] M& model() { return model_; }
  [[nodiscard]] O& optimizer() { return optimizer_; }
  /// The same, in a trainer with Adam.
  [[nodiscard]] Adam<T>& adam() requires std::same_as<O, Adam<T>> { return optimizer_; }
  [[nodiscard]] Index steps() const { return optimizer_.steps(); }
  /// The moving average of the parameters, if the options ask for one.
  [[nodiscard]] std::optional<ExponentialMovingAverage<T>>& average() { return average_; }

  [[nodiscard]] TrainerState state() const { return {rng_.state(), data_, best_validation_, best_step_, misses_}; }
  /// Goes on from a state; the caller restores parameters and the optimizer, and puts the stream to `state.data`.
  void restore(const TrainerState& state) {
    rng_ = Rng(state.dropout);
    data_ = state.data;
    best_validation_ = state.best_validation;
    best_step_ = state.best_step;
    misses_ = state.misses;
  }

 private:
  /// The mean loss per target token; its gradients are added to the parameters' unless it is not finite.
  double loss_and_gradients(std::span<const TranslationBatch> batches) {
    double tokens = 0, sum = 0;
    for (const TranslationBatch& batch : batches) tokens += static_cast<double>(batch.target_output.size());
    for (const TranslationBatch& batch : batches) {
      const double share = static_cast<double>(batch.target_output.size()) / tokens;
      const Training scope(rng_);
      // Batches weigh by all of their targets: none may be passed over.
      const Variable<T> loss =
          model_.loss(batch, {.label_smoothing = options_.label_smoothing, .ignore_index = std::nullopt});
      sum += share * static_cast<double>(loss.item());
      if (!std::isfinite(sum)) break;
      backward(loss, static_cast<T>(share));
    }
    return sum;
  }

  /// Computes the step again, looking at every number, and throws what it finds.
  [[noreturn]] void explain(std::span<const TranslationBatch> batches, const Rng::State& random, double loss) {
    const std::string_view what = std::isnan(loss)   ? "the loss is not a number"
                                  : std::isinf(loss) ? "the loss is infinite"
                                                     : "the gradients are not finite";
    clear_gradients(model_);
    std::string where;
    for_each_parameter(model_, [&](const std::string& name, const Parameter<T>& parameter) {
      if (where.empty() && first_not_finite(parameter.value()) >= 0) where = "in the parameter '" + name + "'";
    });
    if (where.empty()) {
      rng_ = Rng(random);
      try {
        const FiniteCheck check;
        loss_and_gradients(batches);
        where = "nowhere when computed again";
      } catch (const ValueError& error) {
        where = error.what();
      }
      clear_gradients(model_);
    }
    rng_ = Rng(random);
    fail("trainer", what, " at step ", optimizer_.steps() + 1, ": the learning rate may be too high (",
         options_.learning_rate(optimizer_.steps() + 1), "). NaN or infinity came up first: ", where);
  }

  [[nodiscard]] std::optional<StopReason> reason_to_stop(const BatchStream& stream, const TrainingPlan& plan,
                                                         double seconds) const {
    if (plan.steps > 0 && optimizer_.steps() >= plan.steps) return StopReason::steps;
    if (plan.seconds > 0 && seconds >= plan.seconds) return StopReason::seconds;
    const BatchStream::Position at = stream.position();
    const Index epochs = at.epoch + (at.batch == stream.batches_per_epoch() ? 1 : 0);
    if (plan.epochs > 0 && epochs >= plan.epochs) return StopReason::epochs;
    if (plan.patience > 0 && misses_ >= plan.patience) return StopReason::patience;
    return std::nullopt;
  }

  M& model_;
  TrainerOptions options_;
  O optimizer_;
  std::optional<ExponentialMovingAverage<T>> average_;
  Rng rng_;
  double gradient_norm_ = 0;
  BatchStream::Position data_;
  double best_validation_ = std::numeric_limits<double>::infinity();
  Index best_step_ = 0, misses_ = 0;
};

/// Mean loss per target token over a corpus, without dropout, label smoothing or gradients.
template <Module M>
[[nodiscard]] double mean_loss(const M& model, std::span<const TokenPair> pairs, const BatchOptions& options) {
  const Inference scope;
  BatchStream stream(pairs, options);
  double sum = 0, tokens = 0;
  for (Index i = 0; i < stream.batches_per_epoch(); ++i) {
    const TranslationBatch batch = stream.next();
    const auto count = static_cast<double>(batch.target_output.size());
    sum += count * static_cast<double>(model.loss(batch).item());
    tokens += count;
  }
  return sum / tokens;
}

}}  // namespace rapt::RAPT_ABI
