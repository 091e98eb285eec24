/// \file
/// The progress line: its text, plain lines in a file, one rewritten line at a terminal.
#include "rapt/train/progress.hpp"

#include <gtest/gtest.h>

#if !defined(_WIN32)
#include <fcntl.h>
#include <pty.h>
#include <unistd.h>
#endif

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using rapt::clock_text;
using rapt::Index;
using rapt::Progress;
using rapt::ProgressLine;

const Progress kSome{.step = 1200,
                     .loss = 3.2144,
                     .learning_rate = 1.2e-3,
                     .items_per_second = 25130,
                     .seconds = 83.9,
                     .seconds_left = 751};

TEST(ClockText, IsMinutesOrHours) {
  EXPECT_EQ(clock_text(0), "0:00");
  EXPECT_EQ(clock_text(59.9), "0:59");
  EXPECT_EQ(clock_text(60), "1:00");
  EXPECT_EQ(clock_text(123), "2:03");
  EXPECT_EQ(clock_text(3599), "59:59");
  EXPECT_EQ(clock_text(3600), "1:00:00");
  EXPECT_EQ(clock_text(3723), "1:02:03");
  EXPECT_EQ(clock_text(100 * 3600 + 61), "100:01:01");
  EXPECT_EQ(clock_text(-5), "0:00");
}

TEST(ProgressText, NamesWhatIsKnown) {
  EXPECT_EQ(to_string(kSome), "step 1200  loss 3.214  lr 1.20e-03  25.1k tokens/s  1:23  left 12:31");
  Progress unknown = kSome;
  unknown.seconds_left = -1;
  EXPECT_EQ(to_string(unknown), "step 1200  loss 3.214  lr 1.20e-03  25.1k tokens/s  1:23");
  unknown.seconds_left = 0;
  EXPECT_EQ(to_string(unknown), "step 1200  loss 3.214  lr 1.20e-03  25.1k tokens/s  1:23  left 0:00");
}

TEST(ProgressText, IsNotCutOff) {
  Progress long_one{.step = 9'000'000'000'000'000'000, .loss = 1e30, .learning_rate = 1e-300};
  long_one.items_per_second = 1e15;
  long_one.seconds = long_one.seconds_left = 1e15;
  const std::string text = to_string(long_one);
  EXPECT_NE(text.find("left 277777777777:46:40"), std::string::npos) << text;
  EXPECT_NE(text.find("k tokens/s  277777777777:46:40"), std::string::npos) << text;
}

TEST(WorkText, NamesWhatIsKnown) {
  EXPECT_EQ(rapt::work_text("translating", 2000, 5000, "lines", 12),
            "translating  2000 of 5000 lines  0:12  left 0:18");
  EXPECT_EQ(rapt::work_text("translating", 0, 5000, "lines", 12), "translating  0 of 5000 lines  0:12");
  EXPECT_EQ(rapt::work_text("translating", 2000, 0, "lines", 72), "translating  2000 lines  1:12");
  EXPECT_EQ(rapt::work_text("reading", 5, 5, "MB", 3), "reading  5 of 5 MB  0:03  left 0:00");
}

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

std::string contents(std::FILE* file) {
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  return text;
}

TEST(ProgressLine, WritesPlainLinesIntoAFile) {
  const File file(std::tmpfile());
  ASSERT_TRUE(file);
  {
    ProgressLine line(file.get(), /*plain_interval=*/0);
    line.update(kSome);
    line.message("validation 2.5");
    Progress next = kSome;
    next.step = 1201;
    line.update(next);
  }
  Progress next = kSome;
  next.step = 1201;
  EXPECT_EQ(contents(file.get()), to_string(kSome) + "\nvalidation 2.5\n" + to_string(next) + "\n");
}

TEST(ProgressLine, LeavesLinesOutWithinTheInterval) {
  const File file(std::tmpfile());
  ASSERT_TRUE(file);
  {
    ProgressLine line(file.get(), /*plain_interval=*/3600);
    for (int i = 0; i < 100; ++i) line.update(kSome);
    line.message("a message is always written");
  }
  EXPECT_EQ(contents(file.get()), to_string(kSome) + "\na message is always written\n");
}

/// What a work line writes into a file when it is told these counts.
std::string work_in_file(Index unit, double after, const std::vector<Index>& counts) {
  const File file(std::tmpfile());
  {
    rapt::WorkLine line("reading", "MB", unit, file.get(), after);
    for (const Index done : counts) line(done, 4'000'000);
  }
  return contents(file.get());
}

TEST(WorkLine, SaysNothingOfQuickWork) { EXPECT_EQ(work_in_file(1, /*after=*/3600, {1, 2, 3}), ""); }

TEST(WorkLine, CountsInUnitsOncePerInterval) {
  EXPECT_EQ(work_in_file(1'000'000, /*after=*/0, {2'500'000, 4'000'000}), "reading  2 of 4 MB  0:00  left 0:00\n");
}

TEST(ProgressLine, RewritesTheLineAtATerminal) {
#if defined(_WIN32)
  GTEST_SKIP() << "there are no pseudo-terminals that a program opens by itself";
#else
  int reader = -1, writer = -1;
  if (openpty(&reader, &writer, nullptr, nullptr, nullptr) != 0) GTEST_SKIP() << "no pseudo-terminal";
  const File terminal(fdopen(writer, "w")), other_end(fdopen(reader, "r"));
  ASSERT_TRUE(terminal && other_end);
  Progress next = kSome;
  next.step = 1201;
  {
    ProgressLine line(terminal.get(), /*plain_interval=*/3600);
    line.update(kSome);
    line.update(next);  // too early
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    line.update(next);
    line.message("done");
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    line.update(kSome);
  }
  std::fflush(terminal.get());
  std::string text;
  ASSERT_EQ(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
  char buffer[1024];
  for (ssize_t n = read(reader, buffer, sizeof buffer); n > 0; n = read(reader, buffer, sizeof buffer)) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  const std::string clear = "\r\033[K";
  EXPECT_EQ(text,
            clear + to_string(kSome) + clear + to_string(next) + clear + "done\r\n" + clear + to_string(kSome) + clear);
#endif
}

}  // namespace
