/// \file
/// What happens at fork(). A child process has one thread, the one that called fork, and a copy of the parent's memory
/// in which the other threads' work has stopped halfway. The parts of the library that such a thread may have been
/// using must work in the child: the thread pool is replaced (core/thread_pool.hpp), the memory pool is not in use at
/// the moment of the fork (core/memory.hpp), values made at first use need no lock (core/first_use.hpp), and batches
/// that were being prepared are prepared anew (images/batches.hpp). Models, optimizers and other objects that a thread
/// of the parent was changing are half changed in the child.
#pragma once

#include <atomic>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Registers functions for every later fork() of the process: `prepare` is called before it, then `parent` and `child`
/// in the two processes, always in the thread that forks. Null pointers are not called. Returns false if the system
/// refuses. Use it to initialise a variable of namespace scope, so that it runs before there is a second thread.
inline bool at_fork([[maybe_unused]] void (*prepare)(), [[maybe_unused]] void (*parent)(),
                    [[maybe_unused]] void (*child)()) {
#if defined(__unix__) || defined(__APPLE__)
  return ::pthread_atfork(prepare, parent, child) == 0;
#else
  return true;  // There is no fork.
#endif
}

/// The number of forks between the process that was started first and this one. A thread that an object started when
/// the number was another one does not exist in this process.
inline std::atomic<unsigned>& fork_count() {
  static constinit std::atomic<unsigned> count{0};
  return count;
}

inline const bool forks_are_counted = at_fork(nullptr, nullptr, [] { ++fork_count(); });

}}}  // namespace rapt::RAPT_ABI::detail
