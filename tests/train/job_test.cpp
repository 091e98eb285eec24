/// \file
/// A training job: it keeps what it should, goes on bit for bit, refuses other runs, chooses in the end.
// covers: train/interrupt.hpp, train/job_log.hpp, train/job_options.hpp, train/model_choice.hpp
// covers: train/run_identity.hpp, train/validation_window.hpp
#include "rapt/train/job.hpp"

#include <gtest/gtest.h>
#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>

#include "rapt/data/windows.hpp"
#include "rapt/train/run_identity.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/next_token.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::Index;
using rapt::JobOptions;
using rapt_test::error_text;
using rapt_test::NextToken;

class Job : public rapt_test::FolderTest {
 protected:
  Job() {
    messages_ = std::fopen((folder_ / "messages").string().c_str(), "w+");
    std::signal(SIGINT, SIG_DFL);  // which whoever started the test may ignore
  }
  ~Job() override {
    std::fclose(messages_);
    rapt::detail::InterruptListener::flag() = false;
  }

  [[nodiscard]] JobOptions options() const {
    return {.folder = folder_ / "run",
            .checkpoint_every = 4,
            .keep = 2,
            .log_every = 1,
            .deciding = {{"--width", {"5"}}},
            .corpus = "some text",
            .messages = messages_};
  }
  [[nodiscard]] std::string said() const {
    std::ifstream stream(folder_ / "messages");
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  [[nodiscard]] static std::string bytes_of(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  /// The parameters after a run of so many steps, and how it ended. `scores` are what validations find, in turn.
  struct Result {
    std::vector<float> table;
    rapt::JobSummary summary;
  };
  Result run(const JobOptions& job_options, Index steps, std::vector<double> scores = {}, double average_decay = 0,
             Index interrupt_at = -1) {
    rapt::TrainingJob job(job_options);
    NextToken model;
    auto source = rapt::random_window_batches(text_, {.windows = 2, .length = 7, .random = {5, 3}});
    const auto learning_rate = [&](Index step) {
      if (step == interrupt_in_) std::raise(SIGINT);
      return 0.1;
    };
    rapt::Trainer trainer(model, {.learning_rate = learning_rate, .average_decay = average_decay, .seed = 9});
    std::size_t next = 0;
    rapt::JobHooks<NextToken> hooks{.metadata = {{"mine", "kept"}}};
    hooks.measure = [&](const NextToken&) {
      if (trainer.steps() == interrupt_at) std::raise(SIGINT);
      mean_losses_.push_back(job.mean_loss());
      const double score = next < scores.size() ? scores[next] : 1;
      ++next;
      return rapt::Measurement{.score = score, .text = "score " + std::to_string(score), .entry = {{"score", score}}};
    };
    rapt::JobSummary summary = job.run(trainer, source, {.steps = steps, .validate_every = 2}, hooks);
    const auto values = model.table.value().values();
    return {{values.begin(), values.end()}, std::move(summary)};
  }

  /// A run whose best models are those of steps 2, 6 and 10. `at_moment` is called again and again between them, and
  /// before and after a model is written.
  Result run_with_late_bests(
      const JobOptions& job_options, Index steps, const std::function<void()>& at_moment = [] {}) {
    rapt::TrainingJob job(job_options);
    NextToken model;
    auto source = rapt::random_window_batches(text_, {.windows = 2, .length = 7, .random = {5, 3}});
    rapt::Trainer trainer(model, {.learning_rate = [](Index) { return 0.1; }, .seed = 9});
    rapt::JobHooks<NextToken> hooks;
    hooks.measure = [&](const NextToken&) {
      at_moment();
      const Index step = trainer.steps();
      return rapt::Measurement{.score = step % 4 == 2 ? 20. - static_cast<double>(step) : 100.};
    };
    hooks.save_model = [&, write = hooks.save_model](const NextToken& some, const fs::path& file) {
      at_moment();
      write(some, file);
      at_moment();
    };
    rapt::JobSummary summary = job.run(trainer, source, {.steps = steps, .validate_every = 2}, hooks);
    const auto values = model.table.value().values();
    return {{values.begin(), values.end()}, std::move(summary)};
  }

  std::FILE* messages_ = nullptr;
  Index interrupt_in_ = -1;          // the step within which `run` is interrupted
  std::vector<double> mean_losses_;  // at each measurement of `run`
  std::vector<rapt::TokenId> text_ = rapt_test::some_text();
};

TEST_F(Job, WithoutAFolderNothingIsKept) {
  JobOptions none = options();
  none.folder.clear();
  none.choose_best = false;
  const Result result = run(none, 6);
  EXPECT_EQ(result.summary.chosen, "step 6");
  EXPECT_EQ(result.summary.training.steps, 6);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);  // the messages
}

TEST_F(Job, KeepsACheckpointVersionsTheBestAndALog) {
  (void)run(options(), 12, {5, 4, 3, 9, 9, 9});
  const rapt::RunFolder folder(folder_ / "run");
  EXPECT_EQ(folder.versions(), (std::vector<Index>{8, 12}));
  EXPECT_TRUE(fs::exists(folder.best()));
  const rapt::SafetensorsFile checkpoint(folder.checkpoint());
  EXPECT_EQ(checkpoint.metadata().at("mine"), "kept");
  EXPECT_EQ(checkpoint.metadata().at("corpus"), "some text");
  EXPECT_EQ(checkpoint.metadata().at("options"), R"({"--width":["5"]})");
  std::vector<Index> steps, validations;
  for (const auto& entry : rapt::JsonLog::read(folder.log())) {
    if (entry.contains("loss")) steps.push_back(entry["step"]);
    if (entry.contains("score") && entry.contains("step")) validations.push_back(entry["step"]);
  }
  EXPECT_EQ(steps, (std::vector<Index>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(validations, (std::vector<Index>{2, 4, 6, 8, 10, 12}));
  EXPECT_NE(said().find("step 6  score 3.000000\n"), std::string::npos);
}

TEST_F(Job, GoesOnBitForBit) {
  const Result whole = run(options(), 15, {5, 4, 9, 9, 9, 9, 9, 9}, 0.9);
  const std::string checkpoint = bytes_of(folder_ / "run/checkpoint.safetensors");
  fs::remove_all(folder_ / "run");
  (void)run(options(), 9, {5, 4, 9, 9, 9}, 0.9);  // its last checkpoint is of step 8
  JobOptions again = options();
  again.resume = true;
  const Result resumed = run(again, 15, {9, 9, 9, 9}, 0.9);
  EXPECT_EQ(resumed.table, whole.table);
  EXPECT_EQ(resumed.summary.chosen, whole.summary.chosen);
  EXPECT_EQ(bytes_of(folder_ / "run/checkpoint.safetensors"), checkpoint);
  EXPECT_NE(said().find("goes on after step 8\n"), std::string::npos);
}

// So that a run that has ended can get more steps later, as in successive halving.
TEST_F(Job, GoesOnFromACheckpointAtTheEnd) {
  JobOptions some = options();
  some.checkpoint_at_end = true;
  some.choose_best = false;  // the last parameters are compared
  const Result whole = run(some, 10);
  some.folder = folder_ / "parts";
  some.checkpoint_every = 0;
  (void)run(some, 3);
  some.resume = true;
  (void)run(some, 5);
  EXPECT_EQ(run(some, 10).table, whole.table);
  EXPECT_NE(said().find("goes on after step 3"), std::string::npos);
  EXPECT_NE(said().find("goes on after step 5"), std::string::npos);
}

// The last step has a checkpoint of its own, which is written before the step is validated.
TEST_F(Job, TheValidationAtTheEndIsInTheCheckpointAtTheEnd) {
  JobOptions some = options();
  some.checkpoint_at_end = true;
  some.checkpoint_every = 1;
  const Result at_3 = run(some, 3, {5, 2});  // of steps 2 and 3
  some.resume = true;
  const Result again = run(some, 3, {1});  // it is not validated again
  EXPECT_EQ(again.summary.training.best_validation, 2);
  EXPECT_EQ(again.table, at_3.table);
  const Result longer = run(some, 5, {9, 9, 9});  // of steps 4 and 5, and of the last model for the choice
  EXPECT_EQ(longer.summary.training.best_validation, 2);
  EXPECT_EQ(longer.summary.training.best_step, 3);
  EXPECT_EQ(longer.summary.chosen, "step 3");
  EXPECT_EQ(longer.table, at_3.table);
}

TEST_F(Job, InterruptedInTheLastStepItIsValidatedAfterwards) {
  JobOptions some = options();
  some.checkpoint_at_end = true;
  const Result whole = run(some, 5, {7, 6, 3});
  const std::string checkpoint = bytes_of(folder_ / "run/checkpoint.safetensors");
  ASSERT_GE(mean_losses_.size(), 3u);
  const double mean_loss = mean_losses_[2];  // of step 5 alone
  EXPECT_GT(mean_loss, 0);
  some.folder = folder_ / "interrupted";
  interrupt_in_ = 5;
  EXPECT_EQ(error_text<rapt::Interrupted>([&] {
              (void)run(some, 5, {7, 6});
            }),
            "stopped after step 5: the same run with the option resume goes on");
  interrupt_in_ = -1;
  rapt::detail::InterruptListener::flag() = false;
  some.resume = true;
  mean_losses_.clear();
  const Result resumed = run(some, 5, {3});
  EXPECT_EQ(mean_losses_.at(0), mean_loss);
  EXPECT_EQ(resumed.summary.training.best_validation, 3);
  EXPECT_EQ(resumed.summary.training.best_step, 5);
  EXPECT_EQ(resumed.summary.chosen, whole.summary.chosen);
  EXPECT_EQ(resumed.table, whole.table);
  EXPECT_EQ(bytes_of(some.folder / "checkpoint.safetensors"), checkpoint);
}

TEST_F(Job, MeanLossesAreOfTheStepsBeforeAKillToo) {
  JobOptions some = options();
  some.checkpoint_every = 1;
  some.choose_best = false;
  (void)run(some, 6);
  const std::vector<double> whole = mean_losses_;
  ASSERT_EQ(whole.size(), 3u);
  EXPECT_NE(whole[0], whole[1]);
  some.folder = folder_ / "parts";
  (void)run(some, 3);  // the last checkpoint is in the middle of a window
  mean_losses_.clear();
  some.resume = true;
  (void)run(some, 6);
  EXPECT_EQ(mean_losses_, (std::vector<double>{whole[1], whole[2]}));
  EXPECT_EQ(bytes_of(some.folder / "checkpoint.safetensors"), bytes_of(folder_ / "run/checkpoint.safetensors"));
}

TEST_F(Job, RefusesNotesOfValidationsThatAreNone) {
  (void)run(options(), 4);
  const fs::path path = folder_ / "run/checkpoint.safetensors";
  const rapt::Metadata metadata = rapt::SafetensorsFile(path).metadata();
  JobOptions again = options();
  again.resume = true;
  const auto expect_refused = [&](const char* key, const std::string& text, const std::string& rule) {
    rapt::Metadata changed = metadata;
    changed[key] = text;
    rapt::write_safetensors(path, std::vector<rapt::SafetensorsEntry>(), changed);
    const std::string error = error_text<rapt::IoError>([&] { (void)run(again, 8); });
    EXPECT_NE(error.find("\"" + std::string(key) + "\" must be " + rule), std::string::npos) << error;
  };
  for (const char* text : {"", "1", "[1]", "[1,-1]", "[1,1.5]", "[null,1]", "[1,18446744073709551615]"}) {
    expect_refused("losses_since_validation", text, "a sum and a number of steps");
  }
  for (const char* text : {"", "x", "-1", "1.5", "[1]", "18446744073709551615"}) {
    expect_refused("validated_step", text, "a number of steps");
  }
}

TEST_F(Job, AKillAtTheWorstMomentCostsNoBestModel) {
  const auto in = [&](const std::string& name, bool resume) {
    JobOptions some = options();
    some.folder = folder_ / name;
    some.resume = resume;
    return some;
  };
  std::map<Index, Result> undisturbed;
  const auto folder_of = [](Index steps) { return "whole-" + std::to_string(steps); };
  for (const Index steps : {5, 9, 12}) undisturbed[steps] = run_with_late_bests(in(folder_of(steps), false), steps);

  std::vector<fs::path> moments;  // copies of the folder as a kill would leave it, once there is a checkpoint
  (void)run_with_late_bests(in("run", false), 12, [&] {
    if (!fs::exists(folder_ / "run/checkpoint.safetensors")) return;
    moments.push_back("killed-" + std::to_string(moments.size()));
    fs::copy(folder_ / "run", folder_ / moments.back());
  });
  std::set<Index> newest;  // the steps of checkpoints whose best model was no longer the newest one
  for (const fs::path& moment : moments) {
    const rapt::SafetensorsFile checkpoint(folder_ / moment / "checkpoint.safetensors");
    const Index step = nlohmann::json::parse(checkpoint.metadata().at("trainer"))["steps"];
    const rapt::RunFolder killed(folder_ / moment);
    if (fs::exists(killed.best(step - 2)) && fs::exists(killed.best())) newest.insert(step);
    for (const Index steps : {step + 1, Index{12}}) {
      if (!undisturbed.contains(steps)) continue;
      const std::string again = moment.string() + "-" + std::to_string(steps);
      fs::copy(folder_ / moment, folder_ / again);
      const Result resumed = run_with_late_bests(in(again, true), steps);
      EXPECT_EQ(resumed.summary.chosen, undisturbed[steps].summary.chosen) << again;
      EXPECT_EQ(resumed.table, undisturbed[steps].table) << again;
      for (const char* file : {"best.safetensors", "checkpoint.safetensors"}) {
        EXPECT_EQ(bytes_of(folder_ / again / file), bytes_of(folder_ / folder_of(steps) / file)) << again << file;
      }
    }
  }
  EXPECT_EQ(newest, (std::set<Index>{4, 8}));
}

TEST_F(Job, OptionsNeedNotBeUtf8) {
  JobOptions bytes = options();
  bytes.deciding = {{"--teacher", {"b\xE4r", "caf\u00E9"}}};
  bytes.corpus = "text of b\xE4r";
  (void)run(bytes, 4);
  const rapt::RunFolder folder(bytes.folder);
  const auto first = rapt::JsonLog::read(folder.log()).at(0);
  EXPECT_EQ(first["options"]["--teacher"], nlohmann::ordered_json({"b\\xe4r", "caf\u00E9"}));
  EXPECT_EQ(first["corpus"], "text of b\\xe4r");
  bytes.resume = true;
  EXPECT_TRUE(rapt::TrainingJob(bytes).resumes());
  bytes.deciding["--teacher"][0] = "b\xF6r";
  EXPECT_NE(error_text<rapt::ValueError>([&] {
              const rapt::TrainingJob job(bytes);
            }).find("another --teacher: then [\"b\\\\xe4r\",\"caf\u00E9\"], now [\"b\\\\xf6r\""),
            std::string::npos);
  bytes.deciding["--teacher"][0] = "\xFF \\xff";
  const rapt::RunIdentity one(bytes.deciding, "");
  bytes.deciding["--teacher"][0] = "\\xff \xFF";
  EXPECT_NE(one.options(), rapt::RunIdentity(bytes.deciding, "").options());
  bytes.deciding = "b";
  EXPECT_NE(error_text<rapt::ValueError>([&] { const rapt::TrainingJob job(bytes); }).find("not string"),
            std::string::npos);
}

TEST_F(Job, ChoosesWhatDoesBest) {
  JobOptions average = options();
  average.average = 2;
  average.restart = true;
  // Validations of steps 2, 4, 6, 8; then the last model, the mean of versions 4 and 8, the moving average.
  const auto chosen = [&](const std::vector<double>& scores) { return run(average, 8, scores, 0.5).summary.chosen; };
  EXPECT_EQ(chosen({5, 3, 4, 4, 4, 9, 9}), "step 4");
  EXPECT_EQ(chosen({5, 4, 4, 4, 3, 9, 9}), "step 8");
  EXPECT_EQ(chosen({5, 4, 4, 4, 4, 3, 9}), "mean of the last 2 versions");
  EXPECT_EQ(chosen({5, 4, 4, 4, 4, 9, 3}), "moving average");
  average.choose_best = false;
  EXPECT_EQ(chosen({5, 3, 4, 4, 4, 9, 9}), "step 8");
  EXPECT_FALSE(fs::exists(folder_ / "run/best.safetensors"));
}

TEST_F(Job, TheChosenParametersAreInTheModel) {
  const std::vector<float> at_4 = run(options(), 4).table;
  JobOptions best = options();
  best.restart = true;
  EXPECT_EQ(run(best, 8, {5, 3, 4, 4, 4}).table, at_4);
  EXPECT_NE(run(best, 8, {5, 4, 3, 2, 4}).table, at_4);
}

TEST_F(Job, AnInterruptionSavesAndThrows) {
  const std::vector<float> whole = run(options(), 10).table;
  JobOptions anew = options();
  anew.restart = true;
  EXPECT_EQ(error_text<rapt::Interrupted>([&] { (void)run(anew, 10, {}, 0, /*interrupt_at=*/6); }),
            "stopped after step 6: the same run with the option resume goes on");
  rapt::detail::InterruptListener::flag() = false;
  JobOptions again = options();
  again.resume = true;
  EXPECT_EQ(run(again, 10).table, whole);

  JobOptions none = options();
  none.folder.clear();
  EXPECT_EQ(error_text<rapt::Interrupted>([&] { (void)run(none, 10, {}, 0, /*interrupt_at=*/2); }),
            "stopped after step 2: nothing is kept");
}

TEST_F(Job, RunsOnce) {
  rapt::TrainingJob job(options());
  EXPECT_FALSE(job.resumes());
  EXPECT_NE(error_text<rapt::IoError>([&] { (void)job.stored("mine"); }).find("does not resume"), std::string::npos);
  NextToken model;
  auto source = rapt::random_window_batches(text_, {.windows = 2, .length = 7, .random = {5, 3}});
  rapt::Trainer trainer(model, {.learning_rate = [](Index) { return 0.1; }});
  (void)job.run(trainer, source, {.steps = 4});
  EXPECT_NE(error_text<rapt::ValueError>([&] { (void)job.run(trainer, source, {.steps = 8}); }).find("runs once"),
            std::string::npos);
  EXPECT_TRUE(fs::exists(options().folder / "checkpoint.safetensors"));
}

TEST_F(Job, OptionsAreChecked) {
  JobOptions bad = options();
  bad.keep = -1;
  EXPECT_NE(error_text<rapt::ValueError>([&] { rapt::TrainingJob job(bad); }).find("-1"), std::string::npos);
}

TEST_F(Job, RefusesOtherRuns) {
  JobOptions again = options();
  again.resume = true;
  const std::string path = (folder_ / "run" / "checkpoint.safetensors").string();
  const auto refused = [](const JobOptions& some) {
    return error_text<rapt::Error>([&] { const rapt::TrainingJob job(some); });
  };
  EXPECT_EQ(refused(again), "[train] there is nothing to resume: no folder " + (folder_ / "run").string());
  fs::create_directories(folder_ / "run");
  EXPECT_EQ(refused(again), "[train] there is nothing to resume: no " + path);
  (void)run(options(), 4);
  EXPECT_EQ(refused(options()), "[train] " + path +
                                    ": an earlier run has left a checkpoint: the option resume goes on from it, "
                                    "restart gives it up");
  again.corpus = "another text";
  EXPECT_EQ(refused(again),
            "[train] " + path + ": the run was started on another corpus: it had some text, this one has another text");
  again = options();
  again.resume = true;
  again.deciding = {{"--width", {"6"}}};
  EXPECT_EQ(refused(again),
            "[train] " + path + ": the run was started with another --width: then [\"5\"], now [\"6\"]");
  again.deciding = nlohmann::ordered_json::object();
  EXPECT_EQ(refused(again),
            "[train] " + path + ": the run was started with another --width: then [\"5\"], now not given");
  const rapt::TrainingJob job([&] {
    again.deciding = options().deciding;
    return again;
  }());
  EXPECT_TRUE(job.resumes());
  EXPECT_EQ(job.stored("mine"), "kept");
  EXPECT_EQ(error_text<rapt::IoError>([&] { (void)job.stored("yours"); }),
            "[train] " + path + ": the checkpoint has no yours");
}

TEST_F(Job, DrawsCurves) {
  JobOptions curves = options();
  curves.plot = folder_ / "curves.svg";
  (void)run(curves, 4);
  EXPECT_NE(bytes_of(curves.plot).find("Learning rate"), std::string::npos);
}

}  // namespace
