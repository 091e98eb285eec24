/// \file
/// BERT's masking: which tokens are asked for, and what stands in their place.
#include "rapt/data/masked_language.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "rapt/core/thread_pool.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::LanguageBatch;
using rapt::MaskingOptions;
using rapt::Rng;
using rapt::TokenBatch;
using rapt::TokenId;

constexpr TokenId kMask = 4, kBegin = 0, kEnd = 9;

MaskingOptions options() { return {.vocabulary = 50, .mask = kMask, .special = {kBegin, kEnd}}; }

/// Begin, ordinary tokens of all kinds, end.
TokenBatch sequences(const std::vector<Index>& lengths) {
  TokenBatch batch;
  TokenId next = 0;
  for (const Index length : lengths) {
    std::vector<TokenId> sequence{kBegin};
    while (static_cast<Index>(sequence.size()) <= length) {
      next = (next + 7) % 50;
      if (next != kBegin && next != kEnd && next != kMask) sequence.push_back(next);
    }
    sequence.push_back(kEnd);
    batch.push_back(sequence);
  }
  return batch;
}

TEST(MaskTokens, AsksForTheShareOfEachSequence) {
  const std::vector<Index> lengths{1, 3, 10, 13, 17, 20, 100, 1000, 0};
  const TokenBatch batch = sequences(lengths);
  Rng rng(3);
  const LanguageBatch masked = mask_tokens(batch, options(), rng);
  ASSERT_EQ(masked.targets.size(), masked.rows.size());
  EXPECT_EQ(masked.input.row_splits, batch.row_splits);
  std::vector<Index> counts(lengths.size(), 0);
  for (const TokenId row : masked.rows) {
    Index s = 0;
    while (row >= batch.row_splits.end(s)) ++s;
    ++counts[static_cast<std::size_t>(s)];
  }
  EXPECT_EQ(counts, (std::vector<Index>{1, 1, 2, 2, 3, 3, 15, 150, 0}));  // rounded, but one at least
}

TEST(MaskTokens, TargetsAreWhatStoodThereAndNothingElseChanges) {
  const TokenBatch batch = sequences({40, 5, 300});
  Rng rng(5);
  const LanguageBatch masked = mask_tokens(batch, options(), rng);
  EXPECT_TRUE(std::is_sorted(masked.rows.begin(), masked.rows.end()));
  EXPECT_EQ(std::set<TokenId>(masked.rows.begin(), masked.rows.end()).size(), masked.rows.size());
  std::vector<TokenId> restored = masked.input.tokens;
  for (std::size_t i = 0; i < masked.rows.size(); ++i) {
    restored[static_cast<std::size_t>(masked.rows[i])] = masked.targets[i];
  }
  EXPECT_EQ(restored, batch.tokens);
}

