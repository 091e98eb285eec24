/// \file
/// Models that answer while they learn: readings stay as they are, what is published is whole, neither side waits.
#include "rapt/train/live_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/packed_weight.hpp"
#include "rapt/core/memory.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/optim/sgd.hpp"
#include "rapt/train/snapshot.hpp"
#include "rapt/train/step.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/locked_pool.hpp"

namespace {

using rapt::Index;
using rapt::Shape;

/// Two parameters that always have the same number in each element.
struct LiveNumbers {
  using ScalarType = float;
  rapt::Parameter<float> first{rapt::Tensor<float>(Shape{40, 50}, 0.f)}, second{rapt::Tensor<float>(Shape{300}, 0.f)};

  void set(float number) {
    first.mutable_value().fill(number);
    second.mutable_value().fill(number);
  }
  /// The number of all elements; nothing if they differ.
  [[nodiscard]] std::optional<float> number() const {
    const float number = first.value().data()[0];
    for (const auto values : {first.value().values(), second.value().values()}) {
      if (std::count(values.begin(), values.end(), number) != std::ssize(values)) return std::nullopt;
    }
    return number;
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("first", self.first);
    visitor("second", self.second);
  }
};

/// A batch of rows with the numbers of their classes.
struct LiveRows {
  rapt::Variable<float> rows;
  std::vector<std::int32_t> labels;

  static constexpr std::string_view kItems = "rows";
  [[nodiscard]] Index target_count() const { return std::ssize(labels); }
  [[nodiscard]] Index item_count() const { return std::ssize(labels); }
};

struct LiveClassifier {
  using ScalarType = float;
  rapt::Linear<float> hidden, output;

  explicit LiveClassifier(rapt::Rng rng = rapt::Rng(3)) : hidden(16, 32, rng), output(32, 3, rng) {}
  [[nodiscard]] rapt::Variable<float> operator()(const rapt::Variable<float>& x) const {
    return output(hidden(x, rapt::Activation::relu));
  }
  [[nodiscard]] rapt::Variable<float> loss(const LiveRows& batch) const {
    return rapt::cross_entropy((*this)(batch.rows), batch.labels);
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("hidden", self.hidden);
    visitor("output", self.output);
  }
};

using LiveNumbersModel = rapt::LiveModel<LiveNumbers>;

TEST(LiveModel, ReadersHaveWhatWasPublishedLast) {
  LiveNumbers model;
  model.set(7);
  LiveNumbersModel live(model);
  model.set(8);
  EXPECT_EQ(live.read()->number(), 7.f) << "not before it is published";
  EXPECT_EQ(live.read().version(), 0);
  for (Index version = 1; version <= 10; ++version) {
    model.set(static_cast<float>(version));
    ASSERT_TRUE(live.publish());
    EXPECT_EQ(live.version(), version);
    EXPECT_EQ(live.read().version(), version);
    EXPECT_EQ((*live.read()).number(), static_cast<float>(version));
  }
}

struct RefersToAnother {
  using ScalarType = float;
  rapt::Parameter<float>* weight;
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", *self.weight);
  }
};

TEST(LiveModel, RefusesWhatCannotBeCopied) {
  LiveClassifier model;
  rapt::Parameter<float> other(rapt::Tensor<float>(rapt::Shape{2}, 1.f));
  const RefersToAnother refers{&other};
  EXPECT_NE(rapt_test::error_text<rapt::ValueError>([&] {
              rapt::LiveModel<RefersToAnother> live(refers);
            }).find("weight is shared"),
            std::string::npos);

  rapt::LiveModel<LiveClassifier> live(model);
  rapt::pack_weights(model);
  rapt::drop_unpacked_weights(model);
  EXPECT_NE(rapt_test::error_text<rapt::ValueError>([&] { (void)live.publish(); }).find("hidden.weight"),
            std::string::npos);
  EXPECT_EQ(live.version(), 0);
}

