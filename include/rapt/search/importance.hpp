/// \file
/// How much the score depends on each setting: parts of the variance, as in functional ANOVA (Hutter et al. 2014, "An
/// efficient approach for assessing hyperparameter importance"), of the mean of a Gaussian process.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/search/gaussian_process.hpp"
#include "rapt/search/history.hpp"
#include "rapt/search/proposals.hpp"
#include "rapt/search/space.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What each setting contributes to the variance of the score.
struct SettingImportance {
  /// For each setting the part of the variance that it explains alone, its first-order Sobol index:
  /// Var[E[f | setting]] / Var[f], where f is the mean of the process and all settings are as the space has them. What
  /// is missing to 1 is explained by settings together, up to the error of 64 random points.
  std::vector<double> sobol_indices = {};
  Index rung = 0, observations = 0;  ///< from which the process was fitted
};

/// The importance of each setting at the highest rung that enough trials have ended (`observe_rung`); nothing: there is
/// none. A function of its arguments alone.
[[nodiscard]] inline std::optional<SettingImportance> setting_importance(const SettingsSpace& space,
                                                                         const TrialHistory& history) {
  constexpr Index kPoints = 64, kValues = 16;
  const std::optional<RungObservations> seen = observe_rung(space, history);
  if (!seen || space.size() == 0) return std::nullopt;
  const GaussianProcess process = GaussianProcess::fit(seen->features, seen->scores, space.feature_settings());
  const auto mean_at = [&](std::span<const double> coordinates) {
    const std::vector<double> features = space.features_of(space.values_at(coordinates));
    return process.predict_mean(Eigen::Map<const Eigen::VectorXd>(features.data(), std::ssize(features)));
  };
  const auto variance = [](const Eigen::VectorXd& values) { return (values.array() - values.mean()).square().mean(); };

  std::vector<double> points(to_size(kPoints * space.size()));
  Rng(0).fill_uniform(std::span(points), 0, 1);
  SettingImportance importance{.rung = seen->rung, .observations = process.observations()};
  double total = 0;
  for (Index d = 0; d < space.size(); ++d) {
    const std::vector<std::string>& choices = at(space.ranges(), d).choices;
    const Index values = choices.empty() ? kValues : std::ssize(choices);
    Eigen::MatrixXd f(kPoints, values);  // the same points for each value, so that their error is the same
    for (Index k = 0; k < kPoints; ++k) {
      std::vector<double> point(points.begin() + k * space.size(), points.begin() + (k + 1) * space.size());
      for (Index v = 0; v < values; ++v) {
        at(point, d) = (static_cast<double>(v) + 0.5) / static_cast<double>(values);
        f(k, v) = mean_at(point);
      }
    }
    importance.sobol_indices.push_back(variance(f.colwise().mean().transpose()));
    // All of these points together are a sample of the space.
    total = std::max(total, variance(f.reshaped()));
  }
  for (double& index : importance.sobol_indices) index = total > 0 ? std::min(1.0, index / total) : 0;
  return importance;
}

}}  // namespace rapt::RAPT_ABI
