/// \file
/// A limit on the memory of the test's process.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace rapt_test {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kLimitsMemory = false;  // its shadow takes terabytes of addresses
#else
inline constexpr bool kLimitsMemory = true;
#endif

/// Until the end of its life no more than `bytes` of addresses beyond today's can be had.
class MemoryLimit {
 public:
  explicit MemoryLimit(::rlim_t bytes) {
    ::getrlimit(RLIMIT_AS, &old_);
    if (!kLimitsMemory) return;
    std::ifstream statm("/proc/self/statm");
    ::rlim_t pages = 0;
    statm >> pages;
    ::rlimit limit = old_;
    limit.rlim_cur = pages * static_cast<::rlim_t>(::sysconf(_SC_PAGESIZE)) + bytes;
    ::setrlimit(RLIMIT_AS, &limit);
  }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;
  ~MemoryLimit() { ::setrlimit(RLIMIT_AS, &old_); }

 private:
  ::rlimit old_ = {};
};

}  // namespace rapt_test
