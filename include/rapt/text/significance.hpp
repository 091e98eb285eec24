/// \file
/// Confidence intervals of scores, and tests if one system is better than another, by bootstrap resampling (Koehn 2004,
/// "Statistical significance tests for machine translation evaluation"). They work for BLEU, chrF and any other metric
/// that is computed from sums of counts. The definitions are those of sacrebleu.
///
/// A resample consists of as many segments as the corpus has, drawn with replacement, and is scored as a corpus. The
/// scores of many resamples vary as the scores of other test sets of this kind and size would.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/text/bleu.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The counts of a segment, which can be added, and the score of the corpus that a sum of them belongs to.
template <class T>
concept MetricStatistics = std::copyable<T> && requires(T sum, const T& one) {
  sum += one;
  { one.score() } -> std::convertible_to<double>;
};

/// How many resamples a bootstrap draws, and from which seed.
struct BootstrapOptions {
  Index resamples = 1000;
  std::uint64_t seed = 12345;  ///< the same seed and number of segments give the same resamples
};

/// The middle 95 % of the resamples' scores.
struct Confidence {
  double mean = 0.0;        ///< mean of the resamples' scores
  double half_width = 0.0;  ///< half the distance of the 2.5th percentile and the 97.5th
};

/// Two systems' scores on the same segments.
struct PairedBootstrap {
  double baseline = 0.0;                ///< score of the whole corpus
  double system = 0.0;                  ///< score of the whole corpus
  Confidence baseline_confidence = {};  ///< of the baseline's score
  Confidence system_confidence = {};    ///< of the system's score
  /// The probability of a difference at least as large as this one if both systems are equally good. It has no meaning
  /// if the outputs are the same.
  double p_value = 1.0;

  /// system - baseline.
  [[nodiscard]] double difference() const { return system - baseline; }
};

namespace detail {

[[nodiscard]] inline Confidence confidence_of(std::vector<double> scores) {
  double sum = 0.0;
  for (const double score : scores) sum += score;
  std::sort(scores.begin(), scores.end());
  const std::size_t left_out = scores.size() / 40;  // 2.5 % on each side
  return {sum / static_cast<double>(scores.size()), 0.5 * (scores[scores.size() - 1 - left_out] - scores[left_out])};
}

/// The bootstrap test of Riezler and Maxwell (2005, "On some pitfalls in automatic evaluation and significance testing
/// for MT", figure 2). The resamples' differences |s - b| vary around their mean t as those of equally good systems
/// would vary around 0. The observed difference |S - B| is therefore compared with |s - b| - t:
///
///   p = (number of resamples with |s - b| - t > |S - B|, + 1) / (number of resamples + 1)
///
/// As in sacrebleu, the comparison is strict, so that equal outputs have the least possible p.
[[nodiscard]] inline double bootstrap_p_value(const std::vector<double>& baseline, const std::vector<double>& system,
                                              double observed) {
  double mean = 0.0;
  for (std::size_t i = 0; i < baseline.size(); ++i) mean += std::abs(system[i] - baseline[i]);
  mean /= static_cast<double>(baseline.size());
  std::size_t larger = 0;
  for (std::size_t i = 0; i < baseline.size(); ++i) {
    if (std::abs(system[i] - baseline[i]) - mean > std::abs(observed)) ++larger;
  }
  return static_cast<double>(larger + 1) / static_cast<double>(baseline.size() + 1);
}

/// The score of the segments that were drawn.
template <MetricStatistics Statistics>
[[nodiscard]] double score_of(const std::vector<Statistics>& statistics, const std::vector<std::size_t>& drawn) {
  Statistics sum = statistics[drawn.front()];
  for (std::size_t i = 1; i < drawn.size(); ++i) sum += statistics[drawn[i]];
  return sum.score();
}

/// Calls use(drawn) with the numbers of the segments of each resample.
template <class Use>
void for_each_resample(std::string_view where, std::size_t segments, const BootstrapOptions& options, Use use) {
  require(segments > 0, where, "the corpus is empty: segments = 0");
  require(options.resamples >= 2, where, "at least 2 resamples are needed: resamples = ", options.resamples);
  Rng rng(options.seed);
  std::vector<std::size_t> drawn(segments);
  for (Index resample = 0; resample < options.resamples; ++resample) {
    for (std::size_t& one : drawn) one = to_size(rng.below(static_cast<Index>(segments)));
    use(drawn);
  }
}

}  // namespace detail

/// The counts of a whole corpus. Throws ValueError if it has no segments.
template <MetricStatistics Statistics>
[[nodiscard]] Statistics total(const std::vector<Statistics>& statistics) {
  require(!statistics.empty(), "total", "the corpus is empty: segments = 0");
  Statistics sum = statistics.front();
  for (std::size_t i = 1; i < statistics.size(); ++i) sum += statistics[i];
  return sum;
}

/// The mean and the 95 % interval of a score, from the counts of each segment. Throws ValueError if there are no
/// segments or fewer than 2 resamples are asked for.
template <MetricStatistics Statistics>
[[nodiscard]] Confidence confidence(const std::vector<Statistics>& statistics, const BootstrapOptions& options = {}) {
  std::vector<double> scores;
  detail::for_each_resample("confidence", statistics.size(), options, [&](const std::vector<std::size_t>& drawn) {
    scores.push_back(detail::score_of(statistics, drawn));
  });
  return detail::confidence_of(std::move(scores));
}

/// Compares two systems on the same resamples; segment i of both is a translation of the same text. Throws ValueError
/// as `confidence` does, and if the numbers of segments differ.
template <MetricStatistics Statistics>
[[nodiscard]] PairedBootstrap paired_bootstrap(const std::vector<Statistics>& baseline,
                                               const std::vector<Statistics>& system,
                                               const BootstrapOptions& options = {}) {
  require(baseline.size() == system.size(), "paired_bootstrap",
          "both systems need the same segments: baseline = ", baseline.size(), ", system = ", system.size());
  std::vector<double> baseline_scores, system_scores;
  detail::for_each_resample("paired_bootstrap", baseline.size(), options, [&](const std::vector<std::size_t>& drawn) {
    baseline_scores.push_back(detail::score_of(baseline, drawn));
    system_scores.push_back(detail::score_of(system, drawn));
  });
  PairedBootstrap result{.baseline = total(baseline).score(), .system = total(system).score()};
  result.p_value = detail::bootstrap_p_value(baseline_scores, system_scores, result.difference());
  result.baseline_confidence = detail::confidence_of(std::move(baseline_scores));
  result.system_confidence = detail::confidence_of(std::move(system_scores));
  return result;
}

/// The signature of a metric with the settings of the resampling, as sacrebleu writes it:
/// "nrefs:1|bs:1000|seed:12345|...".
[[nodiscard]] inline std::string signature(const std::string& metric, const BootstrapOptions& options) {
  const std::size_t behind_references = std::min(metric.find('|'), metric.size());
  return metric.substr(0, behind_references) + "|bs:" + std::to_string(options.resamples) +
         "|seed:" + std::to_string(options.seed) + metric.substr(behind_references);
}

/// The interval as text, "(mu = 37.60 +- 1.23)", with the Greek letter and the sign that sacrebleu prints.
[[nodiscard]] inline std::string to_string(const Confidence& confidence) {
  std::string text = "(\xCE\xBC = ";
  detail::append_fixed(text, confidence.mean, 2);
  text += " \xC2\xB1 ";
  detail::append_fixed(text, confidence.half_width, 2);
  return text + ")";
}

}}  // namespace rapt::RAPT_ABI
