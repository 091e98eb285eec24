/// \file
/// Backoff: how a process waits for another without keeping a core busy.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// How a process waits: it polls at once for a few microseconds, then lets other threads run between polls, then sleeps
/// between them, longer and longer up to 200 microseconds. `bytes` under way need polls to move and put sleeping off.
class Backoff {
 public:
  explicit Backoff(Index bytes = 0)
      : sleeps_after_(std::chrono::microseconds(200) + std::chrono::nanoseconds(std::min(bytes, Index{20'000'000}))) {}

  void pause() {
    const auto waited = std::chrono::steady_clock::now() - begin_;
    if (waited < std::chrono::microseconds(20)) return;
    if (waited < sleeps_after_) {
      std::this_thread::yield();
      return;
    }
    std::this_thread::sleep_for(nap_);
    nap_ = std::min(2 * nap_, std::chrono::microseconds(200));
  }

  void reset() { *this = Backoff(sleeps_after_); }

 private:
  explicit Backoff(std::chrono::nanoseconds sleeps_after) : sleeps_after_(sleeps_after) {}

  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::nanoseconds sleeps_after_;
  std::chrono::microseconds nap_{20};
};

}}}  // namespace rapt::RAPT_ABI::detail
