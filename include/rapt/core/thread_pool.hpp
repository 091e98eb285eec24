/// \file
/// The thread pool. Work is cut into parts by sizes alone and not by the number of threads, so that results are the
/// same bits on any number of threads.
///
/// A forked child gets a pool of its own at its first use, with as many threads as `set_threads` said in the parent, or
/// else as RAPT_THREADS or the machine say. A child that is forked inside a parallel section, i.e. by code that a part
/// calls, can compute, too, but the section's other parts are the parent's: when the part returns, no further one
/// starts, and the section throws Error in the child; if it was a worker that forked, std::terminate is called.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/first_use.hpp"
#include "rapt/core/fork.hpp"
#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Runs numbered tasks on the calling thread and on workers. Only one caller at a time gets the workers. Other callers,
/// such as several threads that use one model, or nested calls, run their tasks themselves.
class ThreadPool {
 public:
  explicit ThreadPool(Index threads) {
    try {
      for (Index i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
    } catch (...) {  // the system has no more threads
      stop_workers();
      throw;
    }
  }
  ~ThreadPool() { stop_workers(); }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] Index threads() const { return std::ssize(workers_) + 1; }

  /// Calls call(context, 0) .. call(context, count - 1), each once, in no particular order. Rethrows the first
  /// exception. A task comes as a pointer to a function, as a template would be compiled for every loop of a program.
  void run(Index count, const void* context, void (*call)(const void*, Index)) {
    std::unique_lock lock(callers_, std::defer_lock);
    if (count <= 1 || workers_.empty() || inside() || !lock.try_lock()) {
      for (Index i = 0; i < count; ++i) call(context, i);
      return;
    }
    context_ = context;
    call_ = call;
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    error_ = nullptr;
    failed_.store(false, std::memory_order_relaxed);
    gate_.fetch_and(~kClosed, std::memory_order_release);
    generation_.fetch_add(1);  // sequentially consistent with sleepers_: no wake-up is missed
    if (sleepers_.load() > 0) generation_.notify_all();
    take_tasks();
    gate_.fetch_or(kClosed, std::memory_order_acq_rel);
    // Workers may still run their last task; on a busy machine one may have been suspended in it.
    for (int spin = 0; (gate_.load(std::memory_order_acquire) & ~kClosed) != 0; ++spin) {
      if (spin < kSpins) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  /// Called in a forked child, where the workers do not exist and their locks and counters stay as they are. The pool
  /// must never be used or destroyed again. If the calling thread is inside a parallel section, this ends the section.
  void abandon(ThreadPool* abandoned_before) {
    abandoned_before_ = abandoned_before;
    if (!inside()) return;
    inside() = false;  // The rest of this part may use the child's own pool.
    next_.store(count_);
    gate_.store(kClosed);
    stop_ = true;
    generation_.fetch_add(1);
    failed_.store(true);
    new (&error_) std::exception_ptr(  // constructed anew, as another thread may have been writing it
        std::make_exception_ptr(Error("[threads] fork: the child was forked inside a parallel section, whose other "
                                      "parts run in the parent alone: it must end, by _exit or exec, before its part "
                                      "returns")));
  }

 private:
  friend class WithoutWorkers;
  static constexpr unsigned kClosed = 1u << 31;
  static constexpr int kSpins = 4000;  // about 50 microseconds: the gap between two kernels of a training step

  void stop_workers() {
    stop_ = true;
    generation_.fetch_add(1);
    generation_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  static bool& inside() {
    thread_local bool flag = false;
    return flag;
  }
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  void take_tasks() {
    inside() = true;
    for (Index i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1)) {
      try {
        call_(context_, i);
      } catch (...) {
        if (!failed_.exchange(true)) error_ = std::current_exception();  // The gate makes it visible to the caller.
        next_.store(count_);
      }
    }
    inside() = false;
  }

  void work() {
    unsigned seen = 0;
    for (;;) {
      for (int spin = 0; generation_.load(std::memory_order_acquire) == seen && spin < kSpins; ++spin) pause();
      if (generation_.load() == seen) {
        ++sleepers_;
        generation_.wait(seen);
        --sleepers_;
      }
      seen = generation_.load();
      if (stop_) {
        if (error_) std::rethrow_exception(error_);  // There is no caller to rethrow it: see abandon.
        return;
      }
      // Enter unless the job has ended: while the gate is closed, the next caller may rewrite the job's fields.
      if ((gate_.fetch_add(1, std::memory_order_acq_rel) & kClosed) == 0) take_tasks();
      gate_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex callers_;
  std::atomic<unsigned> generation_{0}, gate_{kClosed};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false}, failed_{false};
  std::atomic<Index> next_{0};
  Index count_ = 0;
  const void* context_ = nullptr;
  void (*call_)(const void*, Index) = nullptr;
  std::exception_ptr error_;  // of the thread that set failed_
  ThreadPool* abandoned_before_ = nullptr;
};

/// The number of threads that `set_threads` was called with; 0 if it was not called.
inline std::atomic<Index>& wanted_threads() {
  static constinit std::atomic<Index> count{0};
  return count;
}

inline FirstUse<ThreadPool>& thread_pool_slot() {
  static constinit FirstUse<ThreadPool> slot;
  return slot;
}

[[nodiscard]] inline std::unique_ptr<ThreadPool> make_thread_pool() {
  Index threads = wanted_threads();
  if (threads == 0) {
    threads = std::max<Index>(1, static_cast<Index>(std::thread::hardware_concurrency()));
    if (const char* wish = std::getenv("RAPT_THREADS"); wish != nullptr && *wish != '\0') {
      char* end = nullptr;
      threads = std::strtol(wish, &end, 10);
      require(*end == '\0' && threads >= 1 && threads <= 4096, "threads",
              "RAPT_THREADS must be a number from 1 to 4096, not ", std::string_view(wish));
    }
  }
  return std::make_unique<ThreadPool>(threads);
}

inline ThreadPool& thread_pool() { return thread_pool_slot().get(make_thread_pool); }

/// Calls call(context, 0) .. call(context, parts - 1) on the program's pool.
[[gnu::noinline]] inline void run_parts(Index parts, const void* context, void (*call)(const void*, Index)) {
  thread_pool().run(parts, context, call);
}

/// While it lives, the calling thread runs its tasks itself and leaves the workers to others: for a thread that does a
/// little work beside the one that computes.
class [[nodiscard]] WithoutWorkers {
 public:
  WithoutWorkers() : previous_(std::exchange(ThreadPool::inside(), true)) {}
  ~WithoutWorkers() { ThreadPool::inside() = previous_; }
  WithoutWorkers(const WithoutWorkers&) = delete;
  WithoutWorkers& operator=(const WithoutWorkers&) = delete;

 private:
  bool previous_;
};

inline const bool thread_pool_is_new_after_fork = at_fork(nullptr, nullptr, [] {
  static constinit ThreadPool* abandoned = nullptr;  // a list of all abandoned pools, so that leak checkers find them
  if (ThreadPool* pool = thread_pool_slot().exchange(nullptr).release()) {
    pool->abandon(std::exchange(abandoned, pool));
  }
});

}  // namespace detail

/// The number of threads that kernels use, with the calling one: as many as the machine has, unless the environment
/// variable RAPT_THREADS or set_threads says another number.
[[nodiscard]] inline Index threads() { return detail::thread_pool().threads(); }

/// Changes the number of threads. Must not be called while another thread computes.
inline void set_threads(Index count) {
  require(count >= 1 && count <= 4096, "threads", "the number of threads must be 1 to 4096: ", count);
  if (count == threads()) {
    detail::wanted_threads() = count;
    return;
  }
  auto pool = std::make_unique<detail::ThreadPool>(count);
  detail::wanted_threads() = count;
  detail::thread_pool_slot().exchange(std::move(pool)).reset();
}

/// Calls f(part) for part = 0 .. parts - 1 on all threads, in no particular order. Rethrows the first exception.
template <class F>
void parallel_parts(Index parts, const F& f) {
  detail::run_parts(parts, &f, [](const void* context, Index part) { (*static_cast<const F*>(context))(part); });
}

/// Divides 0 .. count into parts of `grain` (the last may be shorter) and calls f(begin, end) for each, on all threads.
template <class F>
void parallel_for(Index count, Index grain, const F& f) {
  const Index parts = (count + grain - 1) / grain;
  parallel_parts(parts, [&](Index part) { f(part * grain, std::min(count, (part + 1) * grain)); });
}

}}  // namespace rapt::RAPT_ABI
