/// \file
/// Files as streams: all bytes, and failures that are told from the end of the file in every standard library.
#include "rapt/core/input_file.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/common/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::detail::InputFile;

/// All bytes, in pieces of an odd size.
std::string read_in_pieces(const fs::path& path) {
  InputFile file(path);
  EXPECT_TRUE(file.is_open());
  std::string text;
  char piece[1237];
  while (file.read(piece, sizeof piece), file.gcount() > 0) text.append(piece, static_cast<std::size_t>(file.gcount()));
  EXPECT_TRUE(file.eof() && !file.bad());
  return text;
}

TEST(InputFile, GivesTheBytesOfAFile) {
  const rapt_test::TemporaryFolder folder;
  const fs::path path = folder.path() / "file";
  for (const std::size_t size : {0u, 1u, 65535u, 65536u, 65537u, 200000u}) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 256);
    std::ofstream(path, std::ios::binary) << bytes;
    EXPECT_EQ(read_in_pieces(path), bytes) << size << " bytes";
  }
  std::ofstream(path, std::ios::binary) << "one\ntwo\r\n\nlast";
  InputFile file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two\r", "", "last"}));
}

TEST(InputFile, AFailureIsNotTheEnd) {
  InputFile absent("/no/such/file");
  EXPECT_FALSE(absent.is_open());
  EXPECT_TRUE(absent.fail());
#if defined(_WIN32)
  const std::vector<const char*> unreadable{"/"};
#else
  const std::vector<const char*> unreadable{"/", "/proc/self/mem"};  // they open, and cannot be read
#endif
  for (const char* path : unreadable) {
    if (!fs::exists(path)) continue;
    InputFile file(path);
    EXPECT_TRUE(file.is_open());
    std::string line;
    EXPECT_FALSE(std::getline(file, line));
    EXPECT_TRUE(file.bad()) << path;
  }
}

}  // namespace
