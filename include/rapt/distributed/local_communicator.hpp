/// \file
/// LocalCommunicator: threads of one process in the place of processes, for tests and for trying things out.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/communication_errors.hpp"
#include "rapt/distributed/communicator.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How long processes that are threads wait for one another.
struct LocalOptions {
  /// How long an operation waits for the others, in seconds; then it throws CommunicationError.
  double timeout_seconds = 300;

  void validate() const { detail::require_timeout("local", timeout_seconds); }
};

namespace detail {

/// What the threads of one group share: the messages under way, and why one of them has ended.
struct LocalGroup {
  LocalGroup(Index group_size, const LocalOptions& group_options)
      : size(group_size), options(group_options), queues(to_size(size * size)), changes(to_size(size)) {}

  const Index size;
  const LocalOptions options;
  std::mutex mutex;                                        // guards all that follows
  std::vector<std::deque<std::vector<std::byte>>> queues;  // [receiver * size + sender]
  std::vector<std::condition_variable> changes;            // [receiver]: a message has come, or a failure
  Index failed_rank = -1;
  std::string cause;  // of the failure of failed_rank
};

}  // namespace detail

/// One of the threads that `run_local` starts. A message is copied when it is sent, so that sending never waits.
class LocalCommunicator final : public Communicator {
 public:
  LocalCommunicator(detail::LocalGroup& group, Index rank) : group_(group), rank_(rank) {}

  [[nodiscard]] Index rank() const override { return rank_; }
  [[nodiscard]] Index size() const override { return group_.size; }

  void exchange(std::span<const OutgoingMessage> outgoing, std::span<const IncomingMessage> incoming) override {
    detail::require_other_ranks("local", rank_, size(), outgoing, incoming);
    std::unique_lock lock(group_.mutex);
    require<CommunicationError>(!has_failed_, "local", "no operation succeeds after one that has failed: rank ", rank_);
    has_failed_ = true;  // unless all that follows goes well
    throw_if_another_has_ended();
    for (const OutgoingMessage& message : outgoing) {
      messages(message.to, rank_).emplace_back(message.bytes.begin(), message.bytes.end());
      at(group_.changes, message.to).notify_one();
    }
    const auto timeout = std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * group_.options.timeout_seconds));
    for (std::size_t i = 0; i < incoming.size(); ++i) {
      const IncomingMessage& message = incoming[i];
      auto& waiting = messages(rank_, message.from);
      const bool is_in_time =
          at(group_.changes, rank_).wait_until(lock, std::chrono::steady_clock::now() + timeout, [&] {
            return !waiting.empty() || another_has_ended();
          });
      if (waiting.empty()) throw_if_another_has_ended();
      if (!is_in_time) {
        fail<CommunicationError>("local", "no answer within ", group_.options.timeout_seconds, " s from ",
                                 detail::rank_list(silent_ranks(incoming.subspan(i))));
      }
      const std::vector<std::byte> bytes = std::move(waiting.front());
      waiting.pop_front();
      if (bytes.size() != message.bytes.size()) {
        detail::fail_on_length("local", message.from, std::ssize(message.bytes));
      }
      std::copy(bytes.begin(), bytes.end(), message.bytes.begin());
    }
    has_failed_ = false;
  }

  void announce_failure(std::string_view cause) noexcept override {
    const std::lock_guard lock(group_.mutex);
    if (group_.failed_rank >= 0) return;
    group_.failed_rank = rank_;
    try {
      group_.cause = cause;
    } catch (...) {  // without memory for the cause, the rank has to do
    }
    for (std::condition_variable& change : group_.changes) change.notify_all();
  }

 private:
  [[nodiscard]] std::deque<std::vector<std::byte>>& messages(Index to, Index from) {
    return at(group_.queues, to * group_.size + from);
  }

  [[nodiscard]] std::vector<Index> silent_ranks(std::span<const IncomingMessage> incoming) {
    std::vector<Index> ranks;
    for (const IncomingMessage& message : incoming) {
      if (messages(rank_, message.from).empty()) ranks.push_back(message.from);
    }
    return ranks;
  }

  [[nodiscard]] bool another_has_ended() const { return group_.failed_rank >= 0 && group_.failed_rank != rank_; }
  void throw_if_another_has_ended() const {
    if (another_has_ended()) detail::fail_as_ended("local", group_.failed_rank, group_.cause);
  }

  detail::LocalGroup& group_;
  const Index rank_;
  bool has_failed_ = false;
};

/// Runs `function(communicator)` on `size` threads, each with a Communicator of its own, and returns when all of them
/// have ended. A thread that throws announces this to the others, whose operations then throw, too; the exception that
/// was thrown first is thrown again here.
template <class Function>
void run_local(Index size, const Function& function, const LocalOptions& options = {}) {
  options.validate();
  require(size > 0, "run_local", "there must be at least one process: ", size);
  detail::LocalGroup group(size, options);
  std::mutex mutex;
  std::exception_ptr first_error;
  const auto keep_and_announce = [&](Index rank, std::string_view cause) {
    {
      const std::lock_guard lock(mutex);
      if (!first_error) first_error = std::current_exception();
    }
    LocalCommunicator(group, rank).announce_failure(cause);
  };
  const auto run = [&](Index rank) {
    try {
      LocalCommunicator communicator(group, rank);
      function(static_cast<Communicator&>(communicator));
    } catch (const std::exception& error) {
      keep_and_announce(rank, error.what());
    } catch (...) {
      keep_and_announce(rank, "an exception without a text");
    }
  };
  std::vector<std::thread> threads;
  try {
    for (Index rank = 0; rank < size; ++rank) threads.emplace_back(run, rank);
  } catch (const std::exception& error) {  // the system has no more threads
    keep_and_announce(std::ssize(threads), error.what());
  }
  for (std::thread& thread : threads) thread.join();
  if (first_error) std::rethrow_exception(first_error);
}

}}  // namespace rapt::RAPT_ABI
