#include "rapt/text/pair_joiner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

namespace {

using rapt::detail::JoinDropout;
using rapt::detail::PairJoiner;
using Symbols = std::vector<std::int32_t>;

struct Rule {
  std::int32_t left, right, joined;  // the rank is the place in the list
};

PairJoiner joiner(const std::vector<Rule>& rules, PairJoiner::Order order) {
  PairJoiner result(order);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    result.add(rules[i].left, rules[i].right, static_cast<std::int32_t>(i), rules[i].joined);
  }
  return result;
}

Symbols join(const PairJoiner& joiner, Symbols symbols, JoinDropout* dropout = nullptr) {
  PairJoiner::Work work;
  work.symbols = std::move(symbols);
  joiner.join(work, dropout);
  return work.symbols;
}

/// The definition: looks for the best pair among all.
Symbols join_naively(const std::vector<Rule>& rules, Symbols symbols, PairJoiner::Order order) {
  while (true) {
    std::size_t rank = rules.size();
    const auto matches = [&](std::size_t r, std::size_t i) {
      return symbols[i] == rules[r].left && symbols[i + 1] == rules[r].right;
    };
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      for (std::size_t r = 0; r < rank; ++r) {
        if (matches(r, i)) rank = r;
      }
    }
    if (rank == rules.size()) return symbols;
    Symbols joined;
    bool done = false;
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      if (!done && i + 1 < symbols.size() && matches(rank, i)) {
        joined.push_back(rules[rank].joined);
        ++i;
        done = order == PairJoiner::Order::one_by_one;
      } else {
        joined.push_back(symbols[i]);
      }
    }
    symbols = joined;
  }
}

TEST(PairJoiner, OrdersDifferWhenAJoinMakesABetterPair) {
  // 1 2 -> 3, and better than that, 3 1 -> 4.
  const std::vector<Rule> rules = {{3, 1, 4}, {1, 2, 3}};
  EXPECT_EQ(join(joiner(rules, PairJoiner::Order::one_by_one), {1, 2, 1, 2}), (Symbols{4, 2}));
  EXPECT_EQ(join(joiner(rules, PairJoiner::Order::all_of_a_pair), {1, 2, 1, 2}), (Symbols{3, 3}));
}

TEST(PairJoiner, TellsWhereSymbolsBegan) {
  const PairJoiner pairs = joiner({{1, 1, 2}, {2, 2, 3}}, PairJoiner::Order::one_by_one);
  PairJoiner::Work work;
  work.symbols = {1, 1, 1, 1, 1, -1, 1, 1};
  pairs.join(work);
  EXPECT_EQ(work.symbols, (Symbols{3, 1, -1, 2}));
  EXPECT_EQ(work.begins, (Symbols{0, 4, 5, 6}));
  work.symbols.clear();
  pairs.join(work);
  EXPECT_TRUE(work.symbols.empty() && work.begins.empty()) << "buffers are used again";
}

TEST(PairJoiner, TheFirstRankOfAPairCounts) {
  PairJoiner pairs(PairJoiner::Order::one_by_one);
  EXPECT_TRUE(pairs.add(1, 2, 7, 3));
  EXPECT_FALSE(pairs.add(1, 2, 0, 9));
  EXPECT_EQ(join(pairs, {1, 2}), (Symbols{3}));
}

TEST(PairJoiner, JoinsAsTheNaiveDefinition) {
  std::mt19937 random(4);
  for (const auto order : {PairJoiner::Order::one_by_one, PairJoiner::Order::all_of_a_pair}) {
    for (int round = 0; round < 2000; ++round) {
      std::vector<Rule> rules;
      std::int32_t symbols = 2 + static_cast<std::int32_t>(random() % 2);
      for (std::size_t count = 1 + random() % 12; count > 0; --count) {
        const auto draw = [&] { return static_cast<std::int32_t>(random() % static_cast<unsigned>(symbols)); };
        const std::int32_t left = draw(), right = draw();
        bool is_new = true;
        for (const Rule& rule : rules) is_new = is_new && (rule.left != left || rule.right != right);
        if (is_new) rules.push_back({left, right, symbols++});
      }
      std::shuffle(rules.begin(), rules.end(), random);
      Symbols text(random() % (round % 8 == 0 ? 120 : 30));  // few symbols and many are joined otherwise
      for (std::int32_t& symbol : text) symbol = static_cast<std::int32_t>(random() % 4) - (random() % 9 == 0 ? 1 : 0);
      for (std::int32_t& symbol : text) symbol = std::max(symbol, -1);
      EXPECT_EQ(join(joiner(rules, order), text), join_naively(rules, text, order));
    }
  }
}

TEST(JoinDropout, DrawsWithItsProbability) {
  rapt::Rng rng(12);
  for (const double p : {0.0, 0.25, 0.9, 1.0}) {
    JoinDropout dropout(p, rng.next_stream(), "test");
    constexpr int kDraws = 40000;
    int dropped = 0;
    for (int i = 0; i < kDraws; ++i) dropped += dropout.drops();
    EXPECT_NEAR(dropped, kDraws * p, 4 * std::sqrt(kDraws * p * (1 - p)));  // exact at both ends
  }
}

TEST(JoinDropout, IsLookedForAnewAtEachStep) {
  // Of 1 2 and 3 4, the one passed over in the first step may be joined in the second: after the other one is joined
  // it is left with the probability p, so that both stay apart with p^2 and just one with 2 p (1 - p) p in all.
  const PairJoiner pairs = joiner({{1, 2, 5}, {3, 4, 6}}, PairJoiner::Order::one_by_one);
  const double p = 0.4;
  rapt::Rng rng(2);
  constexpr int kDraws = 20000;
  int none = 0, one = 0;
  JoinDropout dropout(p, rng.next_stream(), "test");
  for (int i = 0; i < kDraws; ++i) {
    const std::size_t left = join(pairs, {1, 2, 3, 4}, &dropout).size();
    none += left == 4;
    one += left == 3;
  }
  const auto expect = [&](int found, double probability) {
    EXPECT_NEAR(found, kDraws * probability, 4 * std::sqrt(kDraws * probability * (1 - probability)));
  };
  expect(none, p * p);
  expect(one, (1 - p) * p + p * (1 - p) * p);
}

}  // namespace
