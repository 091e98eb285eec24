/// \file
/// A training loop: accumulation, clipping, learning-rate schedule, validation, early stopping, best model.
#pragma once

#include <chrono>
#include <functional>
#include <limits>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/data/batching.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/optim/clip.hpp"
#include "rapt/optim/schedule.hpp"
#include "rapt/train/progress.hpp"

namespace rapt::inline RAPT_ABI {

struct TrainerOptions {
  std::function<double(Index)> learning_rate = PaperSchedule{};  ///< of a step, which counts from 1
  AdamOptions adam = {};
  float label_smoothing = 0.1f;
  Index accumulate = 1;    ///< batches per optimizer step; each counts by its number of target tokens
  double clip_norm = 0;    ///< largest norm of all gradients together; 0: any
  std::uint64_t seed = 1;  ///< of dropout
};

/// When to stop and when to look. 0 means never (without limit).
struct TrainingPlan {
  Index steps = 0;     ///< optimizer steps in all, those before a resume included
  double seconds = 0;  ///< of this call
  Index epochs = 0;
  Index validate_every = 0;  ///< steps; also once at the end
  Index patience = 0;        ///< validations without a new best after which training stops
  bool keep_best = true;     ///< leave the parameters of this call's best validation in the model
};

/// What a training run returns.
struct TrainingSummary {
  Index steps = 0;
  double seconds = 0;
  double last_loss = 0;
  double best_validation = std::numeric_limits<double>::infinity();
  Index best_step = 0;
};

/// Where a run stands, beside parameters and Adam's moments: all that is needed to go on bit for bit.
struct TrainerState {
  Rng::State dropout;
  BatchStream::Position data;
  double best_validation = std::numeric_limits<double>::infinity();
  Index best_step = 0;
  Index misses = 0;  ///< validations since the best one
};

/// Trains a model whose `loss(TranslationBatch, CrossEntropyOptions)` is the mean over target tokens.
template <Module M>
class Trainer {
 public:
  using T = typename M::ScalarType;

  Trainer(M& model, const TrainerOptions& options)
      : model_(model), options_(options), adam_(model, options.adam), rng_(options.seed) {
    require(options.accumulate >= 1, "trainer", "accumulate must be at least 1: ", options.accumulate);
  }

  /// One optimizer step over these batches together; returns their loss per target token.
  double step(std::span<const TranslationBatch> batches) {
    double tokens = 0, loss_sum = 0;
    for (const TranslationBatch& batch : batches) tokens += static_cast<double>(batch.target_output.size());
    for (const TranslationBatch& batch : batches) {
      const double share = static_cast<double>(batch.target_output.size()) / tokens;
      const Training scope(rng_);
      const Variable<T> loss = model_.loss(batch, {.label_smoothing = options_.label_smoothing});
      loss_sum += share * static_cast<double>(loss.item());
      require(std::isfinite(static_cast<double>(loss.item())), "trainer", "the loss is ",
              std::isnan(loss.item()) ? "not a number" : "infinite", " at step ", adam_.steps() + 1,
              ": the learning rate may be too high (", options_.learning_rate(adam_.steps() + 1), ")");
      backward(loss, static_cast<T>(share));
    }
    const double factor = options_.clip_norm > 0 ? clip_factor(gradient_norm(model_), options_.clip_norm) : 1.0;
    adam_.step(options_.learning_rate(adam_.steps() + 1), factor);
    return loss_sum;
  }

  /// Steps through the stream until the plan ends it. `validate()` returns a loss (smaller is better), outside of the
  /// Training scope; `report(progress)` is called after every step.
  template <class Validate, class Report>
  TrainingSummary run(BatchStream& stream, const TrainingPlan& plan, const Validate& validate, const Report& report) {
    require(plan.steps > 0 || plan.seconds > 0 || plan.epochs > 0 || (plan.patience > 0 && plan.validate_every > 0),
            "trainer", "the plan never ends: steps, seconds, epochs and patience are all 0");
    using Clock = std::chrono::steady_clock;
    const auto seconds_since = [](Clock::time_point t) {
      return std::chrono::duration<double>(Clock::now() - t).count();
    };
    const auto start = Clock::now();
    const Index first_step = adam_.steps();
    Index tokens = 0;
    TrainingSummary summary{.best_validation = best_validation_, .best_step = best_step_};
    std::optional<M> best;
    const auto look = [&] {
      const double score = validate();
      misses_ = score < best_validation_ ? 0 : misses_ + 1;
      if (misses_ > 0) return;
      best_validation_ = score;
      best_step_ = adam_.steps();
      if (plan.keep_best) best = model_;
    };

    std::vector<TranslationBatch> batches(static_cast<std::size_t>(options_.accumulate));
    bool validated = false;
    for (;;) {
      summary.seconds = seconds_since(start);
      if ((plan.steps > 0 && adam_.steps() >= plan.steps) || (plan.seconds > 0 && summary.seconds >= plan.seconds) ||
          (plan.epochs > 0 &&
           stream.position().epoch + (stream.position().batch == stream.batches_per_epoch()) >= plan.epochs) ||
          (plan.patience > 0 && misses_ >= plan.patience)) {
        break;
      }
      for (auto& batch : batches) {
        batch = stream.next();
        tokens += batch.source.size() + batch.target_input.size();
      }
      data_ = stream.position();
      summary.last_loss = step(batches);
      validated = false;

      Progress progress{.step = adam_.steps(),
                        .loss = summary.last_loss,
                        .learning_rate = options_.learning_rate(adam_.steps()),
                        .seconds = seconds_since(start)};
      progress.tokens_per_second = static_cast<double>(tokens) / progress.seconds;
      const double per_step = progress.seconds / static_cast<double>(adam_.steps() - first_step);
      progress.seconds_left = plan.steps > 0 ? per_step * static_cast<double>(plan.steps - adam_.steps()) : -1;
      if (plan.seconds > 0) {
        const double left = plan.seconds - progress.seconds;
        progress.seconds_left = progress.seconds_left < 0 ? left : std::min(left, progress.seconds_left);
      }
      report(progress);
      if (plan.validate_every > 0 && adam_.steps() % plan.validate_every == 0) {
        look();
        validated = true;
      }
    }
    if (plan.validate_every > 0 && !validated && adam_.steps() > first_step) look();
    if (best) model_ = *best;
    summary.steps = adam_.steps();
    summary.best_validation = best_validation_;
    summary.best_step = best_step_;
    return summary;
  }

  [[nodiscard]] M& model() { return model_; }
  [[nodiscard]] Adam<T>& adam() { return adam_; }
  [[nodiscard]] Index steps() const { return adam_.steps(); }

  [[nodiscard]] TrainerState state() const { return {rng_.state(), data_, best_validation_, best_step_, misses_}; }
  /// Goes on from a state; the caller restores parameters and moments, and puts the stream to `state.data`.
  void restore(const TrainerState& state) {
    rng_ = Rng(state.dropout);
    data_ = state.data;
    best_validation_ = state.best_validation;
    best_step_ = state.best_step;
    misses_ = state.misses;
  }

 private:
  M& model_;
  TrainerOptions options_;
  Adam<T> adam_;
  Rng rng_;
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

}  // namespace rapt::inline RAPT_ABI
