/// \file
/// Whether a thread with memory of its own gets on while another one holds the memory pool's lock.
#pragma once

#include <chrono>
#include <future>
#include <thread>

#include "rapt/core/memory.hpp"

namespace rapt_test {

/// Calls `work` twice in a thread that has a ThreadMemory, the second time while the pool is locked. Returns false if
/// the second call has not ended after a minute, as it waits for the lock, which it is then given.
template <class Work>
[[nodiscard]] bool finishes_while_the_pool_is_locked(const Work& work) {
  std::promise<void> is_warm, is_locked, is_done;
  std::thread thread([&] {
    const rapt::ThreadMemory memory;
    work();
    is_warm.set_value();
    is_locked.get_future().wait();
    work();
    is_done.set_value();
  });
  is_warm.get_future().wait();
  std::future<void> done = is_done.get_future();
  rapt::detail::memory_pool().lock();
  is_locked.set_value();
  const bool finished = done.wait_for(std::chrono::minutes(1)) == std::future_status::ready;
  rapt::detail::memory_pool().unlock();
  thread.join();
  return finished;
}

}  // namespace rapt_test
