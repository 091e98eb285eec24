/// \file
/// Shortlists: which tokens they hold, searches over them beside searches over all tokens, and wrong input.
// covers: generation/shortlist.hpp, nn/output_rows.hpp
#include "rapt/generation/shortlist.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/ensemble.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/models/t5.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"
#include "tests/generation/random_transformer.hpp"

namespace {

using rapt::Index;
using rapt::LexicalTable;
using rapt::Shortlisted;
using rapt::TokenBatch;
using rapt::TokenId;
using Parts = std::vector<std::string>;
using rapt::VocabularyShortlist;
using rapt_test::expect_message;

constexpr Index kWords = 30;
using Lists = std::vector<std::vector<TokenId>>;

static_assert(rapt::DecodingModel<Shortlisted<rapt::Transformer<float>>>);
static_assert(rapt::HasOutputRows<rapt::T5<float>>);

/// Of source token e the targets e, e + 1 and 7 e; in any target 5.
VocabularyShortlist some_shortlist() {
  Lists lists;
  for (TokenId e = 0; e < kWords; ++e) lists.push_back({e, (e + 1) % int{kWords}, 7 * e % int{kWords}});
  return {kWords, lists, {5}};
}
VocabularyShortlist all_tokens() {
  std::vector<TokenId> all(kWords);
  std::iota(all.begin(), all.end(), 0);
  return {kWords, Lists(kWords), all};
}
TokenBatch three_sources() { return {{3, 4, 9, 2}, {7, 2}, {20, 11, 6, 28, 2}}; }

void expect_equal(const std::vector<rapt::Hypothesis>& a, const std::vector<rapt::Hypothesis>& b,
                  double tolerance = 0) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].tokens, b[i].tokens);
    EXPECT_NEAR(a[i].log_probability, b[i].log_probability, tolerance);
  }
}

TEST(VocabularyShortlist, HoldsTheTargetsOfItsSourceAndThoseOfAny) {
  const VocabularyShortlist list = some_shortlist();
  EXPECT_EQ(list.of(std::vector<TokenId>{4, 3}), (std::vector<TokenId>{3, 4, 5, 21, 28}));
  EXPECT_EQ(list.of({}), std::vector<TokenId>{5});
  EXPECT_EQ(list.of(std::vector<TokenId>{1000}), std::vector<TokenId>{5});  // a token that no corpus had
}

TEST(VocabularyShortlist, TakesTheBestOfATable) {
  // Token 1 is written as 4 three times and as 5 once, 2 as 6, and 3 comes in every target.
  const TokenBatch sources{{1}, {1}, {1}, {1}, {2}, {2}}, targets{{4, 3}, {4, 3}, {4, 3}, {5, 3}, {6, 3}, {6, 3}};
  const LexicalTable table(sources, targets, {.source_vocabulary = 8, .target_vocabulary = 8, .iterations = 20});
  const VocabularyShortlist list(table, {.per_source_token = 1, .most_frequent = 1, .always = {7}});
  EXPECT_EQ(list.always(), (std::vector<TokenId>{3, 7}));
  EXPECT_EQ(list.candidates()[1], std::vector<TokenId>{4});
  EXPECT_EQ(list.candidates()[2], std::vector<TokenId>{6});
  EXPECT_TRUE(list.candidates()[5].empty());
}

TEST(Shortlisted, OfAllTokensIsTheModelItself) {
  auto model = rapt_test::random_transformer<float>(kWords, 3);
  rapt::pack_weights(model);
  const VocabularyShortlist list = all_tokens();
  const TokenBatch source = three_sources();
  expect_equal(rapt::beam_search(Shortlisted(model, list), source, {.beam_size = 4}),
               rapt::beam_search(model, source, {.beam_size = 4}));
  auto eight_bits = rapt_test::random_transformer<float>(kWords, 3);
  rapt::quantize_weights(eight_bits);
  expect_equal(rapt::greedy_search(Shortlisted(eight_bits, list), source), rapt::greedy_search(eight_bits, source));
}

TEST(Shortlisted, IsTheModelWithoutOtherTokens) {
  const auto model = rapt_test::random_transformer<double>(kWords, 5);
  const VocabularyShortlist list = some_shortlist();
  const TokenBatch source = three_sources();
  rapt::SearchRequest request;
  request.allowed = [&](Index s, std::span<const TokenId>, std::span<bool> allowed) {
    std::vector<TokenId> tokens = list.of(source.sequence(s));
    tokens.push_back(rapt::kEndToken);
    for (std::size_t t = 0; t < allowed.size(); ++t) {
      allowed[t] = std::count(tokens.begin(), tokens.end(), static_cast<TokenId>(t)) > 0;
    }
  };
  const auto ours = rapt::greedy_search(Shortlisted(model, list), source);
  const auto masked = rapt::greedy_search(model, source, {}, request);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_EQ(ours[i].tokens, masked[i].tokens);
    // Probabilities are of the tokens in the list.
    EXPECT_GT(ours[i].log_probability,
              rapt_test::log_probability_of(
                  model, {source.sequence(static_cast<Index>(i)).begin(), source.sequence(static_cast<Index>(i)).end()},
                  ours[i]));
  }
}

