/// \file
/// Beam search: against exhaustive search, against a plain beam search without early stop, on a model that is a
/// function and on a Transformer.
#include "rapt/generation/beam_search.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "rapt/models/transformer.hpp"
#include "tests/common/allowed.hpp"
#include "tests/common/settings.hpp"
#include "tests/generation/prefix_model.hpp"

namespace {

using rapt::Hypothesis;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_same;
using rapt_test::one_sequence;
using rapt_test::PrefixModel;
using rapt_test::Tokens;

Tokens tokens_of(const TokenBatch& batch, Index i) { return {batch.sequence(i).begin(), batch.sequence(i).end()}; }

TEST(BeamSearch, AWideBeamEqualsExhaustiveSearch) {
  const TokenBatch sources({{3}, {3, 0, 3}, {0, 3}});
  int finished = 0, cut = 0, penalty_matters = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(4, seed);
    std::vector<Tokens> without;
    for (const float alpha : {0.f, 0.6f, 2.f}) {
      const testing::ScopedTrace trace(__FILE__, __LINE__,
                                       "seed " + std::to_string(seed) + ", alpha " + std::to_string(alpha));
      const auto found = rapt::beam_search(
          model, sources, {.beam_size = 250, .length_penalty = alpha, .generation = {.extra_length = 2}});
      ASSERT_EQ(found.size(), 3u);
      for (Index i = 0; i < 3; ++i) {
        const Hypothesis expected = rapt_test::exhaustive_search(rapt_test::next_token(model), tokens_of(sources, i),
                                                                 sources.row_splits.length(i) + 2, double{alpha});
        expect_same(found[static_cast<std::size_t>(i)], expected);
        ++(expected.finished ? finished : cut);
        if (alpha == 0.f) without.push_back(expected.tokens);
        penalty_matters += without[static_cast<std::size_t>(i)] != expected.tokens;
      }
    }
  }
  EXPECT_GT(finished, 10);
  EXPECT_GT(cut, 3);
  EXPECT_GT(penalty_matters, 5);
}

// The bound by which sequences leave early must not change any result.
TEST(BeamSearch, EqualsAPlainBeamSearchThatNeverStopsEarly) {
  const TokenBatch sources = rapt_test::some_sources();
  int finished = 0;
  for (std::uint64_t seed = 0; seed < 25; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(7, seed, /*end_bias=*/seed % 2 ? 0.0 : 1.5);
    for (const std::size_t beam : {2u, 3u, 5u, 11u}) {
      for (const float alpha : {0.f, 0.6f, 1.5f}) {
        const testing::ScopedTrace trace(
            __FILE__, __LINE__,
            "seed " + std::to_string(seed) + ", beam " + std::to_string(beam) + ", alpha " + std::to_string(alpha));
        const auto found = rapt::beam_search(
            model, sources,
            {.beam_size = static_cast<Index>(beam), .length_penalty = alpha, .generation = {.extra_length = 5}});
        for (Index i = 0; i < sources.sequences(); ++i) {
          const Hypothesis expected =
              rapt_test::plain_beam_search(rapt_test::next_token(model), tokens_of(sources, i),
                                           sources.row_splits.length(i) + 5, beam, double{alpha});
          expect_same(found[static_cast<std::size_t>(i)], expected);
          finished += expected.finished;
        }
      }
    }
  }
  EXPECT_GT(finished, 500);
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
  const auto ends =
      rapt::beam_search(one_word, TokenBatch({{0, 0}}), {.beam_size = 7, .generation = {.begin = 0, .end = 0}});
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
  EXPECT_EQ(search({.beam_size = 0}), "[beam_search] beam_size must be at least 1: 0");
  EXPECT_EQ(search({.beam_size = -3}), "[beam_search] beam_size must be at least 1: -3");
  EXPECT_NE(search({.length_penalty = -0.5f}).find("length_penalty"), std::string::npos);
  EXPECT_NE(search({.length_penalty = std::numeric_limits<float>::quiet_NaN()}).find("length_penalty"),
            std::string::npos);
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

/// Random weights, large enough that the next token depends on the source; the tables' rows are not alike.
template <class T>
rapt::Transformer<T> random_transformer(Index vocabulary, std::uint64_t seed) {
  rapt::Rng rng(seed);
  rapt::Transformer<T> model({.source_vocabulary = vocabulary,
                              .target_vocabulary = vocabulary,
                              .d_model = 16,
                              .heads = 2,
                              .d_ff = 32,
                              .encoder_layers = 2,
                              .decoder_layers = 2},
                             rng);
  rapt::for_each_parameter(model, [&](const std::string&, auto& parameter) {
    rng.fill_normal(parameter.mutable_value().values(), 0.0, 0.4);
  });
  return model;
}

/// Log-probabilities of the next token from the whole forward pass, without any state.
template <class T>
rapt_test::NextToken next_token(const rapt::Transformer<T>& model) {
  return [&model](const Tokens& source, const Tokens& prefix) {
    const auto logits = model(one_sequence(source), one_sequence(prefix));
    const T* last = logits.value().row(logits.rows() - 1);
    return rapt_test::log_softmax(std::vector<double>(last, last + logits.cols()));
  };
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
                                                 sources.row_splits.length(i) + 1, double{alpha}),
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
        expect_same(found[static_cast<std::size_t>(i)],
                    rapt_test::plain_beam_search(next_token(model), tokens_of(sources, i),
                                                 sources.row_splits.length(i) + 3, beam, double{0.6f}),
                    1e-9);
      }
    }
  }
}

TEST(BeamSearch, LogProbabilityIsTheForwardPasss) {
  const auto model = random_transformer<float>(9, 3);
  const TokenBatch sources = rapt_test::some_sources();
  const auto found = rapt::beam_search(model, sources, {.generation = {.extra_length = 6}});
  for (Index i = 0; i < sources.sequences(); ++i) {
    const Hypothesis& h = found[static_cast<std::size_t>(i)];
    Tokens input{1}, output = h.tokens;
    input.insert(input.end(), h.tokens.begin(), h.tokens.end());
    output.push_back(2);
    const std::size_t length = h.tokens.size() + (h.finished ? 1 : 0);
    const auto logits = model(one_sequence(sources.sequence(i)), one_sequence(input));
    double sum = 0;
    for (std::size_t t = 0; t < length; ++t) {
      const float* row = logits.value().row(static_cast<Index>(t));
      sum += rapt_test::log_softmax(std::vector<double>(row, row + 9))[static_cast<std::size_t>(output[t])];
    }
    EXPECT_NEAR(h.log_probability, sum, rapt_test::allowed<float>(1e-4));
    EXPECT_NEAR(h.score, sum / rapt_test::length_penalty(length, 0.6), rapt_test::allowed<float>(1e-4));
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
      rapt::detail::best_tokens(std::span<const float>(row), 4, -1.5, std::span(best));
      for (std::size_t i = 0; i < count; ++i) {
        if (i >= vocabulary) {
          EXPECT_EQ(best[i].log_probability, -std::numeric_limits<double>::infinity());
          continue;
        }
        EXPECT_EQ(best[i].token, static_cast<TokenId>(order[i]));
        EXPECT_EQ(best[i].row, 4);
        EXPECT_EQ(best[i].log_probability,
                  -1.5 + (static_cast<double>(row[order[i]]) -
                          rapt::kernels::log_sum_exp(row.data(), static_cast<Index>(row.size()))));
      }
    }
  }
}

}  // namespace
