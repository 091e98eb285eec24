// Compares ways in which vision models learn from digits without labels: each learns for the same minutes, then from
// the same thousand labelled digits with the same settings; one table tells how many test digits it knows.
//
//   vision_pretraining --minutes 1                                    generated digits
//   vision_pretraining --mnist folder --minutes 10 --folder out       MNIST's four files
//
// The objectives: of half of the patches, corrupted, the mean colour, a mosaic or all pixels (ViT's paper, section
// B.1.2); the visual tokens of masked patches (BEiT); the pixels of hidden patches (masked autoencoders); the next
// pixel or masked pixels of an ImageGPT. Beside them the same models without pre-training.
//
// With --folder a comparison that was killed goes on with --resume and repeats no training that is finished. Prints the
// table, with the mean of several seeds and their spread; the folder has it in table.md.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "common/pretraining.hpp"
#include "vision_pretraining/objectives.hpp"
#include "vision_pretraining/results.hpp"

namespace {

using rapt::Index;

struct Flags {
  std::string mnist;
  std::vector<std::string> objectives = objective_names();
  Index seeds = 3, steps = 0, visual_tokens = 64, grays = 8, factor = 2;
  double minutes = 3;
  PretrainingFlags pretraining;
  TrainingFlags training{.epochs = 40};
  RunFlags run;

  /// A training of the comparison. Which objectives and how many seeds there are decides no result.
  [[nodiscard]] rapt::JobOptions job(const std::string& name, const std::string& data) const {
    return run.job(name, {"--mnist", "--objectives", "--seeds"}, data);
  }
};

/// The number of steps that take so many seconds: the speed of a training that is thrown away, after its first steps.
template <class Model, class Batches>
Index steps_within(double seconds, Model& model, Batches& batches, const Comparison& comparison) {
  constexpr Index kFirst = 3;
  rapt::Trainer trainer(model, pretraining_options(comparison.pretraining, comparison.processes));
  const auto run = [&](const rapt::TrainingPlan& plan) {
    return trainer.run(
        batches, plan, [] { return 0.0; }, [](const rapt::Progress&) {});
  };
  run({.steps = kFirst, .keep_best = false});
  const rapt::TrainingSummary timed = run({.seconds = seconds / 20, .keep_best = false});
  const double per_second = static_cast<double>(timed.steps - kFirst) / timed.seconds;
  return std::max<Index>(1, static_cast<Index>(std::lround(per_second * seconds)));
}

/// The steps of each training of an objective, which are measured once.
Index plan_steps(const std::string& objective, const Comparison& comparison, const Flags& flags, Results& results) {
  if (flags.steps > 0) return flags.steps;
  if (const auto planned = results.planned(objective)) return *planned;
  Index steps = 0;
  run_objective(objective, comparison, [&](auto& model, auto& batches, const auto&) {
    steps = steps_within(60 * flags.minutes, model, batches, comparison);
  });
  results.plan(objective, steps);
  return steps;
}

/// Pre-trains, unless the objective is "from nothing", fine-tunes, and keeps the result.
void run_one(const std::string& objective, const Comparison& comparison, const Flags& flags, const std::string& data,
             const std::string& labelled_data, Results& results) {
  const std::string name = objective + "-" + std::to_string(comparison.training.seed);
  const bool is_pretrained = !objective.ends_with("from_nothing");
  Comparison of_run = comparison;
  Result result{.objective = objective, .seed = comparison.training.seed, .steps = 0, .seconds = {}, .accuracy = 0};
  if (is_pretrained) result.steps = of_run.pretraining.steps = plan_steps(objective, comparison, flags, results);
  std::printf("\n%s, seed %llu\n", objective.c_str(), static_cast<unsigned long long>(result.seed));
  run_objective(objective, of_run, [&](auto& model, auto& batches, const auto& fine_tune) {
    if (is_pretrained) {
      rapt::JobOptions job = flags.job(name + "-pretraining", data);
      job.checkpoint_at_end = !job.folder.empty();  // so that fine-tuning that was killed need not wait for it again
      const rapt::TrainingSummary summary =
          pretrain_on(model, batches, comparison.digits, of_run.pretraining, of_run.processes, job);
      if (!job.resume) results.add_pretraining(objective, result.seed, summary.seconds);
      result.seconds = results.pretraining_seconds(objective, result.seed);
    }
    result.accuracy = fine_tune(is_pretrained, flags.job(name + "-fine-tuning", labelled_data));
  });
  results.add(result);
}

void run(const Flags& flags) {
  const Digits digits = read_digits(flags.mnist);
  const rapt::ImageDataset labelled =
      rapt::split_first_of_each_class(digits.training, flags.pretraining.labelled / 10).taken;
  const Comparison comparison{.digits = digits,
                              .labelled = labelled,
                              .pretraining = flags.pretraining,
                              .training = flags.training,
                              .processes = flags.run.processes,
                              .visual_tokens = flags.visual_tokens,
                              .grays = flags.grays,
                              .factor = flags.factor};
  const std::string data = fingerprint(digits.training), labelled_data = fingerprint(labelled);
  // The options and checkpoints of all trainings; `job` also refuses a folder that there is nothing to resume from.
  Results results(flags.run.folder, flags.job("results", data), flags.run.resume);
  for (Index i = 0; i < flags.seeds; ++i) {
    const std::uint64_t seed = flags.training.seed + static_cast<std::uint64_t>(i);
    for (const std::string& objective : flags.objectives) {
      if (results.find(objective, seed) != nullptr) {
        std::printf("\n%s, seed %llu: finished before\n", objective.c_str(), static_cast<unsigned long long>(seed));
        continue;
      }
      run_one(objective, comparison.with_seed(seed), flags, data, labelled_data, results);
    }
  }
  const std::vector<std::string> table = results.table(objective_names());
  std::printf("\n%s\n", joined(table, "\n").c_str());
  if (!flags.run.folder.empty()) write_lines((std::filesystem::path(flags.run.folder) / "table.md").string(), table);
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Compares ways to learn from digits without labels.");
  app.add_option("--mnist", flags.mnist, "The folder with MNIST's four files. Without it digits are generated.");
  app.add_option("--objectives", flags.objectives, "The objectives to compare; all of them, if none is named.")
      ->check(CLI::IsMember(objective_names()))
      ->delimiter(',');
  add_positive(app, "--seeds", flags.seeds, "The number of trainings of each objective, with seeds from --seed on.");
  CLI::Option* minutes =
      add_positive(app, "--minutes", flags.minutes,
                   "The minutes that each objective learns without labels: as many steps as a short training says.");
  add_positive(app, "--pretraining-steps", flags.steps,
               "The number of steps without labels of every objective, in place of --minutes.")
      ->excludes(minutes);
  flags.pretraining.add_settings_to(app);
  add_number(app, "--visual-tokens", flags.visual_tokens, {.least = 2}, "The number of typical patches, for BEiT.");
  add_number(app, "--grays", flags.grays, {.least = 2, .most = 256}, "The number of gray values, for ImageGPT.");
  add_positive(app, "--smaller", flags.factor, "The factor by which images are made smaller, for ImageGPT.");
  flags.training.add_to(app);
  flags.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  flags.run.processes.shares_work = false;  // the minutes of one process are compared
  return run_program("vision_pretraining", flags.run.processes, [&] { run(flags); });
}