TEST(LiveModel, FrozenParametersAreKeptOnce) {
  LiveNumbers model;
  model.set(2);
  model.first.set_frozen(true);
  const std::size_t before = rapt::memory_stats().in_use;
  rapt::reset_peak_memory();
  LiveNumbersModel live(model, 4);
  constexpr std::size_t kMost = (2000 + 4 * 2 * 300) * sizeof(float);
  EXPECT_LT(rapt::memory_stats().in_use - before, kMost) << "`first` has 2000 elements";
  EXPECT_LT(rapt::memory_stats().peak_in_use - before, kMost) << "nor are there more copies of it at construction";
  const float* const kept = live.read()->first.value().data();
  model.second.mutable_value().fill(3);
  ASSERT_TRUE(live.publish());
  EXPECT_EQ(live.read()->first.value().data(), kept);
  EXPECT_EQ(live.read()->second.value().data()[0], 3.f);
  model.first.set_frozen(false);
  rapt_test::expect_message<rapt::ValueError>([&] { (void)live.publish(); },
                                              "first was frozen at construction, so that it is not published");
  EXPECT_EQ(live.version(), 1);
}

/// What trains a model also writes to its frozen parameters, such as `keep_best` in exchange for the best ones.
TEST(LiveModel, FrozenParametersOfTheModelMayBeExchanged) {
  LiveNumbers model;
  model.set(2);
  model.first.set_frozen(true);
  LiveNumbersModel live(model);
  const auto reading = live.read();
  {
    rapt::ParameterSnapshot<float> other(model);
    model.first.mutable_value().fill(7);
    other.swap_with(model);
  }
  model.first.mutable_value() = rapt::Tensor<float>(model.first.shape(), 5.f);
  EXPECT_EQ(reading->first.value().data()[0], 2.f);
  ASSERT_TRUE(live.publish());
  EXPECT_EQ(live.read()->first.value().data()[0], 2.f);
}

/// A layer that is frozen and kept in eight bits alone, and one that is trained and packed.
TEST(LiveModel, PackedFormsAreKept) {
  LiveClassifier model;
  rapt::freeze(model, "hidden.*");
  rapt::quantize_weights(model.hidden);
  rapt::drop_unpacked_weights(model.hidden);
  rapt::pack_weights(model.output);
  rapt::LiveModel live(model);
  EXPECT_TRUE(rapt::is_kept_packed(live.read()->output.weight()));
  rapt::for_each_linear_weight(model.output,
                               [](const std::string&, auto& weight) { weight.mutable_value().fill(0.25f); });
  ASSERT_TRUE(live.publish());
  const auto reading = live.read();
  EXPECT_TRUE(rapt::is_kept_packed(reading->output.weight()));
  rapt::Rng rng(5);
  rapt::Tensor<float> numbers(Shape{2, 16});
  rng.fill_normal(numbers.values(), 0, 1);
  const rapt::Variable<float> x(std::move(numbers));
  const rapt::Inference scope;
  const rapt::Variable<float> wanted = model(x), found = (*reading)(x);
  EXPECT_TRUE(std::ranges::equal(found.value().values(), wanted.value().values()));
}

TEST(LiveModel, AReadingStaysAsItIs) {
  LiveNumbers model;
  LiveNumbersModel live(model);
  const auto reading = live.read();
  for (int i = 1; i <= 5; ++i) {
    model.set(static_cast<float>(i));
    ASSERT_TRUE(live.publish()) << "two copies take turns beside the one that is read";
    EXPECT_EQ(reading->number(), 0.f);
    EXPECT_EQ(reading.version(), 0);
  }
}

TEST(LiveModel, PublishDoesNotWaitForReaders) {
  LiveNumbers model;
  LiveNumbersModel live(model, 2);
  std::optional first = live.read(), again = live.read();
  model.set(1);
  EXPECT_TRUE(live.publish());
  model.set(2);
  const auto current = live.read();
  for (auto* reading : {&first, &again}) {
    EXPECT_FALSE(live.publish());
    EXPECT_EQ(live.version(), 1);
    EXPECT_EQ(live.read()->number(), 1.f);
    EXPECT_EQ((*reading)->version(), 0);
    reading->reset();
  }
  EXPECT_TRUE(live.publish()) << "both have left";
  EXPECT_EQ(live.read()->number(), 2.f);
  EXPECT_EQ(current->number(), 1.f);
  EXPECT_FALSE(live.publish());
}

