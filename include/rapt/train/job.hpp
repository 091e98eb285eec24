/// \file
/// A training run as a job that may last for days and be ended at any moment, by Ctrl-C or a kill: checkpoints from
/// which it goes on bit for bit, the last versions of the model and the best one, a log, curves, and the choice in the
/// end.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/build_info.hpp"
#include "rapt/core/error.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/train/checkpoint.hpp"
#include "rapt/train/interrupt.hpp"
#include "rapt/train/job_log.hpp"
#include "rapt/train/progress.hpp"
#include "rapt/train/run_folder.hpp"
#include "rapt/train/snapshot.hpp"
#include "rapt/train/trainer.hpp"

namespace rapt { inline namespace RAPT_ABI {

struct JobOptions {
  std::filesystem::path folder = {};  ///< of checkpoint, versions, best model and log; empty: nothing is kept
  bool resume = false;                ///< go on from the folder's checkpoint
  bool restart = false;               ///< give up the folder's checkpoint and begin anew
  Index checkpoint_every = 0;         ///< steps between checkpoints; 0: one is written only when the run is interrupted
  Index keep = 0;                     ///< the last versions of the model, each written with a checkpoint
  Index average = 0;        ///< in the end, the mean of so many last versions is tried as well (as many are kept)
  bool choose_best = true;  ///< keep the best validated model and choose among it, the last one and the averages
  Index log_every = 0;      ///< steps; 0: only validations are logged
  std::filesystem::path plot = {};  ///< SVG file of the curves; empty: none
  /// The options that decide what is computed, by name: a resumed run must have the same.
  nlohmann::ordered_json deciding = nlohmann::ordered_json::object();
  std::string corpus = {};       ///< tells the data apart (see Fingerprint): a resumed run must have the same
  std::FILE* messages = stderr;  ///< where lines that stay are written to; the progress line goes to stderr
};

/// The result of a validation.
struct Measurement {
  double score = 0;                                                 ///< smaller is better
  std::string text = {};                                            ///< to be shown
  nlohmann::ordered_json entry = nlohmann::ordered_json::object();  ///< to be logged
};

/// The functions that a job calls.
template <Module M>
struct JobHooks {
  /// Validates the model. Empty: there is no validation.
  std::function<Measurement(const M& model)> measure = {};
  /// Writes a version of the model: a safetensors file with the parameters under their names, and metadata.
  std::function<void(const M& model, const std::filesystem::path& file)> save_model =
      [](const M& model, const std::filesystem::path& file) { write_safetensors(file, parameter_entries(model)); };
  Metadata metadata = {};  ///< of checkpoints, for `TrainingJob::stored`
};

/// How a job ended.
struct JobSummary {
  TrainingSummary training;
  std::string chosen;  ///< the version whose parameters are left in the model
};

/// Thrown after Ctrl-C, or a request to end: the job has stopped after a step and has saved itself if it has a folder.
/// The message says so.
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// A training run in a folder. It is made before the model is, for a resumed run may need what its checkpoint stores
/// (`stored`); then `run` trains.
///
///     rapt::TrainingJob job({.folder = "run", .resume = resume, .checkpoint_every = 500, .deciding = options});
///     rapt::Trainer trainer(model, {...});
///     job.run(trainer, source, {.steps = 10000, .validate_every = 500}, {.measure = ...});
class TrainingJob {
 public:
  /// Throws ValueError or IoError, before anything is changed, if the folder holds a checkpoint and neither `resume`
  /// nor `restart` says what to do with it, if there is none to resume from, or if it is of a run with other options or
  /// data.
  explicit TrainingJob(const JobOptions& options) : options_(options) {
    require(options.checkpoint_every >= 0 && options.keep >= 0 && options.average >= 0 && options.log_every >= 0 &&
                options.messages != nullptr,
            kWhere, "checkpoint_every, keep, average and log_every must not be negative, messages not null: ",
            options.checkpoint_every, ", ", options.keep, ", ", options.average, ", ", options.log_every);
    require<IoError>(!options.resume || std::filesystem::exists(options.folder), kWhere,
                     "there is nothing to resume: no folder ", options.folder.string());
    if (options.folder.empty()) return;
    folder_.emplace(options.folder);
    const std::string path = folder_->checkpoint().string();
    const bool exists = std::filesystem::exists(folder_->checkpoint());
    require<IoError>(exists || !options.resume, kWhere, "there is nothing to resume: no ", path);
    require(!exists || options.resume || options.restart, kWhere, path,
            ": an earlier run has left a checkpoint: --resume goes on from it, --restart gives it up");
    if (!options.resume) return;
    checkpoint_.emplace(folder_->checkpoint());
    is_resumed_ = true;
    require_same_run();
  }

