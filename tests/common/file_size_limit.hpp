/// \file
/// A limit on the size of the files that the test's process writes, which is what a full disk looks like.
#pragma once

#include <csignal>
#include <cstdint>

#if !defined(_WIN32)
#include <sys/resource.h>
#endif

namespace rapt_test {

/// Windows has no such limit: tests skip there and say so.
#if defined(_WIN32)
inline constexpr bool kLimitsFiles = false;
#else
inline constexpr bool kLimitsFiles = true;
#endif

/// Files may grow to `bytes` within the scope; then writing fails.
class FileSizeLimit {
 public:
  explicit FileSizeLimit([[maybe_unused]] std::uint64_t bytes) {
#if !defined(_WIN32)
    ::getrlimit(RLIMIT_FSIZE, &old_);
    ::rlimit limit = old_;
    limit.rlim_cur = static_cast<::rlim_t>(bytes);
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
#endif
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
#if !defined(_WIN32)
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
#endif
  }

#if !defined(_WIN32)
 private:
  ::rlimit old_ = {};
  void (*old_handler_)(int) = nullptr;
#endif
};

}  // namespace rapt_test
