/// \file
/// The thread pool: every part exactly once, whoever calls from wherever.
#include "rapt/core/thread_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <numeric>

#include "tests/common/environment.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::parallel_for;
using rapt::parallel_parts;
using rapt_test::error_text;
using rapt_test::for_every_thread_count;

/// How often each of `count` parts ran.
std::vector<int> times_run(Index count) {
  std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
  parallel_parts(count, [&](Index i) { ++runs[static_cast<std::size_t>(i)]; });
  return {runs.begin(), runs.end()};
}

TEST(ThreadPool, RunsEachPartExactlyOnce) {
  for_every_thread_count([] {
    for (const Index count : {0, 1, 2, 3, 7, 64, 1000}) {
      EXPECT_EQ(times_run(count), std::vector<int>(static_cast<std::size_t>(count), 1));
    }
  });
}

TEST(ThreadPool, CutsARangeIntoGrains) {
  for_every_thread_count([] {
    for (const Index count : {0, 1, 9, 10, 11, 100}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
      parallel_for(count, 10, [&](Index begin, Index end) {
        EXPECT_EQ(begin % 10, 0);
        EXPECT_TRUE(end - begin == 10 || end == count);
        for (Index i = begin; i < end; ++i) ++runs[static_cast<std::size_t>(i)];
      });
      for (const auto& run : runs) EXPECT_EQ(run, 1);
    }
  });
}

TEST(ThreadPool, UsesAllThreads) {
  for_every_thread_count([] {
    std::atomic<Index> arrived{0};
    parallel_parts(rapt::threads(), [&](Index) {  // each part waits for the others, so each needs a thread of its own
      ++arrived;
      while (arrived < rapt::threads()) std::this_thread::yield();
    });
    EXPECT_EQ(arrived, rapt::threads());
  });
}

TEST(ThreadPool, RethrowsAnExceptionAndGoesOn) {
  for_every_thread_count([] {
    for (int repeat = 0; repeat < 50; ++repeat) {
      EXPECT_EQ(error_text<rapt::Error>([] {
                  parallel_parts(20, [](Index i) {
                    if (i == 7) rapt::fail("part", "broken");
                  });
                }),
                "[part] broken");
      EXPECT_EQ(times_run(20), std::vector<int>(20, 1));
    }
  });
}

TEST(ThreadPool, RethrowsOneOfManyExceptions) {
  for_every_thread_count([] {
    EXPECT_THROW(parallel_parts(100, [](Index) { throw rapt::ValueError("each"); }), rapt::ValueError);
    EXPECT_EQ(times_run(10), std::vector<int>(10, 1));
  });
}

TEST(ThreadPool, NestedCallsRunInPlace) {
  for_every_thread_count([] {
    std::vector<std::atomic<int>> runs(30);
    parallel_parts(5, [&](Index i) {
      const auto thread = std::this_thread::get_id();
      parallel_parts(6, [&](Index j) {
        EXPECT_EQ(std::this_thread::get_id(), thread);
        ++runs[static_cast<std::size_t>(i * 6 + j)];
      });
    });
    for (const auto& run : runs) EXPECT_EQ(run, 1);
  });
}

TEST(ThreadPool, AThreadWithoutWorkersDoesAllByItself) {
  const Index before = rapt::threads();
  rapt::set_threads(4);
  const auto parts_elsewhere = [] {
    std::atomic<int> elsewhere = 0;
    const auto here = std::this_thread::get_id();
    rapt::parallel_parts(1000, [&](Index) {
      if (std::this_thread::get_id() != here) ++elsewhere;
      std::this_thread::yield();
    });
    return elsewhere.load();
  };
  {
    const rapt::detail::WithoutWorkers scope;
    for (int i = 0; i < 20; ++i) EXPECT_EQ(parts_elsewhere(), 0);
  }
  int elsewhere = 0;  // behind the scope the workers are back
  for (int i = 0; i < 1000 && elsewhere == 0; ++i) elsewhere = parts_elsewhere();
  EXPECT_GT(elsewhere, 0);
  rapt::set_threads(before);
}

TEST(ThreadPool, ExceptionsPassThroughNestedCalls) {
  for_every_thread_count([] {
    EXPECT_THROW(
        parallel_parts(4, [](Index) { parallel_parts(4, [](Index j) { rapt::require(j != 2, "nested", "j"); }); }),
        rapt::ValueError);
    EXPECT_EQ(times_run(10), std::vector<int>(10, 1));
  });
}

TEST(ThreadPool, ServesSeveralCallersAtOnce) {
  for_every_thread_count([] {
    std::vector<std::thread> callers;
    std::vector<Index> sums(4);
    for (std::size_t c = 0; c < sums.size(); ++c) {
      callers.emplace_back([&sums, c] {
        for (int repeat = 0; repeat < 300; ++repeat) {
          std::atomic<Index> sum{0};
          parallel_parts(16, [&](Index i) { sum += i; });
          sums[c] += sum;
        }
      });
    }
    for (auto& caller : callers) caller.join();
    for (const Index sum : sums) EXPECT_EQ(sum, 300 * 120);
  });
}

TEST(ThreadPool, RunsThousandsOfTinyJobs) {
  for_every_thread_count([] {
    std::vector<Index> values(8);  // plain memory: what one job wrote, the next must see
    for (int job = 0; job < 5000; ++job) {
      parallel_parts(8, [&](Index i) { ++values[static_cast<std::size_t>(i)]; });
    }
    EXPECT_EQ(values, std::vector<Index>(8, 5000));
  });
}

TEST(ThreadPool, SleepingWorkersWakeUp) {
  for_every_thread_count([] {
    for (int job = 0; job < 10; ++job) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than workers spin
      EXPECT_EQ(times_run(16), std::vector<int>(16, 1));
    }
  });
}

TEST(ThreadPool, NumberOfThreadsCanChange) {
  const Index before = rapt::threads();
  for (int repeat = 0; repeat < 20; ++repeat) {
    for (const Index count : {1, 4, 2, 2}) {
      rapt::set_threads(count);
      EXPECT_EQ(rapt::threads(), count);
      EXPECT_EQ(times_run(9), std::vector<int>(9, 1));
    }
  }
  rapt::set_threads(before);
}

TEST(ThreadPool, NumberOfThreadsIsChecked) {
  EXPECT_EQ(error_text<rapt::ValueError>([] { rapt::set_threads(0); }),
            "[threads] the number of threads must be 1 to 4096: 0");
  EXPECT_THROW(rapt::set_threads(-1), rapt::ValueError);
  EXPECT_THROW(rapt::set_threads(5000), rapt::ValueError);
}

/// Prints the number of threads that RAPT_THREADS=wish leads to, or the error, and exits.
[[noreturn]] void print_threads_of(const char* wish) {
  rapt_test::set_variable("RAPT_THREADS", wish);
  try {
    std::fprintf(stderr, "threads %d\n", static_cast<int>(rapt::threads()));
  } catch (const rapt::ValueError& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  std::_Exit(0);
}

TEST(ThreadPoolDeathTest, EnvironmentSetsTheNumberOfThreads) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(print_threads_of("3"), testing::ExitedWithCode(0), "threads 3");
  for (const char* wrong : {"0", "-1", "two", "3x", "5000", "99999999999999999999"}) {
    EXPECT_EXIT(print_threads_of(wrong), testing::ExitedWithCode(0),
                std::string("\\[threads\\] RAPT_THREADS must be a number from 1 to 4096, not ") + wrong);
  }
}

}  // namespace
