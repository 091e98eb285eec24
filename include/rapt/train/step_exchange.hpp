/// \file
/// StepExchange: what the processes that share training steps do in each of them.
///
/// A training step calls this interface. train/processes.hpp implements it on a Communicator, and is compiled only in
/// programs that hand one over.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/autograd/variable.hpp"
#include "rapt/core/index.hpp"
#include "rapt/optim/gradient_sum.hpp"
#include "rapt/optim/optimizer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a process may want to end a training run for. Processes that share a step agree: if one wants it, all do.
struct StepSignals {
  bool stop = false;          ///< somebody asked for it
  bool time_is_over = false;  ///< of the plan; rank 0's clock counts
};

/// What a process knows of a step before gradients are exchanged, and what all processes then agree on.
struct StepHead {
  double loss = 0;           ///< of a process's part; of all: the sum, in the order of the tree
  double learning_rate = 0;  ///< rank 0's counts: functions of other machines may differ in the last bit
  StepSignals signals;       ///< whether training should end
};

/// How gradients are added over processes.
struct ExchangeOptions {
  Index contributors = 1;  ///< the first ranks, a power of two, whose gradients are added
  GradientExchange exchange = GradientExchange::float32;  ///< the numbers in which gradients travel
  /// Gradients travel in portions of at most this size. The exchange can hide behind backward only if a model has
  /// several portions; in much smaller ones the messages themselves take longer.
  Index bucket_bytes = Index{4} << 20;
};

/// What an exchange is made of.
template <class T>
struct StepExchangeSetup {
  std::vector<std::string> names = {};               ///< of the model's parameters
  std::vector<std::shared_ptr<Node<T>>> nodes = {};  ///< theirs
  ExchangeOptions options = {};
  bool everywhere = true;  ///< all processes need the sums of all gradients, and not those of their shards alone
  bool overlaps = false;   ///< gradients may travel while backward goes on, see StepExchange::start
  /// Called for a parameter that `make_ready` or `finish` makes ready, with its number in the order of the model: the
  /// last to touch its gradient before it travels.
  std::function<void(std::size_t)> prepare = {};
};

/// All processes call the same functions in the same order, but for `make_ready` and `abandon`. Everything else throws
/// CommunicationError if a process is lost or has failed. For one thread at a time.
template <class T>
class StepExchange {
 public:
  StepExchange() = default;
  StepExchange(const StepExchange&) = delete;
  StepExchange& operator=(const StepExchange&) = delete;
  virtual ~StepExchange() = default;

  /// Each count becomes the sum of all processes' counts at its place.
  virtual void add_counts(std::span<Index> counts) = 0;
  /// All processes tell one another what they know of a step.
  [[nodiscard]] virtual StepHead agree(const StepHead& own) = 0;
  /// Rank 0's value.
  [[nodiscard]] virtual double from_first(double value) = 0;
  /// The texts of all processes, in the order of their ranks.
  [[nodiscard]] virtual std::vector<std::string> gather_texts(std::string_view own) = 0;

  /// True if `start` may be called.
  [[nodiscard]] virtual bool overlaps() const = 0;
  /// From now on gradients travel beside the calling thread, as soon as their parameters are ready. No parameter is
  /// ready yet. Until `finish` or `abandon` no other thread may use the communicator.
  virtual void start() = 0;
  /// True between `start` and `finish` or `abandon`.
  [[nodiscard]] virtual bool is_running() const = 0;
  /// Makes a parameter ready, if it is one of the model's and is not ready already.
  virtual void make_ready(const Node<T>& node) = 0;
  /// The gradients become the sums over all processes: those of this process's shard, or all of them (see
  /// StepExchangeSetup::everywhere). After `start` all parameters are made ready that are not; without it gradients are
  /// taken as they are. Parameters have a gradient if they had one on any process.
  virtual void finish() = 0;
  /// Ends what `start` has begun, if `finish` did not, without waiting for parameters that are not ready.
  virtual void abandon() = 0;

  /// The Euclidean norm of the sums, after `finish`: the same as `gradient_norm` of the whole, bit for bit.
  [[nodiscard]] virtual double norm() = 0;
  /// The elements of a parameter, counted in the order of the model, that a process owns.
  [[nodiscard]] virtual ElementRange shard(std::size_t parameter, Index rank) const = 0;
  /// Fetches the values of the parameters that had gradients from their owners, which have updated them.
  virtual void gather_values() = 0;
};

}}  // namespace rapt::RAPT_ABI