TEST(MaskTokens, EightyTenTen) {
  const TokenBatch batch = sequences({200'000});
  Rng rng(7);
  const LanguageBatch masked = mask_tokens(batch, options(), rng);
  const auto count = static_cast<double>(masked.rows.size());
  EXPECT_EQ(masked.rows.size(), 30'000u);
  double hidden = 0, kept = 0;
  std::map<TokenId, int> others;
  for (std::size_t i = 0; i < masked.rows.size(); ++i) {
    const TokenId now = masked.input.tokens[static_cast<std::size_t>(masked.rows[i])];
    const TokenId before = masked.targets[i];
    EXPECT_TRUE(before != kMask && before != kBegin && before != kEnd);
    EXPECT_TRUE(now != kBegin && now != kEnd && now >= 0 && now < 50);
    if (now == kMask) {
      ++hidden;
    } else if (now == before) {
      ++kept;
    } else {
      ++others[now];
    }
  }
  // five standard deviations; one of 47 random tokens is the one that was there
  EXPECT_NEAR(hidden / count, 0.8, 0.0116);
  EXPECT_NEAR(kept / count, 0.1 + 0.1 / 47, 0.0088);
  EXPECT_EQ(others.size(), 47u);  // all but the special ones
  const double each = count * 0.1 / 47;
  for (const auto& [token, times] : others) EXPECT_NEAR(times, each, 5 * std::sqrt(each)) << token;
}

TEST(MaskTokens, EveryTokenIsAskedForEquallyOften) {
  const TokenBatch batch = sequences({20});
  Rng rng(11);
  std::vector<int> times(22);
  for (int i = 0; i < 4000; ++i) {
    for (const TokenId row : mask_tokens(batch, options(), rng).rows) ++times[static_cast<std::size_t>(row)];
  }
  EXPECT_EQ(times.front() + times.back(), 0);
  for (std::size_t i = 1; i <= 20; ++i) EXPECT_NEAR(times[i], 600, 5 * std::sqrt(600 * 0.85)) << i;
}

TEST(MaskTokens, IndependentTargetsVaryInNumber) {
  MaskingOptions each = options();
  each.rate = 0.15;
  each.mask_ratio = 1;
  each.random_ratio = 0;
  each.independent = true;
  const Index count = 3000, length = 20;
  const TokenBatch batch = sequences(std::vector<Index>(count, length));
  Rng rng(13);
  const LanguageBatch masked = mask_tokens(batch, each, rng);
  EXPECT_EQ(std::count(masked.input.tokens.begin(), masked.input.tokens.end(), kMask), std::ssize(masked.rows));
  std::vector<int> sequences_with(static_cast<std::size_t>(length) + 1, 0);
  std::vector<int> per_sequence(static_cast<std::size_t>(count), 0);
  for (std::size_t i = 0; i < masked.rows.size(); ++i) {
    EXPECT_EQ(masked.targets[i], batch.tokens[static_cast<std::size_t>(masked.rows[i])]);
    ++per_sequence[static_cast<std::size_t>(masked.rows[i] / (length + 2))];
  }
  for (const int targets : per_sequence) ++sequences_with[static_cast<std::size_t>(targets)];
  double probability = std::pow(0.85, 20);  // the binomial distribution, five standard deviations
  for (Index k = 0; k <= 8; ++k) {
    EXPECT_NEAR(sequences_with[static_cast<std::size_t>(k)], probability * count,
                5 * std::sqrt(probability * (1 - probability) * count) + 1)
        << k << " targets";
    probability *= static_cast<double>(length - k) / static_cast<double>(k + 1) * 0.15 / 0.85;
  }
}

TEST(MaskTokens, SharesCanBeChosen) {
  const TokenBatch batch = sequences({30, 30});
  Rng rng(1);
  MaskingOptions all = options();
  all.rate = 1;
  all.mask_ratio = 1;
  all.random_ratio = 0;
  const LanguageBatch hidden = mask_tokens(batch, all, rng);
  EXPECT_EQ(hidden.rows.size(), 60u);
  EXPECT_EQ(std::count(hidden.input.tokens.begin(), hidden.input.tokens.end(), kMask), 60);
  all.mask_ratio = 0;
  EXPECT_EQ(mask_tokens(batch, all, rng).input.tokens, batch.tokens);  // asked for all, changed nothing
}

TEST(MaskTokens, TheSameSeedGivesTheSame) {
  const TokenBatch batch = sequences({50, 20, 7});
  const Index before = rapt::threads();
  std::vector<LanguageBatch> results;
  for (const Index threads : {1, 3}) {
    rapt::set_threads(threads);
    Rng rng(13);
    results.push_back(mask_tokens(batch, options(), rng));
    results.push_back(mask_tokens(batch, options(), rng));
  }
  rapt::set_threads(before);
  EXPECT_EQ(results[0].input.tokens, results[2].input.tokens);
  EXPECT_EQ(results[0].rows, results[2].rows);
  EXPECT_EQ(results[1].input.tokens, results[3].input.tokens);
  EXPECT_NE(results[0].rows, results[1].rows);
}

TEST(MaskTokens, ErrorsNameTheValues) {
  const TokenBatch batch = sequences({5});
  const auto expect_error = [&](const MaskingOptions& wrong, const std::string& part) {
    Rng rng(1);
    rapt_test::expect_message<rapt::ValueError>([&] { std::ignore = mask_tokens(batch, wrong, rng); }, part);
  };
  MaskingOptions wrong = options();
  wrong.vocabulary = 20;
  expect_error(wrong, "outside the vocabulary of 20");
  wrong = options();
  wrong.mask = -1;
  expect_error(wrong, "token id -1");
  wrong = options();
  wrong.rate = 0;
  expect_error(wrong, "rate must be in (0, 1]");
  wrong = options();
  wrong.mask_ratio = 0.95;
  expect_error(wrong, "0.95, 0.1");
  wrong = options();
  for (TokenId id = 0; id < 50; ++id) wrong.special.push_back(id);
  expect_error(wrong, "all 50 tokens");
}

}  // namespace
