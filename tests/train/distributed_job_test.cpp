/// \file
/// A training job of several processes: the files and parameters of one process, whatever their number, and an end with
/// the cause on all of them when one fails.
// covers: train/job_agreement.hpp
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "rapt/data/windows.hpp"
#include "rapt/distributed/local_communicator.hpp"
#include "rapt/train/job.hpp"
#include "rapt/train/processes.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/next_token.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::Communicator;
using rapt::Index;
using rapt::JobOptions;
using rapt_test::NextToken;

std::string bytes_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// What one process of a job is told, and what it does at certain moments.
struct ProcessOfJob {
  JobOptions options;
  Index steps = 12;
  float first_logit = 0;  // of the model before training
  bool shards = false;
  rapt::TrainerOptions trainer = {.learning_rate = [](Index) { return 0.1; }, .average_decay = 0.5, .seed = 9};
  /// Called in validations, with the step that is validated.
  std::function<void(Index step)> at_validation = [](Index) {};
  /// Called before a version or the best model is written.
  std::function<void(const fs::path& file)> before_save = [](const fs::path&) {};
};

/// How a process ended.
struct EndOfProcess {
  std::vector<float> table;
  std::string chosen, stored, error;
  bool is_interrupted = false;
};

class DistributedJob : public rapt_test::FolderTest {
 protected:
  DistributedJob() { std::signal(SIGINT, SIG_DFL); }  // which whoever started the test may ignore
  ~DistributedJob() override { rapt::detail::InterruptListener::flag() = false; }

  /// The options of rank 0; the others do not see its folder.
  [[nodiscard]] JobOptions options(const std::string& run, Index rank) const {
    return {.folder = folder_ / (rank == 0 ? run : "not of rank 0"),
            .checkpoint_every = 4,
            .keep = 2,
            .average = 2,
            .log_every = 1,
            .deciding = {{"--width", {"5"}}},
            .corpus = "some text"};
  }

  /// Runs a job of four micro-batches a step. `change(rank, process)` is called first on each process.
  std::vector<EndOfProcess> run(const std::string& name, Index processes,
                                const std::function<void(Index rank, ProcessOfJob&)>& change) {
    std::vector<EndOfProcess> ends(static_cast<std::size_t>(processes));
    rapt::run_local(processes,
                    [&](Communicator& communicator) {
                      const Index rank = communicator.rank();
                      ProcessOfJob process{.options = options(name, rank)};
                      process.options.communicator = processes > 1 ? &communicator : nullptr;
                      std::FILE* messages = std::fopen(said_by(rank).c_str(), "w");
                      process.options.messages = messages;
                      change(rank, process);
                      EndOfProcess& end = rapt::at(ends, rank);
                      try {
                        run_one(process, end);
                      } catch (const rapt::Interrupted& error) {
                        end.error = error.what();
                        end.is_interrupted = true;
                      } catch (const std::exception& error) {
                        end.error = error.what();
                      }
                      std::fclose(messages);
                    },
                    {.timeout_seconds = 60});
    return ends;
  }

  [[nodiscard]] fs::path said_by(Index rank) const { return folder_ / ("said by " + std::to_string(rank)); }

  /// The entries of steps in the log, but for times.
  [[nodiscard]] std::vector<std::string> log_of(const std::string& run) const {
    std::vector<std::string> lines;
    for (rapt::JsonLog::Json& entry : rapt::JsonLog::read(folder_ / run / "log.jsonl")) {
      for (const char* key : {"seconds", "tokens_per_second"}) entry.erase(key);
      if (entry.contains("step")) lines.push_back(entry.dump());
    }
    return lines;
  }

  /// Expects that two runs have written the same.
  void expect_same_files(const std::string& run, const std::string& wanted) const {
    std::map<std::string, std::string> contents[2];
    for (std::size_t i = 0; i < 2; ++i) {
      for (const auto& entry : fs::directory_iterator(folder_ / (i == 0 ? run : wanted))) {
        const std::string name = entry.path().filename().string();
        if (name != "log.jsonl") contents[i][name] = bytes_of(entry.path());
      }
    }
    EXPECT_TRUE(contents[0] == contents[1]) << run;
    EXPECT_EQ(contents[0].count("best.safetensors"), 1u);
    EXPECT_EQ(log_of(run), log_of(wanted)) << run;
    EXPECT_FALSE(fs::exists(folder_ / "not of rank 0"));
  }

