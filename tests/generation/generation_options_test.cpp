/// \file
/// Lengths, marks and prefixes: the same rules in every search, and the errors of what does not fit.
// covers: core/sequence_marks.hpp, generation/search_request.hpp
#include "rapt/generation/generation_options.hpp"

#include <gtest/gtest.h>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/sequence_marks.hpp"
#include "tests/generation/prefix_model.hpp"

namespace {

using rapt::GenerationOptions;
using rapt::Hypothesis;
using rapt::Index;
using rapt::SearchRequest;
using rapt::SequenceMarks;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::PrefixModel;
using rapt_test::Tokens;
using rapt_test::tokens_of;

struct Search {
  std::string name;
  std::function<std::vector<Hypothesis>(const PrefixModel&, const TokenBatch&, const GenerationOptions&,
                                        const SearchRequest&)>
      run_with;

  [[nodiscard]] std::vector<Hypothesis> run(const PrefixModel& model, const TokenBatch& source,
                                            const GenerationOptions& options, const SearchRequest& request = {}) const {
    return run_with(model, source, options, request);
  }
};

std::vector<Search> searches() {
  return {{"greedy_search", [](const auto& model, const auto& source, const auto& options,
                               const auto& request) { return rapt::greedy_search(model, source, options, request); }},
          {"beam_search",
           [](const auto& model, const auto& source, const auto& options, const auto& request) {
             return rapt::beam_search(model, source, {.beam_size = 3, .generation = options}, request);
           }},
          {"sample", [](const auto& model, const auto& source, const auto& options, const auto& request) {
             std::vector<Hypothesis> all;
             for (auto& list : rapt::sample(model, source, {.generation = options}, request))
               all.push_back(list.front());
             return all;
           }}};
}

/// The sum of the model's log-probabilities of what was found.
double log_probability_of(const PrefixModel& model, const Tokens& source, const Hypothesis& h) {
  Tokens prefix{1}, output = h.tokens;
  if (h.finished) output.push_back(2);
  double sum = 0;
  for (const TokenId token : output) {
    sum += rapt_test::log_softmax(model.logits(source, prefix))[static_cast<std::size_t>(token)];
    prefix.push_back(token);
  }
  return sum;
}

TEST(GenerationOptions, DefaultsAreTheDocumentedOnes) {
  const GenerationOptions options;
  EXPECT_EQ(options.extra_length, 50);
  EXPECT_EQ(options.min_length, 0);
  EXPECT_EQ(options.max_length, std::numeric_limits<Index>::max());
  const SearchRequest request;
  EXPECT_FALSE(request.marks.has_value());  // the model's
  EXPECT_EQ(request.prefix.sequences(), 0);
}

/// A model with the given marks.
struct KnowingModel : PrefixModel {
  SequenceMarks marks;
  [[nodiscard]] SequenceMarks sequence_marks() const { return marks; }
};
/// The same that reads prompts: the tokens of a prompt are its source but for the last.
struct PromptModel : KnowingModel {
  static constexpr bool kDecoderOnly = true;
};

/// Says 3, 4, 5, 0, 1, 2, 3, .. behind whatever was fed first, and where it must not the number behind that.
PrefixModel counting_model() {
  return {[](const Tokens&, const Tokens& prefix) {
    std::vector<double> row(6, 0.0);
    row[(prefix.size() + 2) % 6] = 40;
    row[(prefix.size() + 3) % 6] = 20;
    return row;
  }};
}

template <class M>
std::vector<Tokens> found_by_all(const M& model, const TokenBatch& source, const GenerationOptions& options,
                                 const SearchRequest& request) {
  return {rapt::greedy_search(model, source, options, request)[0].tokens,
          rapt::beam_search(model, source, {.beam_size = 3, .generation = options}, request)[0].tokens,
          rapt::sample(model, source, {.generation = options}, request)[0][0].tokens};
}

template <class M>
void expect_found(const M& model, const TokenBatch& source, const GenerationOptions& options, const Tokens& expected,
                  const SearchRequest& request = {}) {
  for (const Tokens& found : found_by_all(model, source, options, request)) EXPECT_EQ(found, expected);
}

TEST(GenerationOptions, TheModelSaysWhatEndsItsSequences) {
  const TokenBatch source({{3}});
  KnowingModel model{counting_model(), {.begin = 1, .ends = {5}}};
  expect_found(model, source, {.extra_length = 7}, {3, 4});
  expect_found(model, source, {.extra_length = 7, .min_length = 3}, {3, 4, 0, 0, 1, 2, 3, 4});
  model.marks.ends = {1, 0, 2};  // whichever comes first
  expect_found(model, source, {.extra_length = 7}, {3, 4, 5});
  model.marks.ends = {};
  expect_found(model, source, {.extra_length = 7}, {3, 4, 5, 0, 1, 2, 3, 4});
  model.marks.max_length = 3;
  expect_found(model, source, {.extra_length = 7}, {3, 4, 5});
  expect_found(model, source, {.extra_length = 7, .max_length = 2}, {3, 4});
}

TEST(GenerationOptions, MarksOfTheRequestWinOverTheModels) {
  const TokenBatch source({{3}});
  const KnowingModel model{counting_model(), {.begin = 1, .ends = {5}}};
  expect_found(model, source, {.extra_length = 7}, {3, 4, 5}, rapt_test::ended_by(model, {0}));
  expect_found(model, source, {.extra_length = 7}, {3, 4, 5, 0, 1, 2, 3, 4}, rapt_test::endless(model));
  expect_found(model, source, {.extra_length = 7}, {3, 4, 5, 0}, rapt_test::ended_by(model, {-1, 1}));
  expect_found(model, source, {.extra_length = 7}, {3}, rapt_test::ended_by(model, {5, 4}));
}

TEST(GenerationOptions, TheModelSaysWhatIsFedFirst) {
  const PrefixModel echo{[](const Tokens&, const Tokens& prefix) {
    std::vector<double> row(6, 0.0);
    row[static_cast<std::size_t>(prefix.front())] = 40;
    return row;
  }};
  const TokenBatch source({{3}});
  const KnowingModel model{echo, {.begin = 4, .ends = {}}};
  expect_found(model, source, {.extra_length = 0}, {4});
  expect_found(model, source, {.extra_length = 0}, {5}, {.marks = SequenceMarks{.begin = 5}});
  // A model that continues prompts reads it in the place of an empty one.
  const PromptModel prompts{{echo, {.begin = 4, .ends = {}}}};
  expect_found(prompts, TokenBatch({{}}), {.extra_length = 1}, {4});
  expect_found(prompts, TokenBatch({{}}), {.extra_length = 1}, {0}, {.marks = SequenceMarks{.begin = 0}});
  expect_found(prompts, TokenBatch({{2, 3}}), {.extra_length = 1}, {3});
  const auto found = rapt::greedy_search(prompts, TokenBatch({{5}, {}, {3}}), {.extra_length = 1});
  EXPECT_EQ(found[0].tokens, Tokens{5});
  EXPECT_EQ(found[1].tokens, Tokens{4});
  EXPECT_EQ(found[2].tokens, Tokens{3});
  const PromptModel without{{echo, {}}};
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] {
              (void)rapt::greedy_search(without, TokenBatch({{3}, {}}), {.extra_length = 1});
            }),
            "[greedy_search] prompt 1 is empty, and the model has no begin token");
  const KnowingModel nothing_to_feed{echo, {.ends = {2}}};
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { (void)rapt::greedy_search(nothing_to_feed, source); }),
            "[greedy_search] the model has no begin token");
}

