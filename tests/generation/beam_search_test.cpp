/// \file
/// Beam search: against exhaustive search, against a plain beam search without early stop, on a model that is a
/// function and on a Transformer.
#include "rapt/generation/beam_search.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "rapt/generation/greedy.hpp"
#include "tests/common/settings.hpp"
#include "tests/generation/random_transformer.hpp"

namespace {

using rapt::Hypothesis;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_same;
using rapt_test::next_token;
using rapt_test::one_sequence;
using rapt_test::PrefixModel;
using rapt_test::random_transformer;
using rapt_test::Tokens;
using rapt_test::tokens_of;

constexpr auto kPaper = rapt::LengthNormalisation::paper, kPlain = rapt::LengthNormalisation::plain;

TEST(BeamSearch, AWideBeamFindsTheTrueNBest) {
  const TokenBatch sources({{3}, {3, 0, 3}, {0, 3}});
  constexpr std::size_t kBest = 12;
  int finished = 0, cut = 0, penalty_matters = 0, normalisation_matters = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(4, seed);
    for (const Index shortest : {0, 2}) {
      for (const Tokens& prefix : {Tokens{}, Tokens{3}, Tokens{0, 3}}) {
        TokenBatch prefixes;  // of the last source only
        if (!prefix.empty()) prefixes = TokenBatch(std::vector<Tokens>{{}, {}, prefix});
        std::vector<Tokens> first(3), paper(3);
        for (const double alpha : {0.0, 0.6, 2.0, -1.5}) {
          for (const auto normalisation : {kPaper, kPlain}) {
            const testing::ScopedTrace trace(__FILE__, __LINE__,
                                             "seed " + std::to_string(seed) + ", alpha " + std::to_string(alpha));
            const rapt::BeamSearchOptions options{.beam_size = 250,
                                                  .length_penalty = static_cast<float>(alpha),
                                                  .length_normalisation = normalisation,
                                                  .generation = {.extra_length = 2, .min_length = shortest}};
            const auto found = rapt::beam_search_n_best(model, sources, kBest, options, {.prefix = prefixes});
            ASSERT_EQ(found.size(), 3u);
            for (Index i = 0; i < 3; ++i) {
              const auto at = static_cast<std::size_t>(i);
              const auto expected = rapt_test::exhaustive_search(rapt_test::next_token(model), tokens_of(sources, i),
                                                                 {.longest = sources.row_splits.length(i) + 2,
                                                                  .alpha = static_cast<double>(options.length_penalty),
                                                                  .plain = normalisation == kPlain,
                                                                  .shortest = static_cast<std::size_t>(shortest),
                                                                  .prefix = i == 2 ? prefix : Tokens{}});
              ASSERT_GE(expected.size(), kBest);
              expect_same(found[at], rapt_test::first_of(expected, kBest));
              for (const Hypothesis& h : found[at]) ++(h.finished ? finished : cut);
              const Tokens& best = found[at].front().tokens;
              if (alpha == 0) first[at] = best;
              if (normalisation == kPaper) paper[at] = best;
              penalty_matters += first[at] != best;
              normalisation_matters += paper[at] != best;
            }
          }
        }
      }
    }
  }
  EXPECT_GT(finished, 1000);
  EXPECT_GT(cut, 1000);
  EXPECT_GT(penalty_matters, 50);
  EXPECT_GT(normalisation_matters, 50);
}

// The bound by which sequences leave early must not change any result.
TEST(BeamSearch, EqualsAPlainBeamSearchThatNeverStopsEarly) {
  const TokenBatch sources = rapt_test::some_sources();
  int finished = 0, early = 0;
  for (std::uint64_t seed = 0; seed < 25; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(7, seed, /*end_bias=*/seed % 2 ? 0.0 : 1.5);
    for (const std::size_t beam : {2u, 3u, 5u, 11u}) {
      for (const float alpha : {0.f, 0.6f, 1.5f, -0.7f, -3.f}) {
        const auto normalisation = seed % 3 == 0 ? kPlain : kPaper;
        std::vector<std::vector<Hypothesis>> expected;
        for (Index i = 0; i < sources.sequences(); ++i) {
          expected.push_back(rapt_test::plain_beam_search(
              rapt_test::next_token(model), tokens_of(sources, i),
              {.longest = sources.row_splits.length(i) + 5, .alpha = double{alpha}, .plain = normalisation == kPlain},
              beam));
        }
        for (const std::size_t n : {std::size_t{1}, std::size_t{2}, beam}) {
          const testing::ScopedTrace trace(__FILE__, __LINE__,
                                           "seed " + std::to_string(seed) + ", beam " + std::to_string(beam) +
                                               ", alpha " + std::to_string(alpha) + ", n " + std::to_string(n));
          model.rows_fed.clear();
          const auto found = rapt::beam_search_n_best(model, sources, static_cast<Index>(n),
                                                      {.beam_size = static_cast<Index>(beam),
                                                       .length_penalty = alpha,
                                                       .length_normalisation = normalisation,
                                                       .generation = {.extra_length = 5}});
          for (std::size_t i = 0; i < expected.size(); ++i) {
            expect_same(found[i], rapt_test::first_of(expected[i], n));
            finished += found[i].front().finished;
          }
          early += model.rows_fed.size() < 12;
        }
      }
    }
  }
  EXPECT_GT(finished, 500);
  EXPECT_GT(early, 300);
}