  static void expect_error_on_all(const std::vector<EndOfProcess>& ends, const std::vector<std::string>& parts) {
    for (const EndOfProcess& end : ends) {
      for (const std::string& part : parts) {
        EXPECT_NE(end.error.find(part), std::string::npos) << end.error << "\nlacks: " << part;
      }
    }
  }

  std::vector<rapt::TokenId> text_ = rapt_test::some_text();

 private:
  void run_one(const ProcessOfJob& process, EndOfProcess& end) {
    rapt::TrainingJob job(process.options);
    if (job.resumes()) end.stored = job.stored("mine");
    NextToken model;
    model.table.mutable_value().values()[0] = process.first_logit;
    auto source = rapt::random_window_batches(text_, {.windows = 2, .length = 7, .random = {5, 3}});
    rapt::TrainerOptions trainer_options = process.trainer;
    trainer_options.micro_batches = 4;
    trainer_options.communicator = process.options.communicator;
    trainer_options.shard_optimizer = process.shards;
    rapt::Trainer trainer(model, trainer_options);
    const bool is_first = process.options.communicator == nullptr || process.options.communicator->rank() == 0;
    rapt::JobHooks<NextToken> hooks{.metadata = {{"mine", "kept"}}};
    hooks.measure = [&](const NextToken& measured) {
      process.at_validation(trainer.steps());
      // The best models are those of steps 2, 6 and 10; what other processes than rank 0 find does not count.
      const auto step = static_cast<double>(trainer.steps());
      const double score = trainer.steps() % 4 == 2 ? 20 - step : 100. + measured.table.value().values()[0];
      return rapt::Measurement{.score = is_first ? score : -step, .text = "measured", .entry = {{"score", score}}};
    };
    hooks.save_model = [&, write = hooks.save_model](const NextToken& some, const fs::path& file) {
      EXPECT_TRUE(is_first);
      process.before_save(file);
      write(some, file);
    };
    end.chosen = job.run(trainer, source, {.steps = process.steps, .validate_every = 2}, hooks).chosen;
    const auto values = model.table.value().values();
    end.table.assign(values.begin(), values.end());
  }
};

const auto kUnchanged = [](Index, ProcessOfJob&) {};

TEST_F(DistributedJob, WritesWhatOneProcessWrites) {
  const EndOfProcess alone = run("alone", 1, kUnchanged).at(0);
  EXPECT_EQ(alone.error, "");
  EXPECT_EQ(alone.chosen, "step 10");
  for (const Index processes : {2, 3, 4}) {
    const std::string name = std::to_string(processes);
    for (const EndOfProcess& end :
         run(name, processes, [&](Index, ProcessOfJob& process) { process.shards = processes != 2; })) {
      EXPECT_EQ(end.error, "");
      EXPECT_EQ(end.chosen, alone.chosen);
      EXPECT_EQ(end.table, alone.table);
    }
    expect_same_files(name, "alone");
    const auto first = rapt::JsonLog::read(folder_ / name / "log.jsonl").at(0);
    EXPECT_EQ(first["processes"], processes);
    EXPECT_EQ(first["threads"].size(), static_cast<std::size_t>(processes));
    EXPECT_NE(bytes_of(said_by(0)).find("step 12  measured\n"), std::string::npos);
    const std::string idle =
        "1 of 3 processes have nothing to compute: the 4 micro-batches of a step are divided into 2";
    EXPECT_EQ(bytes_of(said_by(0)).find(idle) != std::string::npos, processes == 3);
    for (Index rank = 1; rank < processes; ++rank) EXPECT_EQ(bytes_of(said_by(rank)), "");
  }
}

TEST_F(DistributedJob, GoesOnWithAnotherNumberOfProcesses) {
  const EndOfProcess alone = run("alone", 1, [](Index, ProcessOfJob& process) { process.steps = 16; }).at(0);
  const Index numbers[][2] = {{4, 2}, {2, 1}, {1, 3}};
  for (const auto& [before, after] : numbers) {
    const std::string name = std::to_string(before) + " and " + std::to_string(after);
    (void)run(name, before, [](Index, ProcessOfJob& process) {
      process.shards = true;
      process.steps = 9;  // the last checkpoint is of step 8
    });
    for (const EndOfProcess& end : run(name, after, [](Index, ProcessOfJob& process) {
           process.options.resume = true;
           process.steps = 16;
         })) {
      EXPECT_EQ(end.error, "");
      EXPECT_EQ(end.stored, "kept");
      EXPECT_EQ(end.chosen, alone.chosen);
      EXPECT_EQ(end.table, alone.table) << name;
    }
    expect_same_files(name, "alone");
    EXPECT_NE(bytes_of(said_by(0)).find("goes on after step 8\n"), std::string::npos);
  }
}

