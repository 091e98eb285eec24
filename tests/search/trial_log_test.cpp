/// \file
/// The log of a search: what it says, what is cut off, what is refused, and that two searches cannot have it.
#include "rapt/search/trial_log.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::IoError;
using rapt::read_trial_log;
using rapt::SettingsSpace;
using rapt::TrialLog;
using rapt_test::error_text;
using Json = nlohmann::ordered_json;

class TrialLogTest : public rapt_test::FolderTest {
 protected:
  TrialLogTest() { space_.add("x", rapt::linear_range(0, 1)); }
  [[nodiscard]] std::string text() const {
    std::ostringstream all;
    all << std::ifstream(path_).rdbuf();
    return all.str();
  }
  void write(const std::string& bytes) const { std::ofstream(path_) << bytes; }
  [[nodiscard]] std::string refusal(const std::string& lines) const {
    return error_text<IoError>([&] { static_cast<void>(read_trial_log(kFirst + lines, space_, "log")); });
  }

  static inline const std::string kFirst = "{\"event\":\"search\",\"seed\":1}\n",
                                  kStart =
                                      "{\"event\":\"start\",\"trial\":0,\"rung\":0,\"settings\":{\"x\":0.5},"
                                      "\"seconds\":1.5}\n",
                                  kEnd =
                                      "{\"event\":\"end\",\"trial\":0,\"rung\":0,\"score\":-2.5,\"resource\":3.0,"
                                      "\"took\":4.0,\"seconds\":5.5}\n";
  SettingsSpace space_;
  std::filesystem::path path_ = folder_ / "log.jsonl";
};

TEST_F(TrialLogTest, WhatIsWrittenIsRead) {
  {
    TrialLog log(path_);
    EXPECT_TRUE(log.read(space_).search.is_null());
    log.write_search({{"seed", 1}});
    log.write_start({0, 0}, {{"x", 0.5}}, 1.5);
    log.write_end({0, 0}, {.score = -2.5, .resource = 3, .took = 4, .seconds = 5.5});
    log.write_start({1, 0}, {{"x", 0.1}}, 6);
    log.write_end({1, 0}, {.failure = "no memory \xFF", .resource = 3, .took = 0.5, .seconds = 7});
    log.write_start({0, 1}, nullptr, 8);
  }
  EXPECT_TRUE(text().starts_with(kFirst + kStart + kEnd)) << text();
  TrialLog log(path_);
  const rapt::TrialRecords records = log.read(space_);
  EXPECT_EQ(records.search["seed"], 1);
  EXPECT_EQ(records.torn, "");
  EXPECT_EQ(records.seconds, 8);
  ASSERT_EQ(records.history.size(), 2);
  EXPECT_EQ(records.history[0].settings, (Json{{"x", 0.5}}));
  EXPECT_EQ(records.history[0].result(0)->score, -2.5);
  EXPECT_EQ(records.history[0].result(0)->took, 4);
  EXPECT_EQ(records.history[1].result(0)->failure, "no memory \uFFFD");
  EXPECT_TRUE(records.history[1].has_failed());
  EXPECT_EQ(records.history.running(), (std::vector<rapt::TrialRung>{{0, 1}}));
}

// A kill at any byte leaves a log that can be read; the line that it has cut off counts for nothing.
TEST_F(TrialLogTest, CutOffAtAnyByte) {
  const std::string whole = kFirst + kStart + kEnd;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    write(whole.substr(0, size));
    const std::size_t lines = size == 0 ? 0 : whole.rfind('\n', size - 1) + 1;  // npos + 1 is 0
    TrialLog log(path_);
    const rapt::TrialRecords records = log.read(space_);
    EXPECT_EQ(records.torn, whole.substr(lines, size - lines));
    EXPECT_EQ(text(), whole.substr(0, lines));  // so that the next line begins a line
    EXPECT_EQ(records.search.is_null(), lines == 0);
    EXPECT_EQ(records.history.size(), lines > kFirst.size() ? 1 : 0);
    EXPECT_EQ(records.history.finished().size(), lines == whole.size() ? 1u : 0u);
  }
  write(kFirst + std::string(3, '\0') + '\n');  // what a power cut may leave
  EXPECT_EQ(TrialLog(path_).read(space_).torn.size(), 4u);
  EXPECT_EQ(text(), kFirst);
}

