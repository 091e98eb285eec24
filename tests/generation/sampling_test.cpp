/// \file
/// Sampling: frequencies against exact probabilities, the same numbers in any batch, and its limits.
#include "rapt/generation/sampling.hpp"

#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "rapt/generation/greedy.hpp"
#include "tests/common/sequence_marks.hpp"
#include "tests/common/settings.hpp"
#include "tests/generation/random_transformer.hpp"

namespace {

using rapt::Hypothesis;
using rapt::Index;
using rapt::SamplingOptions;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_same;
using rapt_test::one_sequence;
using rapt_test::PrefixModel;
using rapt_test::Tokens;
using rapt_test::tokens_of;

/// Probabilities of the next token that the options leave, computed by sorting.
std::vector<double> restricted(const std::vector<double>& logits, const SamplingOptions& options) {
  std::vector<double> p = logits;
  for (double& z : p) z /= static_cast<double>(options.temperature);
  p = rapt_test::log_softmax(p);
  for (double& z : p) z = std::exp(z);
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
  const auto keep = [&](std::size_t count) {
    double sum = 0;
    for (std::size_t i = 0; i < order.size(); ++i) sum += i < count ? p[order[i]] : 0;
    for (std::size_t i = 0; i < order.size(); ++i) p[order[i]] = i < count ? p[order[i]] / sum : 0;
  };
  if (options.top_k > 0) keep(static_cast<std::size_t>(options.top_k));
  double sum = 0;
  std::size_t count = 0;
  while (count < p.size() && sum < static_cast<double>(options.top_p)) sum += p[order[count++]];
  keep(count);
  return p;
}

/// Probabilities of all hypotheses that the options leave.
std::map<Tokens, double> exact(const PrefixModel& model, const Tokens& source, Index longest,
                               const SamplingOptions& options) {
  std::map<Tokens, double> result;  // with the end symbol
  const std::function<void(const Tokens&, double)> visit = [&](const Tokens& tokens, double probability) {
    if (static_cast<Index>(tokens.size()) == longest || (!tokens.empty() && tokens.back() == 2)) {
      result[tokens] = probability;
      return;
    }
    Tokens prefix{1};
    prefix.insert(prefix.end(), tokens.begin(), tokens.end());
    const auto p = restricted(model.logits(source, prefix), options);
    for (std::size_t j = 0; j < p.size(); ++j) {
      if (p[j] == 0) continue;
      Tokens next = tokens;
      next.push_back(static_cast<TokenId>(j));
      visit(next, probability * p[j]);
    }
  };
  visit({}, 1);
  return result;
}

/// Pearson's chi^2 of counts that should follow the probabilities; cells that expect less than 5 are one cell. Returns
/// how many standard deviations it lies above its mean (Wilson and Hilferty 1931).
double deviations(const std::map<Tokens, double>& probabilities, const std::map<Tokens, int>& counts, int total) {
  double chi2 = 0, rest_expected = 0, rest_counted = 0;
  int cells = 0;
  const auto add = [&](double expected, double counted) {
    chi2 += (counted - expected) * (counted - expected) / expected;
    ++cells;
  };
  for (const auto& [tokens, probability] : probabilities) {
    const auto found = counts.find(tokens);
    const double counted = found == counts.end() ? 0 : found->second, expected = probability * total;
    if (expected >= 5) {
      add(expected, counted);
    } else {
      rest_expected += expected;
      rest_counted += counted;
    }
  }
  if (rest_expected > 0) add(rest_expected, rest_counted);
  if (cells < 2) return 0;
  const double freedom = cells - 1, spread = 2 / (9 * freedom);
  return (std::cbrt(chi2 / freedom) - (1 - spread)) / std::sqrt(spread);
}

TEST(Sampling, FrequenciesAreTheProbabilities) {
  const TokenBatch sources({{3}, {4, 3}});
  constexpr Index kSamples = 4000;
  double worst = 0;
  int several = 0;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(6, seed);
    for (const SamplingOptions& restriction :
         {SamplingOptions{}, SamplingOptions{.temperature = 0.5f}, SamplingOptions{.temperature = 2.5f},
          SamplingOptions{.top_k = 2}, SamplingOptions{.top_p = 0.7f},
          SamplingOptions{.temperature = 1.5f, .top_p = 0.4f},
          SamplingOptions{.temperature = 0.7f, .top_k = 4, .top_p = 0.8f}, SamplingOptions{.top_k = 1}}) {
      SamplingOptions options = restriction;
      options.samples = kSamples;
      options.generation.extra_length = 2;
      const auto found = rapt::sample(model, sources, options, {.seed = 100 + seed});
      for (Index i = 0; i < 2; ++i) {
        const auto& samples = found[static_cast<std::size_t>(i)];
        ASSERT_EQ(samples.size(), static_cast<std::size_t>(kSamples));
        const auto expected = exact(model, tokens_of(sources, i), sources.row_splits.length(i) + 2, options);
        std::map<Tokens, int> counts;
        for (const Hypothesis& h : samples) {
          Tokens tokens = h.tokens;
          if (h.finished) tokens.push_back(2);
          ++counts[tokens];
          ASSERT_TRUE(expected.contains(tokens));  // nothing comes that the options forbid
        }
        worst = std::max(worst, deviations(expected, counts, kSamples));
        several += counts.size() > 10;
      }
    }
  }
  EXPECT_LT(worst, 4) << "of 48 statistics, the largest would be above 4 once in 700 seeds";
  EXPECT_GT(several, 20);
}

