/// \file
/// Files that are read at any place: which bytes come, and what is said of files that are none or become shorter.
#include "rapt/io/random_access_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::IoError;
using rapt::detail::RandomAccessFile;
using rapt_test::expect_message;

class RandomAccess : public rapt_test::FolderTest {
 protected:
  RandomAccess() { std::ofstream(path_) << "0123456789"; }

  const std::filesystem::path path_ = folder_ / "digits";
};

TEST_F(RandomAccess, BytesAreThoseOfTheirPlace) {
  RandomAccessFile opened("where", path_);
  const RandomAccessFile file = std::move(opened);
  EXPECT_EQ(file.bytes(), 10u);
  EXPECT_EQ(file.path(), path_.string());
  char bytes[4] = {};
  file.read(6, bytes, 4);
  EXPECT_EQ(std::string(bytes, 4), "6789");
  file.read(0, bytes, 2);
  EXPECT_EQ(std::string(bytes, 4), "0189");
  file.read(10, bytes, 0);
  EXPECT_EQ(std::string(bytes, 4), "0189");
}

TEST_F(RandomAccess, AMappingIsTheWholeFileAndOutlivesIt) {
  std::shared_ptr<const void> mapping;
  {
    const RandomAccessFile file("where", path_);
    mapping = file.map(10);
  }
  EXPECT_EQ(std::string(static_cast<const char*>(mapping.get()), 10), "0123456789");
  *static_cast<char*>(const_cast<void*>(mapping.get())) = 'x';
  EXPECT_EQ(std::filesystem::file_size(path_), 10u);
  EXPECT_EQ(std::ifstream(path_).get(), '0') << "the file stays as it is";
}

TEST_F(RandomAccess, FilesThatCannotBeReadAreNamed) {
  const auto open = [](const std::filesystem::path& path) { const RandomAccessFile file("where", path); };
  expect_message<IoError>([&] { open(folder_ / "none"); },
                          "[where] " + (folder_ / "none").string() + ": cannot open: No such file or directory");
  expect_message<IoError>([&] { open(folder_); }, "[where] " + folder_.string() + ": is not a regular file");
  const RandomAccessFile file("where", path_);
  std::filesystem::resize_file(path_, 5);
  char bytes[10];
  expect_message<IoError>([&] { file.read(3, bytes, 4); }, "the file has become shorter: it ends at byte 5");
  expect_message<IoError>([&] { std::ignore = file.map(6); }, "the file has become shorter: 5 bytes");
}

}  // namespace
