/// \file
/// Ctrl-C and requests to end, which training jobs heed after the step that they interrupt, and searches over settings
/// when they wait for their trials.
#pragma once

#include <signal.h>

#include <array>
#include <atomic>
#include <mutex>

#include "rapt/core/error.hpp"
#include "rapt/core/system.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Thrown after Ctrl-C, or a request to end: the job has stopped after a step and has saved itself if it has a folder.
/// The message says so.
class Interrupted : public Error {
 public:
  using Error::Error;
};

namespace detail {

/// While it lives, the first Ctrl-C or request to end (SIGTERM; Ctrl-Break on Windows) sets a flag; the second one ends
/// the program at once. Threads that train one model together (LocalCommunicator) may each have one.
class InterruptListener {
 public:
  InterruptListener() {
    const std::lock_guard lock(installed().mutex);
    if (installed().listeners++ > 0) return;
    flag().store(false);
    for (std::size_t i = 0; i < kEndingSignals.size(); ++i) {
      SignalAction& old = installed().old.at(i);
      old = set_signal_handler(kEndingSignals.at(i), [](int) {
        flag().store(true);
        set_default();
      });
      // What the parent process ignores, as nohup does, stays ignored.
      if (old.is_ignored()) restore_signal(kEndingSignals.at(i), old);
    }
  }
  ~InterruptListener() {
    const std::lock_guard lock(installed().mutex);
    if (--installed().listeners > 0) return;
    for (std::size_t i = 0; i < kEndingSignals.size(); ++i) restore_signal(kEndingSignals.at(i), installed().old.at(i));
  }
  InterruptListener(const InterruptListener&) = delete;
  InterruptListener& operator=(const InterruptListener&) = delete;

  /// Makes a forked child forget the listeners of its parent: it can have its own, and is ended by a request until
  /// then.
  static void reset_in_child() {
    set_default();
    installed().listeners = 0;
    flag().store(false);
  }

  [[nodiscard]] static std::atomic<bool>& flag() {
    static std::atomic<bool> is_interrupted{false};
    return is_interrupted;
  }

 private:
  static void set_default() {
    for (const int number : kEndingSignals) ::signal(number, SIG_DFL);
  }

  /// The handlers as they were before the first of the listeners that are alive.
  struct Installed {
    std::mutex mutex;
    int listeners = 0;
    std::array<SignalAction, kEndingSignals.size()> old = {};
  };
  [[nodiscard]] static Installed& installed() {
    static Installed installed;
    return installed;
  }
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