TEST_F(TrialLogTest, WhatCannotFollowIsRefusedWithItsLine) {
  EXPECT_EQ(refusal("what\n" + kStart), "[trial_log] log: line 2: is not a JSON object");
  EXPECT_EQ(refusal("{}\n"), "[trial_log] log: line 2: has no \"event\"");
  EXPECT_EQ(refusal(kFirst), "[trial_log] log: line 2: the first line, and no other, must have the event \"search\"");
  EXPECT_EQ(refusal(kEnd),
            "[trial_log] log: line 2: [trial_history] trial 0 of 0 cannot end rung 0, which it has not begun");
  EXPECT_EQ(refusal(kStart + kEnd + kEnd),
            "[trial_log] log: line 4: [trial_history] trial 0 of 1 cannot end rung 0, which it has not begun");
  EXPECT_EQ(refusal("{\"event\":\"start\",\"trial\":0,\"rung\":0,\"seconds\":1}\n"),
            "[trial_log] log: line 2: \"settings\" must stand where a trial begins, and only there");
  EXPECT_EQ(refusal("{\"event\":\"start\",\"trial\":0,\"rung\":0,\"settings\":{\"x\":2},\"seconds\":1}\n"),
            "[trial_log] log: line 2: [settings_space] x must be a number from 0 to 1: 2");
  EXPECT_EQ(refusal("{\"event\":\"start\",\"trial\":-1,\"rung\":0,\"settings\":{\"x\":1},\"seconds\":1}\n"),
            "[trial_log] log: line 2: \"trial\" must be a whole number from 0 to 999999999");
  EXPECT_EQ(refusal(kStart + "{\"event\":\"end\",\"trial\":0,\"rung\":0,\"resource\":1,\"took\":1,\"seconds\":1}\n"),
            "[trial_log] log: line 3: must have either a \"score\" or a \"failure\"");
  EXPECT_EQ(refusal(kStart + "{\"event\":\"end\",\"trial\":0,\"rung\":0,\"score\":\"1\",\"resource\":1,\"took\":1,"
                             "\"seconds\":1}\n"),
            "[trial_log] log: line 3: \"score\" must be a number");
}

// Deeper than the stack of functions that call themselves could bear, wherever it stands.
TEST_F(TrialLogTest, WhatIsNestedDeeplyIsRefused) {
  const auto nested = [](std::size_t depth) {
    return "{\"event\":\"search\",\"task\":" + std::string(depth, '[') + std::string(depth, ']') + "}\n";
  };
  EXPECT_FALSE(read_trial_log(nested(63), space_, "log").search.is_null());
  const auto refusal_of = [&](const std::string& text) {
    return error_text<IoError>([&] { static_cast<void>(read_trial_log(text, space_, "log")); });
  };
  EXPECT_EQ(refusal_of(nested(64)), "[trial_log] log: line 1: is nested more than 64 deep");
  EXPECT_EQ(refusal_of(nested(2000000) + kStart), "[trial_log] log: line 1: is nested more than 64 deep");
  EXPECT_EQ(refusal(std::string(2000000, '[') + '\n'), "[trial_log] log: line 2: is nested more than 64 deep");
}

TEST_F(TrialLogTest, KnowsTheLogOfASearchByItsBeginning) {
  for (const std::string& text : {std::string(), kFirst, kFirst + "what\n", std::string("{\"event\":\"sea")}) {
    write(text);
    EXPECT_NO_THROW(TrialLog(path_).require_search()) << text;
  }
  for (const char* text : {"{\"step\":1,\"loss\":2.5}\n", "{\"event\":\"start\"}\n", "what"}) {
    write(text);
    EXPECT_EQ(error_text<IoError>([&] { TrialLog(path_).require_search(); }),
              "[trial_log] " + path_.string() + ": is not the log of a search");
  }
}

TEST_F(TrialLogTest, AFullDiskLeavesTheLogAsItWas) {
  const pid_t child = ::fork();
  if (child == 0) {
    TrialLog log(path_);
    log.write_search({{"seed", 1}});
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      log.write_start({0, 0}, {{"x", std::string(200, 'x')}}, 1);
    } catch (const IoError& error) {
      ::_exit(std::string(error.what()).find("cannot write: File too large") != std::string::npos ? 0 : 2);
    }
    ::_exit(1);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(text(), kFirst);
}

TEST_F(TrialLogTest, OneSearchAtATimeHasIt) {
  TrialLog log(path_);
  EXPECT_EQ(
      error_text<IoError>([&] { TrialLog(path_, 0.05); }),
      "[trial_log] " + path_.string() + ": a search is running in this folder, or a trial of one that was killed");
  EXPECT_THROW(TrialLog(folder_ / "absent" / "log.jsonl"), IoError);
}

}  // namespace
