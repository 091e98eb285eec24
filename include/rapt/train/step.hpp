/// \file
/// One step of training: gradients of one or several batches, on one or several processes, clipping, the optimizer's
/// update, a moving average.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

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
#include "rapt/optim/gradient_sum.hpp"
#include "rapt/train/micro_batches.hpp"
#include "rapt/train/step_exchange.hpp"
#include "rapt/train/trainable.hpp"
#include "rapt/train/trainer_options.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The steps of a training run: everything that a step reads and changes but the data.
///
/// With a communicator, all processes must make the same steps with models that have the same parameters; each gives
/// the batches of its own micro-batches (`block`). They agree on the number of targets and items, the loss, the sums
/// and the norm of gradients, the learning rate (rank 0's) and the signals, so that what a step returns and changes is
/// the same on all of them. So is the text of an error about targets, frozen parameters, the learning rate, or numbers
/// that are not finite. What one process throws alone, from its model's loss or for its own batches, is not known to
/// the others: their step throws CommunicationError when that process announces its failure or ends.
template <Module M, Optimizer O = Adam<typename M::ScalarType>>
class TrainingStep {
 public:
  using T = typename M::ScalarType;  ///< the type of a number of the parameters

  /// Throws ValueError for options that do not fit, an optimizer of another model, or micro-batches of a model that
  /// carries tensors from batch to batch.
  TrainingStep(M& model, const TrainerOptions& options, O optimizer)
      : model_(model), options_(options), optimizer_(std::move(optimizer)), rng_(options.seed) {
    std::vector<std::string> names;
    std::vector<std::shared_ptr<Node<T>>> nodes;
    for_each_parameter(model, [&](const std::string& name, const Parameter<T>& parameter) {
      const auto slots = optimizer_.slots();
      require(names.size() < slots.size() && slots[names.size()].node == parameter.node(), "trainer", "the optimizer ",
              O::kName, " was not made for this model: it does not know the parameter '", name, "'");
      names.push_back(name);
      nodes.push_back(parameter.node());
    });
    require(options.accumulate >= 1, "trainer", "accumulate must be at least 1: ", options.accumulate);
    require(options.clip_norm >= 0, "trainer", "clip_norm must be positive, or 0 for no limit: ", options.clip_norm);
    require(options.bucket_bytes > 0, "trainer", "bucket_bytes must be positive: ", options.bucket_bytes);
    require((std::same_as<T, float>) || options.gradient_exchange == GradientExchange::float32, "trainer",
            "gradients are exchanged in bfloat16 for models in float alone, this one is in double");
    const Index processes = this->processes();
    const MicroBatchShare share = micro_batch_share(options.micro_batches, processes);
    require(processes == 1 || options.micro_batches >= 2, "trainer", processes,
            " processes share the micro-batches of a step: micro_batches must be at least 2, better ", processes,
            " or more: ", options.micro_batches);
    if constexpr (CarriesTensors<M>) {
      require(options.micro_batches == 1, "trainer", "a model that carries tensors from batch to batch has to see its ",
              "batches one after the other, so that micro_batches must be 1: ", options.micro_batches);
    }
    block_ = micro_batch_block(options.micro_batches, processes, rank());
    if (adds_in_tree()) tree_ = std::make_unique<GradientTree<T>>(nodes, block_.count, options.gradient_exchange);
    if (processes > 1) {
      exchange_ = options.communicator.template exchange<T>(
          {.names = std::move(names),
           .nodes = std::move(nodes),
           .options = {.contributors = share.contributors,
                       .exchange = options.gradient_exchange,
                       .bucket_bytes = options.bucket_bytes},
           .everywhere = !is_sharded(),
           .overlaps = options.overlap_exchange && !options.recompute,
           .prepare = [tree = tree_.get(), last = block_.count - 1](std::size_t n) { tree->take(last, n); }});
    }
    if (is_sharded()) {
      for (std::size_t i = 0; auto& slot : optimizer_.slots())
        optimizer_.keep_range(slot, exchange_->shard(i++, rank()));
    }
    if (options.average_decay != 0) average_.emplace(model, options.average_decay);
  }

