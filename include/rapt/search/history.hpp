/// \file
/// What a search has tried so far. Whatever it tries next is a function of this alone.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How a trial ended at one rung.
struct RungResult {
  std::optional<double> score = {};  ///< smaller is better; none: the trial has failed
  std::string failure = {};          ///< why it has failed
  double resource = 0;               ///< what it had been given when the rung ended, e.g. steps
  double took = 0;                   ///< seconds of this rung
  double seconds = 0;                ///< of the search, when the rung ended
};

/// Some values, and how they did at each rung. A trial that is never promoted has one rung.
struct SettingsTrial {
  /// The values, by the names of the settings.
  nlohmann::ordered_json settings = {};
  std::vector<RungResult> results = {};  ///< of the rungs that have ended, from rung 0
  bool is_running = false;               ///< at the rung results.size()

  /// The result of a rung if it has ended there.
  [[nodiscard]] const RungResult* result(Index rung) const {
    return rung < std::ssize(results) ? &at(results, rung) : nullptr;
  }
  /// True if the last rung that has ended has no score.
  [[nodiscard]] bool has_failed() const { return !results.empty() && !results.back().score; }
};

/// A trial at a rung.
struct TrialRung {
  Index trial = 0, rung = 0;
  friend bool operator==(const TrialRung&, const TrialRung&) = default;
};

/// All trials of a search, in the order in which they began. Its const functions may be called from several threads at
/// the same time.
class TrialHistory {
 public:
  [[nodiscard]] const std::vector<SettingsTrial>& trials() const { return trials_; }
  [[nodiscard]] Index size() const { return std::ssize(trials_); }
  /// A trial by its number, from 0.
  [[nodiscard]] const SettingsTrial& operator[](Index trial) const { return at(trials_, trial); }
  /// The rungs that have ended, in the order in which they did.
  [[nodiscard]] const std::vector<TrialRung>& finished() const { return finished_; }

  /// A new trial, or one that has ended the rung before, begins a rung; `settings` are those of a new trial. Throws
  /// ValueError if it cannot.
  void start(TrialRung place, nlohmann::ordered_json settings = nullptr) {
    if (place.trial == size() && place.rung == 0) {
      trials_.push_back({.settings = std::move(settings), .is_running = true});
      return;
    }
    const bool can_start = place.trial >= 0 && place.trial < size() && !at(trials_, place.trial).is_running &&
                           place.rung == std::ssize(at(trials_, place.trial).results) &&
                           !at(trials_, place.trial).has_failed();
    require(can_start, kWhere, "trial ", place.trial, " of ", size(), " cannot begin rung ", place.rung);
    at(trials_, place.trial).is_running = true;
  }
  /// A trial ends the rung that it has begun. Throws ValueError if it has not, or if the score is not finite.
  void finish(TrialRung place, RungResult result) {
    require(place.trial >= 0 && place.trial < size() && at(trials_, place.trial).is_running &&
                place.rung == std::ssize(at(trials_, place.trial).results),
            kWhere, "trial ", place.trial, " of ", size(), " cannot end rung ", place.rung, ", which it has not begun");
    require(std::isfinite(result.score.value_or(0)), kWhere, "the score of trial ", place.trial,
            " is not finite: ", result.score.value_or(0));
    at(trials_, place.trial).is_running = false;
    at(trials_, place.trial).results.push_back(std::move(result));
    finished_.push_back(place);
  }

  /// The rungs that have begun and not ended, by trial.
  [[nodiscard]] std::vector<TrialRung> running() const {
    std::vector<TrialRung> found;
    for (Index i = 0; i < size(); ++i) {
      if ((*this)[i].is_running) found.push_back({i, std::ssize((*this)[i].results)});
    }
    return found;
  }
  /// The result of a place that has ended.
  [[nodiscard]] const RungResult& result(TrialRung place) const { return at((*this)[place.trial].results, place.rung); }

  /// Where the least score was found, or nothing if no trial has one. Of equal scores it is the first one.
  [[nodiscard]] std::optional<TrialRung> best() const {
    std::optional<TrialRung> found;
    for (const TrialRung place : finished_) {
      const RungResult& here = result(place);
      if (here.score && (!found || *here.score < *result(*found).score)) found = place;
    }
    return found;
  }

 private:
  static constexpr const char* kWhere = "trial_history";
  std::vector<SettingsTrial> trials_;
  std::vector<TrialRung> finished_;
};

}}  // namespace rapt::RAPT_ABI
