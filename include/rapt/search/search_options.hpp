/// \file
/// What a search over settings is told, and what it tells its trials.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "rapt/core/index.hpp"
#include "rapt/search/halving.hpp"
#include "rapt/search/proposals.hpp"
#include "rapt/search/search_page.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a search does, and within which limits.
struct SettingsSearchOptions {
  /// The folder that has the log (log.jsonl), the page (search.html) and a folder for each trial, "trial-00012", with
  /// what it printed (output.txt).
  std::filesystem::path folder = {};
  bool resume = false;                             ///< go on from the folder's log
  bool restart = false;                            ///< remove the log of a search and its trials, and begin anew
  ProposalMethod method = ProposalMethod::random;  ///< how the settings of new trials are chosen
  Halving halving = {};                            ///< the rungs, and what a trial is given at them
  nlohmann::ordered_json first = nullptr;          ///< the settings of trial 0, e.g. the usual ones; null: chosen
  Index trials = 0;                                ///< no more new trials than this; 0: there is no limit
  double seconds = 0;                              ///< of all starts of the search together; 0: there is no limit
  Index workers = 1;                               ///< trials at the same time, which share the threads
  std::uint64_t seed = 1;
  /// What decides the scores beside the settings, by name: a search that goes on must have the same.
  nlohmann::ordered_json task = nlohmann::ordered_json::object();
  double patience = 60;          ///< seconds that trials have to save themselves when the search is interrupted
  std::FILE* messages = stderr;  ///< gets a line for each rung that has ended
  SearchPageOptions page = {};   ///< how the page is labelled
  /// What messages call `resume` and `restart`: the flags of a program that has some.
  std::string resume_name = "the option resume", restart_name = "restart";
};

/// The folder of a trial in that of its search.
[[nodiscard]] inline std::filesystem::path trial_folder(const std::filesystem::path& search, Index trial) {
  std::string digits = std::to_string(trial);
  digits.insert(0, 5 - std::min<std::size_t>(5, digits.size()), '0');
  return search / ("trial-" + digits);
}

/// What a trial is to do: to go on until it has been given `resource` in all, and to return its score.
struct TrialTask {
  /// The numbers of the trial and of its rung, from 0.
  Index trial = 0, rung = 0;
  nlohmann::ordered_json settings = {};  ///< its values, see `settings_from`
  double resource = 0;                   ///< such as steps
  double resource_before = 0;            ///< what it had been given when it ended the rung before
  /// Its own, for checkpoints. It may hold one of a rung before, or of this rung if the search was killed in it.
  std::filesystem::path folder = {};
};

/// The score of a trial; smaller is better. It is called in a child process. What it throws is noted as the failure of
/// the trial, but for Interrupted, with which a training job heeds a request to end: then the rung has no result.
using TrialObjective = std::function<double(const TrialTask&)>;

}}  // namespace rapt::RAPT_ABI