TEST(BeamSearch, TheBestIsTheFirstOfTheNBest) {
  const TokenBatch sources = rapt_test::some_sources();
  const PrefixModel model = rapt_test::random_prefix_model(7, 3);
  for (const Index beam : {1, 3, 6}) {
    const rapt::BeamSearchOptions options{.beam_size = beam, .generation = {.extra_length = 5}};
    const auto best = rapt::beam_search(model, sources, options);
    for (Index n = 1; n <= beam; ++n) {
      const auto lists = rapt::beam_search_n_best(model, sources, n, options);
      for (std::size_t i = 0; i < best.size(); ++i) {
        ASSERT_EQ(lists[i].size(), static_cast<std::size_t>(n));
        expect_same(lists[i].front(), best[i]);
      }
    }
  }
}

TEST(BeamSearch, BeamOneEqualsGreedy) {
  const TokenBatch sources = rapt_test::some_sources();
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(6, seed);
    const auto greedy = rapt::greedy_search(model, sources, {.extra_length = 3});
    for (const float alpha : {0.f, 0.6f, 1.5f}) {
      const auto beam = rapt::beam_search(model, sources,
                                          {.beam_size = 1, .length_penalty = alpha, .generation = {.extra_length = 3}});
      for (std::size_t i = 0; i < greedy.size(); ++i) {
        EXPECT_EQ(beam[i].tokens, greedy[i].tokens);
        EXPECT_EQ(beam[i].finished, greedy[i].finished);
        EXPECT_NEAR(beam[i].log_probability, greedy[i].log_probability, 1e-12);
      }
    }
  }
}

// Two lives from one row: both continuations of the better first token beat everything else.
TEST(BeamSearch, ARowMayBeSelectedTwice) {
  const PrefixModel model{[](const Tokens&, const Tokens& prefix) {
    std::vector<double> row(6, -20.0);
    if (prefix.size() == 1) {
      row[3] = 2, row[4] = -2;
    } else if (prefix.size() == 2) {
      row[4] = 1, row[5] = 0.5;
    } else if (prefix == Tokens{1, 3, 5}) {
      row[2] = 0;
    } else {
      row[2] = row[3] = row[4] = row[5] = 0;  // dilutes 3 4, which was ahead
    }
    return row;
  }};
  const auto found = rapt::beam_search(model, TokenBatch({{5}}), {.beam_size = 2, .length_penalty = 0.f});
  EXPECT_EQ(found[0].tokens, (Tokens{3, 5}));
  EXPECT_EQ(model.rows_fed[1], 2);  // 3 and 4
  EXPECT_EQ(model.rows_fed[2], 2);  // 3 4 and 3 5
}

TEST(BeamSearch, LengthPenaltyIsTheFormula) {
  // p(end) = 0.4 at once; else 3 3 and the end, together 0.36. Divided by ((5 + |Y|) / 6)^alpha the longer one wins as
  // soon as ln 0.36 / (8 / 6)^alpha > ln 0.4, which is alpha > 0.378.
  const PrefixModel model{[](const Tokens&, const Tokens& prefix) {
    const double low = -40;
    if (prefix.size() == 1) return std::vector<double>{low, low, std::log(0.4), std::log(0.6)};
    if (prefix.size() == 2) return std::vector<double>{std::log(0.4), low, low, std::log(0.6)};
    return std::vector<double>{low, low, 0, low};
  }};
  const double threshold = std::log(std::log(0.36) / std::log(0.4)) / std::log(8.0 / 6.0);
  for (const double alpha : {0.0, threshold - 0.01, threshold + 0.01, 0.6, 1.0}) {
    const auto found =
        rapt::beam_search(model, TokenBatch({{5}}), {.beam_size = 4, .length_penalty = static_cast<float>(alpha)})[0];
    const bool longer = alpha > threshold;
    EXPECT_EQ(found.tokens, longer ? (Tokens{3, 3}) : Tokens{}) << alpha;
    EXPECT_NEAR(found.log_probability, std::log(longer ? 0.36 : 0.4), 1e-12);
    EXPECT_NEAR(found.score, found.log_probability / rapt_test::length_penalty(longer ? 3 : 1, alpha), 1e-6);
    EXPECT_TRUE(found.finished);
  }
}

