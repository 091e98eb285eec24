#include "rapt/text/significance.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "rapt/text/bleu.hpp"
#include "rapt/text/chrf.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/text/golden_text.hpp"

namespace {

using golden::Lines;
using rapt::BootstrapOptions;
using rapt::Confidence;
using rapt::confidence;
using rapt::paired_bootstrap;
using rapt::PairedBootstrap;
using rapt_test::error_text;

/// The smallest thing that can be resampled: its score is a mean.
struct Mean {
  double sum = 0.0;
  double count = 1.0;
  Mean& operator+=(const Mean& other) {
    sum += other.sum;
    count += other.count;
    return *this;
  }
  [[nodiscard]] double score() const { return sum / count; }
};

static_assert(rapt::MetricStatistics<Mean>);
static_assert(rapt::MetricStatistics<rapt::BleuStatistics>);
static_assert(rapt::MetricStatistics<rapt::ChrfStatistics>);
static_assert(!rapt::MetricStatistics<double>);

std::vector<Mean> means(int count, const std::function<double(int)>& value) {
  std::vector<Mean> all;
  for (int i = 0; i < count; ++i) all.push_back({value(i), 1.0});
  return all;
}

/// Calls `use(statistics of (hypotheses, references))` for a metric of the golden file.
template <class Use>
void with_metric(const std::string& name, const Use& use) {
  if (name == "bleu none") {
    use([](const Lines& hypotheses, const Lines& references) {
      return rapt::bleu_statistics(hypotheses, references, {.tokenize = rapt::BleuOptions::Tokenize::none});
    });
  } else {
    ASSERT_TRUE(name == "chrf" || name == "chrf++") << name;
    use([&](const Lines& hypotheses, const Lines& references) {
      return rapt::chrf_statistics(hypotheses, references, {.word_order = name == "chrf" ? 0 : 2});
    });
  }
}

// The random numbers are not sacrebleu's, so the figures agree within what 1000 resamples leave open. With d for the
// standard deviation of a resample's score, i.e. half_width / 1.96, the mean of 1000 is off by d / 32 and the half
// width by about d / 17; the difference of two by sqrt(2) times that. The bounds are four times as large.
TEST(Confidence, AgreesWithSacrebleu) {
  const golden::Metrics golden = golden::Metrics::read();
  ASSERT_GE(golden.confidence.size(), 15u);
  for (const Lines& columns : golden.confidence) {
    ASSERT_EQ(columns.size(), 7u);
    SCOPED_TRACE(columns[1] + ", every " + columns[2] + ", offset " + columns[3]);
    const double score = std::stod(columns[4]), mean = std::stod(columns[5]), half_width = std::stod(columns[6]);
    with_metric(columns[1], [&](const auto& statistics_of) {
      const auto statistics =
          statistics_of(golden.system(std::stoul(columns[2]), std::stoul(columns[3])), golden.references());
      EXPECT_NEAR(total(statistics).score(), score, 1e-9);
      const Confidence result = confidence(statistics);
      EXPECT_NEAR(result.mean, mean, 4 * 1.42 / 32 / 1.96 * half_width);
      EXPECT_NEAR(result.half_width, half_width, 4 * 1.42 / 17 / 1.96 * half_width);
    });
  }
}

// The p-value is a share of 1000 resamples: two such are off by sqrt(2 p (1 - p) / 1000), and somewhat more for the
// mean that the formula takes from the resamples too.
TEST(PairedBootstrap, AgreesWithSacrebleu) {
  const golden::Metrics golden = golden::Metrics::read();
  ASSERT_GE(golden.paired.size(), 15u);
  for (const Lines& columns : golden.paired) {
    ASSERT_EQ(columns.size(), 8u);
    SCOPED_TRACE(columns[1] + ", every " + columns[2] + ", offsets " + columns[3] + " and " + columns[4]);
    const std::size_t every = std::stoul(columns[2]);
    const double p_value = std::stod(columns[7]);
    with_metric(columns[1], [&](const auto& statistics_of) {
      const auto baseline = statistics_of(golden.system(every, std::stoul(columns[3])), golden.references());
      const auto system = statistics_of(golden.system(every, std::stoul(columns[4])), golden.references());
      const PairedBootstrap result = paired_bootstrap(baseline, system);
      EXPECT_NEAR(result.baseline, std::stod(columns[5]), 1e-9);
      EXPECT_NEAR(result.system, std::stod(columns[6]), 1e-9);
      EXPECT_DOUBLE_EQ(result.difference(), result.system - result.baseline);
      EXPECT_NEAR(result.p_value, p_value, 5 * std::sqrt(2 * p_value * (1 - p_value) / 1000));
      const Confidence alone = confidence(system);  // the same resamples as without a comparison
      EXPECT_EQ(result.system_confidence.mean, alone.mean);
      EXPECT_EQ(result.system_confidence.half_width, alone.half_width);
    });
  }
}

TEST(Confidence, LeavesOutOneFortiethOnEitherSide) {
  std::vector<double> scores;
  for (int i = 0; i < 1000; ++i) scores.push_back((i * 7) % 1000);  // 0 .. 999, in disorder
  EXPECT_DOUBLE_EQ(rapt::detail::confidence_of(scores).mean, 499.5);
  EXPECT_DOUBLE_EQ(rapt::detail::confidence_of(scores).half_width, (974.0 - 25.0) / 2);
  EXPECT_DOUBLE_EQ(rapt::detail::confidence_of({1, 5, 3}).mean, 3.0);
  EXPECT_DOUBLE_EQ(rapt::detail::confidence_of({1, 5, 3}).half_width, 2.0);
}

TEST(Confidence, IsThatOfAMean) {
  // The mean of n values has the standard deviation d / sqrt(n); of 0 .. 1 by halves, d is 1/2.
  const auto statistics = means(400, [](int i) { return i % 2; });
  const Confidence result = confidence(statistics, {.resamples = 20000});
  EXPECT_NEAR(result.mean, 0.5, 5 * 0.025 / std::sqrt(20000));
  EXPECT_NEAR(result.half_width, 1.96 * 0.025, 0.003);
}

TEST(Confidence, OneSegmentLeavesNothingOpen) {
  const Confidence result = confidence(means(1, [](int) { return 7.0; }));
  EXPECT_EQ(result.mean, 7.0);
  EXPECT_EQ(result.half_width, 0.0);
}

TEST(Confidence, ComesAgainWithItsSeed) {
  const auto statistics = means(100, [](int i) { return std::sqrt(i); });
  EXPECT_EQ(confidence(statistics, {.seed = 1}).mean, confidence(statistics, {.seed = 1}).mean);
  EXPECT_NE(confidence(statistics, {.seed = 1}).mean, confidence(statistics, {.seed = 2}).mean);
}

TEST(PairedBootstrap, PValueIsWorkedOutByHand) {
  // Differences 1, 2, 3, 4 and 10 have the mean 4; beyond it are 0 and 6. Signs do not count.
  const std::vector<double> baseline = {10, 10, 10, 10, 10}, system = {11, 8, 13, 6, 20};
  EXPECT_DOUBLE_EQ(rapt::detail::bootstrap_p_value(baseline, system, 5.0), (1 + 1) / 6.0);
  EXPECT_DOUBLE_EQ(rapt::detail::bootstrap_p_value(baseline, system, -5.0), (1 + 1) / 6.0);
  EXPECT_DOUBLE_EQ(rapt::detail::bootstrap_p_value(baseline, system, 6.0), (0 + 1) / 6.0);  // not larger
  EXPECT_DOUBLE_EQ(rapt::detail::bootstrap_p_value(baseline, system, -0.5), (1 + 1) / 6.0);
  EXPECT_DOUBLE_EQ(rapt::detail::bootstrap_p_value(baseline, baseline, 0.0), (0 + 1) / 6.0);
}

TEST(PairedBootstrap, TellsABetterSystemFromAnEqualOne) {
  // Segments are of very different difficulty, so that either interval is wide; the systems differ by little.
  const auto difficulty = [](int i) { return 20.0 * std::sin(i * i); };
  const auto noise = [](int i, int system) { return std::sin(1000.0 * i + 77.0 * system); };
  const auto baseline = means(300, [&](int i) { return difficulty(i) + noise(i, 0); });
  const auto equal = means(300, [&](int i) { return difficulty(i) + noise(i, 1); });
  const auto better = means(300, [&](int i) { return difficulty(i) + noise(i, 2) + 0.5; });
  const PairedBootstrap to_equal = paired_bootstrap(baseline, equal), to_better = paired_bootstrap(baseline, better);
  EXPECT_GT(to_equal.p_value, 0.05);
  EXPECT_LT(to_better.p_value, 0.01);
  EXPECT_NEAR(to_better.difference(), 0.5, 0.2);
  EXPECT_GT(to_better.baseline_confidence.half_width, 2 * to_better.difference());
}

TEST(PairedBootstrap, IsTheSameTheOtherWayRound) {
  const auto one = means(50, [](int i) { return i % 7; }), other = means(50, [](int i) { return i % 5; });
  const PairedBootstrap forth = paired_bootstrap(one, other), back = paired_bootstrap(other, one);
  EXPECT_EQ(forth.p_value, back.p_value);
  EXPECT_EQ(forth.difference(), -back.difference());
  EXPECT_EQ(forth.system_confidence.mean, back.baseline_confidence.mean);
}

TEST(Significance, RefusesWhatItCannotResample) {
  const std::vector<Mean> none, two(2), three(3);
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)confidence(none); }),
            "[confidence] the corpus is empty: segments = 0");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)rapt::total(none); }),
            "[total] the corpus is empty: segments = 0");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)confidence(two, {.resamples = 1}); }),
            "[confidence] at least 2 resamples are needed: resamples = 1");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)paired_bootstrap(two, three); }),
            "[paired_bootstrap] both systems need the same segments: baseline = 2, system = 3");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)paired_bootstrap(none, none); }),
            "[paired_bootstrap] the corpus is empty: segments = 0");
}

TEST(Significance, SignsAndPrintsAsSacrebleu) {
  EXPECT_EQ(rapt::signature(rapt::signature(), BootstrapOptions{.resamples = 500, .seed = 7})
                .rfind("nrefs:1|bs:500|seed:7|case:mixed|eff:no|tok:13a|smooth:exp|version:rapt-", 0),
            0u);
  EXPECT_EQ(to_string(Confidence{37.604, 1.228}), "(\u03BC = 37.60 \u00B1 1.23)");
}

}  // namespace
