/// \file
/// A training run as a job that may last for days and be ended at any moment, by Ctrl-C or a kill: checkpoints from
/// which it goes on bit for bit, the last versions of the model and the best one, a log, curves, and the choice in the
/// end.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/build_info.hpp"
#include "rapt/core/error.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/train/best_model.hpp"
#include "rapt/train/checkpoint.hpp"
#include "rapt/train/interrupt.hpp"
#include "rapt/train/job_agreement.hpp"
#include "rapt/train/job_log.hpp"
#include "rapt/train/job_options.hpp"
#include "rapt/train/job_processes.hpp"
#include "rapt/train/micro_batches.hpp"
#include "rapt/train/model_choice.hpp"
#include "rapt/train/progress.hpp"
#include "rapt/train/run_folder.hpp"
#include "rapt/train/run_identity.hpp"
#include "rapt/train/trainer.hpp"
#include "rapt/train/validation_window.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How a job ended.
struct JobSummary {
  TrainingSummary training;  ///< the result of `Trainer::run`
  std::string chosen;        ///< the version whose parameters are left in the model
};

/// A training run in a folder. It is made before the model is, for a resumed run may need what its checkpoint stores
/// (`stored`); then `run` trains.
///
///     rapt::TrainingJob job({.folder = "run", .resume = resume, .checkpoint_every = 500, .deciding = options});
///     rapt::Trainer trainer(model, {...});
///     job.run(trainer, source, {.steps = 10000, .validate_every = 500}, {.measure = ...});
///
/// Several processes may train one model together (`JobOptions::communicator`): each makes a job and runs it. Before
/// the first step they compare what decides the bits. All of them call the hook `measure`, whose score is that of rank
/// 0; rank 0 alone calls `save_model` and writes. In the end all have the same parameters. If one of them throws, the
/// others end with CommunicationError or an error of the same cause; an interruption of any of them is one of all.
class TrainingJob {
 public:
  /// Throws ValueError or IoError, before anything is changed, if the folder holds a checkpoint and neither `resume`
  /// nor `restart` says what to do with it, if there is none to resume from, if it is of a run with other options or
  /// data, or if processes differ in the options, the data, or what rapt computes with.
  explicit TrainingJob(const JobOptions& options)
      : options_(options),
        processes_(options.communicator),
        identity_(options.deciding, options.corpus),
        log_(processes_.is_first() ? options.plot : std::filesystem::path()) {
    require(options.checkpoint_every >= 0 && options.keep >= 0 && options.average >= 0 && options.log_every >= 0 &&
                options.messages != nullptr,
            kWhere, "checkpoint_every, keep, average and log_every must not be negative, messages not null: ",
            options.checkpoint_every, ", ", options.keep, ", ", options.average, ", ", options.log_every);
    processes_.announcing_failure([&] {
      detail::require_same_job(processes_, options_, identity_);
      processes_.on_first([&] { open_folder(); });
      if (!options.resume) return;
      const FileOfFirst file(checkpoint_path(), processes_);
      if (!checkpoint_) checkpoint_.emplace(file.path(), file.name());
      window_.read(*checkpoint_, kWhere);
    });
    is_resumed_ = options.resume;
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
    BestModel<typename M::ScalarType> best(folder_ ? &*folder_ : nullptr);
    JobSummary summary;
    processes_.announcing_failure([&] {
      if (resumes()) load_checkpoint(*checkpoint_, trainer, source);
      require(trainer.training_step().options().communicator == options_.communicator, kWhere,
              "the job and its trainer must have the same communicator");
      detail::require_same_start(processes_, trainer, plan, /*validates=*/hooks.measure != nullptr);
      begin(trainer, best);
      summary.training = train(trainer, source, plan, hooks, best);
    });
    if (summary.training.reason == StopReason::request) stop(summary.training.steps);
    processes_.announcing_failure([&] { summary.chosen = choose(trainer, hooks, summary.training, best); });
    keep([&] { log_.plot(); });
    return summary;
  }

  /// The progress after the last step; at a validation, that of the step which is validated.
  [[nodiscard]] const Progress& progress() const { return last_; }
  /// The mean loss of the steps since the last validation, those before a job was interrupted included; 0 if there is
  /// none.
  [[nodiscard]] double mean_loss() const { return window_.mean_loss(); }
  /// Writes a line to `options.messages`, past the progress line; of several processes rank 0 does.
  void message(const std::string& text) {
    if (processes_.is_first()) line_.message(text, options_.messages);
  }

 private:
  static constexpr std::string_view kWhere = "train";
  using Json = nlohmann::ordered_json;

  [[nodiscard]] std::filesystem::path checkpoint_path() const { return RunFolder::checkpoint(options_.folder); }

