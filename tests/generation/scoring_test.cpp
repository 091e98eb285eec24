/// \file
/// Scores of given translations: against sums by hand, in one pass and step by step.
#include "rapt/generation/scoring.hpp"

#include <gtest/gtest.h>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/ensemble.hpp"
#include "tests/common/settings.hpp"
#include "tests/generation/random_transformer.hpp"

namespace {

using rapt::Hypothesis;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::PrefixModel;
using rapt_test::Tokens;
using rapt_test::tokens_of;

static_assert(rapt::TeacherForcedModel<rapt::Transformer<float>>);
static_assert(rapt::TeacherForcedModel<rapt::Transformer<double>>);
static_assert(!rapt::TeacherForcedModel<PrefixModel>);
static_assert(!rapt::TeacherForcedModel<rapt::Ensemble<rapt::Transformer<float>>>);

TokenBatch some_targets() { return TokenBatch({{3, 4}, {}, {5, 5, 5, 5, 4, 3}, {1}, {4, 3, 0}}); }

/// Log-probabilities of the tokens of a target and of its end.
std::vector<double> by_hand(const rapt_test::NextToken& next, const Tokens& source, const Tokens& target, bool ends) {
  Tokens prefix{1}, output = target;
  if (ends) output.push_back(2);
  std::vector<double> result;
  for (const TokenId token : output) {
    result.push_back(next(source, prefix)[static_cast<std::size_t>(token)]);
    prefix.push_back(token);
  }
  return result;
}

template <class M>
void expect_scores(const M& model, const rapt_test::NextToken& next, double tolerance) {
  const TokenBatch sources = rapt_test::some_sources(), targets = some_targets();
  for (const bool ends : {true, false}) {
    const auto scores = rapt::score(model, sources, targets, {.count_end = ends});
    ASSERT_EQ(scores.size(), 5u);
    for (Index i = 0; i < 5; ++i) {
      const auto expected = by_hand(next, tokens_of(sources, i), tokens_of(targets, i), ends);
      const auto& ours = scores[static_cast<std::size_t>(i)];
      ASSERT_EQ(ours.of_each_token.size(), expected.size());
      double sum = 0;
      for (std::size_t t = 0; t < expected.size(); ++t) {
        EXPECT_NEAR(ours.of_each_token[t], expected[t], tolerance);
        sum += expected[t];
      }
      EXPECT_NEAR(ours.log_probability, sum, 5 * tolerance);
    }
  }
}

TEST(Scoring, EqualsTheSumByHand) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(6, seed);
    expect_scores(model, rapt_test::next_token(model), 1e-12);
  }
  const auto transformer = rapt_test::random_transformer<double>(9, 1);
  expect_scores(transformer, rapt_test::next_token(transformer), 1e-10);
  const auto single = rapt_test::random_transformer<float>(9, 1);
  expect_scores(single, rapt_test::next_token(single), rapt_test::allowed<float>(1e-5));
}

TEST(Scoring, SequencesLeaveTheBatchAtTheirEnd) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  std::ignore = rapt::score(model, rapt_test::some_sources(), some_targets());
  EXPECT_EQ(model.rows_fed, (std::vector<Index>{5, 4, 3, 2, 1, 1, 1}));
  model.rows_fed.clear();
  std::ignore = rapt::score(model, rapt_test::some_sources(), some_targets(), {.count_end = false});
  EXPECT_EQ(model.rows_fed, (std::vector<Index>{4, 3, 2, 1, 1, 1}));
}