TEST(BeamSearch, PlainNormalisationComparesMeans) {
  // The same model: with alpha = 1 scores are ln 0.4 for one token and ln 0.36 / 3 for three.
  const PrefixModel model{[](const Tokens&, const Tokens& prefix) {
    const double low = -40;
    if (prefix.size() == 1) return std::vector<double>{low, low, std::log(0.4), std::log(0.6)};
    if (prefix.size() == 2) return std::vector<double>{std::log(0.4), low, low, std::log(0.6)};
    return std::vector<double>{low, low, 0, low};
  }};
  const auto found =
      rapt::beam_search_n_best(model, TokenBatch({{5}}), 2, {.length_penalty = 1, .length_normalisation = kPlain})[0];
  expect_same(found,
              {{{3, 3}, std::log(0.36), std::log(0.36) / 3, true}, {{3, 0}, std::log(0.24), std::log(0.24) / 3, true}});
}

TEST(BeamSearch, AsManyHypothesesAsThereAre) {
  // Three sequences have a probability: "", "3" and, cut off, "3 3".
  const double never = -std::numeric_limits<double>::infinity();
  const PrefixModel model{[=](const Tokens&, const Tokens& prefix) {
    return prefix.size() == 1 ? std::vector<double>{never, never, 0, 0} : std::vector<double>{never, never, 1, 0};
  }};
  const auto found = rapt::beam_search_n_best(model, TokenBatch({{5}}), 4,
                                              {.length_penalty = 0, .generation = {.extra_length = 1}})[0];
  const double e = std::exp(1.0);
  ASSERT_EQ(found.size(), 3u);
  expect_same(found[0], {{}, -std::log(2.0), -std::log(2.0), true});
  EXPECT_EQ(found[1].tokens, (Tokens{3}));
  EXPECT_NEAR(found[1].log_probability, std::log(e / (1 + e) / 2), 1e-12);
  EXPECT_EQ(found[2].tokens, (Tokens{3, 3}));
  EXPECT_FALSE(found[2].finished);
}

TEST(BeamSearch, SeveralMayEndAtOnce) {
  // After 3, 4 and 5 the end is certain: three hypotheses end in the same step, the most probable one is returned.
  const PrefixModel model{[](const Tokens&, const Tokens& prefix) {
    const double low = -40;
    if (prefix.size() == 1) return std::vector<double>{low, low, low, 0.1, 0.3, 0.2};
    return std::vector<double>{low, low, 0, low, low, low};
  }};
  const auto found = rapt::beam_search(model, TokenBatch({{5}}), {.beam_size = 3});
  EXPECT_EQ(found[0].tokens, (Tokens{4}));
  EXPECT_LE(model.rows_fed.size(), 3u);
}

TEST(BeamSearch, SequencesLeaveTheBatchWhenTheyEnd) {
  // Nearly certain to end after as many tokens as the source has.
  const PrefixModel model{[](const Tokens& source, const Tokens& prefix) {
    return prefix.size() > source.size() ? std::vector<double>{0, 0, 30, 0} : std::vector<double>{0, 0, 0, 30};
  }};
  const auto found = rapt::beam_search(model, rapt_test::some_sources(), {.beam_size = 2});
  const std::vector<std::size_t> lengths{1, 3, 1, 7, 2};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(found[i].tokens, Tokens(lengths[i], 3));
    EXPECT_TRUE(found[i].finished);
  }
  ASSERT_GE(model.rows_fed.size(), 8u);
  EXPECT_EQ(model.rows_fed[0], 5);
  EXPECT_EQ(model.rows_fed[1], 10);
  EXPECT_EQ(model.rows_fed[7], 2);  // the longest is alone
  EXPECT_LE(model.rows_fed.size(), 10u);
}

