/// \file
/// One step of training: gradients of one or several batches, clipping, the optimizer's update, a moving average.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/finite_check.hpp"
#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/recompute.hpp"
#include "rapt/data/batch_source.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/optim/averaging.hpp"
#include "rapt/optim/clip.hpp"
#include "rapt/optim/schedule.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What the batches of a step gave, behind their backward passes.
struct BackwardTotals {
  double loss = 0;     ///< mean over the targets
  double targets = 0;  ///< of all batches of the step
};

struct TrainerOptions {
  std::function<double(Index)> learning_rate = PaperSchedule{};  ///< of a step, which counts from 1
  AdamOptions adam = {};                                         ///< of the optimizer if none is given
  float label_smoothing = 0.1f;                                  ///< of models whose loss takes CrossEntropyOptions
  Index accumulate = 1;      ///< batches of an optimizer step; each weighs by its number of targets
  double clip_norm = 0;      ///< the largest norm of all gradients together; 0 sets no limit
  double average_decay = 0;  ///< of an exponential moving average of the parameters; 0: none is kept
  std::uint64_t seed = 1;    ///< of dropout
  bool recompute = false;    ///< blocks are computed again in backward, see RecomputeActivations
  /// Called after the backward passes of a step, before clipping and update: it may change the gradients, and the
  /// totals, as processes do that share a step. It is called even if the loss is not finite.
  std::function<void(BackwardTotals&)> after_backward = {};
};

/// A model that has a loss for batches of this type, with or without options of the cross-entropy.
template <class M, class B>
concept Trainable = requires(M& model, const B& batch) {
  model.loss(batch);
}
|| requires(M& model, const B& batch, const CrossEntropyOptions& options) { model.loss(batch, options); };

/// A model whose `loss(batch)` is a function of one's own, `f(batch)` or `f(batch, CrossEntropyOptions)`: for a model
/// whose own loss takes other arguments. Parameters, their names and the scalar type are the model's. Keeps a reference
/// to the model.
template <Module M, class F>
class WithLoss {
 public:
  using ScalarType = typename M::ScalarType;

  WithLoss(M& model, F f) : model_(&model), f_(std::move(f)) {}

  template <class B>
  requires std::invocable<const F&, const B&>
  [[nodiscard]] Variable<ScalarType> loss(const B& batch) const { return f_(batch); }
  template <class B>
  requires std::invocable<const F&, const B&, const CrossEntropyOptions&>
  [[nodiscard]] Variable<ScalarType> loss(const B& batch, const CrossEntropyOptions& options) const {
    return f_(batch, options);
  }

  /// What the model carries beside its parameters, if it carries anything (see CarriesTensors).
  [[nodiscard]] auto carried() const requires requires(const M& m) { m.carried(); }
  { return std::as_const(*model_).carried(); }
  template <class Tensors>
  void set_carried(Tensors tensors) requires requires(M& m) {
    m.set_carried(std::move(tensors));
  }
  { model_->set_carried(std::move(tensors)); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    if constexpr (std::is_const_v<Self>) {
      M::visit(std::as_const(*self.model_), visitor);
    } else {
      M::visit(*self.model_, visitor);
    }
  }

 private:
  M* model_;
  F f_;
};

/// The steps of a training run: everything that a step reads and changes but the data.
template <Module M, Optimizer O = Adam<typename M::ScalarType>>
class TrainingStep {
 public:
  using T = typename M::ScalarType;

  /// Throws ValueError for options that do not fit, or an optimizer of another model.
  TrainingStep(M& model, const TrainerOptions& options, O optimizer)
      : model_(model), options_(options), optimizer_(std::move(optimizer)), rng_(options.seed) {
    std::size_t i = 0;
    for_each_parameter(model, [&](const std::string& name, const Parameter<T>& parameter) {
      const auto slots = optimizer_.slots();
      require(i < slots.size() && slots[i].node == parameter.node(), "trainer", "the optimizer ", O::kName,
              " was not made for this model: it does not know the parameter '", name, "'");
      ++i;
    });
    require(options.accumulate >= 1, "trainer", "accumulate must be at least 1: ", options.accumulate);
    require(options.clip_norm >= 0, "trainer", "clip_norm must be positive, or 0 for no limit: ", options.clip_norm);
    if (options.average_decay != 0) average_.emplace(model, options.average_decay);
  }

