/// \file
/// The processes of a job: rank 0 decides for all of them, what it throws all throw, and its files and parameters reach
/// the others.
#include "rapt/train/job_processes.hpp"

#include <gtest/gtest.h>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/local_communicator.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/next_token.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::Communicator;
using rapt::Index;
using rapt::JobProcesses;
using rapt_test::error_text;

class JobProcessesTest : public rapt_test::FolderTest {};

/// The folder for temporary files, for as long as it lives.
class TemporaryFilesIn {
 public:
  explicit TemporaryFilesIn(const fs::path& folder) {
    if (const char* const before = std::getenv("TMPDIR")) before_ = before;
    ::setenv("TMPDIR", folder.c_str(), 1);
  }
  TemporaryFilesIn(const TemporaryFilesIn&) = delete;
  TemporaryFilesIn& operator=(const TemporaryFilesIn&) = delete;
  ~TemporaryFilesIn() { before_ ? ::setenv("TMPDIR", before_->c_str(), 1) : ::unsetenv("TMPDIR"); }

 private:
  std::optional<std::string> before_;
};

TEST_F(JobProcessesTest, OneIsTheFirst) {
  const JobProcesses one;
  EXPECT_EQ(one.count(), 1);
  EXPECT_TRUE(one.is_first());
  EXPECT_EQ(one.from_first([] { return 7; }), 7);
  EXPECT_EQ(one.from_each(5.5), std::vector<double>{5.5});
  EXPECT_EQ(error_text<rapt::IoError>([&] { one.on_first([] { throw rapt::IoError("full"); }); }), "full");
  EXPECT_EQ(error_text<rapt::IoError>([&] { one.announcing_failure([] { throw rapt::IoError("full"); }); }), "full");
  const rapt::FileOfFirst file("not there", one);
  EXPECT_EQ(file.path(), "not there");
}

TEST_F(JobProcessesTest, TheFirstDecides) {
  for (const Index count : {1, 2, 3, 5}) {
    std::atomic<int> calls = 0;
    rapt::run_local(count, [&](Communicator& communicator) {
      const JobProcesses all(&communicator);
      EXPECT_EQ(all.count(), count);
      EXPECT_EQ(all.is_first(), communicator.rank() == 0);
      EXPECT_EQ(all.from_first([&] {
        ++calls;
        return communicator.rank() + 7;
      }),
                7);
      EXPECT_EQ(all.from_first([&] { return "text of " + std::to_string(communicator.rank()); }), "text of 0");
      std::vector<Index> ranks;
      for (Index rank = 0; rank < count; ++rank) ranks.push_back(10 * rank);
      EXPECT_EQ(all.from_each(10 * communicator.rank()), ranks);
    });
    EXPECT_EQ(calls, 1);
  }
}

TEST_F(JobProcessesTest, WhatTheFirstThrowsAllThrow) {
  rapt::run_local(3, [](Communicator& communicator) {
    const JobProcesses all(&communicator);
    const std::string before = communicator.rank() == 0 ? "" : "[train] rank 0 has ended: ";
    EXPECT_EQ(error_text<rapt::ValueError>([&] { all.on_first([] { throw rapt::ValueError("[a] b: 1"); }); }),
              before + "[a] b: 1");
    EXPECT_EQ(error_text<rapt::ShapeError>([&] { all.on_first([] { throw rapt::ShapeError("[a] c: 2"); }); }),
              before + "[a] c: 2");
    EXPECT_EQ(
        error_text<rapt::IoError>([&] { std::ignore = all.from_first([]() -> int { throw rapt::IoError("d"); }); }),
        before + "d");
    EXPECT_EQ(error_text<std::exception>([&] { all.on_first([] { throw std::runtime_error("e"); }); }), before + "e");
    EXPECT_EQ(all.from_first([] { return 3; }), 3);  // and they go on together
  });
}

TEST_F(JobProcessesTest, AFailureIsAnnounced) {
  std::mutex mutex;
  std::map<Index, std::string> texts;
  rapt::run_local(3, [&](Communicator& communicator) {
    const JobProcesses all(&communicator);
    const std::string text = error_text<rapt::Error>([&] {
      all.announcing_failure([&] {
        if (communicator.rank() == 2) rapt::fail("hook", "no: ", 5);
        std::ignore = all.from_each(1);
      });
    });
    const std::lock_guard lock(mutex);
    texts[communicator.rank()] = text;
  });
  EXPECT_EQ(texts[2], "[hook] no: 5");
  for (const Index rank : {0, 1}) EXPECT_EQ(texts[rank], "[local] rank 2 has ended: [hook] no: 5");
}

TEST_F(JobProcessesTest, DifferencesAreNamedOnAll) {
  rapt::run_local(3, [](Communicator& communicator) {
    const JobProcesses all(&communicator);
    all.require_same("train", {{"width", "5"}, {"text", "a"}});
    const std::string mine = communicator.rank() == 1 ? "6" : "5";
    rapt_test::expect_message<rapt::Error>(
        [&] {
          all.require_same("train", {{"width", mine}, {"text", "a"}});
        },
        {"width", "'5'", "rank 1", "'6'"});
  });
}

TEST_F(JobProcessesTest, ParametersAreThoseOfTheFirst) {
  rapt::run_local(3, [](Communicator& communicator) {
    rapt_test::NextToken model;
    for (float& x : model.table.mutable_value().values()) x = static_cast<float>(communicator.rank() + 4);
    JobProcesses(&communicator).share_parameters(model);
    for (const float x : model.table.value().values()) EXPECT_EQ(x, 4);
  });
}

TEST_F(JobProcessesTest, AFileReachesAll) {
  const auto bytes_of = [](const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  const fs::path temporary = folder_ / "temporary";
  fs::create_directory(temporary);
  const TemporaryFilesIn there(temporary);
  const std::size_t part = std::size_t{1} << 22;  // what is sent at once
  for (const std::size_t size : {std::size_t{0}, std::size_t{1000}, part, 2 * part + 5}) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * i % 251);
    const fs::path path = folder_ / "file";
    std::ofstream(path, std::ios::binary) << bytes;
    rapt::run_local(3, [&](Communicator& communicator) {
      const bool is_first = communicator.rank() == 0;
      const rapt::FileOfFirst file(is_first ? path : "not there", JobProcesses(&communicator));
      rapt::barrier(communicator);  // all have theirs
      EXPECT_EQ(file.path() == path, is_first);
      EXPECT_EQ(file.name(), path.string() + (is_first ? "" : " of rank 0"));
      EXPECT_TRUE(bytes_of(file.path()) == bytes) << size;
      if (fs::exists("/proc/self/fd")) {  // a kill would leave nothing
        EXPECT_TRUE(fs::is_empty(temporary));
      }
    });
    EXPECT_TRUE(fs::is_empty(temporary));
    EXPECT_TRUE(fs::exists(path));
  }
  rapt::run_local(2, [&](Communicator& communicator) {
    rapt_test::expect_message<std::exception>(
        [&] { const rapt::FileOfFirst file(folder_ / "none", JobProcesses(&communicator)); }, "none");
  });
}

}  // namespace