TEST(Scoring, OneProbabilityIsSharedByAllTargets) {
  // The probabilities of all sequences of up to 4 tokens, and of all beginnings of 4, are 1 together.
  const PrefixModel model = rapt_test::random_prefix_model(4, 3);
  TokenBatch whole, begun;
  const std::function<void(const Tokens&)> visit = [&](const Tokens& tokens) {
    if (tokens.size() == 4) {
      begun.push_back(tokens);
      return;
    }
    whole.push_back(tokens);
    for (const TokenId token : {0, 1, 3}) {
      Tokens next = tokens;
      next.push_back(token);
      visit(next);
    }
  };
  visit({});
  double sum = 0;
  for (const auto* targets : {&whole, &begun}) {
    const TokenBatch sources(std::vector<Tokens>(static_cast<std::size_t>(targets->sequences()), Tokens{3, 0}));
    for (const auto& s : rapt::score(model, sources, *targets, {.count_end = targets == &whole})) {
      sum += std::exp(s.log_probability);
    }
  }
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(Scoring, WhatASearchFoundHasItsLogProbability) {
  const TokenBatch sources = rapt_test::some_sources();
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(6, seed);
    const auto found = rapt::beam_search(model, sources, {.generation = {.extra_length = 2}});
    const auto scores = rapt::score(model, sources, found);
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(scores[i].log_probability, found[i].log_probability, 1e-12);
      EXPECT_EQ(scores[i].of_each_token.size(), found[i].tokens.size() + (found[i].finished ? 1 : 0));
    }
  }
}

/// Continues prompts, and says itself what ends them.
struct PromptModel : PrefixModel {
  static constexpr bool kDecoderOnly = true;
  std::vector<TokenId> ends;
  [[nodiscard]] rapt::SequenceMarks sequence_marks() const { return {.ends = ends}; }
};

TEST(Scoring, WhatContinuesAPromptIsReadBehindItsLastToken) {
  const TokenBatch prompts({{3, 4}, {5}, {0, 1, 2}});
  for (const std::vector<TokenId>& ends : {std::vector<TokenId>{4}, {}}) {
    const PromptModel model{rapt_test::random_prefix_model(6, 1), ends};
    const auto found = rapt::beam_search(model, prompts, {.length_penalty = 0, .generation = {.extra_length = 4}});
    const auto scores = rapt::score(model, prompts, found);
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(scores[i].log_probability, found[i].log_probability, 1e-12);
    }
  }
}

TEST(Scoring, MarksOfTheOptionsWinOverTheModels) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  const auto scores =
      rapt::score(model, TokenBatch({{3}}), TokenBatch({{4}}), {.marks = rapt::SequenceMarks{.begin = 5, .ends = {0}}});
  const auto next = rapt_test::next_token(model);
  EXPECT_NEAR(scores[0].log_probability, next({3}, {5})[4] + next({3}, {5, 4})[0], 1e-12);
}

TEST(Scoring, MoreTokensThanABlockHasRows) {
  const auto model = rapt_test::random_transformer<float>(9, 4);
  TokenBatch sources, targets;
  for (Index i = 0; i < 60; ++i) {
    const Tokens source{3, static_cast<TokenId>(i % 9)};
    sources.push_back(source);
    targets.push_back(Tokens(static_cast<std::size_t>(i % 13), static_cast<TokenId>(i % 7)));
  }
  const auto together = rapt::score(model, sources, targets);
  const auto steps = rapt::score(rapt::Ensemble({&model}), sources, targets);  // one token at a time
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < together.size(); ++i) {
    ASSERT_EQ(together[i].of_each_token.size(), steps[i].of_each_token.size());
    for (std::size_t t = 0; t < steps[i].of_each_token.size(); ++t, ++tokens) {
      EXPECT_NEAR(together[i].of_each_token[t], steps[i].of_each_token[t], rapt_test::allowed<float>(1e-5));
    }
  }
  EXPECT_GT(tokens, 256u);
}

TEST(Scoring, IsNotRecordedAndHasNoDropout) {
  const auto model = rapt_test::random_transformer<double>(9, 4);
  const auto run = [&] { return rapt::score(model, rapt_test::some_sources(), some_targets())[2].of_each_token; };
  const auto expected = run();
  rapt::Rng rng(1);
  const rapt::Training training(rng);
  EXPECT_TRUE(rapt_test::same_bits(run(), expected));
  EXPECT_EQ(rng.state().streams_taken, 0u);
}

