/// \file
/// A trial in a process of its own, so that whatever happens to it, happens to it alone: it may crash or be killed for
/// want of memory, and all that it has allocated is given back. POSIX only.
#pragma once

#if defined(_WIN32)
#error "rapt/search/ runs its trials in forked processes, which Windows does not have."
#endif

#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/system.hpp"
#include "rapt/train/interrupt.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// How the process of a trial has ended.
struct TrialEnd {
  std::optional<double> score = {};  ///< finite
  std::string failure = {};          ///< without a score: why
  bool is_interrupted = false;       ///< it has heeded a request to end, and has no result yet
};

/// A forked child that computes a score.
class TrialProcess {
 public:
  /// Forks a child that calls `objective()`. What the child prints is added to the file `output`. It has a process
  /// group of its own, so that Ctrl-C reaches the search alone. On Linux it is killed when the search is; elsewhere it
  /// goes on, and keeps the lock of the log. Throws IoError.
  template <class F>
  TrialProcess(const std::filesystem::path& output, const F& objective) {
    int ends[2];
    if (::pipe(ends) != 0) fail_with(errno, "cannot make a pipe");
    FileDescriptor read_end(ends[0]), write_end(ends[1]);
    std::fflush(nullptr);  // what is buffered must not be printed by both
    const ::pid_t parent = ::getpid();
    process_ = ::fork();
    if (process_ < 0) fail_with(errno, "cannot fork");
    if (process_ == 0) run_child(parent, output, write_end.get(), objective);
    result_ = std::move(read_end);
  }
  TrialProcess(TrialProcess&& other) noexcept
      : process_(std::exchange(other.process_, 0)), result_(std::move(other.result_)) {}
  TrialProcess& operator=(TrialProcess&& other) noexcept {
    std::swap(process_, other.process_);
    std::swap(result_, other.result_);
    return *this;
  }
  ~TrialProcess() {
    if (process_ <= 0) return;
    signal(SIGKILL);
    static_cast<void>(reap());
  }

  /// Can be read from as soon as `wait` does not wait for long.
  [[nodiscard]] int descriptor() const { return result_.get(); }
  /// Sends a signal to the process.
  void signal(int number) const { static_cast<void>(::kill(process_, number)); }

  /// Waits for the end. Once.
  [[nodiscard]] TrialEnd wait() {
    std::string text;
    char part[512];
    while (text.find('\n') == std::string::npos) {
      const ::ssize_t count = ::read(result_.get(), part, sizeof part);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      text.append(part, static_cast<std::size_t>(count));
    }
    const int status = reap();
    const auto said = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (said.is_object()) {
      if (said.contains("score")) return {.score = said["score"].get<double>()};
      if (said.contains("failure")) return {.failure = said["failure"].get<std::string>()};
      return {.is_interrupted = true};
    }
    if (WIFSIGNALED(status)) {
      const int number = WTERMSIG(status);
      return {.failure =
                  "the process was ended by signal " + std::to_string(number) + " (" + ::strsignal(number) + ")"};
    }
    return {.failure = "the process has ended without a score, with code " + std::to_string(WEXITSTATUS(status))};
  }

 private:
  /// What is thrown here, such as std::bad_alloc by what is not the objective, must not reach the search that the child
  /// is a copy of: it ends the child (SIGABRT).
  template <class F>
  [[noreturn]] static void run_child(::pid_t parent, const std::filesystem::path& output, int result,
                                     const F& objective) noexcept {
    InterruptListener::reset_in_child();
    ::setpgid(0, 0);
#ifdef __linux__
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    if (std::FILE* file = std::fopen("/proc/self/oom_score_adj", "w")) {  // a lack of memory ends the trial first
      std::fputs("500", file);
      std::fclose(file);
    }
#else
    static_cast<void>(parent);
#endif
    const int nothing = ::open("/dev/null", O_RDONLY),
              printed = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(printed >= 0 ? printed : nothing, STDOUT_FILENO);
    ::dup2(printed >= 0 ? printed : nothing, STDERR_FILENO);
    nlohmann::json said = nlohmann::json::object();
    try {
      const double score = objective();
      if (std::isfinite(score)) {
        said["score"] = score;
      } else {
        said["failure"] = "the score is not a finite number: " + std::to_string(score);
      }
    } catch (const Interrupted&) {
      said["interrupted"] = true;
    } catch (const std::exception& error) {
      said["failure"] = std::string(error.what()).substr(0, 1000);
    } catch (...) {
      said["failure"] = "something was thrown that is no std::exception";
    }
    std::fflush(nullptr);
    const std::string line =
        said.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace) + '\n';
    const bool is_said = ::write(result, line.data(), line.size()) == static_cast<::ssize_t>(line.size());
    ::_exit(is_said ? 0 : 1);
  }

  /// The status of the child that has ended, or ends soon.
  int reap() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = 0;
    return status;
  }
  [[noreturn]] static void fail_with(int error, const char* what) {
    fail<IoError>("trial_process", what, ": ", system_reason(error));
  }

  ::pid_t process_ = 0;
  FileDescriptor result_;  // one line of JSON
};

}}}  // namespace rapt::RAPT_ABI::detail
