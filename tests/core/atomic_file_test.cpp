/// \file
/// AtomicFile alone; tests/io/safetensors_test.cpp has the refusing disks.
#include "rapt/core/atomic_file.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "rapt/core/input_file.hpp"

#include "tests/common/expect_close.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::AtomicFile;

class AtomicFileTest : public testing::Test {
 protected:
  AtomicFileTest() : folder_(fs::temp_directory_path() / ("rapt_atomic_file_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~AtomicFileTest() override { fs::remove_all(folder_); }

  static std::string text(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  [[nodiscard]] auto files() const { return std::distance(fs::directory_iterator(folder_), fs::directory_iterator()); }

  fs::path folder_;
};

TEST_F(AtomicFileTest, AppearsWithCommit) {
  const fs::path path = folder_ / "file";
  {
    AtomicFile file(path);
    file.write("one ", 4);
    file.write("two", 3);
    EXPECT_FALSE(fs::exists(path));
    EXPECT_EQ(files(), 1);  // the temporary
    file.commit();
    EXPECT_EQ(text(path), "one two");
  }
  EXPECT_EQ(text(path), "one two");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFileTest, NothingRemainsWithoutCommit) {
  const fs::path path = folder_ / "file";
  std::ofstream(path) << "old";
  try {
    AtomicFile file(path);
    file.write("new", 3);
    throw std::runtime_error("interrupted");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(text(path), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFileTest, RelativePaths) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  {
    AtomicFile file("here");
    file.write("x", 1);
    file.commit();
  }
  fs::current_path(before);
  EXPECT_EQ(text(folder_ / "here"), "x");
}

TEST_F(AtomicFileTest, TheLongestName) {
  const fs::path path = folder_ / std::string(255, 'n');
  AtomicFile file(path);
  file.commit();
  EXPECT_TRUE(fs::exists(path));
}

TEST_F(AtomicFileTest, WhoeverHasTheOldFileOpenKeepsIt) {
  const fs::path path = folder_ / "file";
  std::ofstream(path) << "old";
  rapt::detail::InputFile before(path);
#if defined(_WIN32)
  try {
    rapt::detail::write_text_file(path, "new");
  } catch (const rapt::IoError& error) {  // the old file is left as it was
    EXPECT_EQ(text(path), "old");
    EXPECT_EQ(files(), 1);
    GTEST_SKIP() << "this Windows cannot replace open files: " << error.what();
  }
#else
  rapt::detail::write_text_file(path, "new");
#endif
  std::string line;
  EXPECT_TRUE(std::getline(before, line));
  EXPECT_EQ(line, "old");
  EXPECT_EQ(text(path), "new");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFileTest, NamesOfAnyScriptAndPathsOfAnyLength) {
  const fs::path named = folder_ / fs::path(u8"\u6a21\u578b \u00dcbersetzer \u2603 \U0001f600");
  const fs::path longest = folder_ / (std::string(231, 'n') + ".safetensors");  // on Windows more than 260 characters
  for (const fs::path& path : {named, longest}) {
    for (const char* content : {"first", "second"}) {
      rapt::detail::write_text_file(path, content);
      std::string line;
      rapt::detail::InputFile file(path);
      EXPECT_TRUE(std::getline(file, line));
      EXPECT_EQ(line, content);
    }
    EXPECT_EQ(files(), 1);
    rapt::detail::remove_file(path);
  }
  EXPECT_EQ(files(), 0);
}

/// RAPT_SMALL_DISK is a folder on a disk of at most one megabyte.
TEST_F(AtomicFileTest, AFullDiskLeavesTheOldFile) {
  const char* disk = std::getenv("RAPT_SMALL_DISK");
  if (disk == nullptr) GTEST_SKIP() << "RAPT_SMALL_DISK names no folder on a small disk";
  const fs::path path = fs::path(disk) / "file";
  rapt::detail::write_text_file(path, "old");
  const std::string much(std::size_t{2} << 20, 'x');
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { rapt::detail::write_text_file(path, much); }),
            "[atomic_file] " + path.string() + ": cannot write: No space left on device");
  EXPECT_EQ(text(path), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(disk), fs::directory_iterator()), 1);
  rapt::detail::write_text_file(path, "new");
  EXPECT_EQ(text(path), "new");
  fs::remove(path);
}

TEST_F(AtomicFileTest, ManyWritersOfOneFile) {
  const fs::path path = folder_ / "file";
  std::vector<std::thread> writers;
  for (int t = 0; t < 8; ++t) {
    writers.emplace_back([&, t] {
      const std::string content(100'000, static_cast<char>('a' + t));
      AtomicFile file(path);
      file.write(content.data(), content.size());
      file.commit();
    });
  }
  for (auto& writer : writers) writer.join();
  const std::string result = text(path);
  EXPECT_EQ(result, std::string(100'000, result.at(0)));  // one of them, whole
  EXPECT_EQ(files(), 1);
}

}  // namespace
