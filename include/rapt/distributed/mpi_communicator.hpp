/// \file
/// MpiCommunicator: processes that mpirun has started, on one machine or on many.
///
/// Works with Open MPI 4.1 and MPICH 4.0 and uses of MPI only messages between two processes, which are polled: so an
/// operation can end when its time is up or another process has failed, where MPI's own would wait for ever. MpiSession
/// (mpi_session.hpp) starts and ends MPI.
#pragma once

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/backoff.hpp"
#include "rapt/distributed/communication_errors.hpp"
#include "rapt/distributed/communicator.hpp"
#include "rapt/distributed/mpi_options.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The processes of an MPI communicator. MPI must have been initialised with MPI_THREAD_SERIALIZED or more, as not
/// always the same thread is inside an operation: training exchanges gradients in a thread of its own.
///
/// When an operation fails, the process announces it, waits until all others have read this, at most for the time-out
/// or 10 seconds, and throws; those who read it wait until all have. So all can say why they end before the first of
/// them does, which the launcher takes as a reason to kill the rest. After a failure MPI must not be used any more, as
/// it may still know the memory of messages that did not arrive: the program must end without MPI_Finalize.
class MpiCommunicator final : public Communicator {
 public:
  /// Waits for all processes of `communicator`, which is duplicated: its other messages do not mix with these. Throws
  /// ValueError if MPI has been initialised for one thread alone.
  explicit MpiCommunicator(MpiOptions options = {}, MPI_Comm communicator = MPI_COMM_WORLD)
      : options_(std::move(options)) {
    options_.validate();
    int level = MPI_THREAD_SINGLE;
    check(MPI_Query_thread(&level), "MPI_Query_thread");
    require(level >= MPI_THREAD_SERIALIZED, "mpi",
            "threads must be able to take turns in MPI: MPI_THREAD_SERIALIZED, which is level ",
            static_cast<int>(MPI_THREAD_SERIALIZED), ", is needed, and MPI was initialised with level ", level);
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Comm_idup(communicator, &communicator_, &request), "MPI_Comm_idup");
    const auto start = Clock::now();
    detail::Backoff backoff;
    for (int is_done = 0; !is_done; backoff.pause()) {
      check(MPI_Test(&request, &is_done, MPI_STATUS_IGNORE), "MPI_Comm_idup");
      require<CommunicationError>(Clock::now() - start < seconds(options_.timeout_seconds), "mpi",
                                  "not all processes have begun within ", options_.timeout_seconds, " s");
    }
    check(MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    int rank = 0, size = 0;
    check(MPI_Comm_rank(communicator_, &rank), "MPI_Comm_rank");
    check(MPI_Comm_size(communicator_, &size), "MPI_Comm_size");
    rank_ = rank;
    size_ = size;
  }

  ~MpiCommunicator() override {
    int is_finalized = 0;
    MPI_Finalized(&is_finalized);
    if (is_finalized) return;
    if (!has_failed_) {
      MPI_Comm_free(&communicator_);
    } else if (is_announced_) {
      wait_for_readers();
    }
  }

  [[nodiscard]] Index rank() const override { return rank_; }
  [[nodiscard]] Index size() const override { return size_; }

  void exchange(std::span<const OutgoingMessage> outgoing, std::span<const IncomingMessage> incoming) override {
    detail::require_other_ranks("mpi", rank_, size_, outgoing, incoming);
    operate([&] {
      parts_.clear();
      for (const IncomingMessage& message : incoming)
        add_parts({.rank = message.from, .is_incoming = true, .to = message.bytes});
      for (const OutgoingMessage& message : outgoing) add_parts({.rank = message.to, .from = message.bytes});
      requests_.assign(parts_.size(), MPI_REQUEST_NULL);
      completed_.resize(parts_.size());
      statuses_.resize(parts_.size());
      Index bytes = 0;
      for (std::size_t i = 0; i < parts_.size(); ++i) bytes += start(parts_[i], requests_[i]);
      std::size_t left = parts_.size();
      wait(bytes, [&] {
        const std::size_t finished = left == 0 ? 0 : finish_some();
        left -= finished;
        return Progress{.is_done = left == 0, .has_moved = finished > 0};
      });
    });
  }

