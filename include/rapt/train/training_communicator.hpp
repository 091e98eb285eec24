/// \file
/// TrainingCommunicator: the processes that share a training, as its options name them.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "rapt/core/index.hpp"
#include "rapt/distributed/communicator.hpp"
#include "rapt/train/step_exchange.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What training does with a communicator of this type: `kOperations`. train/processes.hpp defines it.
template <std::derived_from<Communicator> C>
struct TrainingOperations;

/// A pointer to a Communicator, or none if there is one process, together with what training does with it. A program
/// that makes one of a communicator includes train/processes.hpp; the others do not compile what processes need.
class TrainingCommunicator {
 public:
  /// What a training does with a communicator; a program without one does not compile it.
  /// `exchange_float` and `exchange_double` make the exchange of a model's steps, `all_gather` is the function below.
  struct Operations {
    std::unique_ptr<StepExchange<float>> (*exchange_float)(Communicator&, StepExchangeSetup<float>);
    std::unique_ptr<StepExchange<double>> (*exchange_double)(Communicator&, StepExchangeSetup<double>);
    void (*all_gather)(Communicator&, std::span<const Index>, std::span<double>);
  };

  TrainingCommunicator() = default;
  TrainingCommunicator(std::nullptr_t) {}
  /// `communicator`, which may be nullptr, must outlive what it is given to.
  template <std::derived_from<Communicator> C>
  TrainingCommunicator(C* communicator) : communicator_(communicator) {
    constexpr bool kIsDefined = requires { sizeof(TrainingOperations<C>); };
    static_assert(kIsDefined, "a training that processes share needs #include <rapt/train/processes.hpp>");
    if constexpr (kIsDefined) operations_ = &TrainingOperations<C>::kOperations;
  }

  /// The communicator, nullptr if there is one process.
  [[nodiscard]] Communicator* get() const { return communicator_; }
  friend bool operator==(const TrainingCommunicator& a, const Communicator* b) { return a.communicator_ == b; }

  /// The number of processes, and the number of this one.
  [[nodiscard]] Index size() const { return communicator_ == nullptr ? 1 : communicator_->size(); }
  /// The number of this process, 0 if there is one process.
  [[nodiscard]] Index rank() const { return communicator_ == nullptr ? 0 : communicator_->rank(); }

  /// The exchange of a model's steps between several processes. Throws ValueError, the same on all processes, if two
  /// names are of one parameter, or if a parameter is frozen on some processes alone.
  template <class T>
  [[nodiscard]] std::unique_ptr<StepExchange<T>> exchange(StepExchangeSetup<T> setup) const {
    if constexpr (std::same_as<T, float>) {
      return operations_->exchange_float(*communicator_, std::move(setup));
    } else {
      return operations_->exchange_double(*communicator_, std::move(setup));
    }
  }
  /// Rank p of several processes has the numbers bounds[p] .. bounds[p + 1] of `all`; then all processes have all.
  void all_gather(std::span<const Index> bounds, std::span<double> all) const {
    operations_->all_gather(*communicator_, bounds, all);
  }

 private:
  Communicator* communicator_ = nullptr;
  const Operations* operations_ = nullptr;
};

}}  // namespace rapt::RAPT_ABI