TEST(LiveModel, AReadingThatIsMovedIsLeftOnce) {
  LiveNumbers model;
  LiveNumbersModel live(model, 2);
  {
    auto reading = live.read();
    auto other = std::move(reading);
    other = live.read();
    EXPECT_TRUE(live.publish());
    EXPECT_FALSE(live.publish());
  }
  EXPECT_TRUE(live.publish());
}

TEST(LiveModel, AnswersTakeNoLockWithMemoryOfTheirOwn) {
  if (RAPT_ADDRESS_SANITIZER != 0) GTEST_SKIP() << "blocks are not reused under the address sanitizer";
  LiveClassifier model;
  rapt::pack_weights(model);
  const rapt::LiveModel live(model);
  const rapt::Variable<float> x(rapt::Tensor<float>(Shape{2, 16}, 1.f));
  float answer = 0;
  const bool finished = rapt_test::finishes_while_the_pool_is_locked([&] {
    const auto reading = live.read();
    answer = (*reading)(x).value()(0, 0);
  });
  EXPECT_TRUE(finished);
  EXPECT_EQ(answer, model(x).value()(0, 0));
}

TEST(LiveModel, PublishingTakesNoMemory) {
  LiveNumbers model;
  LiveNumbersModel live(model);
  rapt::reset_peak_memory();
  const rapt::MemoryStats before = rapt::memory_stats();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(live.publish());
  EXPECT_EQ(rapt::memory_stats().peak_in_use, before.in_use);
  EXPECT_EQ(rapt::memory_stats().system_allocations, before.system_allocations);
}

TEST(LiveModel, WhatCannotBeCopiedIsRefused) {
  LiveNumbers model;
  for (const Index copies : {1, 257}) {
    rapt_test::expect_message<rapt::ValueError>([&] { LiveNumbersModel live(model, copies); },
                                                "2 to 256 copies, not " + std::to_string(copies));
  }
  LiveNumbersModel live(model);
  model.set(1);
  model.second.mutable_value() = rapt::Tensor<float>(Shape{3}, 2.f);
  rapt_test::expect_message<rapt::ShapeError>([&] { (void)live.publish(); },
                                              "[live_model] second has shape [3], at construction it had [300]");
  EXPECT_EQ(live.read()->number(), 0.f);
  model.second.mutable_value() = rapt::Tensor<float>(Shape{300}, 1.f);
  EXPECT_TRUE(live.publish());
  EXPECT_EQ(live.read()->number(), 1.f);

  LiveClassifier packed;
  rapt::pack_weights(packed);
  rapt::drop_unpacked_weights(packed);
  rapt_test::expect_message<rapt::ValueError>([&] { rapt::LiveModel live_packed(packed); },
                                              "hidden.weight of shape [32, 16] is kept in packed form alone");
}

/// Threads that call read(i), for i = 0 .. until the object is destroyed.
class LiveReaders {
 public:
  template <class Read>
  LiveReaders(std::size_t count, const Read& read) : reads_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, read, i] {
        do {
          read(i);
          reads_[i].fetch_add(1, std::memory_order_relaxed);
        } while (!stop_);
      });
    }
  }
  ~LiveReaders() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  /// Lets every reader end a reading that it has begun since. Relaxed, so that the thread sanitizer sees no order but
  /// the one that LiveModel makes.
  void wait() const {
    for (const std::atomic<Index>& reads : reads_) {
      const Index before = reads.load(std::memory_order_relaxed);  // the reading that it is in may have begun before
      while (reads.load(std::memory_order_relaxed) < before + 2) std::this_thread::yield();
    }
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::atomic<Index>> reads_;  // of each reader
  std::vector<std::thread> threads_;
};