  /// True if the job goes on from a checkpoint.
  [[nodiscard]] bool resumes() const { return is_resumed_; }
  /// What the hooks' metadata of the checkpoint that is resumed from has under this key. Throws IoError if it has none.
  [[nodiscard]] std::string stored(const std::string& key) const {
    require<IoError>(checkpoint_.has_value(), kWhere, "no checkpoint is open, of which \"", key,
                     "\" could be read: the job does not resume, or has run");
    const auto found = checkpoint_->metadata().find(key);
    require<IoError>(found != checkpoint_->metadata().end(), kWhere, checkpoint_->path(), ": the checkpoint has no ",
                     key);
    return found->second;
  }

  /// Trains until the plan ends it, or an interruption (then throws Interrupted). `plan.keep_best`, `save_every` and
  /// `stop` are the job's to set. In the end the model has the parameters of the version that does best in validation
  /// (without validation: of the moving average or the mean of the last versions if there is one), or the last ones
  /// unless `choose_best`. A file that cannot be written, because the disk is full, does not end the training.
  template <Module M, Optimizer O, BatchSource S>
  JobSummary run(Trainer<M, O>& trainer, S& source, TrainingPlan plan, const JobHooks<M>& hooks = {}) {
    require(!std::exchange(has_run_, true), kWhere, "a job runs once: another run would give its files up");
    ParameterSnapshot<typename M::ScalarType> best;  // of this run, in memory
    bool best_is_new = false;                        // the file has it not yet
    begin(trainer, source, best);
    plan.validate_every = hooks.measure ? plan.validate_every : 0;
    plan.keep_best = false;
    plan.save_every = options_.checkpoint_every;
    plan.stop = &detail::InterruptListener::flag();

    const auto save_best = [&] {
      if (!best_is_new) return;
      best.swap_with(trainer.model());
      try {
        hooks.save_model(std::as_const(trainer.model()), folder_->best());
      } catch (...) {
        best.swap_with(trainer.model());
        throw;
      }
      best.swap_with(trainer.model());
      best_is_new = false;
    };
    const auto validate = [&] {
      const Index step = trainer.steps();
      const double score = measure(hooks, trainer.model(), "step " + std::to_string(step), {{"step", step}});
      if (options_.choose_best && score < trainer.state().best_validation) {
        best = ParameterSnapshot<typename M::ScalarType>(trainer.model());
        best_is_new = true;
        if (folder_) keep([&] { save_best(); });
      }
      keep([&] { log_.plot(); });
      return score;
    };
    // The checkpoint comes last: whenever it is there, so are the versions and the best model that belong to it.
    const auto save = [&] {
      if (!folder_) return;
      const Index step = trainer.steps();
      const bool is_kept = keep([&] {
        save_best();
        if (keep_count() > 0 && options_.checkpoint_every > 0 && step % options_.checkpoint_every == 0) {
          hooks.save_model(std::as_const(trainer.model()), folder_->version(step));
        }
        Metadata metadata = hooks.metadata;
        metadata["options"] = options_.deciding.dump();
        metadata["corpus"] = options_.corpus;
        save_checkpoint(folder_->checkpoint(), trainer, std::move(metadata));
      });
      if (is_kept) kept_step_ = step;
      // While the disk takes versions but no checkpoint, they must not add up; those of the last checkpoint stay a
      // while.
      folder_->prune(is_kept ? keep_count() : 2 * keep_count(), step);
    };

    JobSummary summary;
    {
      const detail::InterruptListener listener;
      summary.training = trainer.run(
          source, plan, validate, [&](const Progress& progress) { report(progress); }, save);
    }
    if (summary.training.reason == StopReason::request) stop(summary.training.steps);
    summary.chosen = choose(trainer, hooks, summary.training, std::move(best));
    keep([&] { log_.plot(); });
    return summary;
  }

