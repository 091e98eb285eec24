/// \file
/// IBM's model 1 against its definition, on sentences whose translation is known, and wrong input.
#include "rapt/generation/lexical_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/rng.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::LexicalTable;
using rapt::TokenBatch;
using rapt::TokenId;
using Parts = std::vector<std::string>;

struct PairsOfSentences {
  TokenBatch sources, targets;
};

/// Sentences whose targets hold 3 e + 1 modulo `vocabulary` for each source token e, in another order.
PairsOfSentences translated_sentences(Index count, TokenId vocabulary) {
  rapt::Rng rng(4);
  PairsOfSentences pairs;
  for (Index s = 0; s < count; ++s) {
    std::vector<TokenId> source, target;
    for (Index left = 3 + rng.below(5); left > 0; --left) {
      source.push_back(static_cast<TokenId>(rng.below(vocabulary)));
      target.push_back((3 * source.back() + 1) % vocabulary);
    }
    std::rotate(target.begin(), target.begin() + 1, target.end());
    pairs.sources.push_back(source);
    pairs.targets.push_back(target);
  }
  return pairs;
}

/// The same by maps; source token -1 is none.
std::map<std::pair<TokenId, TokenId>, double> by_definition(const PairsOfSentences& pairs, int iterations) {
  std::map<std::pair<TokenId, TokenId>, double> t;
  std::map<TokenId, double> sums;
  const auto sources_of = [&](Index s) {
    std::vector<TokenId> list{-1};
    for (const TokenId e : pairs.sources.sequence(s)) list.push_back(e);
    return list;
  };
  for (Index s = 0; s < pairs.sources.sequences(); ++s) {
    for (const TokenId f : pairs.targets.sequence(s)) {
      for (const TokenId e : sources_of(s)) t[{e, f}] = 1;
    }
  }
  const auto normalise = [&] {
    sums.clear();
    for (const auto& [cell, p] : t) sums[cell.first] += p;
    for (auto& [cell, p] : t) p /= sums[cell.first];
  };
  normalise();
  for (int i = 0; i < iterations; ++i) {
    std::map<std::pair<TokenId, TokenId>, double> counts;
    for (Index s = 0; s < pairs.sources.sequences(); ++s) {
      for (const TokenId f : pairs.targets.sequence(s)) {
        double sum = 0;
        for (const TokenId e : sources_of(s)) sum += t[{e, f}];
        for (const TokenId e : sources_of(s)) counts[{e, f}] += t[{e, f}] / sum;
      }
    }
    t = counts;
    normalise();
  }
  return t;
}

TEST(LexicalTable, IsItsDefinition) {
  const PairsOfSentences pairs = translated_sentences(60, 12);
  const auto expected = by_definition(pairs, 3);
  const LexicalTable table(pairs.sources, pairs.targets,
                           {.source_vocabulary = 12, .target_vocabulary = 12, .iterations = 3});
  std::size_t cells = 0;
  const auto expect_row = [&](TokenId e, const std::vector<LexicalTable::Entry>& row) {
    for (const auto& [f, p] : row) EXPECT_NEAR(p, expected.at({e, f}), 1e-12) << e << ' ' << f;
    cells += row.size();
  };
  for (TokenId e = 0; e < 12; ++e) expect_row(e, table.of(e));
  expect_row(-1, table.of_none());
  EXPECT_EQ(cells, expected.size());
}

TEST(LexicalTable, FindsTheTranslationOfEachToken) {
  const PairsOfSentences pairs = translated_sentences(400, 40);
  const LexicalTable table(pairs.sources, pairs.targets, {.source_vocabulary = 40, .target_vocabulary = 40});
  for (TokenId e = 0; e < 40; ++e) {
    const auto row = table.of(e);
    const auto best = std::max_element(row.begin(), row.end(),
                                       [](const auto& a, const auto& b) { return a.probability < b.probability; });
    ASSERT_NE(best, row.end());
    EXPECT_EQ(best->target, (3 * e + 1) % 40);
    EXPECT_GT(best->probability, 0.8);
  }
  Index tokens = 0;
  for (const Index count : table.counts()) tokens += count;
  EXPECT_EQ(tokens, pairs.targets.size());
}

TEST(LexicalTable, RefusesWhatDoesNotFit) {
  const TokenBatch one{{1, 2}}, two{{1}, {2}};
  using rapt_test::expect_message;
  expect_message<rapt::ShapeError>([&] { LexicalTable(one, two, {.source_vocabulary = 9, .target_vocabulary = 9}); },
                                   "1 sources, 2 targets");
  expect_message<rapt::ValueError>([&] { LexicalTable(one, one, {.source_vocabulary = 2, .target_vocabulary = 9}); },
                                   Parts{"source token 2", "2"});
  expect_message<rapt::ValueError>([&] { LexicalTable(one, one, {.source_vocabulary = 9, .target_vocabulary = 2}); },
                                   "target token 2");
  expect_message<rapt::ValueError>([&] { LexicalTable(one, one, {}); }, "vocabularies must be positive");
  expect_message<rapt::ValueError>(
      [&] { LexicalTable(one, one, {.source_vocabulary = 9, .target_vocabulary = Index{1} << 60}); },
      "target vocabulary");
  const LexicalTable table(one, one, {.source_vocabulary = 3, .target_vocabulary = 3});
  expect_message<rapt::ValueError>([&] { std::ignore = table.of(3); }, "source token 3");
}

}  // namespace
