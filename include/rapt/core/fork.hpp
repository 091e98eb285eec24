/// \file
/// What happens at fork(). A child has one thread, the one that called fork, and a copy of the parent's memory as other
/// threads left it in the midst of their work. Whatever of the library such a thread may have held must be usable in
/// the child: the thread pool is replaced (core/thread_pool.hpp), the memory pool is not in use at the moment of the
/// fork (core/memory.hpp), values made at first use need no lock (core/first_use.hpp), and batches that were being
/// prepared are prepared anew (images/batches.hpp). Models, optimizers and other objects that a thread of the parent
/// was changing are half changed in the child.
#pragma once

#include <atomic>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// From now on every fork() of the process calls `prepare` before, `parent` and `child` after it, each in the thread
/// that forks; null pointers are not called. False if the system refuses. Meant to initialise a variable of namespace
/// scope, i.e. to run before there is a second thread.
inline bool at_fork([[maybe_unused]] void (*prepare)(), [[maybe_unused]] void (*parent)(),
                    [[maybe_unused]] void (*child)()) {
#if defined(__unix__) || defined(__APPLE__)
  return ::pthread_atfork(prepare, parent, child) == 0;
#else
  return true;  // no fork
#endif
}

/// How many forks lie between the process that was started and this one: a thread that an object started at another
/// count does not exist in this process.
inline std::atomic<unsigned>& fork_count() {
  static constinit std::atomic<unsigned> count{0};
  return count;
}

inline const bool forks_are_counted = at_fork(nullptr, nullptr, [] { ++fork_count(); });

}}}  // namespace rapt::RAPT_ABI::detail
