/// \file
/// The progress line of a training run: rewritten in place at a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "rapt/core/shape.hpp"
#include "rapt/core/terminal.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a training loop knows after a step.
struct Progress {
  Index step = 0;
  double loss = 0;  ///< of this step, per target
  double gradient_norm = 0;
  double learning_rate = 0;
  std::string_view items = "tokens";  ///< what is counted: tokens that the model reads (of both sides), or images
  double items_per_second = 0;        ///< on average since the start
  double seconds = 0;                 ///< since the start
  double seconds_left = 0;            ///< negative: not known
};

/// "1:02:03" or "2:03"
[[nodiscard]] inline std::string clock_text(double seconds) {
  const auto s = static_cast<long>(seconds < 0 ? 0 : seconds);
  char text[64];
  if (s >= 3600) {
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  }
  return text;
}

/// "step 1200  loss 3.214  lr 1.20e-03  25.1k tokens/s  4:02  left 12:31"
[[nodiscard]] inline std::string to_string(const Progress& p) {
  char text[192];
  std::snprintf(text, sizeof text, "step %lld  loss %.3f  lr %.2e  %.1fk %.*s/s  %s", static_cast<long long>(p.step),
                p.loss, p.learning_rate, p.items_per_second / 1000, static_cast<int>(p.items.size()), p.items.data(),
                clock_text(p.seconds).c_str());
  std::string line = text;
  if (p.seconds_left >= 0) line += "  left " + clock_text(p.seconds_left);
  return line;
}

/// Writes progress to a stream. At a terminal one line is rewritten a few times a second; elsewhere a line is added
/// every `plain_interval` seconds. `message` writes a line that stays, to the same stream or to another one.
class ProgressLine {
 public:
  explicit ProgressLine(std::FILE* stream = stderr, double plain_interval = 15)
      : stream_(stream), terminal_(detail::is_terminal(stream)), interval_(terminal_ ? 0.2 : plain_interval) {}
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(const Progress& progress) {
    const auto now = std::chrono::steady_clock::now();
    if (shown_ && std::chrono::duration<double>(now - last_).count() < interval_) return;
    shown_ = true;
    last_ = now;
    std::fprintf(stream_, terminal_ ? "\r\033[K%s" : "%s\n", to_string(progress).c_str());
    std::fflush(stream_);
    open_ = terminal_;
  }
  void message(const std::string& text) { message(text, stream_); }
  void message(const std::string& text, std::FILE* stream) {
    clear();
    std::fflush(stream_);
    std::fprintf(stream, "%s\n", text.c_str());
    std::fflush(stream);
  }

 private:
  void clear() {
    if (open_) std::fputs("\r\033[K", stream_);
    open_ = false;
  }

  std::FILE* stream_;
  bool terminal_, open_ = false, shown_ = false;
  double interval_;
  std::chrono::steady_clock::time_point last_;
};

}}  // namespace rapt::RAPT_ABI
