/// \file
/// A search over settings: trials in processes of their own, a log from which a killed search goes on, and a page.
///
///     const rapt::SettingsSpace space = rapt::settings_space<Settings>();
///     const auto loss = [](const rapt::TrialTask& task) {
///       return train_and_validate(rapt::settings_from<Settings>(task.settings));
///     };
///     const rapt::TrialHistory history = rapt::search_settings(space, {.folder = "search", .trials = 50}, loss);
///
/// One process, which never trains, keeps the log and forks a child for each trial. Workers that share a log through
/// file locks could run on several machines, but locks of network file systems cannot be relied upon, every worker
/// would read the log again before each proposal, and a crash would take a worker with it. Processes of one machine
/// need none of this, and each may use as many threads as its part of the processors.
#pragma once

#if defined(_WIN32)
#error "rapt/search/ runs its trials in forked processes, which Windows does not have."
#endif

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/search/halving.hpp"
#include "rapt/search/history.hpp"
#include "rapt/search/proposals.hpp"
#include "rapt/search/search_options.hpp"
#include "rapt/search/search_page.hpp"
#include "rapt/search/space.hpp"
#include "rapt/search/trial_log.hpp"
#include "rapt/search/trial_process.hpp"
#include "rapt/train/interrupt.hpp"
#include "rapt/train/progress.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// One start of a search.
class SettingsSearch {
 public:
  using Json = nlohmann::ordered_json;

  SettingsSearch(const SettingsSpace& space, const SettingsSearchOptions& options)
      : space_(space), options_(checked(space, options)), log_(open_log()) {
    if (options_.restart) log_.require_search();
    TrialRecords records = options_.restart ? TrialRecords() : log_.read(space_);
    const bool is_there = !records.search.is_null();
    require<IoError>(is_there || !options_.resume, kWhere, "there is nothing to resume: ", log_.path().string(),
                     " has no line");
    require(!is_there || options_.resume, kWhere, log_.path().string(),
            ": there is a search already: ", options_.resume_name, " goes on with it, ", options_.restart_name,
            " removes it");
    if (!records.torn.empty()) {
      message(log_.path().string() +
              ": the last line was cut off and counts for nothing: " + std::to_string(records.torn.size()) + " bytes");
    }
    if (is_there) require_same(records.search);
    history_ = std::move(records.history);
    seconds_before_ = records.seconds;
    if (options_.restart) {  // the log last: what a kill leaves must not look like a new search
      remove_trials();
      log_.clear();
    }
    const std::vector<std::filesystem::path> trials = trial_folders();
    require<IoError>(is_there || trials.empty(), kWhere, log_.path().string(), " has no line, but there is ",
                     trials.empty() ? "" : trials[0].string(), " of another search: ", options_.restart_name,
                     " removes its trials");
    if (!is_there) log_.write_search(identity());
    for (const TrialRung place : history_.running()) interrupted_.push_back(place);
    if (is_there) {
      message("goes on after " + std::to_string(history_.finished().size()) + " rungs of " +
              std::to_string(history_.size()) + " trials");
    }
  }