TEST(Sampling, LogProbabilitiesAreTheModels) {  // not those of the sharpened and restricted distribution
  const TokenBatch sources = rapt_test::some_sources();
  const PrefixModel model = rapt_test::random_prefix_model(6, 4);
  for (const auto& list : {rapt::sample(model, sources, {.temperature = 0.3f, .top_k = 3, .samples = 3}, {.seed = 5}),
                           rapt::sample(model, sources, {.temperature = 3, .samples = 3}, {.seed = 5})}) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      for (const Hypothesis& h : list[i]) {
        Tokens prefix{1}, output = h.tokens;
        if (h.finished) output.push_back(2);
        double sum = 0;
        for (const TokenId token : output) {
          sum += rapt_test::log_softmax(
              model.logits(tokens_of(sources, static_cast<Index>(i)), prefix))[static_cast<std::size_t>(token)];
          prefix.push_back(token);
        }
        EXPECT_NEAR(h.log_probability, sum, 1e-12 * (1 - sum));
        EXPECT_EQ(h.score, h.log_probability);
      }
    }
  }
}

TEST(Sampling, ColdIsGreedy) {
  const TokenBatch sources = rapt_test::some_sources();
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(6, seed);
    const auto greedy = rapt::greedy_search(model, sources, {.extra_length = 4});
    for (const SamplingOptions& cold :
         {SamplingOptions{.temperature = 0}, SamplingOptions{.temperature = 1e-30f},
          SamplingOptions{.temperature = 1e-5f}, SamplingOptions{.top_k = 1}, SamplingOptions{.top_p = 1e-6f}}) {
      SamplingOptions options = cold;
      options.generation.extra_length = 4;
      const auto found = rapt::sample(model, sources, options, {.seed = seed});
      for (std::size_t i = 0; i < greedy.size(); ++i) expect_same(found[i].front(), greedy[i]);
    }
  }
}

TEST(Sampling, HotIsUniform) {
  const PrefixModel model = rapt_test::random_prefix_model(5, 3);
  std::vector<int> counts(5);
  const auto found =
      rapt::sample(model, TokenBatch({{3}}), {.temperature = 1e30f, .samples = 5000, .generation = {.max_length = 1}});
  for (const Hypothesis& h : found[0]) {
    ++counts[static_cast<std::size_t>(h.finished ? 2 : h.tokens[0])];
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 140);  // five standard deviations
}

TEST(Sampling, TiesAtTheBorderGoToTheSmallerToken) {
  const PrefixModel model{[](const Tokens&, const Tokens&) { return std::vector<double>{1, 1, -30, 2, 1, 1}; }};
  std::vector<int> counts(6);
  for (const SamplingOptions& options :
       {SamplingOptions{.top_k = 3, .samples = 500, .generation = {.max_length = 1}},
        SamplingOptions{.top_p = 0.6f, .samples = 500, .generation = {.max_length = 1}}}) {
    const auto found = rapt::sample(model, TokenBatch({{3}}), options);
    for (const Hypothesis& h : found[0]) {
      ++counts[static_cast<std::size_t>(h.tokens[0])];
    }
  }
  EXPECT_GT(counts[0], 100);
  EXPECT_GT(counts[1], 100);
  EXPECT_GT(counts[3], 400);
  EXPECT_EQ(counts[4] + counts[5], 0);
}

TEST(Sampling, ImpossibleTokensNeverCome) {
  const double never = -std::numeric_limits<double>::infinity();
  const PrefixModel model{
      [=](const Tokens&, const Tokens&) { return std::vector<double>{never, 0, never, 0.5, never, never}; }};
  for (const SamplingOptions& options :
       {SamplingOptions{.samples = 2000}, SamplingOptions{.top_k = 5, .samples = 2000},
        SamplingOptions{.top_p = 0.9999f, .samples = 2000}, SamplingOptions{.temperature = 1e30f, .samples = 2000}}) {
    SamplingOptions limited = options;
    limited.generation.max_length = 2;
    const auto found = rapt::sample(model, TokenBatch({{3}}), limited, {.seed = 9});
    for (const Hypothesis& h : found[0]) {
      for (const TokenId token : h.tokens) ASSERT_TRUE(token == 1 || token == 3);
    }
  }
}

