/// \file
/// Children made by fork, with a deadline.
#pragma once

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <cstdio>
#include <exception>

namespace rapt_test {

#if defined(_WIN32)

inline constexpr bool kForks = false;  // tests skip and say so

template <class F>
[[nodiscard]] int exit_of_child(const F&, unsigned = 20) {
  return -1;
}

#else

inline constexpr bool kForks = true;

/// Calls f in a forked child, which the system kills after `seconds`. 0 if f returned, 1 if it threw (the text is
/// printed), 128 + the signal that ended the child: 142 (SIGALRM) is a child that hung.
template <class F>
[[nodiscard]] int exit_of_child(const F& f, unsigned seconds = 20) {
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::alarm(seconds);
    int code = 0;
    try {
      f();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in a forked child: %s\n", error.what());
      code = 1;
    }
    ::_exit(code);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

#endif

}  // namespace rapt_test
