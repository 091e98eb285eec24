/// \file
/// Forked children compute: whatever the parent's threads were doing, with any number of threads, and the same bits.
#include "rapt/core/fork.hpp"

#include <gtest/gtest.h>

#if !defined(_WIN32)

#include <signal.h>
#include <stdlib.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/data/batching.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/optim/adam.hpp"

#include "tests/common/fork.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt_test::exit_of_child;

constexpr Index kThreadCounts[] = {1, 2, 3, 8};
// The address sanitizer copies its tables at each fork, and the locks of its allocator are not made for it: with it the
// children are fewer, and threads of the parent do not allocate meanwhile.
constexpr bool kAddressSanitizer = RAPT_ADDRESS_SANITIZER != 0;
constexpr int kChildren = kAddressSanitizer ? 10 : 100;

void check(bool condition, const char* what) { rapt::require(condition, "fork_test", what); }

void check_parts() {
  std::array<std::atomic<int>, 64> runs{};
  rapt::parallel_parts(64, [&](Index i) { ++runs[static_cast<std::size_t>(i)]; });
  for (const auto& run : runs) check(run == 1, "each part runs once");
}

/// Trains a small model from its beginning and decodes with it, packed as well: all numbers that come out.
std::vector<float> train_and_decode() {
  rapt::Rng rng(1);
  rapt::Transformer<float> model({.source_vocabulary = 20,
                                  .target_vocabulary = 20,
                                  .d_model = 16,
                                  .heads = 2,
                                  .d_ff = 32,
                                  .encoder_layers = 1,
                                  .decoder_layers = 1},
                                 rng);
  rapt::Adam<float> adam(model);
  const std::vector<rapt::TokenPair> pairs(8, rapt::TokenPair{{3, 4, 5, 6, 7, 8}, {8, 7, 6, 5, 4, 3}});
  std::vector<float> numbers;
  for (int step = 0; step < 2; ++step) {
    const rapt::Training training(rng);
    const auto loss = model.loss(rapt::make_batch(pairs));
    rapt::backward(loss);
    adam.step(1e-2);
    numbers.push_back(loss.item());
  }
  for (const bool packed : {false, true}) {
    rapt::pack_weights(model, packed);
    const auto found = rapt::beam_search(model, rapt::TokenBatch({{3, 4, 5, 2}}), {.beam_size = 2});
    numbers.push_back(static_cast<float>(found.front().score));
  }
  return numbers;
}

void check_computing(const std::vector<float>& expected) {
  check_parts();
  const std::vector<float> numbers = train_and_decode();
  check(numbers.size() == expected.size() &&
            std::memcmp(numbers.data(), expected.data(), numbers.size() * sizeof(float)) == 0,
        "a child's numbers are the parent's");
}

