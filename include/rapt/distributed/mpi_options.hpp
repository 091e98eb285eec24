/// \file
/// Options of MpiCommunicator.
#pragma once

#include <functional>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/communication_errors.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How an MpiCommunicator waits for other processes, and how it sends to them.
struct MpiOptions {
  /// How long an operation waits without any message from another process, in seconds; then it throws
  /// CommunicationError. It must be longer than anything that a process does alone meanwhile, as rank 0 does when it
  /// writes a checkpoint.
  double timeout_seconds = 300;
  /// Says whether this process was asked to end, by SIGTERM for instance; called while an operation waits, from
  /// whichever thread is inside the operation; empty for never. The operation goes on until its time-out, for the
  /// others may only be slower, and training ends after the step. But the request may also come from the launcher,
  /// because a process was lost: a line on standard error then names the processes that are waited for, before the
  /// launcher kills this one, too (Open MPI's does after a second; MPICH's kills all at once and leaves no time for any
  /// message but its own).
  std::function<bool()> interrupted = {};
  /// Longer messages are cut into parts of this many bytes; at most 2^30, the same in all processes. The time-out
  /// counts anew with each part, so that it need not be longer than a large message takes on a slow link.
  Index part_bytes = Index{32} << 20;

  void validate() const {
    detail::require_timeout("mpi", timeout_seconds);
    require(part_bytes > 0 && part_bytes <= Index{1} << 30, "mpi", "part_bytes must lie in 1 .. 2^30: ", part_bytes);
  }
};

}}  // namespace rapt::RAPT_ABI
