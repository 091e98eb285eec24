/// \file
/// Batches of like length: every sequence once, in the order of lengths, and as many together as there is room for.
// covers: core/work_report.hpp
#include "rapt/core/length_batches.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <random>
#include <span>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::RowSplits;

/// The batches, sorted, as calls come in any order.
std::vector<std::vector<Index>> batches_of(const RowSplits& splits, Index most_tokens) {
  std::mutex mutex;
  std::vector<std::vector<Index>> batches;
  rapt::for_batches_of_like_length(splits, most_tokens, [&](std::span<const Index> numbers) {
    const std::scoped_lock lock(mutex);
    batches.emplace_back(numbers.begin(), numbers.end());
  });
  std::sort(batches.begin(), batches.end());
  return batches;
}

TEST(LengthBatches, PutSequencesOfLikeLengthTogether) {
  const std::vector<Index> lengths = {5, 1, 12, 2, 5, 0};
  const RowSplits splits = RowSplits::from_lengths(lengths);
  EXPECT_EQ(batches_of(splits, 8), (std::vector<std::vector<Index>>{{2}, {4}, {5, 1, 3, 0}}));
  EXPECT_EQ(batches_of(splits, 100), (std::vector<std::vector<Index>>{{5, 1, 3, 0, 4, 2}}));
  EXPECT_EQ(batches_of(splits, 1), (std::vector<std::vector<Index>>{{0}, {2}, {3}, {4}, {5, 1}}));
  EXPECT_TRUE(batches_of(RowSplits(), 8).empty());
}

TEST(LengthBatches, TellHowManySequencesAreDone) {
  const std::vector<Index> lengths = {5, 1, 12, 2, 5, 0};
  const RowSplits splits = RowSplits::from_lengths(lengths);
  rapt_test::for_every_thread_count([&] {
    std::vector<Index> told;
    rapt::for_batches_of_like_length(
        splits, 1, [](std::span<const Index>) {},
        [&](Index done, Index total) {
          EXPECT_EQ(total, 6);
          told.push_back(done);
        });
    ASSERT_EQ(told.size(), 5u);  // batches, one of which has two sequences
    EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
    EXPECT_EQ(told.back(), 6);
  });
}

TEST(LengthBatches, AreTheSameOnAnyThreadsAndLackNothing) {
  std::mt19937 random(1);
  RowSplits splits;
  for (int i = 0; i < 500; ++i) splits.push_back(static_cast<Index>(random() % 40));
  const auto expected = batches_of(splits, 64);
  std::vector<Index> all;
  for (const std::vector<Index>& batch : expected) {
    Index tokens = 0;
    for (const Index i : batch) tokens += splits.length(i);
    EXPECT_LE(tokens, 64);
    EXPECT_TRUE(std::is_sorted(batch.begin(), batch.end(),
                               [&](Index a, Index b) { return splits.length(a) < splits.length(b); }));
    all.insert(all.end(), batch.begin(), batch.end());
  }
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), 500u);
  for (Index i = 0; i < 500; ++i) EXPECT_EQ(rapt::at(all, i), i);
  rapt_test::for_every_thread_count([&] { EXPECT_EQ(batches_of(splits, 64), expected); });
}

TEST(LengthBatches, ErrorsComeThrough) {
  const RowSplits splits = RowSplits::equal(9, 3);
  EXPECT_THROW(
      rapt::for_batches_of_like_length(
          splits, 6, [](std::span<const Index> numbers) { rapt::require(numbers.size() > 1, "test", "alone"); }),
      rapt::ValueError);
}

}  // namespace