  TrialHistory run(const TrialObjective& objective) {
    const InterruptListener listener;
    began_ = Clock::now();
    while (!must_stop()) {
      while (std::ssize(workers_) < options_.workers && start_next(objective)) {
      }
      if (workers_.empty()) break;
      for (const TrialRung place : wait()) finish(place);
    }
    const bool is_interrupted = InterruptListener::flag().load();
    stop_workers();
    write_page(/*now=*/true);
    if (is_interrupted) {
      const std::string text = "the search has stopped: the same with " + options_.resume_name + " goes on";
      message(text);
      throw Interrupted(text);
    }
    return std::move(history_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Worker {
    TrialRung place;
    TrialProcess process;
    double began = 0;
  };
  static constexpr const char* kWhere = "search";

  [[nodiscard]] static SettingsSearchOptions checked(const SettingsSpace& space, SettingsSearchOptions options) {
    options.halving.validate();
    require(!options.folder.empty(), kWhere, "a search needs a folder");
    require(options.trials >= 0 && options.seconds >= 0 && options.workers >= 1 && options.messages != nullptr, kWhere,
            "trials and seconds must not be negative, there must be a worker, messages not null: ", options.trials,
            ", ", options.seconds, ", ", options.workers);
    require(options.trials > 0 || options.seconds > 0, kWhere,
            "the search never ends: trials and seconds are both 0, which is no limit");
    require(!options.resume || !options.restart, kWhere, "a search is either resumed or restarted");
    require(options.task.is_object(), kWhere, "the task must be a JSON object, not ", options.task.type_name());
    if (!options.first.is_null()) static_cast<void>(space.coordinates_of(options.first));
    return options;
  }

  [[nodiscard]] TrialLog open_log() const {
    std::error_code error;
    require<IoError>(!options_.resume || std::filesystem::exists(options_.folder), kWhere,
                     "there is nothing to resume: no folder ", options_.folder.string());
    std::filesystem::create_directories(options_.folder, error);
    require<IoError>(!error, kWhere, options_.folder.string(), ": cannot make the folder: ", error.message());
    return TrialLog(options_.folder / "log.jsonl");
  }

  /// What tells the search from others: the first line of the log.
  [[nodiscard]] Json identity() const {
    return {{"settings", space_.to_json()},
            {"method", name_of(options_.method)},
            {"seed", options_.seed},
            {"rungs", options_.halving.rungs},
            {"factor", options_.halving.factor},
            {"resource", options_.halving.resource},
            {"first", options_.first},
            {"task", options_.task}};
  }
  void require_same(const Json& before) const {
    const Json now = identity();
    const auto text = [](const Json& value) { return value.dump(-1, ' ', true, Json::error_handler_t::replace); };
    for (const auto& item : now.items()) {
      const auto found = before.find(item.key());
      const std::string was = found == before.end() ? "nothing" : text(*found);
      const std::string is = text(item.value());
      require(was == is, kWhere, log_.path().string(), ": the search was started with another ", item.key(), ": then ",
              was, ", now ", is);
    }
  }
  [[nodiscard]] std::vector<std::filesystem::path> trial_folders() const {
    std::vector<std::filesystem::path> folders;
    std::error_code error;
    std::filesystem::directory_iterator at(options_.folder, error);
    for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
      const std::string name = at->path().filename().string();
      const bool has_digits = name.size() >= 11 && name.find_first_not_of("0123456789", 6) == std::string::npos;
      if (name.starts_with("trial-") && has_digits) folders.push_back(at->path());
    }
    require<IoError>(!error, kWhere, options_.folder.string(), ": cannot read the folder: ", error.message());
    std::sort(folders.begin(), folders.end());
    return folders;
  }
  void remove_trials() const {
    for (const std::filesystem::path& folder : trial_folders()) {
      std::error_code error;
      std::filesystem::remove_all(folder, error);
      require<IoError>(!error, kWhere, folder.string(), ": cannot be removed: ", error.message());
    }
  }

  [[nodiscard]] double seconds() const {
    return seconds_before_ + std::chrono::duration<double>(Clock::now() - began_).count();
  }
  [[nodiscard]] bool must_stop() const {
    return InterruptListener::flag().load() || (options_.seconds > 0 && seconds() >= options_.seconds);
  }

  /// Starts what a killed search has not ended, else a promoted trial, else a new one. False: there is nothing to
  /// start.
  bool start_next(const TrialObjective& objective) {
    if (!interrupted_.empty()) {
      const TrialRung place = interrupted_.front();
      interrupted_.erase(interrupted_.begin());
      start(place, objective);
      return true;
    }
    if (const std::optional<TrialRung> promoted = next_promotion(history_, options_.halving)) {
      log_.write_start(*promoted, nullptr, seconds());
      history_.start(*promoted);
      start(*promoted, objective);
      return true;
    }
    if (options_.trials > 0 && history_.size() >= options_.trials) return false;
    const TrialRung place{history_.size(), 0};
    Json settings = place.trial == 0 && !options_.first.is_null()
                        ? options_.first
                        : propose(options_.method, space_, history_, options_.seed);
    log_.write_start(place, settings, seconds());
    history_.start(place, std::move(settings));
    start(place, objective);
    return true;
  }

  void start(TrialRung place, const TrialObjective& objective) {
    const TrialTask task{.trial = place.trial,
                         .rung = place.rung,
                         .settings = history_[place.trial].settings,
                         .resource = options_.halving.resource_at(place.rung),
                         .resource_before = options_.halving.resource_at(place.rung - 1),
                         .folder = trial_folder(options_.folder, place.trial)};
    std::error_code error;
    std::filesystem::create_directories(task.folder, error);
    require<IoError>(!error, kWhere, task.folder.string(), ": cannot make the folder: ", error.message());
    const auto computed = [&] {
      if (options_.workers > 1) set_threads(std::max<Index>(1, threads() / options_.workers));
      return objective(task);
    };
    const double began = seconds();
    workers_.push_back({place, TrialProcess(task.folder / "output.txt", computed), began});
  }

  /// Waits until a worker has ended, or there is a reason to stop. The places of those that have ended.
  [[nodiscard]] std::vector<TrialRung> wait() const {
    std::vector<::pollfd> ends;
    for (const Worker& worker : workers_) ends.push_back({worker.process.descriptor(), POLLIN, 0});
    std::vector<TrialRung> ended;
    while (ended.empty() && !must_stop()) {
      const double left = options_.seconds > 0 ? options_.seconds - seconds() : 1;
      const int timeout = static_cast<int>(std::ceil(1000 * std::clamp(left, 0.0, 1.0)));
      const int count = ::poll(ends.data(), static_cast<::nfds_t>(ends.size()), timeout);
      require<IoError>(count >= 0 || errno == EINTR, kWhere, "cannot wait for trials: ", system_reason(errno));
      for (std::size_t i = 0; count > 0 && i < ends.size(); ++i) {
        if (ends[i].revents != 0) ended.push_back(workers_[i].place);
      }
    }
    return ended;
  }

  /// Takes the result of a worker that has ended, or will soon.
  void finish(TrialRung place) {
    const auto worker =
        std::find_if(workers_.begin(), workers_.end(), [&](const Worker& some) { return some.place == place; });
    TrialEnd end = worker->process.wait();
    const double took = seconds() - worker->began;
    workers_.erase(worker);
    if (end.is_interrupted) {  // somebody has asked this trial alone to end
      interrupted_.push_back(place);
    } else {
      note(place, std::move(end), took);
      write_page(/*now=*/false);
    }
  }

  /// Writes a result into the log and the history.
  void note(TrialRung place, TrialEnd end, double took) {
    RungResult result{.score = end.score,
                      .failure = std::move(end.failure),
                      .resource = options_.halving.resource_at(place.rung),
                      .took = took,
                      .seconds = seconds()};
    log_.write_end(place, result);
    history_.finish(place, std::move(result));
    report(place);
  }

  /// Asks the workers to end, so that they can be resumed, and kills those that do not. The scores of those that were
  /// ready count.
  void stop_workers() {
    for (const Worker& worker : workers_) worker.process.signal(SIGTERM);
    const double end = seconds() + options_.patience;
    for (Worker& worker : workers_) {
      ::pollfd ready{worker.process.descriptor(), POLLIN, 0};
      int count = 0;
      do {
        const double left = std::clamp(end - seconds(), 0.0, 1e5);
        count = ::poll(&ready, 1, static_cast<int>(std::ceil(1000 * left)));
      } while (count < 0 && errno == EINTR);
      if (count <= 0) continue;
      TrialEnd said = worker.process.wait();
      if (said.score) note(worker.place, std::move(said), seconds() - worker.began);
    }
    workers_.clear();
  }

  void report(TrialRung place) {
    const RungResult& result = history_.result(place);
    std::string line = "trial " + std::to_string(place.trial) + ", rung " + std::to_string(place.rung) + " (" +
                       resource_text(result.resource) + ' ' + options_.page.resource_name + ", " +
                       clock_text(result.took) + "): ";
    line += result.score ? short_number(*result.score) : "failed: " + result.failure;
    if (const std::optional<TrialRung> best = history_.best()) {
      line += "; best: " + short_number(*history_.result(*best).score) + ", trial " + std::to_string(best->trial);
    }
    message(line);
  }

  /// Writes the page, which may take a while: seldom, unless it must be now.
  void write_page(bool now) {
    if (!now && seconds() < next_page_) return;
    const double began = seconds();
    try {
      write_text_file(options_.folder / "search.html", search_page(space_, options_.halving, history_, options_.page));
    } catch (const Error& error) {  // a page must not end the search
      message(std::string("cannot write the page: ") + error.what());
    }
    next_page_ = seconds() + 20 * (seconds() - began);
  }

  void message(const std::string& text) const {
    std::fprintf(options_.messages, "%s\n", text.c_str());
    std::fflush(options_.messages);
  }

  const SettingsSpace& space_;
  SettingsSearchOptions options_;
  TrialLog log_;
  TrialHistory history_;
  std::vector<TrialRung> interrupted_;  // began before the search was killed, and are to begin again
  std::vector<Worker> workers_;
  Clock::time_point began_ = Clock::now();
  double seconds_before_ = 0, next_page_ = 0;
};

}  // namespace detail

/// Tries settings until the options' number of trials have ended, or their seconds are over, and returns all results.
/// What runs when the time is over has no result; a search that is resumed with more seconds ends it. With one worker,
/// and resources that are not times, a search that was killed and resumed is the same as one that was not: the same
/// trials, each rung once. With several workers, what a proposal or promotion knows depends on which trial has ended
/// first.
///
/// Throws ValueError for options that make no sense, or that differ from those of the search that is resumed; IoError
/// for a log that cannot be read or written, or that another search has, for trials in the folder without a log, and if
/// what is to be removed is not the log of a search; Interrupted after Ctrl-C or SIGTERM, when trials have saved
/// themselves and can be resumed. Must be called where no other thread computes, as it forks.
inline TrialHistory search_settings(const SettingsSpace& space, const SettingsSearchOptions& options,
                                    const TrialObjective& objective) {
  return detail::SettingsSearch(space, options).run(objective);
}

}}  // namespace rapt::RAPT_ABI