TEST(GenerationOptions, ForcedAndSuppressedTokensOfTheModel) {
  const TokenBatch source({{3}});
  KnowingModel model{counting_model(), {.begin = 1, .ends = {2}, .forced_begin = 1}};
  expect_found(model, source, {.extra_length = 7}, {1, 4, 5, 0, 1});
  expect_found(model, source, {.extra_length = 7}, {0, 0, 5, 0, 1}, {.prefix = TokenBatch({{0, 0}})});
  expect_found(model, source, {.extra_length = 7}, {1, 4, 5, 0, 1}, {.prefix = TokenBatch({{}})});
  model.marks = {.begin = 1, .ends = {2}, .suppressed = {4, 99, -1}};
  expect_found(model, source, {.extra_length = 7}, {3, 5, 5, 0, 1});
  model.marks.suppressed = {0, 1, 2, 3, 4, 5};
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { (void)rapt::greedy_search(model, source); }),
            "[greedy_search] no token may follow for source sequence 0 after 0 tokens: 6 tokens are suppressed");
}

TEST(GenerationOptions, LengthsHold) {
  const TokenBatch sources = rapt_test::some_sources();
  const Index kNoLimit = std::numeric_limits<Index>::max();
  for (const Search& search : searches()) {
    SCOPED_TRACE(search.name);
    int shortest = 0, longest = 0, between = 0;
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
      const PrefixModel model = rapt_test::random_prefix_model(6, seed, /*end_bias=*/1);
      for (const auto& [extra, least, most] : {std::tuple<Index, Index, Index>{3, 0, kNoLimit},
                                               {3, 2, kNoLimit},
                                               {3, 4, 6},
                                               {3, 2, 2},
                                               {kNoLimit, 5, 9},
                                               {0, 1, 4}}) {
        const auto found = search.run(model, sources, {.extra_length = extra, .max_length = most, .min_length = least});
        for (Index i = 0; i < sources.sequences(); ++i) {
          const Hypothesis& h = found[static_cast<std::size_t>(i)];
          const Index source_length = sources.row_splits.length(i);
          const Index limit = extra == kNoLimit ? most : std::min(most, source_length + extra);
          const auto length = static_cast<Index>(h.tokens.size());
          EXPECT_GE(length, least);
          EXPECT_LE(length, limit);
          EXPECT_EQ(h.finished, length < limit);
          EXPECT_NEAR(h.log_probability, log_probability_of(model, tokens_of(sources, i), h), 1e-12);
          ++(h.finished ? (length == least ? shortest : between) : longest);
        }
      }
    }
    EXPECT_GT(shortest, 50);
    EXPECT_GT(longest, 50);
    EXPECT_GT(between, 50);
  }
}

