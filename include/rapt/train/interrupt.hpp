/// \file
/// Ctrl-C and requests to end, which training jobs heed after the step that they interrupt, and searches over settings
/// when they wait for their trials.
#pragma once

#include <signal.h>

#include <atomic>
#include <mutex>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Thrown after Ctrl-C, or a request to end: the job has stopped after a step and has saved itself if it has a folder.
/// The message says so.
class Interrupted : public Error {
 public:
  using Error::Error;
};

namespace detail {

/// While it lives, the first Ctrl-C or request to end (SIGTERM) sets a flag; the second one ends the program at once.
/// Threads that train one model together (LocalCommunicator) may each have one.
class InterruptListener {
 public:
  InterruptListener() {
    const std::lock_guard lock(installed().mutex);
    if (installed().listeners++ > 0) return;
    struct sigaction action = {};
    action.sa_handler = [](int) {
      flag().store(true);
      ::signal(SIGINT, SIG_DFL);
      ::signal(SIGTERM, SIG_DFL);
    };
    flag().store(false);
    auto& old = installed().old;
    ::sigaction(SIGINT, &action, &old[0]);
    ::sigaction(SIGTERM, &action, &old[1]);
    // What the parent process ignores, as nohup does, stays ignored.
    if (old[0].sa_handler == SIG_IGN) ::sigaction(SIGINT, &old[0], nullptr);
    if (old[1].sa_handler == SIG_IGN) ::sigaction(SIGTERM, &old[1], nullptr);
  }
  ~InterruptListener() {
    const std::lock_guard lock(installed().mutex);
    if (--installed().listeners > 0) return;
    ::sigaction(SIGINT, &installed().old[0], nullptr);
    ::sigaction(SIGTERM, &installed().old[1], nullptr);
  }
  InterruptListener(const InterruptListener&) = delete;
  InterruptListener& operator=(const InterruptListener&) = delete;

  /// Makes a forked child forget the listeners of its parent: it can have its own, and is ended by a request until
  /// then.
  static void reset_in_child() {
    ::signal(SIGINT, SIG_DFL);
    ::signal(SIGTERM, SIG_DFL);
    installed().listeners = 0;
    flag().store(false);
  }

  [[nodiscard]] static std::atomic<bool>& flag() {
    static std::atomic<bool> is_interrupted{false};
    return is_interrupted;
  }

 private:
  /// The handlers as they were before the first of the listeners that are alive.
  struct Installed {
    std::mutex mutex;
    int listeners = 0;
    struct sigaction old[2] = {};
  };
  [[nodiscard]] static Installed& installed() {
    static Installed installed;
    return installed;
  }
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