/// Repeats a task in a thread of its own.
class Busy {
 public:
  template <class Task>
  explicit Busy(Task task) {
    thread_ = std::thread([this, task] {
      while (!stop_) {
        task();
        ++rounds_;
      }
    });
    while (rounds_ == 0) std::this_thread::yield();
  }
  ~Busy() {
    stop_ = true;
    thread_.join();
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> rounds_{0};
  std::thread thread_;
};

TEST(Fork, AChildComputesWithAnyNumberOfThreads) {
  rapt_test::for_every_thread_count([] {
    const std::vector<float> expected = train_and_decode();
    const Index in_parent = rapt::threads();
    for (const Index count : kThreadCounts) {
      EXPECT_EQ(exit_of_child([&] {
                  check(rapt::threads() == in_parent, "what set_threads said holds in the child");
                  check_computing(expected);
                  rapt::set_threads(count);
                  check(rapt::threads() == count, "set_threads sets the number of threads");
                  check_computing(expected);
                  rapt::set_threads(2);
                  check_parts();
                }),
                0)
          << in_parent << " threads, in the child " << count;
      EXPECT_EQ(exit_of_child([&] {
                  rapt::set_threads(count);  // first of all
                  check_parts();
                }),
                0)
          << in_parent << " threads, in the child " << count;
    }
    check_parts();  // the parent goes on with its own
    EXPECT_EQ(rapt::threads(), in_parent);
  });
}

TEST(Fork, AChildComputesWhileAThreadOfTheParentTrains) {
  const Index before = rapt::threads();
  rapt::set_threads(3);
  const std::vector<float> expected = train_and_decode();
  const Busy training([] {
    if (kAddressSanitizer) {
      check_parts();
    } else {
      train_and_decode();
    }
  });
  for (int repeat = 0; repeat < kChildren; ++repeat) {
    ASSERT_EQ(exit_of_child([&] {
                if (repeat % 2 == 1) rapt::set_threads(kThreadCounts[repeat / 2 % 4]);
                check_computing(expected);
              }),
              0)
        << "child " << repeat;
  }
  EXPECT_EQ(rapt::threads(), 3);
  rapt::set_threads(before);
}

TEST(Fork, AChildComputesWhileThreadsOfTheParentAllocate) {
  if (kAddressSanitizer) GTEST_SKIP() << "a child may wait for ever for the locks of the sanitizer's allocator";
  const auto allocate = [] {
    for (Index rows = 1; rows < 50; ++rows) rapt::Tensor<float> tensor(rapt::Shape{rows, 16});
  };
  const Busy one(allocate), other(allocate);
  for (int repeat = 0; repeat < kChildren; ++repeat) {
    ASSERT_EQ(exit_of_child([] {
                rapt::Tensor<float> tensor(rapt::Shape{5, 16}, 1.f);
                rapt::reset_peak_memory();
                check(rapt::memory_stats().in_use >= 5 * 16 * sizeof(float), "the child counts its own tensor");
                rapt::release_unused_memory();
              }),
              0)
        << "child " << repeat;
  }
}

TEST(Fork, AModelThatThreadsOfTheParentReadServesTheChild) {
  if (kAddressSanitizer) GTEST_SKIP() << "a child may wait for ever for the locks of the sanitizer's allocator";
  rapt::Rng rng(1);
  rapt::Linear<float> layer(16, 64, rng);
  rapt::pack_weights(layer);
  const rapt::Variable<float> x(rapt::Tensor<float>(rapt::Shape{1, 16}, .5f));
  const rapt::Tensor<float> expected(layer(x).value());
  const Busy reading([&] { static_cast<void>(layer(x)); });
  for (int repeat = 0; repeat < kChildren; ++repeat) {
    ASSERT_EQ(exit_of_child([&] {
                check(rapt_test::same_bits(layer(x).value(), expected), "the child's product is the parent's");
              }),
              0)
        << "child " << repeat;
  }
}

TEST(Fork, GrandchildrenCompute) {
  const std::vector<float> expected = train_and_decode();
  const unsigned forks = rapt::detail::fork_count();
  for (const bool child_computes : {false, true}) {
    EXPECT_EQ(exit_of_child([&] {
                if (child_computes) check_computing(expected);
                const int code = exit_of_child([&] {
                  check(rapt::detail::fork_count() == forks + 2, "forks are counted");
                  rapt::set_threads(3);
                  check_computing(expected);
                  check(exit_of_child([&] { check_computing(expected); }) == 0, "a great-grandchild computes");
                });
                check(code == 0, "a grandchild computes");
                check_computing(expected);
              }),
              0);
  }
}

TEST(Fork, AChildReadsTheEnvironmentUnlessTheNumberWasSet) {
  EXPECT_EQ(exit_of_child([] {
              rapt::detail::wanted_threads() = 0;  // as in a program that never called set_threads
              ::setenv("RAPT_THREADS", "5", 1);
              check(exit_of_child([] { check(rapt::threads() == 5, "RAPT_THREADS says 5"); }) == 0, "grandchild");
              check(rapt::threads() == 5, "RAPT_THREADS says 5");
              rapt::set_threads(5);
              ::setenv("RAPT_THREADS", "2", 1);
              check(exit_of_child([] { check(rapt::threads() == 5, "set_threads said 5"); }) == 0, "grandchild");
            }),
            0);
}

/// Forks in part 0, which the calling thread (or, if `in_worker`, a worker) takes. The child's exit if `leaves` it ends
/// within the part; else it returns from the part, and the text is what the section throws in the child.
int exit_of_child_of_a_section(bool in_worker, bool leaves) {
  std::atomic<bool> forked{false};
  const auto caller = std::this_thread::get_id();
  ::pid_t child = -1;
  std::string message;
  try {
    rapt::parallel_parts(64, [&](Index) {
      const bool is_worker = std::this_thread::get_id() != caller;
      if (is_worker != in_worker) {  // wait for the thread that is to fork
        while (!forked) std::this_thread::yield();
        return;
      }
      if (forked.exchange(true)) return;
      child = ::fork();
      if (child != 0) return;
      ::alarm(20);
      check_parts();
      if (leaves) ::_exit(17);
    });
  } catch (const rapt::Error& error) {
    message = error.what();
  }
  if (child == 0) {  // the part has returned, in the thread that called
    check_parts();
    ::_exit(message.find("[threads] fork: the child was forked inside a parallel section") == 0 ? 23 : 24);
  }
  int status = 0;
  if (!message.empty() || ::waitpid(child, &status, 0) != child) return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(Fork, AChildOfAParallelSectionComputesUntilItsPartReturns) {
  const Index before = rapt::threads();
  rapt::set_threads(2);
  for (const bool in_worker : {false, true}) {
    EXPECT_EQ(exit_of_child_of_a_section(in_worker, true), 17) << in_worker;
    check_parts();
  }
  EXPECT_EQ(exit_of_child_of_a_section(false, false), 23);
  EXPECT_EQ(exit_of_child_of_a_section(true, false), 128 + SIGABRT);  // a worker can tell nobody but std::terminate
  check_parts();
  rapt::set_threads(before);
}

}  // namespace

#else

TEST(Fork, AChildComputes) { GTEST_SKIP() << "there is no fork"; }

#endif