  /// Finds out what the folder holds, on the process that has it.
  void open_folder() {
    require<IoError>(!options_.resume || std::filesystem::exists(options_.folder), kWhere,
                     "there is nothing to resume: no folder ", options_.folder.string());
    if (options_.folder.empty()) return;
    folder_.emplace(options_.folder);
    const std::string path = folder_->checkpoint().string();
    const bool exists = std::filesystem::exists(folder_->checkpoint());
    require<IoError>(exists || !options_.resume, kWhere, "there is nothing to resume: no ", path);
    require(!exists || options_.resume || options_.restart, kWhere, path,
            ": an earlier run has left a checkpoint: ", options_.resume_name, " goes on from it, ",
            options_.restart_name, " gives it up");
    if (!options_.resume) return;
    checkpoint_.emplace(folder_->checkpoint());
    identity_.require_same(*checkpoint_);
  }

  /// Puts the folder where the checkpoint was written, or clears it; opens the log.
  template <class Trainer>
  void begin(Trainer& trainer, BestModel<typename Trainer::T>& best) {
    processes_.on_first([&] {
      if (folder_) folder_->remove_leftovers();
    });
    if (resumes()) {
      checkpoint_.reset();
      if (options_.choose_best) best.restore(trainer.model(), trainer.state().best_step, processes_);
      kept_step_ = trainer.steps();
      message("goes on after step " + std::to_string(kept_step_));
    }
    processes_.on_first([&] {
      if (!folder_) return;
      if (resumes()) {
        folder_->prune(keep_count(), kept_step_);
      } else {  // also what a run without a checkpoint has left is removed: it must not get into the averages
        clear_folder();
      }
      log_.open(*folder_, resumes() ? trainer.steps() : -1);
    });
    Json entry = {{"rapt", to_string(build_info())}, {"options", identity_.options()}, {"corpus", identity_.corpus()}};
    if (processes_.count() > 1) {
      entry["processes"] = processes_.count();
      entry["threads"] = processes_.from_each(threads());
    }
    log(entry);
    report_idle(trainer.training_step().options().micro_batches);
  }

  /// Says how many processes have no part in the steps.
  void report_idle(Index micro_batches) {
    const Index busy = micro_batch_share(micro_batches, processes_.count()).contributors;
    const Index idle = processes_.count() - busy;
    if (idle == 0) return;
    message(std::to_string(idle) + " of " + std::to_string(processes_.count()) +
            " processes have nothing to compute: the " + std::to_string(micro_batches) +
            " micro-batches of a step are divided into " + std::to_string(busy) +
            " equal parts. A number of processes that is a power of two, and not above that of micro-batches, has work "
            "for all");
  }

  void clear_folder() const {
    for (const std::filesystem::path& file : {folder_->checkpoint(), folder_->best()}) {
      std::error_code error;
      std::filesystem::remove(file, error);
      require<IoError>(!error, kWhere, file.string(), ": cannot be removed: ", error.message());
    }
    folder_->remove_former_bests();
    folder_->prune(0, 0);
  }

  /// The steps, with validations and checkpoints.
  template <class Trainer, class S, class M>
  TrainingSummary train(Trainer& trainer, S& source, TrainingPlan plan, const JobHooks<M>& hooks,
                        BestModel<typename Trainer::T>& best) {
    plan.validate_every = hooks.measure ? plan.validate_every : 0;
    plan.keep_best = false;
    plan.save_every = options_.checkpoint_every;
    plan.stop = &detail::InterruptListener::flag();

    bool is_validation_kept = true;  // the outcome of the last validation is in a checkpoint
    const auto save_best = [&] { best.write(trainer.model(), hooks.save_model); };
    const auto validate = [&] {
      const Index step = trainer.steps();
      const double score = measure(hooks, trainer.model(), "step " + std::to_string(step), {{"step", step}});
      window_.set_validated_step(step);
      is_validation_kept = false;
      if (options_.choose_best && score < trainer.state().best_validation) {
        best.take(std::as_const(trainer.model()), step);
        keep(save_best);
      }
      keep([&] { log_.plot(); });
      return score;
    };
    // The checkpoint comes last: whenever it is there, so are the versions and the best model that belong to it.
    const auto save = [&] {
      if (options_.folder.empty()) return;
      const Index step = trainer.steps();
      const bool is_ready = processes_.from_first([&] {
        return keep([&] {
          save_best();
          if (keep_count() > 0 && options_.checkpoint_every > 0 && step % options_.checkpoint_every == 0) {
            hooks.save_model(std::as_const(trainer.model()), folder_->version(step));
          }
        });
      });
      bool is_kept = is_ready && keep([&] {  // all processes have parts of the state
                       Metadata metadata = hooks.metadata;
                       identity_.add_to(metadata);
                       if (options_.checkpoint_at_end) window_.add_validated_step_to(metadata);
                       window_.add_losses_to(metadata);
                       save_checkpoint(checkpoint_path(), trainer, std::move(metadata));
                     });
      is_kept = processes_.from_first([&] { return is_kept; });
      if (is_kept) best.checkpoint_is_written();
      if (is_kept) kept_step_ = step, is_validation_kept = true;
      // While the disk takes versions but no checkpoint, they must not add up; those of the last checkpoint stay a
      // while.
      if (folder_) folder_->prune(is_kept ? keep_count() : 2 * keep_count(), step);
    };

    const detail::InterruptListener listener;
    TrainingSummary summary = trainer.run(
        source, plan, validate, [&](const Progress& progress) { report(progress); }, save);
    if (!options_.checkpoint_at_end || summary.reason == StopReason::request) return summary;
    // The checkpoint that this run goes on from may be of the last step, and have been written before its validation.
    const bool is_validated = window_.validated_step() >= summary.steps;
    if (plan.validate_every > 0 && !is_validated) note_validation(trainer, validate(), summary);
    if (kept_step_ < summary.steps || !is_validation_kept) save();
    return summary;
  }

