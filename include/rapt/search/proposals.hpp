/// \file
/// Which settings a new trial has: random ones, or those that a Gaussian process expects the most of. Both are a
/// function of the seed, the number of the trial and the history.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/search/gaussian_process.hpp"
#include "rapt/search/history.hpp"
#include "rapt/search/space.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How the settings of new trials are chosen.
enum class ProposalMethod { random, gaussian_process };

[[nodiscard]] constexpr auto named_values(ProposalMethod) {
  return std::to_array<NamedValue<ProposalMethod>>(
      {{"random", ProposalMethod::random}, {"gaussian_process", ProposalMethod::gaussian_process}});
}

/// What was observed at one rung, as a regression sees it.
struct RungObservations {
  Index rung = 0;
  Eigen::MatrixXd features = {};  ///< [N, D]; see SettingsSpace::features_of
  Eigen::VectorXd scores = {};    ///< [N]; failures, and outliers, have the same bad score, above the least one
};

namespace detail {

inline void set_row(Eigen::MatrixXd& matrix, Index row, const std::vector<double>& values) {
  matrix.row(row) = Eigen::Map<const Eigen::RowVectorXd>(values.data(), std::ssize(values));
}

/// The features of some trials, [N, D].
[[nodiscard]] inline Eigen::MatrixXd features_of_trials(const SettingsSpace& space, const TrialHistory& history,
                                                        const std::vector<Index>& trials) {
  Eigen::MatrixXd features(std::ssize(trials), std::ssize(space.feature_settings()));
  for (Index i = 0; i < std::ssize(trials); ++i) {
    set_row(features, i, space.features_of(history[at(trials, i)].settings));
  }
  return features;
}

}  // namespace detail

/// The number of trials that a rung must have before a regression is made of it: two for each setting, three at least.
[[nodiscard]] inline Index least_observations(const SettingsSpace& space) {
  return std::max<Index>(3, 2 * space.size());
}

namespace detail {

/// The score beyond which all are equally bad, and which failures have: median + 3 (median - least), but no more than
/// the greatest score. Where at least half of the scores are the least one, the greatest score; where all are, a
/// score above it. `scores` are sorted.
[[nodiscard]] inline double worst_score(const std::vector<double>& scores) {
  const double least = scores.front(), greatest = scores.back();
  const double median = scores[(scores.size() - 1) / 2] / 2 + scores[scores.size() / 2] / 2;
  if (least == greatest) return least + std::max(1.0, 1e-3 * std::abs(least));
  return median > least ? std::min(greatest, median + 3 * (median - least)) : greatest;
}

}  // namespace detail

/// What is known of the highest rung that enough trials have ended (as in BOHB, Falkner et al. 2018); nothing: there is
/// none. A training that diverges may have any score. So that it does not drown the differences between good ones,
/// scores are limited to median + 3 (median - least) (see `worst_score`); failures get this score, too, and so are
/// worse than the best one.
[[nodiscard]] inline std::optional<RungObservations> observe_rung(const SettingsSpace& space,
                                                                  const TrialHistory& history) {
  for (Index rung = 20; rung-- > 0;) {
    std::vector<Index> trials;
    std::vector<double> known;
    for (Index i = 0; i < history.size(); ++i) {
      const RungResult* result = history[i].result(rung);
      if (result != nullptr) trials.push_back(i);
      if (result != nullptr && result->score) known.push_back(*result->score);
    }
    if (std::ssize(trials) < least_observations(space) || std::ssize(known) < 2) continue;
    std::sort(known.begin(), known.end());
    const double worst = detail::worst_score(known);
    RungObservations seen{rung, detail::features_of_trials(space, history, trials),
                          Eigen::VectorXd(std::ssize(trials))};
    for (Index i = 0; i < std::ssize(trials); ++i) {
      seen.scores[i] = std::min(worst, history[at(trials, i)].result(rung)->score.value_or(worst));
    }
    return seen;
  }
  return std::nullopt;
}