TEST_F(DistributedJob, AnInterruptionOfOneEndsAll) {
  const EndOfProcess alone = run("alone", 1, kUnchanged).at(0);
  for (const EndOfProcess& end : run("run", 3, [](Index rank, ProcessOfJob&process) {
         process.at_validation = [rank](Index step) {
           if (rank == 1 && step == 6) std::raise(SIGINT);
         };
       })) {
    EXPECT_TRUE(end.is_interrupted);
    EXPECT_EQ(end.error.substr(0, 19), "stopped after step ");
    EXPECT_NE(end.error.find(": the same run with the option resume goes on"), std::string::npos);
  }
  rapt::detail::InterruptListener::flag() = false;
  for (const EndOfProcess& end : run("run", 2, [](Index, ProcessOfJob& process) { process.options.resume = true; })) {
    EXPECT_EQ(end.table, alone.table);
  }
  expect_same_files("run", "alone");
}

TEST_F(DistributedJob, DifferencesBetweenProcessesAreNamed) {
  const auto one_with = [&](const std::function<void(ProcessOfJob&)>& change) {
    return run("run", 3, [&](Index rank, ProcessOfJob& process) {
      if (rank == 1) change(process);
    });
  };
  expect_error_on_all(one_with([](ProcessOfJob& p) {
                        p.options.deciding = {{"--width", {"6"}}};
                      }),
                      {"--width", "rank 0 has '[\"5\"]'", "rank 1 has '[\"6\"]'"});
  expect_error_on_all(one_with([](ProcessOfJob& p) { p.options.corpus = "another text"; }),
                      {"corpus", "rank 0 has 'some text'", "rank 1 has 'another text'"});
  expect_error_on_all(one_with([](ProcessOfJob& p) { p.options.checkpoint_every = 3; }),
                      {"checkpoint_every", "rank 1 has '3'"});
  EXPECT_FALSE(fs::exists(folder_ / "run"));  // nothing was made yet
  expect_error_on_all(one_with([](ProcessOfJob& p) { p.first_logit = 1; }), {"parameters", "rank 1"});
  expect_error_on_all(one_with([](ProcessOfJob& p) { p.steps = 13; }), {"steps", "rank 0 has '12'", "rank 1 has '13'"});
  expect_error_on_all(one_with([](ProcessOfJob& p) { p.shards = true; }), {"shard_optimizer", "rank 1 has '1'"});
  const auto one_with_trainer = [&](const std::function<void(rapt::TrainerOptions&)>& change) {
    return one_with([&](ProcessOfJob& p) { change(p.trainer); });
  };
  expect_error_on_all(
      one_with_trainer([](auto& trainer) { trainer.gradient_exchange = rapt::GradientExchange::bfloat16; }),
      {"gradient_exchange", "rank 0 has 'float32'", "rank 1 has 'bfloat16'"});
  expect_error_on_all(one_with_trainer([](auto& trainer) { trainer.bucket_bytes = 64; }),
                      {"bucket_bytes", "rank 1 has '64'"});
  expect_error_on_all(one_with_trainer([](auto& trainer) { trainer.adam.beta2 = 0.99; }),
                      {"the same optimizer", "rank 0 has 'adam 0.9", "rank 1 has 'adam 0.9"});
  expect_error_on_all(one_with_trainer([](auto& trainer) { trainer.adam.amsgrad = true; }), {"the same optimizer"});
  expect_error_on_all(one_with_trainer([](auto& trainer) { trainer.clip_norm = 1e-9; }),
                      {"clip_norm", "rank 0 has '0'", "rank 1 has '1"});
  // Alike in the first steps, and not in later ones.
  expect_error_on_all(
      one_with_trainer([](auto& trainer) { trainer.learning_rate = [](Index step) { return step < 7 ? 0.1 : 0.2; }; }),
      {"learning rates", "rank 0 has '0.1 0.1 0.1 0.1 0.1 0.1'", "rank 1 has '0.1 0.1 0.1 0.1 0.1 0.2'"});
  EXPECT_TRUE(fs::is_empty(folder_ / "run"));
}