  /// The progress after the last step; at a validation, that of the step which is validated.
  [[nodiscard]] const Progress& progress() const { return last_; }
  /// The mean loss of the steps since the last validation.
  [[nodiscard]] double mean_loss() const { return loss_sum_ / static_cast<double>(std::max<Index>(1, loss_count_)); }
  /// Writes a line to `options.messages`, past the progress line.
  void message(const std::string& text) { line_.message(text, options_.messages); }

 private:
  static constexpr std::string_view kWhere = "train";
  using Json = nlohmann::ordered_json;

  void require_same_run() const {
    const auto entry = [&](const char* key) {
      const auto found = checkpoint_->metadata().find(key);
      require<IoError>(found != checkpoint_->metadata().end(), kWhere, checkpoint_->path(),
                       ": it is no checkpoint of such a run: its metadata has no \"", key, "\"");
      return found->second;
    };
    require(entry("corpus") == options_.corpus, kWhere, checkpoint_->path(),
            ": the run was started on another corpus: it had ", entry("corpus"), ", this one has ", options_.corpus);
    const Json before = Json::parse(entry("options"), nullptr, /*allow_exceptions=*/false);
    require<IoError>(before.is_object(), kWhere, checkpoint_->path(), ": \"options\" must be a JSON object");
    std::set<std::string> names;
    for (const Json* some : {&before, &options_.deciding}) {
      for (const auto& [name, value] : some->items()) names.insert(name);
    }
    const auto shown = [](const Json& some, const std::string& name) {
      return some.contains(name) ? some[name].dump() : std::string("not given");
    };
    for (const std::string& name : names) {
      require(shown(before, name) == shown(options_.deciding, name), kWhere, checkpoint_->path(),
              ": the run was started with another ", name, ": then ", shown(before, name), ", now ",
              shown(options_.deciding, name));
    }
  }

  /// Loads the checkpoint, or clears the folder; opens the log.
  template <class Trainer, class S>
  void begin(Trainer& trainer, S& source, ParameterSnapshot<typename Trainer::T>& best) {
    if (folder_) folder_->remove_leftovers();
    if (resumes()) {
      load_checkpoint(folder_->checkpoint(), trainer, source);
      checkpoint_.reset();
      if (options_.choose_best && trainer.state().best_step > 0) {
        best = ParameterSnapshot<typename Trainer::T>(trainer.model());
        load_parameters(trainer.model(), SafetensorsFile(folder_->best()));
        best.swap_with(trainer.model());
      }
      kept_step_ = trainer.steps();
      folder_->prune(keep_count(), kept_step_);
      message("goes on after step " + std::to_string(kept_step_));
    } else if (folder_) {  // also of what a run without a checkpoint has left: it must not get into the averages
      for (const std::filesystem::path& file : {folder_->checkpoint(), folder_->best()}) {
        std::error_code error;
        std::filesystem::remove(file, error);
        require<IoError>(!error, kWhere, file.string(), ": cannot be removed: ", error.message());
      }
      folder_->prune(0, 0);
    }
    if (folder_) log_.open(*folder_, options_.resume ? trainer.steps() : -1);
    log({{"rapt", to_string(build_info())}, {"options", options_.deciding}, {"corpus", options_.corpus}});
  }

  template <class M>
  double measure(const JobHooks<M>& hooks, const M& model, const std::string& name, Json entry) {
    const Measurement found = hooks.measure(model);
    loss_sum_ = 0, loss_count_ = 0;
    message(name + "  " + found.text);
    if (!found.entry.empty()) {
      entry.update(found.entry);
      log(entry);
    }
    return std::isnan(found.score) ? std::numeric_limits<double>::infinity() : found.score;
  }

