#include "rapt/text/word_counts.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt_test::error_text;

using Lines = std::vector<std::string>;

Lines words(std::string_view line, bool lossless) {
  Lines found;
  rapt::detail::for_each_word(line, lossless, [&](std::string_view word) { found.emplace_back(word); });
  return found;
}

/// Sets the number of threads, and back at the end.
class Threads {
 public:
  explicit Threads(rapt::Index count) { rapt::set_threads(count); }
  ~Threads() { rapt::set_threads(before_); }

 private:
  rapt::Index before_ = rapt::threads();
};

TEST(ForEachWord, CutsAtWhiteSpaceOrAtEverySpace) {
  EXPECT_EQ(words("one two", false), (Lines{"one", "two"}));
  EXPECT_EQ(words(" \tone\r\n\v\f two  ", false), (Lines{"one", "two"}));
  EXPECT_EQ(words("", false), Lines{});
  EXPECT_EQ(words(" ", false), Lines{});
  EXPECT_EQ(words("a\u00A0b\u3000c", false), (Lines{"a\u00A0b\u3000c"})) << "white space beyond ASCII is text";

  EXPECT_EQ(words("one two", true), (Lines{"one", "two"}));
  EXPECT_EQ(words(" \tone\r\n  two ", true), (Lines{"", "\tone\r\n", "", "two", ""}));
  EXPECT_EQ(words("", true), Lines{});
  EXPECT_EQ(words(" ", true), (Lines{"", ""}));
}

TEST(CountWords, CountsAcrossParts) {
  std::mt19937 random(6);
  std::map<std::string, std::int64_t> expected;
  Lines lines;
  for (std::size_t bytes = 0; bytes < 3500000; bytes += lines.back().size()) {
    std::string line;
    for (std::size_t w = random() % 30; w > 0; --w) {
      const std::string word = std::to_string(random() % 200 * (random() % 400));
      ++expected[word];
      line += word + (random() % 9 == 0 ? "  " : " ");
    }
    lines.push_back(line + 'x');
    ++expected["x"];
  }
  rapt::detail::WordCounts first;
  for (const rapt::Index threads : {1, 2, 3}) {
    const Threads scope(threads);
    for (const bool lossless : {false, true}) {
      const auto counts = rapt::detail::count_words(lines, lossless, "test");
      EXPECT_EQ((std::map<std::string, std::int64_t>(counts.begin(), counts.end())), expected);
      EXPECT_EQ(counts.size(), expected.size()) << "each word once";
      if (first.empty()) first = counts;
      EXPECT_EQ(counts, first) << "in the same order";
    }
  }
  EXPECT_TRUE(rapt::detail::count_words(Lines{}, false, "test").empty());
  EXPECT_TRUE(rapt::detail::count_words(Lines{"", " ", "  "}, true, "test").empty());
}

TEST(CountWords, NamesTheFirstBadLine) {
  Lines lines(60000, std::string(100, 'a'));
  lines[15000] = "fine until \xFF";
  lines[40000] = "\xC3(";
  lines[59999] = "\x80";
  for (const rapt::Index threads : {1, 2, 3}) {
    const Threads scope(threads);
    for (int round = 0; round < 5; ++round) {
      EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)rapt::detail::count_words(lines, false, "test"); }),
                "[test] text must be UTF-8: line 15001, byte 12");
    }
  }
}

}  // namespace
