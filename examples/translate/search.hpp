// `translate search`: which settings of `translate train` are good for a corpus, within some minutes.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <rapt/search/search.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../common/flags.hpp"
#include "train.hpp"
#include "train_flags.hpp"

namespace translate {

struct SettingsSearchFlags {
  std::string folder, model, method = "gaussian_process";
  std::vector<std::string> ranges;
  Index trials = 0, trial_steps = 0, rungs = 3, workers = 1;
  double minutes = 0, trial_minutes = 0, factor = 3;
  bool resume = false, restart = false;
};

inline CLI::App* add_settings_search(CLI::App& app, SettingsSearchFlags& f) {
  CLI::App* search = app.add_subcommand(
      "search",
      "Searches learning rate, warm-up, dropout, layers and vocabulary for a corpus. All other options are those of\n"
      "`translate train`, such as --source, --target and --hold-out; one of the five that is given is not searched.");
  CLI::App& command = *search;
  search->allow_extras();
  search->add_option("--folder", f.folder, "The folder of the log, the page (search.html) and the trials.")->required();
  search->add_option("--model", f.model, "The safetensors file to write the model of the best trial to.");
  add_not_negative(command, "--minutes", f.minutes, "Stops after so much time; 0: there is no limit.");
  add_not_negative(command, "--trials", f.trials, "Makes so many trials; 0: there is no limit.");
  CLI::Option* steps = add_positive(command, "--trial-steps", f.trial_steps, "The steps of a trial at the last rung.");
  add_positive(
      command, "--trial-minutes", f.trial_minutes,
      "The minutes of a trial at the last rung. Without it, and without --trial-steps, a tenth of --minutes, "
      "or with --resume what the search was started with. A trial that was interrupted gets the minutes of its "
      "rung again.")
      ->excludes(steps);
  add_number(
      command, "--rungs", f.rungs, {.least = 1, .most = 20},
      "The rungs of successive halving: one in --factor trials of a rung goes on to the next one, which gives it "
      "--factor times as much in all. 1: each trial gets everything at once.");
  add_number(command, "--factor", f.factor, {.least = 1, .without_least = true}, "See --rungs.");
  search
      ->add_option("--method", f.method,
                   "How trials are chosen: `random`, or by a `gaussian_process` through the scores so far.")
      ->check(CLI::IsMember({"random", "gaussian_process"}))
      ->capture_default_str();
  search->add_option("--range", f.ranges,
                     "NAME=LOW:HIGH: where to search an option, e.g. learning-rate=1e-4:1e-2. May be given several "
                     "times.");
  add_positive(command, "--workers", f.workers, "Trials at the same time, which share the threads.");
  CLI::Option* resume = search->add_flag("--resume", f.resume, "Goes on with the search in the folder.");
  search->add_flag("--restart", f.restart, "Removes the search in the folder and begins anew.")->excludes(resume);
  return search;
}

/// A `translate train` with these arguments.
class TrainCommand {
 public:
  explicit TrainCommand(std::vector<std::string> arguments) : command_(add_train(app_, flags)) {
    arguments.insert(arguments.begin(), "train");
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the end
    try {
      app_.parse(arguments);
    } catch (const CLI::ParseError& error) {
      rapt::fail("search", error.what());
    }
  }
  [[nodiscard]] const CLI::App& command() const { return *command_; }
  [[nodiscard]] bool has(const std::string& option) const { return command_->count(option) > 0; }

  TrainFlags flags;

 private:
  CLI::App app_;
  CLI::App* command_;
};

/// The options that are searched, with their usual values.
class TrainSettings {
 public:
  /// Those that `train` does not fix, in their usual ranges or in those that the flags give.
  TrainSettings(const TrainCommand& train, const std::vector<std::string>& ranges) {
    const TrainFlags& f = train.flags;
    const auto preset = rapt::TransformerConfig::preset(f.preset, f.vocabulary);
    const auto dropout = static_cast<double>(f.dropout.value_or(preset.dropout));
    std::vector<std::pair<std::string, std::pair<double, double>>> wanted;
    for (const std::string& range : ranges) wanted.push_back(parse(range));
    const auto add = [&](const std::string& name, double usual, rapt::SettingRange range) {
      const auto found =
          std::find_if(wanted.begin(), wanted.end(), [&](const auto& some) { return some.first == name; });
      if (found != wanted.end()) {
        const auto [low, high] = found->second;
        rapt::require(!train.has("--" + name), "search", "--", name, " is given, and --range for it, too");
        const rapt::SettingRange checked =
            range.is_logarithmic ? rapt::log_range(low, high) : rapt::linear_range(low, high);
        rapt::require(!range.is_integer || (low == std::round(low) && high == std::round(high) && high < 1e9), "search",
                      "--range of ", name, " needs whole numbers: ", low, ":", high);
        range.low = checked.low;
        range.high = checked.high;
        wanted.erase(found);
      }
      if (train.has("--" + name)) return;
      space.add(name, range);
      // A float's 0.3 is not that of a double.
      const double rounded = range.is_integer ? std::round(usual) : std::round(usual * 1e6) / 1e6;
      const double value = std::clamp(rounded, range.low, range.high);
      usual_[name] =
          range.is_integer ? nlohmann::ordered_json(static_cast<std::int64_t>(value)) : nlohmann::ordered_json(value);
    };
    add("learning-rate", f.learning_rate, rapt::log_range(5e-4, 2e-2));
    add("warmup", static_cast<double>(f.warmup), rapt::log_integer_range(100, 4000));
    add("dropout", dropout, rapt::linear_range(0, 0.5));
    add("layers", static_cast<double>(f.layers.value_or(preset.encoder_layers)), rapt::integer_range(1, 6));
    add("vocabulary", static_cast<double>(f.vocabulary), rapt::log_integer_range(1000, 20000));
    rapt::require(wanted.empty(), "search", "no searched option is called ", wanted.empty() ? "" : wanted[0].first,
                  ": learning-rate, warmup, dropout, layers and vocabulary are");
    rapt::require(space.size() > 0, "search", "all options are given: there is nothing to search");
  }