/// Settings of the largest expected improvement on the least score of the observed rung, among 1,000 random ones and
/// 300 near to the five best; never some that were tried. Random ones as long as too little is known. Trials that run
/// and have not come to this rung are taken to give what the process expects of them, so that several workers do not
/// try the same. The fit takes up to some 200 Cholesky factorisations of the N observed trials for five settings, N^3 /
/// 3 operations each.
[[nodiscard]] inline nlohmann::ordered_json propose_by_process(const SettingsSpace& space, const TrialHistory& history,
                                                               std::uint64_t seed, Index trial) {
  using Json = nlohmann::ordered_json;
  // Streams that `sample` does not use: those of trials beyond any that there can be.
  constexpr std::uint64_t kCandidateStream = std::uint64_t{1} << 40, kNearStream = std::uint64_t{1} << 41;
  constexpr Index kRandom = 1000, kBest = 5, kNear = 60;
  const std::optional<RungObservations> seen = observe_rung(space, history);
  if (!seen) return space.sample(seed, trial);

  GaussianProcess process = GaussianProcess::fit(seen->features, seen->scores, space.feature_settings());
  std::vector<Index> pending;
  for (Index i = 0; i < history.size(); ++i) {
    if (history[i].is_running && history[i].result(seen->rung) == nullptr) pending.push_back(i);
  }
  if (!pending.empty()) process = process.with_predictions_at(detail::features_of_trials(space, history, pending));

  const Index dimensions = space.size();
  std::vector<double> numbers(to_size(kRandom * dimensions));
  Rng(Rng::State{seed, kCandidateStream + static_cast<std::uint64_t>(trial)}).fill_uniform(std::span(numbers), 0, 1);
  std::vector<double> steps(to_size(kBest * kNear * dimensions));
  Rng(Rng::State{seed, kNearStream + static_cast<std::uint64_t>(trial)}).fill_normal(std::span(steps), 0, 1);

  std::vector<Index> order;  // trials that have ended this rung with a score, the best first
  for (Index i = 0; i < history.size(); ++i) {
    const RungResult* result = history[i].result(seen->rung);
    if (result != nullptr && result->score) order.push_back(i);
  }
  const auto score_of = [&](Index i) { return *history[i].result(seen->rung)->score; };
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return score_of(a) < score_of(b); });
  for (Index b = 0; b < std::min(kBest, std::ssize(order)); ++b) {
    const std::vector<double> middle = space.coordinates_of(history[at(order, b)].settings);
    for (Index k = 0; k < kNear; ++k) {
      const double width = k % 2 == 0 ? 0.1 : 0.02;
      for (Index d = 0; d < dimensions; ++d) {
        const double step = width * at(steps, (b * kNear + k) * dimensions + d);
        numbers.push_back(std::clamp(at(middle, d) + step, 0.0, 1.0));
      }
    }
  }

  const double least = seen->scores.minCoeff();
  std::optional<Json> chosen;
  double most = 0;
  for (Index i = 0; i < std::ssize(numbers) / dimensions; ++i) {
    Json values = space.values_at(std::span(numbers).subspan(to_size(i * dimensions), to_size(dimensions)));
    const std::vector<double> features = space.features_of(values);
    const Eigen::VectorXd point = Eigen::Map<const Eigen::VectorXd>(features.data(), std::ssize(features));
    const double gain = expected_improvement(process.predict(point), least);
    if (chosen && !(gain > most)) continue;
    const auto is_tried = [&](const SettingsTrial& other) { return other.settings == values; };
    if (std::any_of(history.trials().begin(), history.trials().end(), is_tried)) continue;
    most = gain;
    chosen = std::move(values);
  }
  return chosen ? *chosen : space.sample(seed, trial);  // all that there is has been tried
}

/// The settings of the next new trial, whose number is the number of trials so far.
[[nodiscard]] inline nlohmann::ordered_json propose(ProposalMethod method, const SettingsSpace& space,
                                                    const TrialHistory& history, std::uint64_t seed) {
  if (method == ProposalMethod::random || space.size() == 0) return space.sample(seed, history.size());
  return propose_by_process(space, history, seed, history.size());
}

}}  // namespace rapt::RAPT_ABI
