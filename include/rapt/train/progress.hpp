/// \file
/// The progress line of a training run, and that of other work: rewritten in place at a terminal, plain lines
/// elsewhere.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/core/shape.hpp"
#include "rapt/core/terminal.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a training loop knows after a step.
struct Progress {
  Index step = 0;                     ///< optimizer steps so far, those before a resume included
  double loss = 0;                    ///< of this step, per target
  double gradient_norm = 0;           ///< of all gradients together, before clipping
  double learning_rate = 0;           ///< of this step
  std::string_view items = "tokens";  ///< what is counted: tokens that the model reads (of both sides), or images
  double items_per_second = 0;        ///< on average since the start
  double seconds = 0;                 ///< since the start
  double seconds_left = 0;            ///< negative: not known
};

/// "1:02:03" or "2:03"
[[nodiscard]] inline std::string clock_text(double seconds) {
  const auto s = static_cast<long long>(seconds < 0 ? 0 : seconds);
  char text[64];
  if (s >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", s / 60, s % 60);
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

  /// Shows the line if it is due.
  void update(const Progress& progress) {
    if (is_due()) show(to_string(progress));
  }
  /// True if the next line would be shown, i.e. if the last one is old enough.
  [[nodiscard]] bool is_due() const {
    return !shown_ || std::chrono::duration<double>(std::chrono::steady_clock::now() - last_).count() >= interval_;
  }
  /// Shows the line in any case.
  void show(const std::string& text) {
    shown_ = true;
    last_ = std::chrono::steady_clock::now();
    std::fprintf(stream_, terminal_ ? "\r\033[K%s" : "%s\n", text.c_str());
    std::fflush(stream_);
    open_ = terminal_;
  }
  /// True if the stream is a terminal, whose line is rewritten.
  [[nodiscard]] bool is_at_terminal() const { return terminal_; }
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

/// "translating  2000 of 5000 lines  0:12  left 0:18"; without "of" if the total is not known, i.e. not positive.
[[nodiscard]] inline std::string work_text(std::string_view doing, Index done, Index total, std::string_view items,
                                           double seconds) {
  std::string text(doing);
  text += "  " + std::to_string(done);
  if (total > 0) text += " of " + std::to_string(total);
  text.append(" ").append(items).append("  ") += clock_text(seconds);
  if (total > 0 && done > 0) {
    text += "  left " + clock_text(seconds / static_cast<double>(done) * static_cast<double>(total - done));
  }
  return text;
}

/// The progress line of work that counts what it has done. It appears once the work has taken `after` seconds and goes
/// with the object:
///
///     WorkLine line("learning subwords", "tokens");
///     BytePairEncoding::learn(lines, {.report = std::ref(line)});
class WorkLine {
 public:
  /// `unit`: counts are shown in units of so many, such as 1,000,000 with the items "MB".
  /// A negative `after` means two seconds at a terminal and fifteen elsewhere.
  WorkLine(std::string doing, std::string items, Index unit = 1, std::FILE* stream = stderr, double after = -1)
      : line_(stream),
        doing_(std::move(doing)),
        items_(std::move(items)),
        unit_(unit),
        after_(after >= 0               ? after
               : line_.is_at_terminal() ? 2
                                        : 15) {}

  /// So much is done, of so much in all; a total that is not positive is not known.
  void operator()(Index done, Index total) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    if (seconds < after_ || !line_.is_due()) return;
    line_.show(work_text(doing_, done / unit_, total / unit_, items_, seconds));
  }
  /// Writes a line that stays.
  void message(const std::string& text, std::FILE* stream) { line_.message(text, stream); }

 private:
  ProgressLine line_;
  std::string doing_, items_;
  Index unit_;
  double after_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}}  // namespace rapt::RAPT_ABI