  /// One optimizer step over these batches together; returns their loss per target. A batch without targets counts
  /// nothing and is not read: a model that carries state from batch to batch does not see it. Throws ValueError if no
  /// batch has any, or one that says where NaN or infinity came up first, before anything has changed, when loss or
  /// gradients are not finite. (What a model carries from step to step itself, see below, is then of the failed step.)
  /// After a step that throws, whatever it is, all gradients are empty and the next step draws the same random numbers.
  ///
  /// With several micro-batches the batches are those of this process's block, `accumulate` of each micro-batch; of
  /// another number ValueError is thrown. `signals()` returns the StepSignals of this process, `agreed_signals` then
  /// those of all.
  template <TrainingBatch B, class Signals>
  requires Trainable<M, B>
  double operator()(std::span<const B> batches, const Signals& signals) {
    require(options_.micro_batches == 1 || std::ssize(batches) == block_.count * options_.accumulate, "trainer",
            "the micro-batches ", block_.first, " .. ", block_.first + block_.count, " of ", block_.of, " have ",
            options_.accumulate, " batches each: ", batches.size(), " are given");
    const Rng::State random = rng_.state();
    learning_rate_ = options_.learning_rate(optimizer_.steps() + 1);
    const double targets = count_targets(batches);
    std::optional<double> all_loss;
    const auto agree = [&](double own_loss) {
      const StepHead agreed = exchange_->agree({own_loss, learning_rate_, signals()});
      learning_rate_ = agreed.learning_rate;
      agreed_signals_ = agreed.signals;
      all_loss = agreed.loss;
      return std::isfinite(agreed.loss);
    };
    const auto start = [&](double own_loss) {
      const bool goes_on = agree(own_loss);
      if (goes_on) exchange_->start();
      return goes_on;
    };
    const EndOfFailedStep undo{optimizer_, rng_, random};
    const EndOfExchange end{exchange_.get()};
    const double own_loss = loss_and_gradients(batches, targets, start);
    if (exchange_ && (all_loss ? std::isfinite(*all_loss) : agree(own_loss))) exchange_->finish();
    const double loss = all_loss.value_or(own_loss);
    gradient_norm_ = !std::isfinite(loss) ? 0 : exchange_ ? exchange_->norm() : gradient_norm(model_);
    if (!std::isfinite(loss) || !std::isfinite(gradient_norm_)) explain(batches, random, targets, loss);
    const double factor = options_.clip_norm > 0 ? clip_factor(gradient_norm_, options_.clip_norm) : 1.0;
    optimizer_.step(learning_rate_, factor);
    if (is_sharded()) exchange_->gather_values();
    if (average_) average_->update(optimizer_.steps());
    return loss;
  }
  template <TrainingBatch B>
  requires Trainable<M, B>
  double operator()(std::span<const B> batches) {
    return (*this)(batches, [] { return StepSignals(); });
  }

  [[nodiscard]] M& model() { return model_; }
  [[nodiscard]] const TrainerOptions& options() const { return options_; }
  /// The optimizer, with its state.
  [[nodiscard]] O& optimizer() { return optimizer_; }
  [[nodiscard]] const O& optimizer() const { return optimizer_; }
  /// The moving average of the parameters, if the options ask for one.
  [[nodiscard]] std::optional<ExponentialMovingAverage<T>>& average() { return average_; }
  /// Of all gradients together in the last step, before clipping.
  [[nodiscard]] double last_gradient_norm() const { return gradient_norm_; }
  /// Of the last step.
  [[nodiscard]] double last_learning_rate() const { return learning_rate_; }
  /// What the batches of the last step had, those of other processes included (see TrainingBatch::item_count).
  [[nodiscard]] Index last_items() const { return items_; }
  /// Where the random numbers of dropout stand: a run that goes on bit for bit puts them there again.
  [[nodiscard]] const Rng::State& dropout_state() const { return rng_.state(); }
  /// Dropout's random numbers go on from this state.
  void set_dropout_state(const Rng::State& state) { rng_ = Rng(state); }

  /// The number of processes that share a step, and the number of this one.
  [[nodiscard]] Index processes() const { return options_.communicator.size(); }
  [[nodiscard]] Index rank() const { return options_.communicator.rank(); }
  /// Rank 0's value, if all processes call this.
  [[nodiscard]] double from_first(double value) const { return exchange_ ? exchange_->from_first(value) : value; }
  /// The micro-batches that this process computes.
  [[nodiscard]] const MicroBatchBlock& block() const { return block_; }
  /// What the processes that share the last step agreed on; nothing if there is one process.
  [[nodiscard]] const StepSignals& agreed_signals() const { return agreed_signals_; }
  /// Whether the optimizer of each process keeps the state of a part of the parameters.
  [[nodiscard]] bool is_sharded() const { return options_.shard_optimizer && processes() > 1; }
  /// If so, the elements of a parameter, counted in the order of the model, that the optimizer of a process updates.
  [[nodiscard]] ElementRange shard(std::size_t parameter, Index rank) const {
    return exchange_->shard(parameter, rank);
  }

