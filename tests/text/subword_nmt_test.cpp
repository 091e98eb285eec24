#include "rapt/text/subword_nmt.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::SubwordNmtCodes;
using rapt_test::error_text;

std::string unescaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      result += text[i];
      continue;
    }
    const char c = text[++i];
    result += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
  }
  return result;
}

/// tests/golden/make_subword_nmt.py tells what the columns are.
TEST(SubwordNmtCodes, CutsAsTheOriginal) {
  std::ifstream file(std::string(RAPT_GOLDEN_DIR) + "/subword_nmt.tsv", std::ios::binary);
  ASSERT_TRUE(file.is_open());
  std::optional<SubwordNmtCodes> codes;
  std::string name;
  int lines = 0;
  for (std::string row; std::getline(file, row);) {
    std::vector<std::string> columns(1);
    for (const char c : row) c == '\t' ? columns.emplace_back() : columns.back() += c;
    ASSERT_EQ(columns.size(), 3u) << row;
    if (columns[0] == "codes") {
      name = columns[1];
      codes = SubwordNmtCodes::from_text(unescaped(columns[2]), name);
    } else {
      ASSERT_EQ(columns[0], "line");
      EXPECT_EQ(codes->segment(unescaped(columns[1])), unescaped(columns[2])) << name << ": " << columns[1];
      ++lines;
    }
  }
  EXPECT_GE(lines, 80) << "the golden file is short";
}

TEST(SubwordNmtCodes, MarksTheEndOfWords) {
  const std::string pairs = "l o\nlo w</w>\ne r</w>\nn e\nne w\n";
  const auto codes = SubwordNmtCodes::from_text("#version: 0.2\n" + pairs, "test");
  EXPECT_EQ(codes.segment("low lower newer new"), "low lo@@ w@@ er new@@ er ne@@ w");
  EXPECT_EQ(SubwordNmtCodes::join("low lo@@ w@@ er new@@ er ne@@ w"), "low lower newer new");
  EXPECT_EQ(codes.segment("  low   x \r\n"), "low x");
  EXPECT_EQ(codes.segment(""), "");
  const auto windows = SubwordNmtCodes::from_text("#version: 0.2\r\nl o\r\nlo w</w>\r\n", "test");
  EXPECT_EQ(windows.segment("low slow"), "low s@@ low");
  const auto marked = SubwordNmtCodes::from_text("\xEF\xBB\xBF#version: 0.2\nl o\nlo w</w>\n", "test");
  EXPECT_EQ(marked.segment("low slow"), "low s@@ low") << "a byte order mark is no code";
  const auto old = SubwordNmtCodes::from_text("l o\nw </w>\nlo w</w>\n", "test");
  EXPECT_EQ(old.segment("low lows wow"), "low lo@@ w@@ s w@@ o@@ w");
}

TEST(SubwordNmtCodes, JoinIsTheInverse) {
  const auto codes = SubwordNmtCodes::from_text("#version: 0.2\na b\nab c</w>\n我 爱\n@ @</w>\n", "test");
  for (const std::string line : {"abc cab bca", "我爱你 我爱", "a", "", "@@a a@b @", "</w> a</w>"}) {
    EXPECT_EQ(SubwordNmtCodes::join(codes.segment(line)), line);
  }
  EXPECT_EQ(SubwordNmtCodes::join("ne@@"), "ne") << "cut off in the midst of a word";
  EXPECT_EQ(SubwordNmtCodes::join("ne@@ "), "ne");
  EXPECT_EQ(SubwordNmtCodes::join("a  b "), "a  b ");
}

TEST(SubwordNmtCodes, NamesTheLineThatIsWrong) {
  const auto read = [](std::string_view text) {
    return error_text<rapt::IoError>([&] { (void)SubwordNmtCodes::from_text(text, "codes"); });
  };
  EXPECT_EQ(read(""), "[codes:1] the line must be two symbols with a space between them: \"\"");
  EXPECT_EQ(read("#version: 0.3\na b\n"), "[codes:1] the version must be 0.1 or 0.2: \"#version: 0.3\"");
  EXPECT_EQ(read("#version: 0.2\n"), "[codes:1] no codes follow: \"#version: 0.2\"");
  EXPECT_EQ(read("#version: 0.2\na b\nab\n"),
            "[codes:3] the line must be two symbols with a space between them: \"ab\"");
  EXPECT_EQ(read("a b c\n"), "[codes:1] the line must be two symbols with a space between them: \"a b c\"");
  EXPECT_EQ(read("a  b\n"), "[codes:1] the line must be two symbols with a space between them: \"a  b\"");
  EXPECT_EQ(read("a b\n\nc d\n"), "[codes:2] the line must be two symbols with a space between them: \"\"");
  EXPECT_NE(read("a \xFF\n").find("[codes:1] the line must be UTF-8"), std::string::npos);
  EXPECT_EQ(error_text<rapt::ValueError>([] { (void)SubwordNmtCodes::from_text("a b\n", "codes").segment("ab \xFF"); }),
            "[subword_nmt.segment] text must be UTF-8: byte 4 of 4");
}

TEST(SubwordNmtCodes, DamagedCodesAreRefusedOrRead) {
  const std::string codes = "#version: 0.2\nl o\nlo w</w>\ne r</w>\nn e\nne w\nм е\nst r</w>\n我 爱\n";
  const std::string line = "low lower newest меня 我爱你 </w>";
  std::mt19937 random(1);
  int refused = 0;
  constexpr int kRounds = 3000;
  for (int round = 0; round < kRounds; ++round) {
    std::string damaged = codes;
    for (std::size_t edits = 1 + random() % 4; edits > 0; --edits) {
      const std::size_t at = random() % damaged.size();
      if (random() % 2 == 0) {
        damaged[at] = random() % 2 == 0 ? static_cast<char>(random()) : " \n<w"[random() % 4];
      } else {
        damaged.erase(at, random() % 6);
      }
    }
    try {
      EXPECT_EQ(SubwordNmtCodes::join(SubwordNmtCodes::from_text(damaged, "damaged").segment(line)), line);
    } catch (const rapt::IoError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, kRounds / 3);
  EXPECT_LT(refused, kRounds);
}

}  // namespace