TEST(GenerationOptions, EachHypothesisBeginsWithItsPrefix) {
  const TokenBatch sources = rapt_test::some_sources();
  const TokenBatch prefix({{4, 4, 4}, {}, {5}, {0, 1, 3, 3, 3, 4, 5}, {3}});
  for (const Search& search : searches()) {
    SCOPED_TRACE(search.name);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const PrefixModel model = rapt_test::random_prefix_model(6, seed);
      const auto found = search.run(model, sources, {.extra_length = 4}, {.prefix = prefix});
      const auto free = search.run(model, sources, {.extra_length = 4});
      for (Index i = 0; i < sources.sequences(); ++i) {
        const Hypothesis& h = found[static_cast<std::size_t>(i)];
        const auto start = prefix.sequence(i);
        ASSERT_GE(h.tokens.size(), start.size());
        EXPECT_TRUE(std::equal(start.begin(), start.end(), h.tokens.begin()));
        EXPECT_NEAR(h.log_probability, log_probability_of(model, tokens_of(sources, i), h), 1e-12);
      }
      rapt_test::expect_same(found[1], free[1]);
    }
  }
}

TEST(GenerationOptions, APrefixMayBeAllThereIsRoomFor) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  for (const Search& search : searches()) {
    SCOPED_TRACE(search.name);
    const auto found =
        search.run(model, TokenBatch({{3, 3}, {3}}), {.extra_length = 1}, {.prefix = TokenBatch({{5, 4, 3}, {5}})});
    EXPECT_EQ(found[0].tokens, (Tokens{5, 4, 3}));
    EXPECT_FALSE(found[0].finished);
    EXPECT_EQ(found[1].tokens[0], 5);
  }
}

// One token is always allowed: an empty source with no extra length gets one.
TEST(GenerationOptions, OneTokenIsTheLeastLimit) {
  const PrefixModel model{[](const Tokens&, const Tokens&) { return std::vector<double>{0, 0, 0, 5}; }};
  for (const Search& search : searches()) {
    const auto found = search.run(model, TokenBatch({{}, {3}}), {.extra_length = 0});
    for (const Hypothesis& h : found) EXPECT_EQ(h.tokens.size(), 1u) << search.name;
  }
}

