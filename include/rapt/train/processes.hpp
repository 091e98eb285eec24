/// \file
/// Training that processes share: include this where a communicator is handed to TrainerOptions, or to mean_loss.
///
///     rapt::Trainer trainer(model, {.micro_batches = 8, .communicator = &communicator});
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/variable.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/communicator.hpp"
#include "rapt/distributed/text_collectives.hpp"
#include "rapt/optim/optimizer.hpp"
#include "rapt/train/background_exchange.hpp"
#include "rapt/train/gradient_exchanger.hpp"
#include "rapt/train/step_exchange.hpp"
#include "rapt/train/training_communicator.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The StepExchange of the processes of a Communicator.
template <class T>
class ProcessExchange final : public StepExchange<T> {
 public:
  /// Keeps a reference to the communicator. For what is thrown see GradientExchanger.
  ProcessExchange(Communicator& communicator, StepExchangeSetup<T> setup)
      : communicator_(communicator),
        everywhere_(setup.everywhere),
        exchanger_(std::move(setup.names), std::move(setup.nodes), communicator, setup.options) {
    if (setup.overlaps) background_.emplace(exchanger_, std::move(setup.prepare));
  }

  void add_counts(std::span<Index> counts) override { all_reduce_sum(communicator_, counts); }
  [[nodiscard]] StepHead agree(const StepHead& own) override { return exchanger_.agree(own); }
  [[nodiscard]] double from_first(double value) override { return broadcast_value(communicator_, value); }
  [[nodiscard]] std::vector<std::string> gather_texts(std::string_view own) override {
    return all_gather_text(communicator_, own);
  }

  [[nodiscard]] bool overlaps() const override { return background_.has_value(); }
  void start() override { background_->start(everywhere_); }
  [[nodiscard]] bool is_running() const override { return background_ && background_->is_running(); }
  void make_ready(const Node<T>& node) override { background_->make_ready(node); }
  void finish() override {
    if (is_running()) {
      background_->finish();
    } else {
      exchanger_.add_up(everywhere_);
    }
  }
  void abandon() override {
    if (background_) background_->abandon();
  }

  [[nodiscard]] double norm() override { return exchanger_.norm(); }
  [[nodiscard]] ElementRange shard(std::size_t parameter, Index rank) const override {
    return exchanger_.shard(parameter, rank);
  }
  void gather_values() override { exchanger_.gather_values(); }

 private:
  Communicator& communicator_;
  bool everywhere_;
  GradientExchanger<T> exchanger_;
  std::optional<BackgroundExchange<T>> background_;
};

/// What a TrainingCommunicator that is made of a C* calls. It is declared in train/training_communicator.hpp, which can
/// tell by its being incomplete that this header was not included. Nothing in it depends on C.
template <std::derived_from<Communicator> C>
struct TrainingOperations {
  /// Makes the exchange of a model's steps over these processes.
  template <class T>
  [[nodiscard]] static std::unique_ptr<StepExchange<T>> exchange(Communicator& communicator,
                                                                 StepExchangeSetup<T> setup) {
    return std::make_unique<ProcessExchange<T>>(communicator, std::move(setup));
  }
  /// Rank p has the numbers bounds[p] .. bounds[p + 1] of `all`; afterwards every process has all of them.
  static void gather(Communicator& communicator, std::span<const Index> bounds, std::span<double> all) {
    all_gather(communicator, detail::piece_of(all, bounds, communicator.rank()), bounds, all);
  }
  /// The functions above, as TrainingCommunicator calls them.
  static constexpr TrainingCommunicator::Operations kOperations{
      .exchange_float = &exchange<float>, .exchange_double = &exchange<double>, .all_gather = &gather};
};

}}  // namespace rapt::RAPT_ABI