  void announce_failure(std::string_view cause) noexcept override {
    has_failed_ = true;
    if (is_announced_ || failed_rank_ >= 0) return;
    is_announced_ = true;
    try {
      cause_ = cause.substr(0, kMostCauseBytes);
      notices_.assign(to_size(size_), MPI_REQUEST_NULL);
      for (Index p = 0; p < size_; ++p) {
        if (p == rank_) continue;
        // A synchronous send is complete when the other process has read it.
        MPI_Issend(cause_.data(), static_cast<int>(cause_.size()), MPI_BYTE, static_cast<int>(p), kCauseTag,
                   communicator_, &at(notices_, p));
      }
    } catch (...) {  // without memory for the notices, the others' time-outs have to do
    }
  }

  /// Returns when all processes have called it: the last operation before MPI_Finalize, which has no time-out. Nor has
  /// this one, for a process may have work left to which the others contribute nothing; an announced failure ends it.
  void wait_for_all_to_finish() {
    operate([&] {
      parts_.clear();
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Ibarrier(communicator_, &request), "MPI_Ibarrier");
      wait(
          0,
          [&] {
            int is_done = 0;
            check(MPI_Test(&request, &is_done, MPI_STATUS_IGNORE), "MPI_Ibarrier");
            return Progress{.is_done = is_done != 0, .has_moved = false};
          },
          /*has_time_out=*/false);
    });
  }

  /// True after an operation has failed, or this process has announced a failure.
  [[nodiscard]] bool has_failed() const { return has_failed_; }

 private:
  using Clock = std::chrono::steady_clock;
  enum Tag : int { kMessageTag, kCauseTag, kAllHaveReadTag };
  static constexpr std::size_t kMostCauseBytes = 1000;
  static constexpr double kSecondsForReaders = 10;
  static constexpr double kSecondsBeforeWarning = 0.3;

  /// A message, or a piece of a long one: into `to` or out of `from`.
  struct Part {
    Index rank = 0;  // of the other process
    bool is_incoming = false;
    std::span<std::byte> to = {};
    std::span<const std::byte> from = {};
    Index message_bytes = 0;
  };
  struct Progress {
    bool is_done = false;
    bool has_moved = false;  // something has arrived or was taken since the last poll
  };

  [[nodiscard]] static Clock::duration seconds(double count) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(count));
  }

  static void check(int code, std::string_view what) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING + 1] = {};
    int length = 0;
    MPI_Error_string(code, text, &length);
    fail<CommunicationError>("mpi", what, " has failed: ", std::string_view(text, static_cast<std::size_t>(length)));
  }

  /// Runs an operation. If it fails for a reason of its own, the others are told; in any case all learn why before this
  /// process goes on to its end.
  template <class Operation>
  void operate(const Operation& operation) {
    require<CommunicationError>(!has_failed_, "mpi", "no operation succeeds after one that has failed: rank ", rank_);
    has_failed_ = true;  // unless all goes well
    try {
      operation();
    } catch (const CommunicationError& error) {
      announce_failure(error.what());
      wait_for_readers();
      throw;
    }
    has_failed_ = false;
  }

  /// The last part of a message is shorter than a full one, if need be empty: so a message with another length than
  /// expected has a part with another length, too.
  void add_parts(const Part& message) {
    const Index size = message.is_incoming ? std::ssize(message.to) : std::ssize(message.from);
    for (Index begin = 0; begin <= size; begin += options_.part_bytes) {
      const std::size_t first = to_size(begin), count = to_size(std::min(options_.part_bytes, size - begin));
      Part part{.rank = message.rank, .is_incoming = message.is_incoming, .message_bytes = size};
      if (message.is_incoming) {
        part.to = message.to.subspan(first, count);
      } else {
        part.from = message.from.subspan(first, count);
      }
      parts_.push_back(part);
    }
  }

  /// Posts the part and returns its bytes.
  Index start(const Part& part, MPI_Request& request) {
    const int rank = static_cast<int>(part.rank);
    if (part.is_incoming) {
      check(MPI_Irecv(part.to.data(), static_cast<int>(part.to.size()), MPI_BYTE, rank, kMessageTag, communicator_,
                      &request),
            "MPI_Irecv");
      return std::ssize(part.to);
    }
    check(MPI_Isend(part.from.data(), static_cast<int>(part.from.size()), MPI_BYTE, rank, kMessageTag, communicator_,
                    &request),
          "MPI_Isend");
    return std::ssize(part.from);
  }

  /// The number of parts that are complete since the last call.
  [[nodiscard]] std::size_t finish_some() {
    int count = 0;
    const int code =
        MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count, completed_.data(), statuses_.data());
    if (code != MPI_ERR_IN_STATUS) check(code, "MPI_Testsome");
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const Part& part = at(parts_, completed_[i]);
      const int part_code = code == MPI_ERR_IN_STATUS ? statuses_[i].MPI_ERROR : MPI_SUCCESS;
      int error_class = MPI_SUCCESS, received = 0;
      MPI_Error_class(part_code, &error_class);
      if (error_class != MPI_ERR_TRUNCATE) check(part_code, "a message to or from " + detail::rank_list({part.rank}));
      MPI_Get_count(&statuses_[i], MPI_BYTE, &received);
      if (part.is_incoming && (error_class == MPI_ERR_TRUNCATE || received != std::ssize(part.to))) {
        detail::fail_on_length("mpi", part.rank, part.message_bytes);
      }
    }
    return static_cast<std::size_t>(count);
  }

  /// Polls until all is done; throws CommunicationError when nothing has moved for the time-out, or when another
  /// process has announced a failure.
  template <class Poll>
  void wait(Index bytes, const Poll& poll, bool has_time_out = true) {
    detail::Backoff backoff(bytes);
    Clock::time_point last_progress = Clock::now(), calm_until = last_progress;
    for (;;) {
      const Progress progress = poll();
      if (progress.is_done) return;
      if (read_notices()) detail::fail_as_ended("mpi", failed_rank_, cause_ + waiting_for_others());
      const Clock::time_point now = Clock::now();
      if (progress.has_moved) {
        last_progress = now;
        backoff.reset();
      }
      if (has_time_out && now - last_progress >= seconds(options_.timeout_seconds)) {
        fail<CommunicationError>("mpi", "no answer within ", options_.timeout_seconds, " s from ", silent_ranks(),
                                 "; a process that is only busy, as with writing a file, needs a longer time-out");
      }
      if (!is_interrupted()) calm_until = now;
      const auto waited_after_request = now - std::max(calm_until, last_progress);
      if (has_time_out && waited_after_request > seconds(kSecondsBeforeWarning) && !has_warned_) {
        has_warned_ = true;
        std::fprintf(stderr, "[mpi] rank %td was asked to end and waits for %s\n", rank_, silent_ranks().c_str());
      }
      backoff.pause();
    }
  }

  [[nodiscard]] bool is_interrupted() const { return options_.interrupted && options_.interrupted(); }

  /// The ranks to or from which parts are under way.
  [[nodiscard]] std::string silent_ranks() const {
    std::vector<Index> ranks;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (requests_[i] != MPI_REQUEST_NULL) ranks.push_back(parts_[i].rank);
    }
    return ranks.empty() ? "the other processes" : detail::rank_list(std::move(ranks));
  }

  /// If this process waits for others than the one that has failed, it may know more of the true cause: of processes
  /// that wait for one another, the first whose time is up is seldom the one that waits for the one that is lost. Empty
  /// if there is nothing to add, or no cause to which it could be added.
  [[nodiscard]] std::string waiting_for_others() const {
    if (parts_.empty() || cause_.empty()) return "";
    const std::string ranks = silent_ranks();
    return ranks == detail::rank_list({failed_rank_}) ? "" : "; this process was waiting for " + ranks;
  }

  /// Reads what other processes announce and keeps the first of it: true if there is any.
  bool read_notices() {
    for (;;) {
      int is_there = 0, count = 0;
      MPI_Status status;
      char text[kMostCauseBytes];
      if (MPI_Iprobe(MPI_ANY_SOURCE, kCauseTag, communicator_, &is_there, &status) != MPI_SUCCESS || !is_there) break;
      if (MPI_Recv(text, sizeof text, MPI_BYTE, status.MPI_SOURCE, kCauseTag, communicator_, &status) != MPI_SUCCESS) {
        break;
      }
      MPI_Get_count(&status, MPI_BYTE, &count);
      if (failed_rank_ >= 0 || is_announced_) continue;
      failed_rank_ = status.MPI_SOURCE;
      cause_.assign(text, static_cast<std::size_t>(count));
    }
    return failed_rank_ >= 0;
  }

  /// A process that has failed waits until all others have read why, and tells them so; all wait for this. If several
  /// fail at once, what the first of them tells is enough.
  void wait_for_readers() {
    if (has_waited_) return;
    has_waited_ = true;
    const auto all_are_sent = [&] {
      int is_done = 0;
      const int code = MPI_Testall(static_cast<int>(notices_.size()), notices_.data(), &is_done, MPI_STATUSES_IGNORE);
      return is_done != 0 || code != MPI_SUCCESS;
    };
    int is_told = 0;
    poll_for(std::min(kSecondsForReaders, options_.timeout_seconds), [&] {
      MPI_Iprobe(MPI_ANY_SOURCE, kAllHaveReadTag, communicator_, &is_told, MPI_STATUS_IGNORE);
      return is_told != 0 || (is_announced_ && all_are_sent());
    });
    if (is_told || !is_announced_) return;
    notices_.assign(notices_.size(), MPI_REQUEST_NULL);
    for (Index p = 0; p < std::ssize(notices_); ++p) {
      if (p == rank_) continue;
      MPI_Isend(nullptr, 0, MPI_BYTE, static_cast<int>(p), kAllHaveReadTag, communicator_, &at(notices_, p));
    }
    poll_for(0.1, all_are_sent);
  }

  /// Polls until `is_done()`, for so many seconds at most, and not when this process is asked to end meanwhile.
  template <class Poll>
  void poll_for(double limit, const Poll& is_done) {
    const Clock::time_point end = Clock::now() + seconds(limit);
    const bool was_interrupted = is_interrupted();
    for (detail::Backoff backoff; !is_done() && Clock::now() < end; backoff.pause()) {
      read_notices();  // others wait for this in their turn
      if (is_interrupted() && !was_interrupted) return;
    }
  }

  MpiOptions options_;
  MPI_Comm communicator_ = MPI_COMM_NULL;
  Index rank_ = 0, size_ = 1;
  std::vector<Part> parts_;            // of the operation
  std::vector<MPI_Request> requests_;  // [parts]
  std::vector<int> completed_;         // [parts]: indices of those that a poll has found complete
  std::vector<MPI_Status> statuses_;   // [parts]: theirs
  bool has_failed_ = false, is_announced_ = false, has_waited_ = false, has_warned_ = false;
  Index failed_rank_ = -1;            // of another process that has announced a failure
  std::string cause_;                 // of its failure, or of this process's
  std::vector<MPI_Request> notices_;  // [size]: to all others
};

}}  // namespace rapt::RAPT_ABI