 private:
  /// The streams of random numbers that each micro-batch has.
  static constexpr int kStreamBits = 20;

  /// Whether gradients go through the tree over micro-batches. (With a single one there is nothing to add, but numbers
  /// are rounded.)
  [[nodiscard]] bool adds_in_tree() const {
    return options_.micro_batches > 1 || options_.gradient_exchange != GradientExchange::float32;
  }

  template <class B>
  [[nodiscard]] Variable<T> loss_of(const B& batch) {
    if constexpr (requires(const CrossEntropyOptions& options) { model_.loss(batch, options); }) {
      // Batches weigh by all of their targets: none may be ignored.
      return model_.loss(batch, {.label_smoothing = options_.label_smoothing, .ignore_index = std::nullopt});
    } else {
      return model_.loss(batch);
    }
  }

  /// The targets of the whole step, those of other processes included; notes how many items it has.
  template <class B>
  [[nodiscard]] double count_targets(std::span<const B> batches) {
    std::array<Index, 3> counts{std::ssize(batches), 0, 0};
    for (const B& batch : batches) {
      counts[1] += batch.target_count();
      counts[2] += batch.item_count();
    }
    if (exchange_) exchange_->add_counts(counts);
    items_ = counts[2];
    require(counts[1] > 0, "trainer", "step ", optimizer_.steps() + 1, " has nothing to learn: its ", counts[0],
            " batches have ", counts[1], " targets");
    return static_cast<double>(counts[1]);
  }

  /// If an exception leaves the step: empties the gradients, to which the next step would add its own, and takes back
  /// the random numbers.
  struct EndOfFailedStep {
    EndOfFailedStep(O& of, Rng& numbers, const Rng::State& before) : optimizer(of), rng(numbers), random(before) {}
    EndOfFailedStep(const EndOfFailedStep&) = delete;
    EndOfFailedStep& operator=(const EndOfFailedStep&) = delete;
    ~EndOfFailedStep() {
      if (std::uncaught_exceptions() == exceptions) return;
      for (auto& slot : optimizer.slots()) slot.node->grad = Tensor<T>();
      rng = Rng(random);
    }
    O& optimizer;
    Rng& rng;
    const Rng::State& random;
    const int exceptions = std::uncaught_exceptions();
  };

  /// Ends an exchange that was not finished, because something was thrown.
  struct EndOfExchange {
    explicit EndOfExchange(StepExchange<T>* of) : exchange(of) {}
    EndOfExchange(const EndOfExchange&) = delete;
    EndOfExchange& operator=(const EndOfExchange&) = delete;
    ~EndOfExchange() {
      if (exchange != nullptr) exchange->abandon();
    }
    StepExchange<T>* exchange;
  };

  /// What is done around the last backward of a process's block: before(the loss of the block's last micro-batch)
  /// returns whether backward shall be computed at all, and finished(parameter) is called when a gradient is complete.
  struct LastBackward {
    std::function<bool(double)> before;
    std::function<void(Node<T>&)> finished;
  };

  /// Adds the gradients of the mean loss over all `targets`, as far as these batches have them, to the parameters', and
  /// returns that part of the loss. If it is not finite, gradients of some batches are missing.
  template <class B>
  double add_gradients(std::span<const B> batches, double targets, Rng& rng, const LastBackward* last = nullptr) {
    double sum = 0, done = 0;
    for (const B& batch : batches) {
      if (batch.target_count() == 0) continue;
      const auto count = static_cast<double>(batch.target_count());
      const double weight = count / targets;
      const Training scope(rng);
      const RecomputeActivations recompute(options_.recompute);
      const Variable<T> loss = loss_of(batch);
      sum += weight * static_cast<double>(loss.item());
      if (!std::isfinite(sum)) break;
      done += count;
      const bool is_last = last != nullptr && done == targets_of(batches);
      if (is_last && !last->before(sum)) break;
      backward(loss, static_cast<T>(weight), is_last ? last->finished : std::function<void(Node<T>&)>());
    }
    return sum;
  }
  template <class B>
  [[nodiscard]] static double targets_of(std::span<const B> batches) {
    double targets = 0;
    for (const B& batch : batches) targets += static_cast<double>(batch.target_count());
    return targets;
  }

