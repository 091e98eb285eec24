/// \file
/// Communicator: how the processes that train one model together reach one another.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A process was lost, failed, or did not answer in time; the text names its rank and the cause.
class CommunicationError : public Error {
 public:
  using Error::Error;
};

/// Bytes for another process, and room for bytes of another. A span of no bytes is a message, too.
struct OutgoingMessage {
  /// The process that receives the bytes.
  Index to = 0;
  std::span<const std::byte> bytes = {};
};
/// A message that is awaited from the process `from`; its bytes are written to `bytes`.
struct IncomingMessage {
  /// The process that sends the bytes.
  Index from = 0;
  std::span<std::byte> bytes = {};
};

/// One of `size()` processes, which are numbered from 0: its `rank()`. All of them call the same functions in the same
/// order. There is one operation that moves bytes, and collective operations are made of it (collectives.hpp), so that
/// the order in which numbers are added is rapt's own and the same for every implementation.
///
/// Only one thread of a process may be inside an operation at a time; which thread that is may change.
class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  /// The number of this process, from 0.
  [[nodiscard]] virtual Index rank() const = 0;
  /// The number of processes.
  [[nodiscard]] virtual Index size() const = 0;

  /// Sends and receives all of these messages, side by side, and returns when all of them have arrived and what was
  /// sent may be overwritten. Messages from one process to another arrive in the order in which they were sent. Throws
  /// ValueError for a rank that there is not, or one's own; CommunicationError if a message has another length than the
  /// room for it, if none came for as long as the time-out, or if a process has announced a failure. After a
  /// CommunicationError no further operation succeeds.
  virtual void exchange(std::span<const OutgoingMessage> outgoing, std::span<const IncomingMessage> incoming) = 0;

  /// Tells all other processes why this one ends, so that their operations throw CommunicationError with this rank and
  /// the cause. Does not wait for them, and does nothing if a failure was announced already.
  virtual void announce_failure(std::string_view cause) noexcept = 0;
};

}}  // namespace rapt::RAPT_ABI
