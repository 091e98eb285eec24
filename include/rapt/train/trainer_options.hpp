/// \file
/// Options of a training: what Trainer and its steps are told.
#pragma once

#include <cstdint>
#include <functional>

#include "rapt/core/index.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/optim/gradient_sum.hpp"
#include "rapt/optim/schedule.hpp"
#include "rapt/train/step_exchange.hpp"
#include "rapt/train/training_communicator.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a Trainer does in each step, alone or with other processes.
struct TrainerOptions {
  std::function<double(Index)> learning_rate = PaperSchedule{};  ///< of a step, which counts from 1
  AdamOptions adam = {};                                         ///< of the optimizer if none is given
  float label_smoothing = 0.1f;                                  ///< of models whose loss takes CrossEntropyOptions
  Index accumulate = 1;      ///< batches of a micro-batch; each weighs by its number of targets
  double clip_norm = 0;      ///< the largest norm of all gradients together; 0 sets no limit
  double average_decay = 0;  ///< of an exponential moving average of the parameters; 0: none is kept
  std::uint64_t seed = 1;    ///< of dropout
  bool recompute = false;    ///< blocks are computed again in backward, see RecomputeActivations
  /// Micro-batches of a step (micro_batches.hpp), a power of two. Their gradients are added in a fixed order, and
  /// dropout has random numbers of its own in each, so that any number of processes gives the same bits. A process that
  /// computes B of them keeps up to log2(B) sums beside the gradients, each as large as all gradients together.
  Index micro_batches = 1;
  /// The processes that share the micro-batches of each step: a pointer to their Communicator, which must live as long
  /// as the training. nullptr: this process computes all of them. A pointer needs #include <rapt/train/processes.hpp>.
  TrainingCommunicator communicator = {};
  /// Each process keeps the optimizer's state of a part of the parameters alone, updates that part and sends it to the
  /// others: the state takes 1 / P of its memory. The model comes out the same, bit for bit.
  bool shard_optimizer = false;
  /// The numbers in which gradients travel between processes.
  GradientExchange gradient_exchange = GradientExchange::float32;
  Index bucket_bytes = ExchangeOptions().bucket_bytes;  ///< gradients travel in portions of this size
  /// Gradients travel in a thread of their own while backward computes the next ones; not with `recompute`. It changes
  /// no bit. The model's loss and its backward must not use the communicator then.
  bool overlap_exchange = true;
};

}}  // namespace rapt::RAPT_ABI
