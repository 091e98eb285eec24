/// \file
/// Text as lines: byte order marks, ends of lines, blank lines, and one line that stays one.
#include "rapt/text/lines.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::as_line;
using rapt::is_blank;
using rapt_test::error_text;
using Lines = std::vector<std::string>;

/// A file of its own for each test, removed at the end.
class TextFile : public testing::Test {
 protected:
  ~TextFile() override { fs::remove(path_); }
  const fs::path& write(std::string_view bytes) const {
    std::ofstream(path_, std::ios::binary) << bytes;
    return path_;
  }
  const fs::path path_ = fs::temp_directory_path() / ("rapt_lines_" + std::to_string(::getpid()));
};

const std::string kMark = "\xEF\xBB\xBF";

/// Texts and their lines: the same from a file, from a stream, and in memory.
TEST_F(TextFile, Lines) {
  const std::vector<std::pair<std::string, Lines>> cases = {
      {"", {}},
      {"\n", {""}},
      {"one", {"one"}},
      {"one\ntwo\n", {"one", "two"}},
      {"one\r\n\r\ntwo\r\r\n", {"one", "", "two\r"}},
      {"\n\na\n\n", {"", "", "a", ""}},
      {"a\u2028b\u0085c\fd\re\n", {"a\u2028b\u0085c\fd\re"}},
      {std::string("a\0b\n", 4), {std::string("a\0b", 3)}},
      {kMark, {}},
      {kMark + "\n", {""}},
      {kMark + "one\n" + kMark + "two", {"one", kMark + "two"}},
      {kMark + kMark + "x", {kMark + "x"}},
      {kMark + "\r\n", {""}},
  };
  for (const auto& [text, lines] : cases) {
    EXPECT_EQ(rapt::read_lines(write(text)), lines) << text;
    const auto views = rapt::lines_of(text);
    EXPECT_EQ(Lines(views.begin(), views.end()), lines) << text;
    std::istringstream stream(text);
    rapt::LineReader reader(stream, "stream");
    Lines read;
    for (std::string line; reader.next(line);) read.push_back(line);
    EXPECT_EQ(read, lines) << text;
    EXPECT_EQ(reader.number(), lines.size());
  }
}

TEST_F(TextFile, WholeTexts) {
  EXPECT_EQ(rapt::read_text(write(kMark + "one\r\n" + kMark + "two")), "one\r\n" + kMark + "two");
  EXPECT_EQ(rapt::read_text(write("")), "");
  EXPECT_EQ(rapt::read_text(write(kMark)), "");
}

TEST_F(TextFile, WhatCannotBeRead) {
  const std::string name = path_.string();
  for (const bool all : {false, true}) {
    const auto read = [&](const fs::path& path) {
      return error_text<rapt::IoError>([&] { all ? (void)rapt::read_text(path) : (void)rapt::read_lines(path); });
    };
    EXPECT_EQ(read(name), "[" + name + "] cannot open the file for reading");
    EXPECT_EQ(read(fs::temp_directory_path()),
              "[" + fs::temp_directory_path().string() + "] is a directory, not a text file");
    EXPECT_EQ(read(write("good\nna\xEFve\n")), "[" + name + ":2] not UTF-8: byte 3 of the line has the value 239");
    EXPECT_EQ(read(write(kMark + "\xC3")), "[" + name + ":1] not UTF-8: byte 1 of the line has the value 195");
    EXPECT_EQ(read(write(std::string("\xFF\xFEh\0i\0", 6))),
              "[" + name + ":1] not UTF-8: byte 1 of the line has the value 255");
    fs::remove(path_);
  }
  if (fs::exists("/proc/self/mem")) {  // opens, and cannot be read at 0
    EXPECT_EQ(error_text<rapt::IoError>([] { (void)rapt::read_lines("/proc/self/mem"); }),
              "[/proc/self/mem] reading failed after 0 lines");
    EXPECT_THROW((void)rapt::read_text("/proc/self/mem"), rapt::IoError);
  }
}

TEST(LineReader, GoesOnBehindALineThatIsNotUtf8) {
  std::istringstream stream("a\n\xFF\nb\n");
  rapt::LineReader reader(stream, "standard input");
  std::string line;
  EXPECT_TRUE(reader.next(line));
  EXPECT_EQ(error_text<rapt::IoError>([&] { (void)reader.next(line); }),
            "[standard input:2] not UTF-8: byte 1 of the line has the value 255");
  EXPECT_TRUE(reader.next(line));
  EXPECT_EQ(line, "b");
  EXPECT_EQ(reader.number(), 3u);
  EXPECT_FALSE(reader.next(line));
}

TEST(IsBlank, WhiteSpaceOfAllKinds) {
  for (const char* blank : {"", " ", "\t \r", "\u00A0", "\u3000", " \u00A0\u3000\t", "\u2028\u2029\u0085",
                            "\v\f\x1C\x1F", "\u1680\u2000\u200A\u202F\u205F"}) {
    EXPECT_TRUE(is_blank(blank)) << blank;
  }
  for (const char* text : {"a", " a", "\u00A0.\u00A0", "\u200B", "\xEF\xBB\xBF", "\x01", "\xFF", "\xA0", "\u3000我"}) {
    EXPECT_FALSE(is_blank(text)) << text;
  }
}

TEST(AsLine, NoReaderFindsTwo) {
  EXPECT_EQ(as_line("das kleine Haus 我爱你 🙂"), "das kleine Haus 我爱你 🙂");
  EXPECT_EQ(as_line(""), "");
  EXPECT_EQ(as_line("a\nb\r\nc\vd\fe"), "a b  c d e");
  EXPECT_EQ(as_line("a\u0085b\u2028c\u2029d"), "a b c d");
  EXPECT_EQ(as_line("a\x1C\x1D\x1E\x1F"
                    "b\x1B[2Jc\x7F"),
            "a    b [2Jc ");
  EXPECT_EQ(as_line(std::string("\0a\0", 3)), " a ");
  EXPECT_EQ(as_line("a\tb\u00A0c\u3000d"), "a\tb\u00A0c\u3000d") << "white space within a line stays";
  EXPECT_EQ(as_line("a\xFF"
                    "b\xC3\n\x80"),
            "a\uFFFDb\uFFFD \uFFFD");
  EXPECT_EQ(as_line("\u0080\u009F\u00A0"), "  \u00A0");
}

}  // namespace
