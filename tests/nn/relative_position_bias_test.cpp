/// \file
/// Distances between patches and their numbers.
#include "rapt/nn/relative_position_bias.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace {

using rapt::Index;
using rapt::TokenId;

TEST(RelativePositionBias, NumbersOfDistances) {
  EXPECT_EQ(rapt::relative_distances(2, 3), 18);
  const std::vector<TokenId> pairs = rapt::relative_pairs(2, 3);  // by hand: (down + 1) 5 + right + 2
  ASSERT_EQ(pairs.size(), 49u);
  const auto pair = [&](std::size_t i, std::size_t j) { return pairs[i * 7 + j]; };
  EXPECT_EQ(pair(0, 0), 17);
  EXPECT_EQ(pair(0, 4), 15);
  EXPECT_EQ(pair(4, 0), 16);
  for (std::size_t i = 1; i < 7; ++i) EXPECT_EQ(pair(i, i), 7);
  EXPECT_EQ(pair(1, 6), 0);  // one above, two to the left of the other
  EXPECT_EQ(pair(6, 1), 14);
  EXPECT_EQ(pair(2, 4), 3);  // one above, one to the right
}

TEST(RelativePositionBias, EqualDistancesHaveOneNumber) {
  const Index rows = 3, cols = 4, length = rows * cols + 1;
  const std::vector<TokenId> pairs = rapt::relative_pairs(rows, cols);
  std::map<std::pair<Index, Index>, TokenId> numbers;
  std::set<TokenId> all;
  for (Index i = 1; i < length; ++i) {
    for (Index j = 1; j < length; ++j) {
      const TokenId number = pairs[static_cast<std::size_t>(i * length + j)];
      const std::pair distance((i - 1) / cols - (j - 1) / cols, (i - 1) % cols - (j - 1) % cols);
      EXPECT_EQ(numbers.emplace(distance, number).first->second, number);
      all.insert(number);
    }
  }
  EXPECT_EQ(numbers.size(), all.size());
  EXPECT_EQ(static_cast<Index>(all.size()) + 3, rapt::relative_distances(rows, cols));
}

TEST(RelativePositionBias, WithoutClassToken) {
  EXPECT_EQ(rapt::patch_distances(2, 3), 15);
  const std::vector<TokenId> pairs = rapt::patch_pairs(2, 3), with_token = rapt::relative_pairs(2, 3);
  ASSERT_EQ(pairs.size(), 36u);
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t j = 0; j < 6; ++j) EXPECT_EQ(pairs[i * 6 + j], with_token[(i + 1) * 7 + j + 1]);
  }
}

}  // namespace
