/// \file
/// Waiting between polls: only lower bounds of times, as a busy machine may take longer for anything.
#include "rapt/distributed/backoff.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace {

using rapt::detail::Backoff;
using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

Clock::duration time_of_pause(Backoff& backoff) {
  const auto start = Clock::now();
  backoff.pause();
  return Clock::now() - start;
}

TEST(Backoff, SleepsLongerAndLongerAfterAWhile) {
  Backoff backoff;
  const auto start = Clock::now();
  while (Clock::now() - start < microseconds(300)) backoff.pause();
  for (int i = 0; i < 4; ++i) backoff.pause();  // 20, 40, 80 and 160 microseconds at least, or were so before
  for (int i = 0; i < 3; ++i) EXPECT_GE(time_of_pause(backoff), microseconds(200));
}

TEST(Backoff, PollsAtOnceAgainAfterAReset) {
  Backoff backoff;
  const auto start = Clock::now();
  while (Clock::now() - start < microseconds(2000)) backoff.pause();
  // Some of many pauses are short, if those after a reset do not sleep: a thread that sleeps never takes less.
  auto least = Clock::duration::max();
  for (int i = 0; i < 50; ++i) {
    backoff.reset();
    least = std::min(least, time_of_pause(backoff));
  }
  EXPECT_LT(least, microseconds(200));
}

}  // namespace