  /// As add_gradients, of micro-batch i of this process's block.
  template <class B>
  double add_micro_batch(std::span<const B> batches, Index i, double targets, const LastBackward* last = nullptr) {
    if (options_.micro_batches == 1) return add_gradients(batches, targets, rng_);
    const auto number = static_cast<std::uint64_t>(optimizer_.steps() * block_.of + block_.first + i);
    Rng rng(Rng::State{rng_.state().seed, number << kStreamBits});
    const double loss = add_gradients(batches.subspan(to_size(i * options_.accumulate), to_size(options_.accumulate)),
                                      targets, rng, last);
    const std::uint64_t streams = rng.state().streams_taken - (number << kStreamBits);
    require(streams <= std::uint64_t{1} << kStreamBits, "trainer", "micro-batch ", block_.first + i, " of step ",
            optimizer_.steps() + 1, " took ", streams, " streams of random numbers, there are ",
            std::uint64_t{1} << kStreamBits, " for each: more micro-batches with fewer batches need fewer");
    return loss;
  }

  /// The gradients of the mean loss over all `targets` of the step are added to the parameters', as far as this process
  /// has them, unless the loss is not finite. If gradients may travel meanwhile, start(loss) is called before the last
  /// backward, and says whether it shall be computed. The gradients of parameters that this backward does not reach are
  /// left for StepExchange::finish to take.
  template <class B, class Start>
  double loss_and_gradients(std::span<const B> batches, double targets, const Start& start) {
    double losses[64] = {};  // of levels of the tree, as in GradientTree
    double loss = 0;
    for (Index i = 0; i < block_.count; ++i) {
      const auto with_those_before = [&](double last_loss) {
        for (Index level = 0; (i >> level & 1) != 0; ++level) last_loss = losses[level] + last_loss;
        return last_loss;
      };
      if (exchange_ && exchange_->overlaps() && i + 1 == block_.count) {
        const LastBackward last{[&](double last_loss) { return start(with_those_before(last_loss)); },
                                [&](Node<T>& leaf) { exchange_->make_ready(leaf); }};
        loss = add_micro_batch(batches, i, targets, &last);
      } else {
        loss = add_micro_batch(batches, i, targets);
      }
      if (!std::isfinite(loss)) break;
      if (tree_ && !(exchange_ && exchange_->is_running())) tree_->take(i);
      loss = with_those_before(loss);
      losses[std::countr_one(static_cast<std::uint64_t>(i))] = loss;
    }
    return loss;
  }

  /// Computes the step again, looking at every number, and throws what it finds.
  template <class B>
  [[noreturn]] void explain(std::span<const B> batches, const Rng::State& random, double targets, double loss) {
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
      where = first_not_finite_op(batches, targets);
      if (exchange_) {
        const std::vector<std::string> places = exchange_->gather_texts(where);
        const auto found = std::find_if(places.begin(), places.end(), [](const auto& place) { return !place.empty(); });
        where = found == places.end() ? "" : "on rank " + std::to_string(found - places.begin()) + ", " + *found;
      }
      if (where.empty()) where = "nowhere when computed again";
    }
    fail("trainer", what, " at step ", optimizer_.steps() + 1, ": the learning rate may be too high (", learning_rate_,
         "). NaN or infinity came up first: ", where);
  }
  /// Computes this process's micro-batches again. Empty: all numbers are finite.
  template <class B>
  [[nodiscard]] std::string first_not_finite_op(std::span<const B> batches, double targets) {
    std::string where;
    name_parameters(model_);
    for (Index i = 0; i < block_.count && where.empty(); ++i) {
      try {
        const FiniteCheck check;
        std::ignore = add_micro_batch(batches, i, targets);
      } catch (const ValueError& error) {
        if (block_.of > 1) where = "in micro-batch " + std::to_string(block_.first + i) + ": ";
        where += error.what();
      }
      clear_gradients(model_);
    }
    return where;
  }

  M& model_;
  TrainerOptions options_;
  O optimizer_;
  std::optional<ExponentialMovingAverage<T>> average_;
  Rng rng_;
  MicroBatchBlock block_;
  std::unique_ptr<GradientTree<T>> tree_;      // at an address that stays when the step is moved
  std::unique_ptr<StepExchange<T>> exchange_;  // with other processes
  StepSignals agreed_signals_;
  double gradient_norm_ = 0, learning_rate_ = 0;
  Index items_ = 0;
};

}}  // namespace rapt::RAPT_ABI
