/// \file
/// Asynchronous successive halving, ASHA (Li et al. 2020, "A system for massively parallel hyperparameter tuning",
/// algorithm 2): all trials get a small resource, the best of them more, and nobody waits for a rung to be full.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/search/history.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A trial at rung k has been given resource / factor^(rungs - 1 - k) in all, e.g. 100, 300 and 900 steps.
struct Halving {
  Index rungs = 1;      ///< 1: every trial gets the whole resource at once
  double factor = 3;    ///< one in so many trials of a rung is promoted; the paper's eta
  double resource = 1;  ///< of the last rung, in the caller's unit: steps, epochs, seconds

  /// Throws ValueError for numbers that make no sense.
  void validate() const {
    require(rungs >= 1 && rungs <= 20 && factor > 1 && std::isfinite(factor) && resource > 0 && std::isfinite(resource),
            "halving", "rungs must be from 1 to 20, the factor above 1, the resource positive: ", rungs, ", ", factor,
            ", ", resource);
  }
  /// What a trial has been given when it ends a rung; 0 for rung -1.
  [[nodiscard]] double resource_at(Index rung) const {
    return rung < 0 ? 0 : resource / std::pow(factor, static_cast<double>(rungs - 1 - rung));
  }
};

/// The trial that the history promotes, and the rung that it is to begin; nothing: none of them. Of the n trials that
/// have ended rung k, those promoted before included, the best floor(n / factor) are worth promoting; of these the best
/// one that has not begun rung k + 1 is taken. Higher rungs go first. Trials that have failed count among the n and are
/// never promoted. Of equal scores the earlier trial's is the better one.
[[nodiscard]] inline std::optional<TrialRung> next_promotion(const TrialHistory& history, const Halving& halving) {
  for (Index rung = halving.rungs - 2; rung >= 0; --rung) {
    std::vector<Index> ended;  // with a score
    Index count = 0;
    for (Index i = 0; i < history.size(); ++i) {
      const RungResult* result = history[i].result(rung);
      count += result != nullptr;
      if (result != nullptr && result->score) ended.push_back(i);
    }
    std::stable_sort(ended.begin(), ended.end(), [&](Index a, Index b) {
      return *history[a].result(rung)->score < *history[b].result(rung)->score;
    });
    const auto worth = static_cast<Index>(std::floor(static_cast<double>(count) / halving.factor + 1e-9));
    for (Index i = 0; i < std::min(worth, std::ssize(ended)); ++i) {
      const SettingsTrial& trial = history[at(ended, i)];
      if (std::ssize(trial.results) == rung + 1 && !trial.is_running) return TrialRung{at(ended, i), rung + 1};
    }
  }
  return std::nullopt;
}

}}  // namespace rapt::RAPT_ABI