TEST(GenerationOptions, AnEndSymbolOutsideTheVocabularyNeverComes) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  for (const Search& search : searches()) {
    for (const TokenId end : {-1, 6, 1000}) {
      const auto found =
          search.run(model, TokenBatch({{3}}), {.extra_length = 7, .min_length = 3}, rapt_test::ended_by(model, {end}));
      EXPECT_EQ(found[0].tokens.size(), 8u) << search.name;
      EXPECT_FALSE(found[0].finished);
    }
  }
}

TEST(GenerationOptions, WhatDoesNotFitIsAnError) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  const TokenBatch sources({{3, 3}, {3}});
  struct Case {
    GenerationOptions options;
    TokenBatch prefix;
    std::string text;
  };
  const std::vector<Case> wrong = {
      {{.extra_length = -1}, {}, "extra_length must not be negative: -1"},
      {{.min_length = -1}, {}, "min_length must not be negative: -1"},
      {{.max_length = 0}, {}, "max_length must be at least 1: 0"},
      {{.max_length = 4, .min_length = 5}, {}, "min_length 5 is more than max_length 4"},
      {{.extra_length = 3, .min_length = 5},
       {},
       "min_length 5 is more than the 4 tokens that source sequence 1 may get at most"},
      {{}, TokenBatch({{3}}), "1 prefixes for 2 source sequences"},
      {{.max_length = 2},
       TokenBatch({{3}, {3, 4, 5}}),
       "the prefix of source sequence 1 has 3 tokens, but at most 2 are allowed"},
      {{}, TokenBatch({{3}, {3, 2}}), "the prefix of source sequence 1 contains the end symbol 2"},
      {{},
       TokenBatch({{3}, {3, 6}}),
       "the prefix of source sequence 1 has the token id 6, which is outside the vocabulary of 6"},
      {{},
       TokenBatch({{-1}, {3}}),
       "the prefix of source sequence 0 has the token id -1, which is outside the vocabulary of 6"},
      {{.bad_words = {{4, 6}}}, {}, "the token of bad_words 6 is outside the vocabulary of 6"},
      {{.begin_suppressed = {-2}}, {}, "the token of begin_suppressed -2 is outside the vocabulary of 6"},
  };
  for (const Search& search : searches()) {
    for (const Case& one : wrong) {
      EXPECT_EQ(rapt_test::error_text<rapt::ValueError>(
                    [&] { (void)search.run(model, sources, one.options, {.prefix = one.prefix}); }),
                "[" + search.name + "] " + one.text);
    }
  }
}

TEST(GenerationOptions, TokensWithoutProbabilityAreAnError) {
  const double never = -std::numeric_limits<double>::infinity();
  const PrefixModel model{[=](const Tokens& source, const Tokens& prefix) {
    if (source.size() == 2 && prefix.size() == 3) return std::vector<double>{never, never, 0, never};
    return std::vector<double>{0, 0, 0, 3};
  }};
  const TokenBatch sources({{3}, {3, 3}});
  for (const Search& search : searches()) {
    const auto error = [&](const GenerationOptions& options, const SearchRequest& request = {}) {
      return rapt_test::error_text<rapt::ValueError>([&] { (void)search.run(model, sources, options, request); });
    };
    EXPECT_EQ(error({.min_length = 3}), "[" + search.name +
                                            "] the model allows only the end symbol for source sequence 1 after 2 "
                                            "tokens, which is less than min_length 3");
    EXPECT_EQ(error({}, {.prefix = TokenBatch({{3, 3, 3}, {3, 3, 3}})}),
              "[" + search.name + "] the model gives no probability to token 2 of the prefix of source sequence 1");
  }
}

// Some hypotheses of a beam may have no way on while others have one.
TEST(GenerationOptions, AHypothesisThatMustNotEndAndCannotGoOnIsDropped) {
  const double never = -std::numeric_limits<double>::infinity();
  const PrefixModel model{[=](const Tokens&, const Tokens& prefix) {
    if (prefix.back() == 3) return std::vector<double>{never, never, 0, never, never};
    if (prefix.size() == 1) return std::vector<double>{never, never, never, 2, 1};
    return std::vector<double>{never, never, 1, never, 0};
  }};
  const auto found = rapt::beam_search(model, TokenBatch({{5}}), {.beam_size = 2, .generation = {.min_length = 2}});
  EXPECT_EQ(found[0].tokens, (Tokens{4, 4}));
}

}  // namespace
