/// \file
/// Searches as a whole: trials that fail in every way, rungs, workers, kills and resumption.
// covers: search/trial_process.hpp
// covers: search/search_options.hpp
#include "rapt/search/search.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::Index;
using rapt::Interrupted;
using rapt::IoError;
using rapt::search_settings;
using rapt::SettingsSearchOptions;
using rapt::SettingsSpace;
using rapt::TrialHistory;
using rapt::TrialTask;
using rapt::ValueError;
using rapt_test::error_text;
using Json = nlohmann::ordered_json;

class SearchTest : public rapt_test::FolderTest {
 protected:
  SearchTest() {
    space_.add("x", rapt::linear_range(0, 1));
    space_.add("y", rapt::linear_range(0, 1));
    options_ = {.folder = folder_ / "search", .trials = 6, .messages = messages_};
  }
  ~SearchTest() override { std::fclose(messages_); }

  [[nodiscard]] std::string said() const {
    std::fflush(messages_);
    std::ostringstream all;
    all << std::ifstream(folder_ / "said").rdbuf();
    return all.str();
  }
  [[nodiscard]] static std::string read(const fs::path& path) {
    std::ostringstream all;
    all << std::ifstream(path).rdbuf();
    return all.str();
  }
  /// Notes in the trial's folder that it was called, and returns the score.
  static double score(const TrialTask& task) {
    std::ofstream(task.folder / "calls", std::ios::app) << task.rung << ' ' << task.resource << '\n';
    const double x = task.settings["x"].get<double>(), y = task.settings["y"].get<double>();
    return (x - 0.3) * (x - 0.3) + y + 1 / task.resource;
  }
  /// The entries of a log without times.
  [[nodiscard]] std::vector<Json> log_of(const fs::path& folder) const {
    std::vector<Json> entries;
    std::ifstream file(folder / "log.jsonl");
    for (std::string line; std::getline(file, line);) {
      entries.push_back(Json::parse(line));
      for (const char* key : {"seconds", "took"}) entries.back().erase(key);
    }
    return entries;
  }
  /// Runs the search in a child, which is killed when `when(entries of the log)` is true.
  template <class Objective, class When>
  void run_and_kill(const SettingsSearchOptions& options, int signal, const Objective& objective, const When& when) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        static_cast<void>(search_settings(space_, options, objective));
      } catch (const Interrupted&) {
        ::_exit(130);
      } catch (...) {  // the child must not go on with the tests
        ::_exit(1);
      }
      ::_exit(0);
    }
    int status = 0;
    while (!when()) {
      ASSERT_EQ(::waitpid(child, &status, WNOHANG), 0) << "the search has ended before it was killed";
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ::kill(child, signal);
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(WIFSIGNALED(status), signal == SIGKILL);
    EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : 0, signal == SIGTERM ? 130 : 0);
  }

  SettingsSpace space_;
  std::FILE* messages_ = std::fopen((folder_ / "said").c_str(), "w");
  SettingsSearchOptions options_;
};

TEST_F(SearchTest, RandomTrialsInFoldersOfTheirOwn) {
  const TrialHistory history = search_settings(space_, options_, [](const TrialTask& task) {
    std::printf("hello from %td\n", task.trial);
    return score(task);
  });
  ASSERT_EQ(history.size(), 6);
  for (Index i = 0; i < 6; ++i) {
    EXPECT_EQ(history[i].settings, space_.sample(1, i));
    EXPECT_EQ(read(rapt::trial_folder(options_.folder, i) / "output.txt"), "hello from " + std::to_string(i) + "\n");
    EXPECT_EQ(read(rapt::trial_folder(options_.folder, i) / "calls"), "0 1\n");
  }
  EXPECT_EQ(log_of(options_.folder).size(), 13u);
  EXPECT_NE(read(options_.folder / "search.html").find("6 trials"), std::string::npos);
  EXPECT_NE(said().find("trial 5, rung 0 (1 resource, "), std::string::npos) << said();
}

TEST_F(SearchTest, AFailureIsAResult) {
  options_.trials = 8;
  const TrialHistory history = search_settings(space_, options_, [](const TrialTask& task) {
    switch (task.trial) {
      case 0:
        return std::numeric_limits<double>::quiet_NaN();
      case 1:
        throw std::runtime_error("diverged");
      case 2:
        throw std::bad_alloc();
      case 3:
        std::abort();
      case 4:
        ::raise(SIGKILL);  // as the system does when memory is used up
        return 0.0;
      case 5:
        ::_exit(3);
      case 6:
        throw 7;
      default:
        return 2.5;
    }
  });
  ASSERT_EQ(history.size(), 8);
  const char* failures[] = {"not a finite number: ", "diverged", "bad_alloc", "signal 6", "signal 9", "code 3",
                            "no std::exception"};
  for (Index i = 0; i < 7; ++i) {
    EXPECT_TRUE(history[i].has_failed());
    EXPECT_NE(history[i].result(0)->failure.find(rapt::at(failures, i)), std::string::npos)
        << history[i].result(0)->failure;
  }
  EXPECT_EQ(history[7].result(0)->score, 2.5);
  EXPECT_NE(read(options_.folder / "search.html").find("diverged"), std::string::npos);
}

