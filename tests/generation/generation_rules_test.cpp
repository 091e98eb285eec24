/// \file
/// The rules that searches share, on models that are functions: tokens that a request allows, words that must not come,
/// when searches stop, and alternatives. tests/pretrained/generation_defaults_test.cpp compares with transformers.
// covers: generation/alternatives.hpp
// covers: generation/contexts.hpp, generation/logits_row.hpp
#include "rapt/generation/generation_rules.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "rapt/generation/alternatives.hpp"
#include "rapt/generation/batches.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/generation/prefix_model.hpp"

namespace {

using rapt::BeamSearchOptions;
using rapt::GenerationOptions;
using rapt::Hypothesis;
using rapt::Index;
using rapt::SearchRequest;
using rapt::StopCriterion;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::PrefixModel;
using rapt_test::Tokens;

/// What all searches find for all sources.
std::vector<std::vector<Hypothesis>> found_by_each(const PrefixModel& model, const TokenBatch& sources,
                                                   const GenerationOptions& options, const SearchRequest& request) {
  auto found = rapt::sample(model, sources, {.samples = 3, .generation = options}, request);
  for (auto& list : rapt::beam_search_n_best(model, sources, 4, {.beam_size = 4, .generation = options}, request)) {
    found.push_back(std::move(list));
  }
  found.push_back(rapt::greedy_search(model, sources, options, request));
  return found;
}

/// The words of (3 4 | 5)+ : an automaton whose state follows from the tokens. State 1 is between 3 and 4.
struct Automaton {
  [[nodiscard]] static int state(std::span<const TokenId> tokens) {
    int state = 0;
    for (const TokenId token : tokens) state = state == 0 && token == 3 ? 1 : 0;
    return state;
  }
  void operator()(Index, std::span<const TokenId> tokens, std::span<bool> allowed) const {
    const bool inside = state(tokens) == 1;
    for (std::size_t token = 0; token < allowed.size(); ++token) {
      allowed[token] = inside ? token == 4 : token == 3 || token == 5 || (token == 2 && !tokens.empty());
    }
  }
  [[nodiscard]] static bool matches(const Tokens& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i] == 5) continue;
      if (tokens[i] != 3 || i + 1 == tokens.size() || tokens[i + 1] != 4) return false;
      ++i;
    }
    return !tokens.empty();
  }
};

TEST(GenerationRules, AGrammarHoldsInEverySearch) {
  std::set<Tokens> different;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(8, seed, /*end_bias=*/0.5);
    for (const auto& list :
         found_by_each(model, rapt_test::some_sources(), {.extra_length = 40}, {.allowed = Automaton()})) {
      for (const Hypothesis& h : list) {
        if (!h.finished) continue;
        EXPECT_TRUE(Automaton::matches(h.tokens)) << ::testing::PrintToString(h.tokens);
        different.insert(h.tokens);
      }
    }
  }
  EXPECT_GT(different.size(), 30u);
}

TEST(GenerationRules, ARequestIsAskedBySource) {
  const TokenBatch sources = rapt_test::some_sources();
  const PrefixModel model = rapt_test::random_prefix_model(9, 1);
  const SearchRequest request{.allowed = [](Index source, std::span<const TokenId>, std::span<bool> allowed) {
    std::fill(allowed.begin(), allowed.end(), false);
    allowed[static_cast<std::size_t>(source) + 4] = true;
  }};
  const auto found =
      rapt::search_in_batches(sources, request, 4, [&](const TokenBatch& batch, const SearchRequest& of) {
        return rapt::beam_search_n_best(model, batch, 1, {.generation = {.max_length = 3}}, of);
      });
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Tokens& tokens = found[i][0].tokens;
    EXPECT_EQ(tokens, Tokens(tokens.size(), static_cast<TokenId>(i + 4)));
    EXPECT_GE(tokens.size(), 1u);
  }
  const SearchRequest nothing{.allowed = [](Index, std::span<const TokenId>, std::span<bool> allowed) {
    std::fill(allowed.begin(), allowed.end(), false);
  }};
  EXPECT_NE(rapt_test::error_text<rapt::ValueError>([&] {
              (void)rapt::greedy_search(model, sources, {}, nothing);
            }).find("[greedy_search] no token may follow for source sequence 0 after 0 tokens"),
            std::string::npos);
}

TEST(GenerationRules, RepetitionsAndBadWordsDoNotCome) {
  const std::vector<Tokens> bad{{5}, {3, 4}, {4, 4, 0}, {1, 3}};  // the begin token is 1
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(6, seed);
    for (const auto& list : found_by_each(model, rapt_test::some_sources(),
                                          {.extra_length = 8, .no_repeat_ngram_size = 3, .bad_words = bad}, {})) {
      for (const Hypothesis& h : list) {
        Tokens context{1};
        context.insert(context.end(), h.tokens.begin(), h.tokens.end());
        for (const Tokens& word : bad) {
          EXPECT_EQ(std::search(context.begin(), context.end(), word.begin(), word.end()), context.end());
        }
        std::set<Tokens> trigrams;
        for (std::size_t i = 0; i + 3 <= context.size(); ++i) {
          EXPECT_TRUE(trigrams.insert({context[i], context[i + 1], context[i + 2]}).second);
        }
      }
    }
  }
}