  /// Notes the outcome of a validation after the trainer's run, as the trainer does in it.
  template <class Trainer>
  static void note_validation(Trainer& trainer, double score, TrainingSummary& summary) {
    TrainerState state = trainer.state();
    state.misses = score < state.best_validation ? 0 : state.misses + 1;
    if (state.misses == 0) state.best_validation = score, state.best_step = trainer.steps();
    trainer.restore(state);
    summary.best_validation = state.best_validation;
    summary.best_step = state.best_step;
  }

  /// The score is that of rank 0; all processes measure, as they may share the work.
  template <class M>
  double measure(const JobHooks<M>& hooks, const M& model, const std::string& name, Json entry) {
    const Measurement found = hooks.measure(model);
    const double score = processes_.from_first([&] { return found.score; });
    window_.clear_losses();
    message(name + "  " + found.text);
    if (!found.entry.empty()) {
      entry.update(found.entry);
      log(entry);
    }
    return std::isnan(score) ? std::numeric_limits<double>::infinity() : score;
  }

  void report(const Progress& progress) {
    last_ = progress;
    window_.add_loss(progress.loss);
    if (!processes_.is_first()) return;
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

  /// Calls `write`, which touches files on rank 0 alone. Returns false, with a message, if a file could not be written:
  /// a full disk does not end the training, as the checkpoint before is whole and the next one may succeed.
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
    text += kept_step_ == 0 ? ": nothing is kept" : ": the same run with " + options_.resume_name + " goes on";
    if (kept_step_ > 0 && kept_step_ < step) text += " after step " + std::to_string(kept_step_);
    message(text);
    throw Interrupted(text);
  }

  /// Leaves in the model the parameters of the last model, the best one or an average, whichever does best in
  /// validation. Returns its name.
  template <class Trainer, class M>
  std::string choose(Trainer& trainer, const JobHooks<M>& hooks, const TrainingSummary& summary,
                     BestModel<typename Trainer::T>& best) {
    M& model = trainer.model();
    const auto name_of = [](Index step) { return "step " + std::to_string(step); };
    if (!options_.choose_best) return name_of(summary.steps);
    ModelChoice<M> versions(model, name_of(summary.steps));
    if (!best.empty() && summary.best_step != summary.steps) {
      versions.add(name_of(summary.best_step), best.release(), summary.best_validation);
    }
    if (options_.average > 1 && !options_.folder.empty()) {
      std::vector<std::filesystem::path> files;
      if (folder_) files = folder_->last_versions(options_.average, summary.steps);
      const Index count = processes_.from_first([&] { return std::ssize(files); });
      if (count > 1) {
        try {
          versions.add_assigned("mean of the last " + std::to_string(count) + " versions", [&] {
            processes_.on_first([&] { load_mean(model, std::span<const std::filesystem::path>(files)); });
            processes_.share_parameters(model);
          });
        } catch (const CommunicationError&) {
          throw;
        } catch (const Error& error) {  // a damaged version must not cost the model
          message(std::string("no mean of the last versions: ") + error.what());
        }
      }
    }
    if (trainer.average()) versions.add_assigned("moving average", [&] { trainer.average()->assign_to(model); });
    if (!hooks.measure) return versions.choose_last();
    return versions.choose_best([&](const std::string& name) {
      return measure(hooks, std::as_const(model), name, {{"model", name}});
    });
  }

  void log(const Json& entry) {
    if (!log_.add(entry)) message("cannot write " + folder_->log().string());
  }

  JobOptions options_;
  JobProcesses processes_;
  RunIdentity identity_;
  JobLog log_;
  std::optional<RunFolder> folder_;            // on the process that has it
  std::optional<SafetensorsFile> checkpoint_;  // that is resumed from, until it is loaded
  bool is_resumed_ = false, has_run_ = false;
  ProgressLine line_;
  Progress last_;
  detail::ValidationWindow window_;
  Index kept_step_ = 0;  // of the last checkpoint
};

}}  // namespace rapt::RAPT_ABI
