/// \file
/// A limit on the memory of the test's process.
#pragma once

#if !defined(_WIN32)
#include <sys/resource.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <fstream>

namespace rapt_test {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kLimitsMemory = false;  // its shadow takes terabytes of addresses
#elif defined(_WIN32)
inline constexpr bool kLimitsMemory = false;  // it has no such limit that ends with a scope
#else
inline constexpr bool kLimitsMemory = true;
#endif

/// Until the end of its life no more than `bytes` of addresses beyond today's can be had.
class MemoryLimit {
 public:
  explicit MemoryLimit([[maybe_unused]] std::uint64_t bytes) {
#if !defined(_WIN32)
    ::getrlimit(RLIMIT_AS, &old_);
    if (!kLimitsMemory) return;
    std::ifstream statm("/proc/self/statm");
    ::rlim_t pages = 0;
    statm >> pages;
    ::rlimit limit = old_;
    limit.rlim_cur = pages * static_cast<::rlim_t>(::sysconf(_SC_PAGESIZE)) + static_cast<::rlim_t>(bytes);
    ::setrlimit(RLIMIT_AS, &limit);
#endif
  }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;
  ~MemoryLimit() {
#if !defined(_WIN32)
    ::setrlimit(RLIMIT_AS, &old_);
#endif
  }

#if !defined(_WIN32)
 private:
  ::rlimit old_ = {};
#endif
};

}  // namespace rapt_test