  void report(const Progress& progress) {
    last_ = progress;
    loss_sum_ += progress.loss, ++loss_count_;
    line_.update(progress);
    if (options_.log_every == 0 || progress.step % options_.log_every != 0) return;
    log({{"step", progress.step},
         {"loss", progress.loss},
         {"learning_rate", progress.learning_rate},
         {"gradient_norm", progress.gradient_norm},
         {std::string(progress.items) + "_per_second", progress.items_per_second},
         {"seconds", progress.seconds}});
  }

  /// How many of the last versions to keep: enough for `keep` and for the average.
  [[nodiscard]] Index keep_count() const { return std::max(options_.keep, options_.average); }

  /// Calls `write`. Returns false, with a message, if a file could not be written: a full disk does not end the
  /// training, as the checkpoint before is whole and the next one may succeed.
  template <class Write>
  bool keep(const Write& write) {
    try {
      write();
      return true;
    } catch (const IoError& error) {
      message(std::string("cannot keep what is learned: ") + error.what() +
              "; what was written before stays, training goes on");
      return false;
    }
  }

  [[noreturn]] void stop(Index step) {
    std::string text = "stopped after step " + std::to_string(step);
    text += kept_step_ == 0 ? ": nothing is kept" : ": the same command with --resume goes on";
    if (kept_step_ > 0 && kept_step_ < step) text += " after step " + std::to_string(kept_step_);
    message(text);
    throw Interrupted(text);
  }

  /// Leaves in the model the parameters of the last model, the best one or an average, whichever does best in
  /// validation. Returns its name.
  template <class Trainer, class Hooks, class Snapshot>
  std::string choose(Trainer& trainer, const Hooks& hooks, const TrainingSummary& summary, Snapshot best) {
    struct Choice {
      std::string name;
      Snapshot parameters = {};  // empty: those that the model has
      std::optional<double> score = {};
    };
    auto& model = trainer.model();
    std::vector<Choice> choices{{"step " + std::to_string(summary.steps)}};
    if (!options_.choose_best) return choices.front().name;
    if (!best.empty() && summary.best_step != summary.steps) {
      choices.push_back({"step " + std::to_string(summary.best_step), std::move(best), summary.best_validation});
    }
    const auto add_average = [&](const std::string& name, const auto& assign) {
      Snapshot last(model);
      assign();
      last.swap_with(model);
      choices.push_back({name, std::move(last)});
    };
    if (options_.average > 1 && folder_) {
      const auto files = folder_->last_versions(options_.average, summary.steps);
      if (files.size() > 1) {
        try {
          add_average("mean of the last " + std::to_string(files.size()) + " versions",
                      [&] { load_mean(model, std::span<const std::filesystem::path>(files)); });
        } catch (const Error& error) {  // a damaged version must not cost the model
          message(std::string("no mean of the last versions: ") + error.what());
        }
      }
    }
    if (trainer.average()) add_average("moving average", [&] { trainer.average()->assign_to(model); });

    std::size_t chosen = choices.size() - 1;
    const auto with = [&](Choice& choice, const auto& f) {
      if (!choice.parameters.empty()) choice.parameters.swap_with(model);
      f();
      if (!choice.parameters.empty()) choice.parameters.swap_with(model);
    };
    if (hooks.measure && choices.size() > 1) {
      for (std::size_t i = 0; i < choices.size(); ++i) {
        Choice& choice = choices[i];
        if (!choice.score) {
          with(choice, [&] {
            choice.score = measure(hooks, std::as_const(model), choice.name, {{"model", choice.name}});
          });
        }
        if (i == 0 || *choice.score < *choices[chosen].score) chosen = i;
      }
    }
    if (!choices[chosen].parameters.empty()) choices[chosen].parameters.swap_with(model);
    return choices[chosen].name;
  }

  void log(const Json& entry) {
    if (!log_.add(entry)) message("cannot write " + folder_->log().string());
  }

  JobOptions options_;
  JobLog log_{options_.plot};
  std::optional<RunFolder> folder_;
  std::optional<SafetensorsFile> checkpoint_;  // that is resumed from, until it is loaded
  bool is_resumed_ = false, has_run_ = false;
  ProgressLine line_;
  Progress last_;
  double loss_sum_ = 0;
  Index loss_count_ = 0;
  Index kept_step_ = 0;  // of the last checkpoint
};

}}  // namespace rapt::RAPT_ABI
