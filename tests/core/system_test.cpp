/// \file
/// Files, maps, processes and signals, as every system must give them.
#include "rapt/core/system.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>

#include "tests/common/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
namespace detail = rapt::detail;
using detail::FileDescriptor;
using detail::OpenMode;

class System : public testing::Test {
 protected:
  /// Makes a file.
  void write(const fs::path& path, std::string_view text) {
    const FileDescriptor file(path, OpenMode::create);
    ASSERT_TRUE(file.is_open()) << detail::system_reason(errno);
    ASSERT_EQ(detail::write_some(file.get(), text.data(), text.size()), std::ssize(text));
    ASSERT_TRUE(detail::flush_to_disk(file.get()));
  }
  /// The text of a file of less than 100 bytes.
  static std::string read(int file) {
    std::array<char, 100> text{};
    const auto count = detail::read_some(file, text.data(), text.size());
    return count < 0 ? detail::system_reason(errno) : std::string(text.data(), static_cast<std::size_t>(count));
  }
  static std::string read(const fs::path& path) { return read(FileDescriptor(path, OpenMode::read).get()); }

  rapt_test::TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "file";
};

TEST_F(System, BytesAreReadAsTheyWereWritten) {
  const std::string text("one\ntwo\r\n\x1a\0three", 16);  // nothing is translated, and nothing is an end
  write(path_, text);
  const FileDescriptor file(path_, OpenMode::read_regular);
  EXPECT_EQ(read(file.get()), text);
  EXPECT_EQ(read(file.get()), "");
  std::array<char, 5> part{};
  EXPECT_EQ(detail::read_some_at(file.get(), part.data(), part.size(), 4), 5);
  EXPECT_EQ(std::memcmp(part.data(), "two\r\n", 5), 0);
  EXPECT_EQ(detail::read_some_at(file.get(), part.data(), part.size(), 13), 3);
  EXPECT_EQ(detail::read_some_at(file.get(), part.data(), part.size(), 16), 0);
  EXPECT_EQ(detail::read_some_at(file.get(), part.data(), part.size(), std::uint64_t{1} << 33), 0);
}

TEST_F(System, AFileIsCreatedOnceAndAMissingOneIsNamedSo) {
  write(path_, "old");
  for (const auto mode : {OpenMode::create, OpenMode::create_private}) {
    EXPECT_LT(detail::open_file(path_, mode), 0);
    EXPECT_EQ(errno, EEXIST);
  }
  EXPECT_EQ(read(path_), "old");
  for (const auto mode : {OpenMode::read, OpenMode::read_regular}) {
    EXPECT_LT(detail::open_file(folder_.path() / "none", mode), 0);
    EXPECT_EQ(errno, ENOENT);
  }
  EXPECT_FALSE(FileDescriptor().is_open());
}

TEST_F(System, APrivateFileIsWrittenAndRead) {
  const FileDescriptor file(path_, OpenMode::create_private);
  EXPECT_EQ(detail::write_some(file.get(), "abc", 3), 3);
  std::array<char, 2> part{};
  EXPECT_EQ(detail::read_some_at(file.get(), part.data(), part.size(), 1), 2);
  EXPECT_EQ(std::string(part.data(), 2), "bc");
#if !defined(_WIN32)
  detail::FileFacts facts;
  ASSERT_TRUE(detail::facts_of(file.get(), facts));
  EXPECT_EQ(facts.mode & 077u, 0u);
#endif
}

TEST_F(System, FactsAreThoseOfTheFile) {
  write(path_, "twelve bytes");
  detail::FileFacts by_path, by_number, of_folder;
  ASSERT_TRUE(detail::facts_of(path_, by_path));
  const FileDescriptor file(path_, OpenMode::read);
  ASSERT_TRUE(detail::facts_of(file.get(), by_number));
  for (const auto& facts : {by_path, by_number}) {
    EXPECT_TRUE(facts.is_regular);
    EXPECT_EQ(facts.bytes, 12u);
  }
  ASSERT_TRUE(detail::facts_of(folder_.path(), of_folder));
  EXPECT_FALSE(of_folder.is_regular);
  EXPECT_FALSE(detail::facts_of(folder_.path() / "none", of_folder));
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(System, ARenamedFileReplacesTheOneOfItsName) {
  write(path_, "old");
  write(folder_.path() / "new", "new");
  EXPECT_TRUE(detail::rename_over(folder_.path() / "new", path_)) << detail::system_reason(errno);
  EXPECT_EQ(read(path_), "new");
  EXPECT_FALSE(fs::exists(folder_.path() / "new"));
  detail::flush_folder(folder_.path());
  detail::remove_file(path_);
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_FALSE(detail::rename_over(path_, folder_.path() / "other"));
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(System, PagesOfAMapAreTheProgramsOwn) {
  write(path_, "mapped");
  void* const memory = detail::map_file(FileDescriptor(path_, OpenMode::read).get(), 6);  // outlives its descriptor
  ASSERT_NE(memory, nullptr) << detail::system_reason(errno);
  EXPECT_EQ(std::memcmp(memory, "mapped", 6), 0);
  static_cast<char*>(memory)[0] = 'M';
  EXPECT_EQ(read(path_), "mapped");
  detail::unmap_file(memory, 6);
}

TEST_F(System, PathsMayBeLongAndOfAnyScript) {
  const fs::path name(u8"模型 Übersetzer ☃");
  fs::path path = folder_.path() / name;
  path += std::string(180, 'x');
  if (path.native().size() < 260) path = folder_.path() / std::string(250, 'y');
  write(path, "text");
  EXPECT_EQ(read(path), "text");
  detail::FileFacts facts;
  EXPECT_TRUE(detail::facts_of(path, facts));
  EXPECT_TRUE(detail::rename_over(path, folder_.path() / name));
  EXPECT_EQ(read(folder_.path() / name), "text");
}

TEST(Processes, ThisOneRuns) {
  EXPECT_GT(detail::process_id(), 0);
  EXPECT_TRUE(detail::process_runs(detail::process_id()));
  EXPECT_FALSE(detail::process_runs(0x7ffffffc));  // more than any system numbers
}

TEST(Signals, CallWhatIsSetAndThenWhatWasBefore) {
  static std::atomic<int> calls{0};
  const detail::SignalAction before = detail::set_signal_handler(SIGTERM, SIG_IGN);
  EXPECT_FALSE(before.is_ignored());
  const detail::SignalAction ignored = detail::set_signal_handler(SIGTERM, [](int) { ++calls; });
  EXPECT_TRUE(ignored.is_ignored());
  std::raise(SIGTERM);
  EXPECT_EQ(calls, 1);
  detail::restore_signal(SIGTERM, ignored);
  std::raise(SIGTERM);  // is ignored again
  EXPECT_EQ(calls, 1);
  detail::restore_signal(SIGTERM, before);
}

}  // namespace
