/// \file
/// Ctrl-C and requests to end, which training jobs heed after the step that they interrupt.
#pragma once

#include <signal.h>

#include <atomic>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// While it lives, the first Ctrl-C or request to end (SIGTERM) sets a flag; the second one ends the program at once.
class InterruptListener {
 public:
  InterruptListener() {
    struct sigaction action = {};
    action.sa_handler = [](int) {
      flag().store(true);
      ::signal(SIGINT, SIG_DFL);
      ::signal(SIGTERM, SIG_DFL);
    };
    flag().store(false);
    ::sigaction(SIGINT, &action, &old_[0]);
    ::sigaction(SIGTERM, &action, &old_[1]);
    // What the parent process ignores, as nohup does, stays ignored.
    if (old_[0].sa_handler == SIG_IGN) ::sigaction(SIGINT, &old_[0], nullptr);
    if (old_[1].sa_handler == SIG_IGN) ::sigaction(SIGTERM, &old_[1], nullptr);
  }
  ~InterruptListener() {
    ::sigaction(SIGINT, &old_[0], nullptr);
    ::sigaction(SIGTERM, &old_[1], nullptr);
  }
  InterruptListener(const InterruptListener&) = delete;
  InterruptListener& operator=(const InterruptListener&) = delete;

  [[nodiscard]] static std::atomic<bool>& flag() {
    static std::atomic<bool> is_interrupted{false};
    return is_interrupted;
  }

 private:
  struct sigaction old_[2] = {};
};

}}}  // namespace rapt::RAPT_ABI::detail