TEST(BeamSearch, TheEndSymbolAtOnceOrNever) {
  const double never = -std::numeric_limits<double>::infinity();
  const PrefixModel at_once{[=](const Tokens&, const Tokens&) {
    return std::vector<double>{never, never, 1, never};  // nothing can follow
  }};
  const auto empty = rapt::beam_search(at_once, rapt_test::some_sources());
  for (const auto& h : empty) expect_same(h, {{}, 0, 0, true});
  EXPECT_EQ(at_once.rows_fed, (std::vector<Index>{5}));

  const PrefixModel endless{[=](const Tokens&, const Tokens&) { return std::vector<double>{0, 0, never, 1}; }};
  const auto cut =
      rapt::beam_search(endless, TokenBatch({{3}, {3, 4, 5}}), {.beam_size = 3, .generation = {.extra_length = 4}});
  const double each = 1 - std::log(2 + std::exp(1.0));
  expect_same(cut[0], {Tokens(5, 3), 5 * each, 5 * each / rapt_test::length_penalty(5, 0.6f), false});
  expect_same(cut[1], {Tokens(7, 3), 7 * each, 7 * each / rapt_test::length_penalty(7, 0.6f), false});
  EXPECT_EQ(endless.rows_fed.size(), 7u);
}

TEST(BeamSearch, TiesGoToTheSmallerToken) {
  const PrefixModel model{[](const Tokens&, const Tokens& prefix) {
    return prefix.size() < 3 ? std::vector<double>{-9, -9, -9, 4, 4} : std::vector<double>{-9, -9, 4, -9, -9};
  }};
  for (const Index beam : {1, 2, 3, 4, 8}) {
    const auto found = rapt::beam_search(model, TokenBatch({{5}, {5}}), {.beam_size = beam});
    EXPECT_EQ(found[0].tokens, (Tokens{3, 3})) << beam;
    EXPECT_EQ(found[1].tokens, (Tokens{3, 3})) << beam;
  }
}

TEST(BeamSearch, TheBeamMayBeLargerThanTheVocabulary) {
  const PrefixModel one_word{[](const Tokens&, const Tokens&) { return std::vector<double>{0.3}; }};
  const auto only =
      rapt::beam_search(one_word, TokenBatch({{0, 0}}), {.beam_size = 7, .generation = {.extra_length = 1}});
  expect_same(only[0], {Tokens(3, 0), 0, 0, false});
  const auto ends = rapt::beam_search(one_word, TokenBatch({{0, 0}}), {.beam_size = 7},
                                      {.marks = rapt::SequenceMarks{.begin = 0, .ends = {0}}});
  expect_same(ends[0], {{}, 0, 0, true});
}

TEST(BeamSearch, NothingInNothingOut) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  EXPECT_TRUE(rapt::beam_search(model, TokenBatch()).empty());
  EXPECT_TRUE(model.rows_fed.empty());
}

TEST(BeamSearch, WrongOptionsAreErrors) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  const auto search = [&](const rapt::BeamSearchOptions& options) {
    return rapt_test::error_text<rapt::ValueError>([&] { (void)rapt::beam_search(model, TokenBatch({{3}}), options); });
  };
  for (const Index n : {-1, 0, 5}) {
    EXPECT_EQ(
        rapt_test::error_text<rapt::ValueError>([&] { (void)rapt::beam_search_n_best(model, TokenBatch({{3}}), n); }),
        "[beam_search] n must be from 1 to beam_size: n = " + std::to_string(n) + ", beam_size = 4");
  }
  EXPECT_EQ(search({.beam_size = 0}), "[beam_search] beam_size must be at least 1: 0");
  EXPECT_EQ(search({.beam_size = -3}), "[beam_search] beam_size must be at least 1: -3");
  EXPECT_NE(search({.length_penalty = -std::numeric_limits<float>::infinity()}).find("length_penalty"),
            std::string::npos);
  EXPECT_NE(search({.length_penalty = std::numeric_limits<float>::quiet_NaN()}).find("length_penalty"),
            std::string::npos);
}

TEST(BeamSearch, TokensCannotBeStreamed) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] {
              (void)rapt::beam_search(model, TokenBatch({{3}}), {}, {.on_token = [](Index, TokenId) { return true; }});
            }),
            "[beam_search] on_token is for greedy search and sampling");
}

