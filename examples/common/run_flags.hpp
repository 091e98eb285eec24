// The flags of a training that can be killed and resumed, which all training examples share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <rapt/train/job.hpp>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "flags.hpp"
#include "processes.hpp"

/// The options that were given on the command line, but for those of `free`, which do not decide what is computed.
inline nlohmann::ordered_json deciding_options(const CLI::App& command, const std::set<std::string>& free) {
  nlohmann::ordered_json options = nlohmann::ordered_json::object();
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0 && !free.contains(option->get_name())) options[option->get_name()] = option->results();
  }
  return options;
}

struct RunFlags {
  std::string folder, plot;
  bool resume = false, restart = false;
  rapt::Index checkpoint_every = 100, log_every = 10;
  ProcessFlags processes;

  void add_to(CLI::App& app) {
    command_ = &app;
    CLI::Option* in = app.add_option(
        "--folder", folder, "Keeps checkpoints and a log (log.jsonl) in this folder. Without it nothing is kept.");
    CLI::Option* going_on =
        app.add_flag("--resume", resume, "Goes on from the folder's checkpoint, bit for bit.")->needs(in);
    app.add_flag("--restart", restart, "Gives up the folder's checkpoint and begins anew.")
        ->needs(in)
        ->excludes(going_on);
    add_not_negative(app, "--checkpoint-every", checkpoint_every,
                     "The steps after which a checkpoint is written; 0: only when the run is interrupted.")
        ->needs(in);
    add_not_negative(app, "--log-every", log_every,
                     "The steps after which the log gets a line; 0: only validations are logged.");
    app.add_option("--plot", plot, "Writes the curves of loss and learning rate to this SVG file.");
    processes.add_to(app);
    app.parse_complete_callback([&app] {  // the plot is drawn of the log's lines
      const bool has_effect = app.count("--folder") > 0 || app.count("--plot") > 0;
      if (app.count("--log-every") > 0 && !has_effect) throw CLI::RequiresError("--log-every", "--folder or --plot");
    });
  }

  /// The job of the whole run. `free` are options that do not decide what is computed, beside those above; `corpus`
  /// tells the training data apart.
  [[nodiscard]] rapt::JobOptions job(std::set<std::string> free, const std::string& corpus) const {
    for (const char* name : {"--folder", "--resume", "--restart", "--checkpoint-every", "--log-every", "--plot",
                             "--shard-optimizer", "--timeout", "--help"}) {
      free.insert(name);
    }
    return {.folder = folder,
            .resume = resume,
            .restart = restart,
            .checkpoint_every = folder.empty() ? 0 : checkpoint_every,
            .choose_best = false,
            .log_every = log_every,
            .plot = plot,
            .deciding = deciding_options(*command_, free),
            .corpus = corpus,
            .communicator = processes.communicator,
            .messages = stdout,
            .resume_name = "--resume",
            .restart_name = "--restart"};
  }

  /// The job of one of several trainings that follow one another: it has a folder of its own below `folder`, and is
  /// resumed if there is a checkpoint; a training that the run had not come to begins. `--plot` gives a file for each.
  [[nodiscard]] rapt::JobOptions job(const std::string& training, std::set<std::string> free,
                                     const std::string& corpus) const {
    rapt::JobOptions options = job(std::move(free), corpus);
    if (!plot.empty()) {
      const std::filesystem::path path = plot;
      options.plot = path.parent_path() / (path.stem().string() + "-" + training + path.extension().string());
    }
    const rapt::JobProcesses all(processes.communicator);
    // Processes that differ are refused before anything is removed, and before they would go different ways.
    std::vector<std::pair<std::string, std::string>> texts = rapt::RunIdentity(options.deciding, corpus).texts();
    const auto add = [&](const char* name, bool is_given) {
      texts.emplace_back(name, is_given ? "given" : "not given");
    };
    add("--folder", !folder.empty());
    add("--resume", resume);
    add("--restart", restart);
    all.require_same("train", texts);
    if (folder.empty()) return options;
    if (restart && !std::exchange(is_restarted_, true)) all.on_first([&] { give_up_checkpoints(); });
    options.folder /= training;
    options.resume = all.from_first([&] {
      rapt::require<rapt::IoError>(!resume || std::filesystem::is_directory(folder), "train",
                                   "there is nothing to resume: no folder ", folder);
      return resume && std::filesystem::exists(rapt::RunFolder::checkpoint(options.folder));
    });
    return options;
  }

 private:
  /// Of all trainings at once: else one of the run before might be resumed, if this run is killed before it comes
  /// there.
  void give_up_checkpoints() const {
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
      std::filesystem::remove(rapt::RunFolder::checkpoint(at->path()), error);
      error.clear();
    }
  }

  const CLI::App* command_ = nullptr;
  mutable bool is_restarted_ = false;
};