TEST_F(DistributedJob, WhatTheFolderHoldsIsRefusedOnAll) {
  (void)run("run", 2, kUnchanged);
  expect_error_on_all(run("run", 2, kUnchanged), {"checkpoint.safetensors: an earlier run has left a checkpoint"});
  expect_error_on_all(run("none", 3, [](Index, ProcessOfJob& process) { process.options.resume = true; }),
                      {"there is nothing to resume: no folder"});
  expect_error_on_all(run("run", 2,
                          [](Index, ProcessOfJob& process) {
                            process.options.resume = true;
                            process.options.corpus = "another text";
                          }),
                      {"the run was started on another corpus: it had some text, this one has another text"});
  // A file without what a trainer needs is called by its name on rank 0, also where there is only a copy of it.
  const fs::path checkpoint = folder_ / "run" / "checkpoint.safetensors";
  rapt::Metadata metadata{{"mine", "kept"}};
  rapt::RunIdentity(options("run", 0).deciding, options("run", 0).corpus).add_to(metadata);
  rapt::write_safetensors(checkpoint, std::vector<rapt::SafetensorsEntry>(), metadata);
  const auto ends = run("run", 2, [](Index, ProcessOfJob& process) { process.options.resume = true; });
  EXPECT_EQ(ends[0].error, "[load_checkpoint] " + checkpoint.string() +
                               ": the file has no \"trainer\" in its metadata: it is no checkpoint");
  EXPECT_EQ(ends[1].error, "[load_checkpoint] " + checkpoint.string() +
                               " of rank 0: the file has no \"trainer\" in its metadata: it is no checkpoint");
}

TEST_F(DistributedJob, AFailureOfOneEndsAllWithItsCause) {
  const auto in_validation = run("run", 3, [](Index rank, ProcessOfJob& process) {
    process.at_validation = [rank](Index step) {
      if (rank == 2 && step == 6) rapt::fail("hook", "no validation");
    };
  });
  EXPECT_EQ(in_validation[2].error, "[hook] no validation");
  for (const std::size_t rank : {0u, 1u}) {
    EXPECT_EQ(in_validation[rank].error, "[local] rank 2 has ended: [hook] no validation");
  }
  const auto in_save = run("another", 3, [](Index, ProcessOfJob& process) {
    process.before_save = [](const fs::path& file) {
      if (file.filename() == "step-000000008.safetensors") rapt::fail("hook", "no version");
    };
  });
  EXPECT_EQ(in_save[0].error, "[hook] no version");
  for (const std::size_t rank : {1u, 2u}) {
    EXPECT_NE(in_save[rank].error.find("rank 0 has ended: [hook] no version"), std::string::npos);
  }
}

TEST_F(DistributedJob, AFullDiskDoesNotEndTheTraining) {
  const EndOfProcess alone = run("alone", 1, kUnchanged).at(0);
  std::vector<bool> checkpoint_was_there;
  for (const EndOfProcess& end : run("run", 2, [&](Index, ProcessOfJob& process) {
         process.shards = true;
         process.before_save = [&](const fs::path& file) {
           const fs::path checkpoint = file.parent_path() / "checkpoint.safetensors";
           if (file.filename() == "step-000000004.safetensors") throw rapt::IoError("the disk is full");
           // In the place of the checkpoint is a folder while that of step 8 would be written.
           if (file.filename() == "step-000000008.safetensors") fs::create_directory(checkpoint);
           if (file.filename() == "step-000000012.safetensors") fs::remove(checkpoint);
         };
       })) {
    EXPECT_EQ(end.error, "");
    EXPECT_EQ(end.chosen, alone.chosen);
    EXPECT_EQ(end.table, alone.table);
  }
  const std::string said = bytes_of(said_by(0));
  EXPECT_NE(said.find("cannot keep what is learned: the disk is full; what was written before stays"),
            std::string::npos);
  EXPECT_NE(said.find("it exists and is not a regular file; what was written before stays, training goes on"),
            std::string::npos);
  EXPECT_EQ(bytes_of(folder_ / "run/checkpoint.safetensors"), bytes_of(folder_ / "alone/checkpoint.safetensors"));
}

TEST_F(DistributedJob, ADamagedVersionCostsTheMeanAlone) {
  const auto ends = run("run", 3, [](Index, ProcessOfJob& process) {
    process.before_save = [](const fs::path& file) {
      // The best model is written again for step 10, after the versions of steps 4 and 8.
      const fs::path version = file.parent_path() / "step-000000008.safetensors";
      if (file.filename() == "best.safetensors" && fs::exists(version)) std::ofstream(version) << "damaged";
    };
  });
  EXPECT_NE(bytes_of(said_by(0)).find("no mean of the last versions: "), std::string::npos);
  for (const EndOfProcess& end : ends) {
    EXPECT_EQ(end.error, "");
    EXPECT_EQ(end.chosen, "step 10");
    EXPECT_EQ(end.table, ends[0].table);
  }
}

}  // namespace