TEST(GenerationRules, TokensHaveTheirLogProbabilities) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(6, seed);
    for (const auto& list : found_by_each(model, rapt_test::some_sources(), {.extra_length = 3}, {})) {
      for (const Hypothesis& h : list) {
        const std::vector<double>& each = h.token_log_probabilities;
        ASSERT_EQ(each.size(), h.tokens.size() + (h.finished ? 1 : 0));
        EXPECT_NEAR(std::accumulate(each.begin(), each.end(), 0.0), h.log_probability, 1e-12);
      }
    }
  }
}

TEST(GenerationRules, PatienceWaitsForMoreHypotheses) {
  const TokenBatch sources = rapt_test::some_sources();
  Index steps_before = 0;
  std::vector<double> scores(5, -std::numeric_limits<double>::infinity());
  int improved = 0;
  for (const float patience : {0.25f, 0.5f, 1.f, 2.f, 4.f, 1e30f}) {
    Index steps = 0;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const PrefixModel model = rapt_test::random_prefix_model(7, seed);
      const auto found = rapt::beam_search(model, sources,
                                           {.beam_size = 4,
                                            .length_penalty = 1,
                                            .generation = {.extra_length = 30},
                                            .stop = StopCriterion::enough_ended,
                                            .patience = patience,
                                            .only_best_end = true});
      steps += static_cast<Index>(model.rows_fed.size());
      for (std::size_t i = 0; i < found.size() && seed == 0; ++i) {
        EXPECT_GE(found[i].score, scores[i]);  // more were compared
        improved += found[i].score > scores[i];
        scores[i] = found[i].score;
      }
    }
    EXPECT_GE(steps, steps_before);
    steps_before = steps;
  }
  EXPECT_GT(improved, 5);
  EXPECT_NE(rapt_test::error_text<rapt::ValueError>([&] {
              (void)rapt::beam_search(rapt_test::random_prefix_model(6, 1), sources, {.patience = 0});
            }).find("patience must be positive: 0"),
            std::string::npos);
}

TEST(GenerationRules, AlternativesAtAPosition) {
  const TokenBatch sources = rapt_test::some_sources();
  const TokenBatch prefix({{4, 4}, {}, {5}, {0, 1, 3}, {3}});
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(7, seed);
    const BeamSearchOptions options{.beam_size = 2, .generation = {.extra_length = 6}};
    const auto found = rapt::search_alternatives(model, sources, 3, options, {.prefix = prefix});
    for (Index i = 0; i < sources.sequences(); ++i) {
      const auto& list = found[static_cast<std::size_t>(i)];
      const Tokens given = rapt_test::tokens_of(prefix, i);
      Tokens context{1};
      context.insert(context.end(), given.begin(), given.end());
      const auto logits = model.logits(rapt_test::tokens_of(sources, i), context);
      Tokens best;
      for (const TokenId token : {0, 1, 3, 4, 5, 6}) best.push_back(token);  // 2 ends
      std::stable_sort(best.begin(), best.end(), [&](TokenId a, TokenId b) {
        return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
      });
      ASSERT_EQ(list.size(), 3u);
      for (std::size_t n = 0; n < 3; ++n) {
        Tokens beginning = given;
        beginning.push_back(best[n]);
        const auto alone = rapt::beam_search(model, rapt_test::one_sequence(rapt_test::tokens_of(sources, i)), options,
                                             {.prefix = rapt_test::one_sequence(beginning)});
        rapt_test::expect_same(list[n], alone[0]);
      }
    }
  }
}