TEST_F(SearchTest, RungsGoOnWithTheSameTrial) {
  options_.trials = 9;
  options_.halving = {.rungs = 3, .factor = 3, .resource = 9};
  options_.first = {{"x", 0.3}, {"y", 0}};  // the best that there is
  const TrialHistory history = search_settings(space_, options_, score);
  EXPECT_EQ(history[0].settings, options_.first);
  EXPECT_EQ(history[0].results.size(), 3u);
  EXPECT_EQ(read(rapt::trial_folder(options_.folder, 0) / "calls"), "0 1\n1 3\n2 9\n");
  std::array<int, 3> counts{};
  for (const auto place : history.finished()) ++rapt::at(counts, place.rung);
  EXPECT_EQ(counts[0], 9);
  EXPECT_GE(counts[1], 3);
  EXPECT_GE(counts[2], 1);
  EXPECT_EQ(history.best(), (rapt::TrialRung{0, 2}));
}

// Killed after every rung, a search makes the same trials, and each rung once.
TEST_F(SearchTest, KilledAndResumedItIsTheSameSearch) {
  options_.trials = 12;
  options_.method = rapt::ProposalMethod::gaussian_process;
  options_.halving = {.rungs = 2, .factor = 3, .resource = 3};
  SettingsSearchOptions undisturbed = options_;
  undisturbed.folder = folder_ / "undisturbed";
  static_cast<void>(search_settings(space_, undisturbed, score));
  const std::vector<Json> expected = log_of(undisturbed.folder);

  const fs::path log = options_.folder / "log.jsonl";
  const auto stalls = [&](const TrialTask& task) {  // until it is killed, after 5 and 10 rungs and in trial 9
    const std::string text = read(log);
    const auto ends = std::count(text.begin(), text.end(), '\n');
    const fs::path mark = folder_ / ("stalled-" + std::to_string(ends));
    if ((ends == 12 || ends == 22 || task.trial == 9) && !fs::exists(mark)) {
      std::ofstream(mark) << "here";
      std::this_thread::sleep_for(std::chrono::seconds(300));
    }
    return score(task);
  };
  std::size_t stalled = 0;
  const auto has_stalled = [&] {
    std::size_t marks = 0;
    for (const auto& entry : fs::directory_iterator(folder_))
      marks += entry.path().filename().string().starts_with("st");
    return marks > stalled;
  };
  for (; stalled < 3; ++stalled) {
    run_and_kill(options_, SIGKILL, stalls, has_stalled);
    options_.resume = true;
    if (stalled == 1)
      std::ofstream(log, std::ios::app) << "{\"event\":\"st";  // as if it had been killed while it wrote
  }
  const TrialHistory history = search_settings(space_, options_, score);
  EXPECT_EQ(log_of(options_.folder), expected);
  for (Index i = 0; i < history.size(); ++i) {
    EXPECT_EQ(read(rapt::trial_folder(options_.folder, i) / "calls"),
              read(rapt::trial_folder(undisturbed.folder, i) / "calls"));
  }
  EXPECT_NE(said().find("goes on after"), std::string::npos);
}

// After a request to end, trials stop, nothing is noted of them, and they begin again.
TEST_F(SearchTest, InterruptedTrialsHaveNoResult) {
  const fs::path mark = folder_ / "begun";
  run_and_kill(
      options_, SIGTERM,
      [&](const TrialTask& task) {
        if (task.trial < 2) return score(task);
        const rapt::detail::InterruptListener listener;  // as a training job has one
        std::ofstream(mark) << "here";
        while (!rapt::detail::InterruptListener::flag().load())
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        throw Interrupted("stopped");
      },
      [&] { return fs::exists(mark); });
  EXPECT_EQ(log_of(options_.folder).size(), 6u);
  options_.resume = true;
  EXPECT_EQ(search_settings(space_, options_, score).finished().size(), 6u);
}

