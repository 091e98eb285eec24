/// \file
/// Row splits and token batches: sequences laid end to end.
#include "rapt/core/token_batch.hpp"

#include <gtest/gtest.h>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::RowSplits;
using rapt::ShapeError;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::error_text;

TEST(RowSplits, DefaultHasNoSequences) {
  const RowSplits splits;
  EXPECT_EQ(splits.sequences(), 0);
  EXPECT_EQ(splits.rows(), 0);
  EXPECT_EQ(splits.longest(), 0);
  EXPECT_EQ(splits, RowSplits(std::vector<Index>{0}));
}

TEST(RowSplits, OffsetsGiveBeginEndAndLength) {
  const RowSplits splits(std::vector<Index>{0, 3, 3, 8});
  EXPECT_EQ(splits.sequences(), 3);
  EXPECT_EQ(splits.rows(), 8);
  EXPECT_EQ(splits.begin(2), 3);
  EXPECT_EQ(splits.end(2), 8);
  EXPECT_EQ(splits.length(1), 0);
  EXPECT_EQ(splits.longest(), 5);
}

TEST(RowSplits, AreMadeOfEqualOrGivenLengths) {
  EXPECT_EQ(RowSplits::equal(3, 4), RowSplits(std::vector<Index>{0, 4, 8, 12}));
  EXPECT_EQ(RowSplits::equal(0, 4), RowSplits());
  const std::vector<Index> lengths{2, 0, 5};
  EXPECT_EQ(RowSplits::from_lengths(lengths), RowSplits(std::vector<Index>{0, 2, 2, 7}));
}

TEST(RowSplits, RefuseOffsetsThatAreNone) {
  EXPECT_EQ(error_text<ShapeError>([] { RowSplits(std::vector<Index>{}); }), "[row_splits] offsets must start with 0");
  EXPECT_EQ(error_text<ShapeError>([] {
              RowSplits(std::vector<Index>{1, 2});
            }),
            "[row_splits] offsets must start with 0");
  EXPECT_EQ(error_text<ShapeError>([] {
              RowSplits(std::vector<Index>{0, 5, 4});
            }),
            "[row_splits] offsets must not fall: at 2");
  RowSplits splits;
  EXPECT_EQ(error_text<ShapeError>([&] { splits.push_back(-1); }), "[row_splits] negative length -1");
}

TEST(TokenBatch, LaysSequencesEndToEnd) {
  TokenBatch batch({{5, 6, 7}, {}, {8, 9}});
  EXPECT_EQ(batch.sequences(), 3);
  EXPECT_EQ(batch.size(), 5);
  EXPECT_EQ(batch.tokens, (std::vector<TokenId>{5, 6, 7, 8, 9}));
  EXPECT_EQ(batch.sequence(2)[1], 9);
  EXPECT_TRUE(batch.sequence(1).empty());
  batch.clear();
  EXPECT_EQ(batch.sequences(), 0);
  EXPECT_EQ(batch.size(), 0);
}

TEST(TokenBatch, GrowsBySequences) {
  const std::vector<TokenId> tokens{1, 2, 3};
  TokenBatch batch(std::vector<std::vector<TokenId>>{tokens});
  batch.push_back(tokens);
  EXPECT_EQ(batch.sequences(), 2);
  EXPECT_EQ(batch.sequence(1)[2], 3);
  EXPECT_EQ(batch.size(), 6);
}

TEST(TokenBatch, IdsOutsideOfTheVocabularyAreNamed) {
  const std::vector<TokenId> tokens{1, 9, 10};
  EXPECT_NO_THROW(rapt::require_ids(tokens, 11, "embedding"));
  EXPECT_EQ(error_text<rapt::ValueError>([&] { rapt::require_ids(tokens, 10, "embedding"); }),
            "[embedding] token id 10 at position 2 is outside the vocabulary of 10");
  const std::vector<TokenId> negative{0, -1};
  EXPECT_THROW(rapt::require_ids(negative, 10, "embedding"), rapt::ValueError);
  EXPECT_NO_THROW(rapt::require_ids(negative, 10, "cross_entropy", /*ignored=*/-1));
  EXPECT_THROW(rapt::require_ids(negative, 10, "cross_entropy", /*ignored=*/-2), rapt::ValueError);
}

}  // namespace
