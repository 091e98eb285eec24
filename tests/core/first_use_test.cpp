/// \file
/// Values made at first use: one for all threads, made again after a failure, and not locked for a forked child.
#include "rapt/core/first_use.hpp"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/common/fork.hpp"

namespace {

using rapt::detail::FirstUse;

TEST(FirstUse, MakesOneValueForAllThreads) {
  static constinit FirstUse<int> value;
  std::vector<int*> seen(8);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back(
        [&seen, i] { seen[static_cast<std::size_t>(i)] = &value.get([i] { return std::make_unique<int>(i); }); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(std::set<int*>(seen.begin(), seen.end()).size(), 1u);
  EXPECT_EQ(&value.get([]() -> std::unique_ptr<int> { throw std::logic_error("made twice"); }), seen[0]);
}

TEST(FirstUse, MakesTheValueAfterAFailure) {
  static constinit FirstUse<int> value;
  EXPECT_THROW(static_cast<void>(value.get([]() -> std::unique_ptr<int> { throw std::runtime_error("no"); })),
               std::runtime_error);
  EXPECT_EQ(value.get([] { return std::make_unique<int>(7); }), 7);
}

TEST(FirstUse, ExchangeGivesTheFormerValue) {
  static constinit FirstUse<int> value;
  EXPECT_EQ(value.exchange(std::make_unique<int>(1)), nullptr);
  EXPECT_EQ(*value.exchange(std::make_unique<int>(2)), 1);
  EXPECT_EQ(*value.exchange(nullptr), 2);
  EXPECT_EQ(value.get([] { return std::make_unique<int>(3); }), 3);
  value.exchange(nullptr);
}

TEST(FirstUse, AChildMakesWhatAThreadOfTheParentIsMaking) {
  if (!rapt_test::kForks) GTEST_SKIP() << "there is no fork";
  static constinit FirstUse<int> value;
  std::atomic<bool> begun{false}, forked{false};
  std::thread maker([&] {
    EXPECT_EQ(value.get([&] {
      begun = true;
      while (!forked) std::this_thread::yield();
      return std::make_unique<int>(1);
    }),
              1);
  });
  while (!begun) std::this_thread::yield();
  EXPECT_EQ(rapt_test::exit_of_child([] {
              if (value.get([] { return std::make_unique<int>(2); }) != 2) throw std::runtime_error("not the child's");
            }),
            0);
  forked = true;
  maker.join();
}

}  // namespace
