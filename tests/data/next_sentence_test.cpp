/// \file
/// Pairs for the next-sentence task: what they are made of, how long they are, and their labels.
#include "rapt/data/next_sentence.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::NextSentenceOptions;
using rapt::Rng;
using rapt::SegmentPair;
using rapt::TokenDocument;
using rapt::TokenId;

constexpr TokenId kBegin = 1, kSeparator = 2;

NextSentenceOptions options(Index length = 32) { return {.begin = kBegin, .separator = kSeparator, .length = length}; }

/// Documents whose tokens are 1000 times the document and then count on, so that each tells where it comes from.
std::vector<TokenDocument> documents(const std::vector<std::vector<Index>>& sentence_lengths) {
  std::vector<TokenDocument> all;
  for (std::size_t d = 0; d < sentence_lengths.size(); ++d) {
    TokenDocument document;
    auto next = static_cast<TokenId>(1000 * (d + 1));
    for (const Index length : sentence_lengths[d]) {
      document.emplace_back();
      for (Index i = 0; i < length; ++i) document.back().push_back(next++);
    }
    all.push_back(std::move(document));
  }
  return all;
}

std::vector<TokenDocument> many() {
  Rng rng(4);
  std::vector<std::vector<Index>> lengths(20);
  for (auto& document : lengths) {
    for (int i = 0; i < 60; ++i) document.push_back(rng.below(13));
  }
  return documents(lengths);
}

bool counts_on(const std::vector<TokenId>& tokens) {
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    if (tokens[i] != tokens[i - 1] + 1) return false;
  }
  return true;
}

TEST(NextSentence, LabelsAreTrue) {
  const auto texts = many();
  Rng rng(9);
  const auto pairs = next_sentence_pairs(texts, options(), rng);
  ASSERT_GT(pairs.size(), 300u);
  double random = 0;
  for (const SegmentPair& pair : pairs) {
    ASSERT_FALSE(pair.first.empty() || pair.second.empty());
    EXPECT_TRUE(counts_on(pair.first) && counts_on(pair.second));
    EXPECT_LE(pair.first.size() + pair.second.size(), 29u);
    if (pair.is_random) {
      EXPECT_NE(pair.first[0] / 1000, pair.second[0] / 1000);
      ++random;
    } else {
      EXPECT_EQ(pair.second.front(), pair.first.back() + 1);  // also where both were cut
    }
  }
  const auto count = static_cast<double>(pairs.size());
  EXPECT_NEAR(random / count, 0.5, 5 * 0.5 / std::sqrt(count));
}

TEST(NextSentence, EveryFirstTextIsUsedOnce) {
  const auto texts = many();
  Rng rng(9);
  std::set<TokenId> seen;
  std::size_t tokens = 0, all = 0;
  for (const SegmentPair& pair : next_sentence_pairs(texts, options(64), rng)) {
    for (const TokenId token : pair.first) tokens += seen.insert(token).second ? 1u : 1000000u;
    if (pair.is_random) continue;
    for (const TokenId token : pair.second) tokens += seen.insert(token).second ? 1u : 1000000u;
  }
  for (const auto& document : texts) {
    for (const auto& sentence : document) all += sentence.size();
  }
  EXPECT_LE(tokens, all);
  EXPECT_GT(tokens, all * 8 / 10);  // but for what is cut off, and last sentences
}

TEST(NextSentence, LongSentencesAreCutWhereTheyDoNotMeet) {
  const auto texts = documents({{50, 60, 3}, {5, 7}});
  Rng rng(2);
  NextSentenceOptions only_next = options(23);  // room for 20
  only_next.random_ratio = 0;
  const auto pairs = next_sentence_pairs(texts, only_next, rng);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].first.size(), 10u);
  EXPECT_EQ(pairs[0].first.back(), 1049);
  EXPECT_EQ(pairs[0].second.front(), 1050);
  EXPECT_EQ(pairs[0].second.size(), 10u);
  EXPECT_EQ(pairs[1].first.size() + pairs[1].second.size(), 12u);
}

TEST(NextSentence, RandomTextsComeFromElsewhere) {
  const auto texts = documents({{4, 4, 4}, {6}, {}});
  Rng rng(2);
  NextSentenceOptions only_random = options();
  only_random.random_ratio = 1;
  const auto pairs = next_sentence_pairs(texts, only_random, rng);
  ASSERT_GE(pairs.size(), 3u);
  EXPECT_EQ(pairs.back().first.front(), 2000);
  EXPECT_EQ(pairs.back().second.front() / 1000, 1);
  for (const SegmentPair& pair : pairs) EXPECT_TRUE(pair.is_random);
}

TEST(NextSentence, BatchesHaveTypesAndLabels) {
  const std::vector<SegmentPair> pairs{{{10, 11}, {12}, false}, {{20}, {30, 31, 32}, true}};
  const auto batch = make_next_sentence_batch(pairs, options());
  EXPECT_EQ(batch.input.tokens, (std::vector<TokenId>{1, 10, 11, 2, 12, 2, 1, 20, 2, 30, 31, 32, 2}));
  EXPECT_EQ(batch.input.row_splits, rapt::RowSplits({0, 6, 13}));
  EXPECT_EQ(batch.token_types, (std::vector<TokenId>{0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(batch.is_random, (std::vector<TokenId>{0, 1}));
}

TEST(NextSentence, TheSameSeedGivesTheSame) {
  const auto texts = many();
  Rng one(9), same(9), other(10);
  const auto batch = [&](Rng& rng) {
    return make_next_sentence_batch(next_sentence_pairs(texts, options(), rng), options());
  };
  const auto first = batch(one);
  EXPECT_EQ(first.input.tokens, batch(same).input.tokens);
  EXPECT_NE(first.input.tokens, batch(other).input.tokens);
  EXPECT_NE(first.input.tokens, batch(one).input.tokens);  // the next pass
}

TEST(NextSentence, ErrorsNameTheValues) {
  const auto texts = documents({{4, 4, 4}, {}});
  const auto expect_error = [&](const NextSentenceOptions& wrong, const std::string& part) {
    Rng rng(1);
    rapt_test::expect_message<rapt::ValueError>([&] { std::ignore = next_sentence_pairs(texts, wrong, rng); }, part);
  };
  expect_error(options(4), "length must be 5 at least");
  expect_error(options(), "two at least: 1");
  NextSentenceOptions wrong = options();
  wrong.random_ratio = 1.5;
  expect_error(wrong, "random_ratio must be in [0, 1]: 1.5");
}

}  // namespace
