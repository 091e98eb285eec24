/// \file
/// Windows of a long text.
#include "rapt/data/windows.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace {

using rapt::Index;
using rapt::TokenId;

std::vector<TokenId> counting(int count) {
  std::vector<TokenId> tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), TokenId{0});
  return tokens;
}

TEST(RandomWindows, TargetsAreTheNextTokens) {
  const auto stream = counting(20);
  rapt::Rng rng(3);
  std::set<TokenId> places;
  for (int round = 0; round < 100; ++round) {
    const auto batch = rapt::random_windows(stream, 3, 5, rng);
    ASSERT_EQ(batch.input.sequences(), 3);
    ASSERT_EQ(batch.targets.size(), 15u);
    EXPECT_TRUE(batch.rows.empty());
    for (Index i = 0; i < 3; ++i) {
      const auto window = batch.input.sequence(i);
      places.insert(window.front());
      for (std::size_t j = 0; j < 5; ++j) {
        EXPECT_EQ(window[j], window.front() + static_cast<TokenId>(j));
        EXPECT_EQ(batch.targets[static_cast<std::size_t>(i) * 5 + j], window[j] + 1);
      }
    }
  }
  EXPECT_EQ(places.size(), 15u);  // every place is drawn, the last one too
}

TEST(RandomWindows, TheSameSeedGivesTheSameWindows) {
  const auto stream = counting(1000);
  rapt::Rng a(3), b(3), c(4);
  const auto first = rapt::random_windows(stream, 8, 10, a).input.tokens;
  EXPECT_EQ(first, rapt::random_windows(stream, 8, 10, b).input.tokens);
  EXPECT_NE(first, rapt::random_windows(stream, 8, 10, c).input.tokens);
}

TEST(AllWindows, EveryTokenIsATargetOnce) {
  for (const int size : {2, 3, 10, 11, 12, 13, 50}) {
    const auto stream = counting(size);
    std::vector<TokenId> targets;
    const auto batches = rapt::all_windows(stream, 2, 4);
    for (std::size_t b = 0; b < batches.size(); ++b) {
      EXPECT_TRUE(batches[b].input.sequences() == 2 || b + 1 == batches.size());
      EXPECT_EQ(batches[b].input.tokens.size(), batches[b].targets.size());
      EXPECT_LE(batches[b].input.row_splits.longest(), 4);
      targets.insert(targets.end(), batches[b].targets.begin(), batches[b].targets.end());
    }
    EXPECT_EQ(targets, std::vector<TokenId>(stream.begin() + 1, stream.end())) << size;
  }
}

TEST(Windows, AStreamThatIsTooShortIsAnError) {
  rapt::Rng rng(1);
  EXPECT_THROW(std::ignore = rapt::random_windows(counting(5), 1, 5, rng), rapt::ValueError);
  EXPECT_THROW(std::ignore = rapt::random_windows(counting(5), 1, 0, rng), rapt::ValueError);
  EXPECT_NO_THROW(std::ignore = rapt::random_windows(counting(6), 1, 5, rng));
  EXPECT_THROW(std::ignore = rapt::all_windows(counting(1), 1, 5), rapt::ValueError);
  EXPECT_THROW(std::ignore = rapt::all_windows(counting(9), 1, 0), rapt::ValueError);
}

}  // namespace