  /// The values that `translate train` has by itself.
  [[nodiscard]] const nlohmann::ordered_json& usual() const { return usual_; }

  rapt::SettingsSpace space;

 private:
  [[nodiscard]] static std::pair<std::string, std::pair<double, double>> parse(const std::string& range) {
    const std::size_t equals = range.find('='), colon = range.find(':', equals);
    double low = 0, high = 0;
    const bool is_whole = equals != std::string::npos && colon != std::string::npos &&
                          CLI::detail::lexical_cast(range.substr(equals + 1, colon - equals - 1), low) &&
                          CLI::detail::lexical_cast(range.substr(colon + 1), high);
    rapt::require(is_whole, "search", "--range must be NAME=LOW:HIGH, not ", range);
    return {range.substr(0, equals), {low, high}};
  }

  nlohmann::ordered_json usual_ = nlohmann::ordered_json::object();
};

/// The arguments of `translate train` for some settings.
inline std::vector<std::string> train_arguments(std::vector<std::string> arguments,
                                                const nlohmann::ordered_json& settings) {
  for (const auto& setting : settings.items()) {
    arguments.push_back("--" + setting.key());
    arguments.push_back(setting.value().dump());
  }
  return arguments;
}

/// A trial: the training goes on where it ended the rung before, or where it was killed. Returns the best validation
/// loss per character, or the best BLEU with its sign changed. (Losses per token cannot be compared: a smaller
/// vocabulary has more tokens, and each of them is easier.)
inline double run_trial(const rapt::TrialTask& task, bool counts_steps, std::vector<std::string> arguments) {
  arguments = train_arguments(std::move(arguments), task.settings);
  const std::filesystem::path run = task.folder / "run";
  for (const std::string& more :
       {std::string("--model"), (task.folder / "model.safetensors").string(), std::string("--folder"), run.string()}) {
    arguments.push_back(more);
  }
  TrainCommand train(std::move(arguments));
  TrainFlags& f = train.flags;
  f.resume = std::filesystem::exists(rapt::RunFolder::checkpoint(run));
  f.checkpoint_at_end = true;
  if (!train.has("--keep")) f.keep = 0;
  if (counts_steps) {
    f.steps = std::llround(task.resource);
  } else {
    f.minutes = task.resource - task.resource_before;
  }
  Training training(f, train.command());
  rapt::require(f.validate_by == "bleu" || training.long_validation_pairs() == 0, "search",
                training.long_validation_pairs(), " validation pairs are longer than --tokens ", f.tokens,
                " with this vocabulary: the loss would be of other sentences than that of other trials");
  const rapt::TrainingSummary summary = training.run();
  return f.validate_by == "bleu" ? summary.best_validation
                                 : summary.best_validation * training.validation_tokens_per_character();
}

/// A search that goes on gives its trials what it gave them before, unless the flags say something else.
inline void keep_trial_resource(SettingsSearchFlags& f) {
  if (!f.resume || f.trial_steps > 0 || f.trial_minutes > 0) return;
  const auto before = rapt::read_search_line(std::filesystem::path(f.folder) / "log.jsonl");
  if (!before.is_object() || !before.contains("resource") || !before["resource"].is_number()) return;
  const double resource = before["resource"].get<double>();
  const nlohmann::ordered_json::json_pointer unit("/task/resource");
  if (before.contains(unit) && before.at(unit) == "steps") {
    f.trial_steps = std::llround(resource);
  } else {
    f.trial_minutes = resource;
  }
}

/// Refuses rungs that would train for no step.
inline void check_rungs(const rapt::Halving& halving) {
  halving.validate();
  std::string steps;
  bool grows = true;
  for (Index rung = 0; rung < halving.rungs; ++rung) {
    const auto here = std::llround(halving.resource_at(rung));
    grows = grows && here > std::llround(halving.resource_at(rung - 1));
    steps += (rung > 0 ? ", " : "") + std::to_string(here);
  }
  rapt::require(grows, "search", "--trial-steps are too few for --rungs and --factor: the rungs would end at steps ",
                steps);
}

/// An argument as a shell takes it.
inline std::string quoted(const std::string& argument) {
  const auto is_plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("_./:=,+-").find(c) != std::string_view::npos;
  };
  if (!argument.empty() && std::all_of(argument.begin(), argument.end(), is_plain)) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

inline void search(SettingsSearchFlags f, const std::vector<std::string>& arguments) {
  std::vector<std::string> complete = arguments;
  complete.insert(complete.end(), {"--model", f.folder + "/model"});
  const TrainCommand train(std::move(complete));
  for (const char* option : {"--steps", "--cooldown", "--plot"}) {
    rapt::require(!train.has(option), "search", option, " belongs to a single training: a search has --trial-steps, ",
                  "--trial-minutes and search.html");
  }
  for (const char* option : {"--average", "--moving-average"}) {
    rapt::require(!train.has(option), "search", option,
                  ": trials are compared, and their models kept, without averages");
  }
  check_corpus_flags(train.flags);
  rapt::require(train.flags.hold_out > 0 || !train.flags.validation_source.empty(), "search",
                "trials are compared by validation: give --hold-out or --validation-source");
  rapt::require(train.flags.checkpoint_every > 0, "search",
                "trials go on from checkpoints: --checkpoint-every must not be 0");
  rapt::require(f.minutes > 0 || f.trials > 0, "search", "say when to stop: --minutes or --trials");
  keep_trial_resource(f);
  const double trial_minutes = f.trial_minutes > 0 ? f.trial_minutes : f.minutes / 10;
  rapt::require(f.trial_steps > 0 || trial_minutes > 0, "search",
                "say what a trial gets: --trial-steps or --trial-minutes");
  if (!f.model.empty()) rapt::AtomicFile{f.model};  // an unwritable place shows now
  const bool counts_steps = f.trial_steps > 0;
  const bool by_bleu = train.flags.validate_by == "bleu";
  const rapt::Halving halving{.rungs = f.rungs,
                              .factor = f.factor,
                              .resource = counts_steps ? static_cast<double>(f.trial_steps) : trial_minutes};
  if (counts_steps) check_rungs(halving);
  std::set<std::string> free = free_options();
  for (const char* option : {"--epochs", "--patience"}) free.erase(option);  // they decide how long a trial is
  const TrainSettings settings(train, f.ranges);
  const Corpora corpora = read_corpora(train.flags);

  const rapt::SettingsSearchOptions options{
      .folder = f.folder,
      .resume = f.resume,
      .restart = f.restart,
      .method = f.method == "random" ? rapt::ProposalMethod::random : rapt::ProposalMethod::gaussian_process,
      .halving = halving,
      .first = settings.usual(),
      .trials = f.trials,
      .seconds = 60 * f.minutes,
      .workers = f.workers,
      .seed = train.flags.seed,
      .task = {{"options", deciding_options(train.command(), free)},
               {"resource", counts_steps ? "steps" : "minutes"},
               {"training", fingerprint(corpora.training)},
               {"validation", fingerprint(corpora.validation)}},
      .page = {.title = "translate search " + f.folder,
               .score_name = by_bleu ? "\u2212BLEU" : "nats per character",
               .resource_name = counts_steps ? "steps" : "minutes"},
      .resume_name = "--resume",
      .restart_name = "--restart"};
  const rapt::TrialHistory history = rapt::search_settings(
      settings.space, options, [&](const rapt::TrialTask& task) { return run_trial(task, counts_steps, arguments); });

  const auto best = history.best();
  rapt::require(best.has_value(), "search", "no trial has a score; ", f.folder, "/search.html tells why");
  if (!f.model.empty()) {
    rapt::Translator<>::load(rapt::trial_folder(f.folder, best->trial) / "model.safetensors").save(f.model);
    if (train.flags.hold_out > 0) {
      write_lines(f.model + ".test.source", corpora.test.source);
      write_lines(f.model + ".test.target", corpora.test.target);
    }
  }
  std::vector<std::string> words = train_arguments(arguments, history[best->trial].settings);
  const nlohmann::ordered_json resource = history.result(*best).resource;
  words.insert(words.end(),
               {"--model", f.model.empty() ? "model.safetensors" : f.model, counts_steps ? "--steps" : "--minutes",
                counts_steps ? std::to_string(std::llround(resource.get<double>())) : resource.dump()});
  std::string line = "translate train";
  for (const std::string& word : words) line += ' ' + quoted(word);
  std::printf("%s\n", line.c_str());
}

}  // namespace translate