TEST(Scoring, NothingInNothingOut) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  EXPECT_TRUE(rapt::score(model, TokenBatch(), TokenBatch()).empty());
  const auto nothing = rapt::score(model, TokenBatch({{3}}), TokenBatch({{}}), {.count_end = false});
  EXPECT_EQ(nothing[0].log_probability, 0);
  EXPECT_TRUE(model.rows_fed.empty());
  const auto transformer = rapt_test::random_transformer<float>(9, 4);
  EXPECT_EQ(rapt::score(transformer, TokenBatch({{3}}), TokenBatch({{}}), {.count_end = false})[0].log_probability, 0);
}

TEST(Scoring, WrongUseIsAnError) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  const auto transformer = rapt_test::random_transformer<float>(9, 4);
  EXPECT_EQ(rapt_test::error_text<rapt::ShapeError>([&] {
              (void)rapt::score(model, TokenBatch({{3}, {4}}), TokenBatch({{3}}));
            }),
            "[score] 2 source sequences, 1 target sequences");
  for (const TokenId token : {-1, 6}) {
    EXPECT_NE(rapt_test::error_text<rapt::ValueError>([&] {
                (void)rapt::score(model, TokenBatch({{3}}), TokenBatch({{3, token}}));
              }).find("[score] token id " + std::to_string(token)),
              std::string::npos);
  }
  EXPECT_NE(rapt_test::error_text<rapt::ValueError>([&] {
              (void)rapt::score(transformer, TokenBatch({{3}}), TokenBatch({{3, 9}}), {.count_end = false});
            }).find("token id 9"),
            std::string::npos);
  const PrefixModel broken{[](const Tokens&, const Tokens&) { return std::vector<double>{0, NAN, 0}; }};
  EXPECT_EQ(
      rapt_test::error_text<rapt::ValueError>([&] { (void)rapt::score(broken, TokenBatch({{3}}), TokenBatch({{0}})); }),
      "[score] the model's logits are not finite");
}

TEST(Scoring, SameBitsOnAnyThreads) {
  const auto model = rapt_test::random_transformer<float>(9, 7);
  rapt_test::expect_same_bits_on_any_threads([&] {
    std::vector<double> numbers;
    for (const auto& s : rapt::score(model, rapt_test::some_sources(), some_targets())) {
      numbers.insert(numbers.end(), s.of_each_token.begin(), s.of_each_token.end());
    }
    return numbers;
  });
}

/// Rows are the logits of every step: those of the model without a state.
template <class M>
void expect_step_logits(const M& model, const rapt_test::NextToken& next, double tolerance) {
  const TokenBatch sources = rapt_test::some_sources();
  const auto found = rapt::beam_search(model, sources, {.beam_size = 3, .generation = {.max_length = 5}});
  const auto logits = rapt::step_logits(model, sources, std::span<const Hypothesis>(found));
  ASSERT_EQ(logits.size(), found.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(logits[i].rows(), std::ssize(found[i].tokens) + (found[i].finished ? 1 : 0));
    Tokens prefix{1};
    for (Index t = 0; t < logits[i].rows(); ++t) {
      const auto* row = logits[i].row(t);
      const auto ours = rapt_test::log_softmax(std::vector<double>(row, row + logits[i].cols()));
      const auto expected = next(tokens_of(sources, static_cast<Index>(i)), prefix);
      ASSERT_EQ(ours.size(), expected.size());
      for (std::size_t j = 0; j < ours.size(); ++j) EXPECT_NEAR(ours[j], expected[j], tolerance);
      if (t < std::ssize(found[i].tokens)) prefix.push_back(rapt::at(found[i].tokens, t));
    }
  }
}

TEST(Scoring, LogitsOfEveryStep) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 3);
  expect_step_logits(model, rapt_test::next_token(model), 1e-12);
  const auto transformer = rapt_test::random_transformer<double>(9, 1);
  expect_step_logits(transformer, rapt_test::next_token(transformer), 1e-10);
}

}  // namespace