TEST(Shortlisted, ABatchChangesNothing) {
  const auto model = rapt_test::random_transformer<double>(kWords, 7);
  const VocabularyShortlist list = some_shortlist();
  const TokenBatch source = three_sources();
  const auto together = rapt::beam_search(Shortlisted(model, list), source, {.beam_size = 3});
  rapt_test::for_every_thread_count([&] {
    for (Index s = 0; s < source.sequences(); ++s) {
      TokenBatch alone;
      alone.push_back(source.sequence(s));
      const auto found = rapt::beam_search(Shortlisted(model, list), alone, {.beam_size = 3});
      EXPECT_EQ(found[0].tokens, rapt::at(together, s).tokens);
      EXPECT_NEAR(found[0].log_probability, rapt::at(together, s).log_probability, 1e-9);
    }
  });
}

TEST(Shortlisted, PrefixesMayComeBesides) {
  const auto model = rapt_test::random_transformer<float>(kWords, 9);
  const VocabularyShortlist list(kWords, Lists(kWords), {5});
  const TokenBatch source{{3, 2}, {4, 2}}, prefix{{17}, {18, 19}};
  const Shortlisted with_prefix(model, list, {.prefix = prefix});
  for (const rapt::Hypothesis& h : rapt::beam_search(with_prefix, source, {.beam_size = 2}, {.prefix = prefix})) {
    EXPECT_TRUE(h.tokens[0] == 17 || h.tokens[0] == 18);
    for (const TokenId token : h.tokens) {
      EXPECT_TRUE(token == 5 || (token >= 17 && token <= 19)) << token;
    }
  }
}

TEST(Shortlisted, WhatARequestNamesMayCome) {
  const auto model = rapt_test::random_transformer<float>(kWords, 9);
  const VocabularyShortlist list(kWords, Lists(kWords), {5});
  const TokenBatch source{{3, 2}};
  const rapt::SearchRequest request{
      .marks = rapt::SequenceMarks{.begin = 1, .ends = {11}, .forced_begin = 12, .max_length = 6}};
  const auto found = rapt::greedy_search(Shortlisted(model, list, request, {.forced_ends = {11}}), source,
                                         {.forced_ends = {11}}, request);
  EXPECT_EQ(found[0].tokens.front(), 12);
  EXPECT_TRUE(found[0].finished);
}

TEST(Shortlisted, ModelsOfAnEnsembleMayHaveTheSameList) {
  const auto a = rapt_test::random_transformer<double>(kWords, 3), b = rapt_test::random_transformer<double>(kWords, 4);
  const VocabularyShortlist all = all_tokens(), some = some_shortlist();
  const TokenBatch source = three_sources();
  const Shortlisted of_a(a, all), of_b(b, all), some_of_a(a, some), some_of_b(b, some);
  expect_equal(rapt::beam_search(rapt::Ensemble({&of_a, &of_b}), source),
               rapt::beam_search(rapt::Ensemble({&a, &b}), source), 1e-9);
  for (const rapt::Hypothesis& h : rapt::beam_search(rapt::Ensemble({&some_of_a, &some_of_b}), source)) {
    EXPECT_TRUE(std::isfinite(h.log_probability));
  }
}

TEST(Shortlisted, RefusesWhatDoesNotFit) {
  const auto model = rapt_test::random_transformer<float>(kWords, 3);
  expect_message<rapt::ValueError>([] { VocabularyShortlist(4, {{1}, {4}}, {}); }, Parts{"token 4", "4"});
  expect_message<rapt::ValueError>([] { VocabularyShortlist(4, {}, {-1}); }, "token -1");
  const VocabularyShortlist other(kWords + 1, {}, {});
  expect_message<rapt::ValueError>([&] { Shortlisted(model, other); }, Parts{"31 target tokens", "the model 30"});
  const VocabularyShortlist list = some_shortlist();
  expect_message<rapt::ValueError>([&] { Shortlisted(model, list, {}, {.forced_begin = 30}); }, "token 30");
  const Shortlisted two_prefixes(model, list, {.prefix = {{1}, {2}}});
  expect_message<rapt::ValueError>([&] { std::ignore = two_prefixes.start({{3, 2}}); }, "2 prefixes for 1 sources");
  auto served = rapt_test::random_transformer<float>(kWords, 3);
  rapt::pack_weights(served);
  rapt::drop_unpacked_weights(served);
  expect_message<rapt::ValueError>(
      [&] {
        std::ignore = Shortlisted(served, list).start({{3, 2}});
      },
      "packed form alone");
}

}  // namespace