TEST(Sampling, TheSameSeedGivesTheSameInAnyBatch) {
  const TokenBatch sources = rapt_test::some_sources();
  const PrefixModel model = rapt_test::random_prefix_model(7, 2);
  const SamplingOptions options{.samples = 4, .generation = {.extra_length = 6}};
  const auto together = rapt::sample(model, sources, options, {.seed = 8});
  // Alone, in another order and with other numbers of samples.
  for (Index i = 0; i < sources.sequences(); ++i) {
    SamplingOptions alone = options;
    alone.samples = 1 + i;
    const auto found = rapt::sample(model, one_sequence(sources.sequence(i)), alone,
                                    {.seed = 8, .streams = {static_cast<std::uint64_t>(i)}})[0];
    for (std::size_t s = 0; s < std::min<std::size_t>(found.size(), 4); ++s) {
      expect_same(found[s], together[static_cast<std::size_t>(i)][s]);
    }
  }
  TokenBatch reversed;
  rapt::SearchRequest of_reversed{.seed = 8};
  for (Index i = sources.sequences(); i-- > 0;) {
    reversed.push_back(sources.sequence(i));
    of_reversed.streams.push_back(static_cast<std::uint64_t>(i));
  }
  const auto found = rapt::sample(model, reversed, options, of_reversed);
  for (std::size_t i = 0; i < found.size(); ++i) expect_same(found[i], together[found.size() - 1 - i]);
}

TEST(Sampling, SeedsStreamsSamplesAndStepsDiffer) {
  // Uniform over 1,000 tokens: two numbers are equal by chance once in a thousand.
  const PrefixModel model{[](const Tokens&, const Tokens&) { return std::vector<double>(1000, 0.0); }};
  const TokenBatch sources({{3}, {3}});
  const SamplingOptions options{.samples = 2, .generation = {.max_length = 50}};
  std::vector<Tokens> all;
  rapt::SearchRequest request = rapt_test::endless(model);
  for (const std::uint64_t seed : {1u, 2u}) {
    request.seed = seed;
    for (const auto& list : rapt::sample(model, sources, options, request)) {
      for (const Hypothesis& h : list) all.push_back(h.tokens);
    }
  }
  ASSERT_EQ(all.size(), 8u);
  for (std::size_t a = 0; a < all.size(); ++a) {
    const std::map<TokenId, int> distinct = [&] {
      std::map<TokenId, int> counts;
      for (const TokenId token : all[a]) ++counts[token];
      return counts;
    }();
    EXPECT_GT(distinct.size(), 44u);
    for (std::size_t b = 0; b < a; ++b) {
      int equal = 0;
      for (std::size_t t = 0; t < 50; ++t) equal += all[a][t] == all[b][t];
      EXPECT_LT(equal, 4) << a << " and " << b;
    }
  }
}

TEST(Sampling, NothingInNothingOut) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  EXPECT_TRUE(rapt::sample(model, TokenBatch(), {.samples = 3}).empty());
  EXPECT_TRUE(model.rows_fed.empty());
}

TEST(Sampling, WrongOptionsAreErrors) {
  const PrefixModel model = rapt_test::random_prefix_model(6, 1);
  const auto error = [&](const SamplingOptions& options, const rapt::SearchRequest& request = {}) {
    return rapt_test::error_text<rapt::ValueError>(
        [&] { (void)rapt::sample(model, TokenBatch({{3}}), options, request); });
  };
  EXPECT_EQ(error({.temperature = -1}), "[sample] temperature must be finite and not negative: -1");
  EXPECT_NE(error({.temperature = std::numeric_limits<float>::infinity()}).find("temperature"), std::string::npos);
  EXPECT_NE(error({.temperature = std::numeric_limits<float>::quiet_NaN()}).find("temperature"), std::string::npos);
  EXPECT_EQ(error({.top_k = -1}), "[sample] top_k must not be negative: -1");
  EXPECT_EQ(error({.top_p = 0}), "[sample] top_p must be in (0, 1]: 0");
  EXPECT_EQ(error({.top_p = 1.5f}), "[sample] top_p must be in (0, 1]: 1.5");
  EXPECT_EQ(error({.samples = 0}), "[sample] samples must be at least 1: 0");
  EXPECT_EQ(error({}, {.streams = {1, 2}}), "[sample] 2 streams for 1 source sequences");
}

TEST(Sampling, NumbersThatAreNoneAreAnError) {
  for (const double wrong : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const PrefixModel model{[=](const Tokens&, const Tokens& prefix) {
      std::vector<double> row(41, 0.0);
      row[2] = -99;
      if (prefix.size() == 2) row[17] = wrong;
      return row;
    }};
    for (const SamplingOptions& options :
         {SamplingOptions{}, SamplingOptions{.top_k = 3}, SamplingOptions{.top_p = 0.5f}}) {
      EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { (void)rapt::sample(model, TokenBatch({{5}}), options); }),
                "[sample] the model's logits are not finite for source sequence 0 after 1 tokens");
    }
  }
}

TEST(Sampling, SameBitsOnAnyThreads) {
  const auto model = rapt_test::random_transformer<float>(9, 7);
  rapt_test::expect_same_bits_on_any_threads([&] {
    std::vector<double> numbers;
    for (const auto& list :
         rapt::sample(model, rapt_test::some_sources(), {.top_p = 0.9f, .samples = 3}, {.seed = 11})) {
      for (const Hypothesis& h : list) {
        numbers.push_back(h.log_probability);
        numbers.insert(numbers.end(), h.tokens.begin(), h.tokens.end());
      }
    }
    return numbers;
  });
}

}  // namespace