  /// One optimizer step over these batches together; returns their loss per target. A batch without targets counts
  /// nothing and is not read: a model that carries state from batch to batch does not see it. Throws ValueError if no
  /// batch has any, or one that says where NaN or infinity came up first, before anything has changed, when loss or
  /// gradients are not finite. (What a model carries from step to step itself, see checkpoint.hpp, is then of the
  /// failed step.)
  template <TrainingBatch B>
  requires Trainable<M, B>
  double operator()(std::span<const B> batches) {
    const Rng::State random = rng_.state();
    BackwardTotals totals = loss_and_gradients(batches);
    if (options_.after_backward) options_.after_backward(totals);
    gradient_norm_ = std::isfinite(totals.loss) ? gradient_norm(model_) : 0;
    if (!std::isfinite(totals.loss) || !std::isfinite(gradient_norm_)) explain(batches, random, totals.loss);
    const double factor = options_.clip_norm > 0 ? clip_factor(gradient_norm_, options_.clip_norm) : 1.0;
    optimizer_.step(options_.learning_rate(optimizer_.steps() + 1), factor);
    if (average_) average_->update(optimizer_.steps());
    return totals.loss;
  }

  [[nodiscard]] M& model() { return model_; }
  [[nodiscard]] const TrainerOptions& options() const { return options_; }
  [[nodiscard]] O& optimizer() { return optimizer_; }
  [[nodiscard]] const O& optimizer() const { return optimizer_; }
  /// The moving average of the parameters, if the options ask for one.
  [[nodiscard]] std::optional<ExponentialMovingAverage<T>>& average() { return average_; }
  /// Of all gradients together in the last step, before clipping.
  [[nodiscard]] double last_gradient_norm() const { return gradient_norm_; }
  [[nodiscard]] const Rng::State& dropout_state() const { return rng_.state(); }
  void set_dropout_state(const Rng::State& state) { rng_ = Rng(state); }

 private:
  template <class B>
  [[nodiscard]] Variable<T> loss_of(const B& batch) {
    if constexpr (requires(const CrossEntropyOptions& options) { model_.loss(batch, options); }) {
      // Batches weigh by all of their targets: none may be ignored.
      return model_.loss(batch, {.label_smoothing = options_.label_smoothing, .ignore_index = std::nullopt});
    } else {
      return model_.loss(batch);
    }
  }

  /// The gradients of the mean loss are added to the parameters', unless the loss is not finite.
  template <class B>
  BackwardTotals loss_and_gradients(std::span<const B> batches) {
    BackwardTotals totals;
    for (const B& batch : batches) totals.targets += static_cast<double>(batch.target_count());
    require(totals.targets > 0, "trainer", "step ", optimizer_.steps() + 1, " has nothing to learn: its ",
            batches.size(), " batches have ", totals.targets, " targets");
    for (const B& batch : batches) {
      if (batch.target_count() == 0) continue;
      const double weight = static_cast<double>(batch.target_count()) / totals.targets;
      const Training scope(rng_);
      const RecomputeActivations recompute(options_.recompute);
      const Variable<T> loss = loss_of(batch);
      totals.loss += weight * static_cast<double>(loss.item());
      if (!std::isfinite(totals.loss)) break;
      backward(loss, static_cast<T>(weight));
    }
    return totals;
  }

  /// Computes the step again, looking at every number, and throws what it finds.
  template <class B>
  [[noreturn]] void explain(std::span<const B> batches, const Rng::State& random, double loss) {
    const std::string_view what = std::isnan(loss)   ? "the loss is not a number"
                                  : std::isinf(loss) ? "the loss is infinite"
                                                     : "the gradients are not finite";
    clear_gradients(model_);
    std::string where;
    for_each_parameter(model_, [&](const std::string& name, const Parameter<T>& parameter) {
      if (!where.empty() || !parameter.value().has_elements()) return;
      if (first_not_finite(parameter.value()) >= 0) where = "in the parameter '" + name + "'";
    });
    if (where.empty()) {
      rng_ = Rng(random);
      try {
        const FiniteCheck check;
        std::ignore = loss_and_gradients(batches);
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

  M& model_;
  TrainerOptions options_;
  O optimizer_;
  std::optional<ExponentialMovingAverage<T>> average_;
  Rng rng_;
  double gradient_norm_ = 0;
};

}}  // namespace rapt::RAPT_ABI