TEST(BeamSearch, NumbersThatAreNoneAreAnError) {
  for (const double wrong : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    for (const std::size_t place : {0u, 17u, 40u}) {
      const PrefixModel model{[=](const Tokens& source, const Tokens& prefix) {
        std::vector<double> row(41, 0.0);
        row[2] = -9;
        if (source.size() == 2 && prefix.size() == 3) row[place] = wrong;
        return row;
      }};
      for (const Index beam : {1, 4}) {
        const auto text = rapt_test::error_text<rapt::ValueError>([&] {
          (void)rapt::beam_search(model, TokenBatch({{5}, {5, 5}}), {.beam_size = beam});
        });
        EXPECT_NE(text.find("[beam_search]"), std::string::npos) << text;
        EXPECT_NE(text.find("sequence 1 after 2 tokens"), std::string::npos) << text;
      }
    }
  }
}

TEST(BeamSearch, ATransformersWideBeamEqualsExhaustiveSearch) {
  const TokenBatch sources({{3}, {3, 0, 3}, {0, 3}});
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const auto model = random_transformer<double>(4, seed);
    for (const float alpha : {0.f, 0.6f}) {
      const auto found = rapt::beam_search(
          model, sources, {.beam_size = 100, .length_penalty = alpha, .generation = {.extra_length = 1}});
      for (Index i = 0; i < 3; ++i) {
        expect_same(found[static_cast<std::size_t>(i)],
                    rapt_test::exhaustive_search(next_token(model), tokens_of(sources, i),
                                                 {.longest = sources.row_splits.length(i) + 1, .alpha = double{alpha}})
                        .front(),
                    1e-9);
      }
    }
  }
}

TEST(BeamSearch, ATransformersBeamEqualsAPlainBeamSearch) {
  const TokenBatch sources = rapt_test::some_sources();
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const auto model = random_transformer<double>(9, seed);
    for (const std::size_t beam : {2u, 4u}) {
      const auto found =
          rapt::beam_search(model, sources, {.beam_size = static_cast<Index>(beam), .generation = {.extra_length = 3}});
      for (Index i = 0; i < sources.sequences(); ++i) {
        expect_same(
            found[static_cast<std::size_t>(i)],
            rapt_test::plain_beam_search(next_token(model), tokens_of(sources, i),
                                         {.longest = sources.row_splits.length(i) + 3, .alpha = double{0.6f}}, beam)
                .front(),
            1e-9);
      }
    }
  }
}

TEST(BeamSearch, BatchOfOneEqualsBatchOfMany) {
  const auto model = random_transformer<float>(9, 5);
  const TokenBatch sources = rapt_test::some_sources();
  const auto together = rapt::beam_search(model, sources);
  for (Index i = 0; i < sources.sequences(); ++i) {
    const auto alone = rapt::beam_search(model, one_sequence(sources.sequence(i)));
    expect_same(together[static_cast<std::size_t>(i)], alone[0], 1e-5);
  }
}

TEST(BeamSearch, SameBitsOnAnyThreads) {
  const auto model = random_transformer<float>(9, 7);
  rapt_test::expect_same_bits_on_any_threads([&] {
    std::vector<double> numbers;
    for (const auto& h : rapt::beam_search(model, rapt_test::some_sources())) {
      numbers.insert(numbers.end(), {h.log_probability, h.score});
      numbers.insert(numbers.end(), h.tokens.begin(), h.tokens.end());
    }
    return numbers;
  });
}

TEST(BestTokens, AreTheFirstOfTheSortedRow) {
  rapt::Rng rng(1);
  for (const std::size_t vocabulary : {1u, 2u, 7u, 100u}) {
    for (const std::size_t count : {1u, 2u, 5u, 9u}) {
      std::vector<float> row(vocabulary);
      rng.fill_normal(std::span(row), 0.0, 2.0);
      for (float& z : row) z = std::round(z);  // many ties
      std::vector<std::size_t> order(vocabulary);
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return row[a] > row[b]; });
      std::vector<rapt::detail::Candidate> best(count);
      const double normaliser = rapt::kernels::log_sum_exp(row.data(), static_cast<Index>(row.size()));
      rapt::detail::best_tokens(std::span<const float>(row), 4, -1.5, normaliser, std::span(best));
      for (std::size_t i = 0; i < count; ++i) {
        if (i >= vocabulary) {
          EXPECT_EQ(best[i].log_probability, -std::numeric_limits<double>::infinity());
          continue;
        }
        EXPECT_EQ(best[i].token, static_cast<TokenId>(order[i]));
        EXPECT_EQ(best[i].row, 4);
        EXPECT_EQ(best[i].log_probability, -1.5 + (static_cast<double>(row[order[i]]) - normaliser));
      }
    }
  }
}

}  // namespace
