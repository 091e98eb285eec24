/// \file
/// Greedy search: against a loop by hand, on a model that is a function and on a Transformer.
// covers: generation/single_path.hpp
#include "rapt/generation/greedy.hpp"

#include <gtest/gtest.h>

#include "tests/common/settings.hpp"
#include "tests/generation/random_transformer.hpp"

namespace {

using rapt::Hypothesis;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_same;
using rapt_test::one_sequence;
using rapt_test::PrefixModel;
using rapt_test::random_transformer;
using rapt_test::Tokens;

/// One source, one token after the other.
Hypothesis by_hand(const PrefixModel& model, const Tokens& source, Index longest) {
  Hypothesis result;
  Tokens prefix{1};
  for (;;) {
    const auto next = rapt_test::log_softmax(model.logits(source, prefix));
    const auto best = std::max_element(next.begin(), next.end());
    result.log_probability += *best;
    result.score = result.log_probability;
    prefix.push_back(static_cast<TokenId>(best - next.begin()));
    if (prefix.back() == 2) return result;
    result.tokens.push_back(prefix.back());
    if (static_cast<Index>(result.tokens.size()) == longest) {
      result.finished = false;
      return result;
    }
  }
}

TEST(Greedy, EqualsTheLoopByHand) {
  const TokenBatch sources = rapt_test::some_sources();
  int finished = 0, cut = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(6, seed);
    const auto found = rapt::greedy_search(model, sources, {.extra_length = 3});
    ASSERT_EQ(found.size(), 5u);
    for (Index i = 0; i < sources.sequences(); ++i) {
      const Tokens source(sources.sequence(i).begin(), sources.sequence(i).end());
      const Hypothesis expected = by_hand(model, source, sources.row_splits.length(i) + 3);
      expect_same(found[static_cast<std::size_t>(i)], expected);
      ++(expected.finished ? finished : cut);
    }
  }
  EXPECT_GT(finished, 20);  // both ways out were taken
  EXPECT_GT(cut, 20);
}

TEST(Greedy, SequencesLeaveTheBatchWhenTheyEnd) {
  // Ends after as many tokens as the source has.
  const PrefixModel model{[](const Tokens& source, const Tokens& prefix) {
    return prefix.size() > source.size() ? std::vector<double>{0, 0, 9, 0} : std::vector<double>{0, 0, 0, 9};
  }};
  const auto found = rapt::greedy_search(model, rapt_test::some_sources());
  EXPECT_EQ(model.rows_fed, (std::vector<Index>{5, 5, 3, 2, 1, 1, 1, 1}));
  EXPECT_EQ(found[3].tokens, Tokens(7, 3));
  EXPECT_EQ(found[0].tokens, Tokens(1, 3));
  for (const auto& h : found) EXPECT_TRUE(h.finished);
}

TEST(Greedy, TheEndSymbolAtOnceOrNever) {
  const double never = -std::numeric_limits<double>::infinity();
  const PrefixModel at_once{[](const Tokens&, const Tokens&) { return std::vector<double>{0, 0, 1, 0}; }};
  const auto empty = rapt::greedy_search(at_once, rapt_test::some_sources());
  for (const auto& h : empty) {
    EXPECT_TRUE(h.tokens.empty());
    EXPECT_TRUE(h.finished);
    EXPECT_NEAR(h.log_probability, 1 - std::log(3 + std::exp(1.0)), 1e-15);
  }
  const PrefixModel endless{[=](const Tokens&, const Tokens&) { return std::vector<double>{0, 0, never, 1}; }};
  const auto cut = rapt::greedy_search(endless, TokenBatch({{3}, {3, 4, 5}}), {.extra_length = 4});
  EXPECT_EQ(cut[0].tokens, Tokens(5, 3));
  EXPECT_EQ(cut[1].tokens, Tokens(7, 3));
  for (const auto& h : cut) {
    EXPECT_FALSE(h.finished);
    EXPECT_NEAR(h.log_probability, static_cast<double>(h.tokens.size()) * (1 - std::log(2 + std::exp(1.0))), 1e-13);
  }
}

TEST(Greedy, TiesGoToTheSmallestToken) {
  const PrefixModel model{[](const Tokens&, const Tokens& prefix) {
    return prefix.size() < 3 ? std::vector<double>{0, 0, 0, 4, 4} : std::vector<double>{0, 0, 4, 4, 4};
  }};
  EXPECT_EQ(rapt::greedy_search(model, TokenBatch({{5}}))[0].tokens, (Tokens{3, 3}));
}

TEST(Greedy, TheRequestMayNameBeginAndEnd) {
  const PrefixModel model{[](const Tokens&, const Tokens& prefix) {
    if (prefix.front() != 4) return std::vector<double>{0, 9, 9, 9, 9};
    return prefix.size() == 1 ? std::vector<double>{0, 0, 9, 0, 0} : std::vector<double>{0, 0, 0, 9, 0};
  }};
  const auto found =
      rapt::greedy_search(model, TokenBatch({{5}}), {}, {.marks = rapt::SequenceMarks{.begin = 4, .ends = {3}}});
  EXPECT_EQ(found[0].tokens, (Tokens{2}));
  EXPECT_TRUE(found[0].finished);
}

TEST(Greedy, NothingInNothingOut) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  EXPECT_TRUE(rapt::greedy_search(model, TokenBatch()).empty());
  EXPECT_TRUE(model.rows_fed.empty());
}

TEST(Greedy, LargeLogitsStayFinite) {
  const PrefixModel model{[](const Tokens&, const Tokens&) { return std::vector<double>{0, 1e4, 1e4, 1e4, -1e4}; }};
  const auto found = rapt::greedy_search(model, TokenBatch({{5}}), {.extra_length = 0});
  expect_same(found[0], {{1}, -std::log(3.0), -std::log(3.0), false});
}

TEST(Greedy, NumbersThatAreNoneAreAnError) {
  for (const double wrong : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    for (const std::size_t place : {0u, 17u, 40u}) {
      const PrefixModel model{[=](const Tokens&, const Tokens& prefix) {
        std::vector<double> row(41, 0.0);
        if (prefix.size() == 2) row[place] = wrong;
        return row;
      }};
      const auto text =
          rapt_test::error_text<rapt::ValueError>([&] { (void)rapt::greedy_search(model, TokenBatch({{5}})); });
      EXPECT_NE(text.find("[greedy_search]"), std::string::npos) << text;
      EXPECT_NE(text.find("sequence 0 after 1 tokens"), std::string::npos) << text;
    }
  }
}

TEST(Greedy, BatchOfOneEqualsBatchOfMany) {
  const auto model = random_transformer<float>(9, 5);
  const TokenBatch sources = rapt_test::some_sources();
  const auto together = rapt::greedy_search(model, sources);
  std::size_t tokens = 0;
  for (Index i = 0; i < sources.sequences(); ++i) {
    const auto alone = rapt::greedy_search(model, one_sequence(sources.sequence(i)));
    expect_same(together[static_cast<std::size_t>(i)], alone[0], 1e-5);
    tokens += alone[0].tokens.size();
  }
  EXPECT_GT(tokens, 5u);
}

TEST(Greedy, SameBitsOnAnyThreads) {
  const auto model = random_transformer<float>(9, 7);
  rapt_test::expect_same_bits_on_any_threads([&] {
    std::vector<double> numbers;
    for (const auto& h : rapt::greedy_search(model, rapt_test::some_sources())) {
      numbers.push_back(h.log_probability);
      numbers.insert(numbers.end(), h.tokens.begin(), h.tokens.end());
    }
    return numbers;
  });
}

}  // namespace