// The best alternative leads to what beam search finds: the first free token of a beam of one is the most probable.
TEST(GenerationRules, AlternativesFollowTheRulesOfTheSearch) {
  const TokenBatch sources = rapt_test::some_sources();
  const auto even = [](Index, std::span<const TokenId>, std::span<bool> allowed) {
    for (std::size_t token = 3; token < allowed.size(); token += 2) allowed[token] = false;
  };
  Index suppressed_later = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(9, seed, /*end_bias=*/-4);
    const BeamSearchOptions options{.beam_size = 1,
                                    .generation = {.max_length = 5,
                                                   .min_length = 2,
                                                   .forced_begin = 3,
                                                   .begin_suppressed = {4, 6},
                                                   .forced_ends = {2},
                                                   .forced_tokens_are_free = true}};
    const SearchRequest request{.allowed = even};
    const auto found = rapt::search_alternatives(model, sources, 20, options, request);
    const auto best = rapt::beam_search(model, sources, options, request);
    for (std::size_t i = 0; i < best.size(); ++i) {
      ASSERT_EQ(found[i].size(), 3u);  // of 0, 1, 2, 4, 6, 8: 2 ends, 4 and 6 are suppressed
      rapt_test::expect_same(found[i][0], best[i]);
      std::set<TokenId> second;
      for (const Hypothesis& h : found[i]) {
        EXPECT_EQ(h.tokens.at(0), 3);
        EXPECT_EQ(h.token_log_probabilities.at(0), 0.0);
        second.insert(h.tokens.at(1));
        if (h.tokens.size() > 2) suppressed_later += h.tokens[2] == 4 || h.tokens[2] == 6;
      }
      EXPECT_EQ(second, (std::set<TokenId>{0, 1, 8}));
    }
  }
  EXPECT_GT(suppressed_later, 0);
}

TEST(GenerationRules, AlternativesAtTheLongestLength) {
  const PrefixModel model = rapt_test::random_prefix_model(7, 1);
  const TokenBatch sources({{3}, {4}, {5}}), prefix({{3, 4, 5}, {3}, {3, 4}});
  const auto sizes = [&](const GenerationOptions& options, SearchRequest request = {}) {
    request.prefix = prefix;
    std::vector<std::size_t> result;
    for (const auto& list : rapt::search_alternatives(model, sources, 2, {.generation = options}, request)) {
      result.push_back(list.size());
    }
    return result;
  };
  using Sizes = std::vector<std::size_t>;
  EXPECT_EQ(sizes({.max_length = 3}), (Sizes{0, 2, 2}));
  EXPECT_EQ(sizes({.max_length = 3, .forced_ends = {2}}), (Sizes{0, 2, 0}));
  const auto only_ends = [](Index source, std::span<const TokenId>, std::span<bool> allowed) {
    for (std::size_t token = 0; token < allowed.size(); ++token) allowed[token] = source == 1 || token == 2;
  };
  EXPECT_EQ(sizes({}, {.allowed = only_ends}), (Sizes{0, 2, 0}));
  const auto error = [&](const GenerationOptions& options, const SearchRequest& request) {
    return rapt_test::error_text<rapt::ValueError>(
        [&] { (void)rapt::search_alternatives(model, sources, 2, {.generation = options}, request); });
  };
  EXPECT_EQ(error({.max_length = 2}, {.prefix = TokenBatch({{}, {3}, {3, 4, 5}})}),
            "[search_alternatives] the prefix of source sequence 2 has 3 tokens, but at most 2 are allowed");
  EXPECT_EQ(error({}, {.prefix = TokenBatch({{}, {2}, {}})}),
            "[search_alternatives] the prefix of source sequence 1 contains the end symbol 2");
  EXPECT_EQ(error({}, {.on_token = [](Index, TokenId) { return true; }}),
            "[search_alternatives] on_token is for greedy search and sampling");
}

TEST(GenerationRules, AShortTotalIsNamed) {
  const double never = -std::numeric_limits<double>::infinity();
  const PrefixModel model{[=](const Tokens&, const Tokens& prefix) {
    if (prefix.size() == 3) return std::vector<double>{never, never, 0, never};
    return std::vector<double>{0, 0, 0, 3};
  }};
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>(
                [&] { (void)rapt::greedy_search(model, TokenBatch({{3}}), {.min_length = 1, .min_total_length = 4}); }),
            "[greedy_search] the model allows only the end symbol for source sequence 0 after 2 tokens, which with the "
            "1 before them are less than min_total_length 4");
}

TEST(GenerationRules, GreedyLogProbabilitiesUnderAPenaltyAreTheModels) {
  const TokenBatch sources = rapt_test::some_sources();
  int repeated = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(6, seed, /*end_bias=*/-3);
    const auto found =
        rapt::greedy_search(model, sources, {.extra_length = 8, .min_length = 3, .repetition_penalty = 1.3f});
    for (Index i = 0; i < sources.sequences(); ++i) {
      const Hypothesis& h = found[static_cast<std::size_t>(i)];
      Tokens context{1}, chosen = h.tokens;
      if (h.finished) chosen.push_back(2);
      ASSERT_EQ(h.token_log_probabilities.size(), chosen.size());
      for (std::size_t k = 0; k < chosen.size(); ++k) {
        const auto of_model = rapt_test::next_token(model)(rapt_test::tokens_of(sources, i), context);
        EXPECT_NEAR(h.token_log_probabilities[k], of_model[static_cast<std::size_t>(chosen[k])], 1e-12);
        repeated += std::count(context.begin(), context.end(), chosen[k]) > 0;
        context.push_back(chosen[k]);
      }
    }
  }
  EXPECT_GT(repeated, 10);
}

}  // namespace
