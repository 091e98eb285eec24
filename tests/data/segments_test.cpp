#include "rapt/data/segments.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::Segments;
using rapt::TokenId;
using rapt_test::error_text;

std::vector<TokenId> numbers(std::size_t count) {
  std::vector<TokenId> tokens(count);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

TEST(Segments, GoOnWhereTheLastEnded) {
  const auto text = numbers(24);  // 23 targets: 7 for each stream, 2 are left
  const Segments segments(text, {.streams = 3, .length = 3});
  ASSERT_EQ(segments.size(), 3);
  EXPECT_EQ(segments.targets(), 21);
  EXPECT_EQ(segments[0].input.tokens, (std::vector<TokenId>{0, 1, 2, 7, 8, 9, 14, 15, 16}));
  EXPECT_EQ(segments[0].targets, (std::vector<TokenId>{1, 2, 3, 8, 9, 10, 15, 16, 17}));
  EXPECT_TRUE(segments[0].rows.empty());
  EXPECT_EQ(segments[1].input.tokens, (std::vector<TokenId>{3, 4, 5, 10, 11, 12, 17, 18, 19}));
  EXPECT_EQ(segments[1].input.row_splits, rapt::RowSplits::equal(3, 3));
  EXPECT_EQ(segments[2].input.tokens, (std::vector<TokenId>{6, 13, 20}));  // the rest
  EXPECT_EQ(segments[2].targets, (std::vector<TokenId>{7, 14, 21}));
}

TEST(Segments, EveryTargetComesOnceBehindItsToken) {
  const auto text = numbers(101);
  for (const Index streams : {1, 4, 7, 100}) {
    for (const Index length : {1, 6, 25, 1000}) {
      const Segments segments(text, {.streams = streams, .length = length});
      std::vector<int> seen(text.size());
      Index count = 0;
      for (Index t = 0; t < segments.size(); ++t) {
        const auto batch = segments[t];
        ASSERT_EQ(batch.input.tokens.size(), batch.targets.size());
        ASSERT_EQ(batch.input.sequences(), streams);
        for (std::size_t i = 0; i < batch.targets.size(); ++i) {
          EXPECT_EQ(batch.targets[i], batch.input.tokens[i] + 1);
          ++seen[static_cast<std::size_t>(batch.targets[i])];
          ++count;
        }
      }
      EXPECT_EQ(count, segments.targets());
      EXPECT_GT(count + streams, 100);
      EXPECT_LE(*std::max_element(seen.begin(), seen.end()), 1);
    }
  }
}

TEST(Segments, ErrorsNameTheSizes) {
  const auto text = numbers(5);
  EXPECT_EQ(error_text<rapt::ValueError>([&] { std::ignore = Segments(text, {.streams = 5}); }),
            "[segments] a text of 5 tokens is too short for 5 streams");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { std::ignore = Segments({}, {}); }),
            "[segments] a text of 0 tokens is too short for 1 streams");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { std::ignore = Segments(text, {.length = 0}); }),
            "[segments] sizes must be positive: streams 1, length 0");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { std::ignore = Segments(text, {.length = 3})[2]; }),
            "[segments] no segment 2 among 2");
}

}  // namespace