TEST_F(SearchTest, WorkersShareTheTrials) {
  options_.workers = 3;
  options_.trials = 7;
  // Each of the first three waits until all three have begun.
  const TrialHistory history = search_settings(space_, options_, [&](const TrialTask& task) {
    std::ofstream(folder_ / ("begun-" + std::to_string(task.trial))) << rapt::threads();
    for (Index i = 0; task.trial < 3 && i < 3; ++i) {
      while (!fs::exists(folder_ / ("begun-" + std::to_string(i)))) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    return score(task);
  });
  EXPECT_EQ(history.finished().size(), 7u);
  const std::string threads = std::to_string(std::max<Index>(1, rapt::threads() / 3));
  for (Index i = 0; i < 7; ++i) {
    EXPECT_EQ(history[i].settings, space_.sample(1, i));
    EXPECT_EQ(read(folder_ / ("begun-" + std::to_string(i))), threads);
  }
}

TEST_F(SearchTest, TimeThatIsOverEndsIt) {
  options_.trials = 0;
  options_.seconds = 0.05;
  const auto waits = [](const TrialTask&) -> double {
    std::this_thread::sleep_for(std::chrono::seconds(300));
    return 1;
  };
  const TrialHistory history = search_settings(space_, options_, waits);
  EXPECT_EQ(history.finished().size(), 0u);
  EXPECT_LE(history.size(), 1);  // none if the time was over before the first one
  EXPECT_EQ(log_of(options_.folder).size(), rapt::to_size(1 + history.size()));
}

TEST_F(SearchTest, WhatIsRefused) {
  const auto refusal = [&](const SettingsSearchOptions& options) {
    return error_text<rapt::Error>([&] { static_cast<void>(search_settings(space_, options, score)); });
  };
  const auto with = [&](const auto& change) {
    SettingsSearchOptions options = options_;
    change(options);
    return options;
  };
  EXPECT_EQ(refusal(with([](auto& o) { o.trials = 0; })),
            "[search] the search never ends: trials and seconds are both 0, which is no limit");
  EXPECT_NE(refusal(with([](auto& o) { o.workers = 0; })).find("[search] trials and seconds"), std::string::npos);
  EXPECT_EQ(refusal(with([](auto& o) { o.resume = true; })),
            "[search] there is nothing to resume: no folder " + options_.folder.string());
  EXPECT_NE(refusal(with([](auto& o) {
              o.first = {{"x", 3}, {"y", 0}};
            })).find("x must be a number from 0 to 1: 3"),
            std::string::npos);
  static_cast<void>(search_settings(space_, options_, score));
  const std::string log = read(options_.folder / "log.jsonl");
  EXPECT_EQ(refusal(options_),
            "[search] " + (options_.folder / "log.jsonl").string() +
                ": there is a search already: the option resume goes on with it, restart removes it");
  EXPECT_NE(refusal(with([](auto& o) {
              o.resume = true, o.seed = 2;
            })).find("the search was started with another seed: then 1, now 2"),
            std::string::npos);
  EXPECT_NE(refusal(with([](auto& o) {
              o.resume = true, o.task = {{"corpus", "other"}};
            })).find("another task: then {}, now {\"corpus\":\"other\"}"),
            std::string::npos);
  EXPECT_EQ(read(options_.folder / "log.jsonl"), log);
  options_.restart = true;
  options_.seed = 2;
  EXPECT_EQ(search_settings(space_, options_, score)[0].settings, space_.sample(2, 0));
  EXPECT_EQ(read(rapt::trial_folder(options_.folder, 0) / "calls"), "0 1\n");
}

// A new search must not go on from the checkpoints of another one.
TEST_F(SearchTest, TrialsOfASearchWhoseLogIsGoneAreRefused) {
  static_cast<void>(search_settings(space_, options_, score));
  fs::create_directories(options_.folder / "trial-of-mine");
  const fs::path log = options_.folder / "log.jsonl";
  const std::string first_line = read(log).substr(0, read(log).find('\n'));
  for (const std::string& text : {std::string(), first_line.substr(0, 9)}) {  // the first line was cut off
    std::ofstream(log) << text;
    EXPECT_EQ(error_text<IoError>([&] { static_cast<void>(search_settings(space_, options_, score)); }),
              "[search] " + log.string() + " has no line, but there is " +
                  rapt::trial_folder(options_.folder, 0).string() + " of another search: restart removes its trials");
    EXPECT_EQ(read(log), "");
  }
  options_.restart = true;
  options_.trials = 1;
  static_cast<void>(search_settings(space_, options_, score));
  EXPECT_EQ(read(rapt::trial_folder(options_.folder, 0) / "calls"), "0 1\n");
  EXPECT_FALSE(fs::exists(rapt::trial_folder(options_.folder, 1)));
  EXPECT_TRUE(fs::exists(options_.folder / "trial-of-mine"));
}

TEST_F(SearchTest, ARestartRemovesNoOtherLog) {
  fs::create_directories(options_.folder / "trial-00000");
  const fs::path log = options_.folder / "log.jsonl";
  const std::string text = "{\"step\":1,\"loss\":2.5}\n";  // as that of a training
  std::ofstream(log) << text;
  options_.restart = true;
  EXPECT_EQ(error_text<IoError>([&] { static_cast<void>(search_settings(space_, options_, score)); }),
            "[trial_log] " + log.string() + ": is not the log of a search");
  EXPECT_EQ(read(log), text);
  EXPECT_TRUE(fs::exists(options_.folder / "trial-00000"));
}

// Whatever the page fails with, the search goes on.
TEST_F(SearchTest, APageThatCannotBeWrittenIsSaid) {
  fs::create_directories(options_.folder / "search.html");
  EXPECT_EQ(search_settings(space_, options_, score).finished().size(), 6u);
  EXPECT_NE(said().find("cannot write the page: "), std::string::npos);
}

}  // namespace