TEST(LiveModel, ManyReadersSeeWholeVersionsInTheirOrder) {
  constexpr std::size_t kReaders = 4;
  LiveNumbers model;
  LiveNumbersModel live(model);
  std::vector<Index> last(kReaders, 0), wrong(kReaders, 0);
  std::vector<std::optional<LiveNumbersModel::Reading>> kept(kReaders);
  Index published = 0;
  {
    const LiveReaders readers(kReaders, [&](std::size_t i) {
      auto reading = live.read();
      const auto is_right = [&] { return reading->number() == static_cast<float>(reading.version()); };
      bool right = is_right() && reading.version() >= last[i];
      std::this_thread::yield();
      right = right && is_right();
      last[i] = reading.version();
      wrong[i] += right ? 0 : 1;
      if (i % 2 == 0) kept[i].emplace(std::move(reading));  // held until the next one is there
    });
    for (int attempt = 0; attempt < 2000; ++attempt) {
      model.set(static_cast<float>(published + 1));
      published += live.publish() ? 1 : 0;
      if (attempt % 4 == 0) readers.wait();
    }
  }
  kept.clear();
  EXPECT_GT(published, 100);
  EXPECT_EQ(wrong, std::vector<Index>(kReaders, 0));
  EXPECT_GT(*std::min_element(last.begin(), last.end()), 0);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(live.publish()) << "all have left";
}

/// The reader's answers must be those of the trained model at the moment of publishing, bit for bit. `shares`: the
/// first layer is frozen and packed, so that all readers use the same one.
void expect_answers_of_versions(bool shares) {
  constexpr std::size_t kReaders = 2;
  constexpr Index kVersions = 60;
  rapt::Rng rng(5);
  LiveClassifier model;
  if (shares) {
    rapt::freeze(model, "hidden.*");
    rapt::pack_weights(model);
  }
  rapt::Tensor<float> numbers(Shape{8, 16});
  rng.fill_normal(numbers.values(), 0, 1);
  const LiveRows batch{rapt::Variable<float>(std::move(numbers)), {0, 1, 2, 0, 1, 2, 0, 1}};

  using Answer = std::vector<float>;
  const auto answer_of = [&](const LiveClassifier& one) {
    const rapt::Tensor<float> scores = one(batch.rows).value();
    return Answer(scores.values().begin(), scores.values().end());
  };
  rapt::LiveModel live(model);
  rapt::TrainingStep<LiveClassifier, rapt::Sgd<float>> step(
      model, {.learning_rate = [](Index) { return 0.1; }, .label_smoothing = 0}, rapt::Sgd(model));
  std::vector<Answer> expected = {answer_of(model)};  // by version
  std::vector<std::vector<std::pair<Index, Answer>>> found(kReaders);
  {
    const LiveReaders readers(kReaders, [&](std::size_t i) {
      const auto reading = live.read();
      Answer answer = answer_of(*reading);
      if (found[i].empty() || found[i].back() != std::pair(reading.version(), answer)) {
        found[i].emplace_back(reading.version(), std::move(answer));
      }
    });
    while (live.version() < kVersions) {
      (void)step(std::span(&batch, 1));
      if (live.publish()) expected.push_back(answer_of(model));
      if (live.version() % 3 == 0) readers.wait();
    }
    readers.wait();
  }
  for (const auto& answers : found) {
    EXPECT_GT(answers.size(), 1u);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const auto& [version, answer] = answers[i];
      EXPECT_EQ(answer, rapt::at(expected, version)) << "version " << version;
      EXPECT_TRUE(i == 0 || version > answers[i - 1].first) << "a version always gives the same answer";
    }
  }
  EXPECT_NE(expected.front(), expected.back());
}

TEST(LiveModel, AnswersDuringTrainingAreThoseOfTheirVersion) { expect_answers_of_versions(false); }

TEST(LiveModel, AnswersWithSharedLayersAreThoseOfTheirVersion) { expect_answers_of_versions(true); }

}  // namespace
