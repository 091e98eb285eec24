#include "rapt/text/unicode.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace {

using rapt::find_invalid_utf8;
using rapt::split_whitespace;
using rapt::strip_end;
using rapt::to_lower;
using Words = std::vector<std::string_view>;

TEST(FindInvalidUtf8, AcceptsEveryCodePointButSurrogates) {
  std::string all;
  for (std::int32_t value = 0; value <= 0x10FFFF; ++value) {
    if (value < 0xD800 || value > 0xDFFF) rapt::append_code_point(all, value);
  }
  EXPECT_FALSE(find_invalid_utf8(all).has_value());
  std::size_t position = 0;
  for (std::int32_t value = 0; value <= 0x10FFFF; ++value) {
    if (value >= 0xD800 && value <= 0xDFFF) continue;
    const rapt::CodePoint point = rapt::code_point_at(all, position);
    ASSERT_EQ(point.value, value);
    position += point.length;
  }
  EXPECT_EQ(position, all.size());
  EXPECT_FALSE(find_invalid_utf8("").has_value());
}

TEST(ReplaceMalformed, ReplacesAsPythonDoes) {
  const std::string mark = "\xEF\xBF\xBD";
  const auto marks = [&](int count) {
    std::string text;
    for (; count > 0; --count) text += mark;
    return text;
  };
  EXPECT_EQ(rapt::replace_malformed("plain \xC3\xA9 \xF0\x9F\x98\x80"), "plain \xC3\xA9 \xF0\x9F\x98\x80");
  EXPECT_EQ(rapt::replace_malformed(""), "");
  for (const auto& [bytes, count] : std::vector<std::pair<std::string, int>>{{"\x83\x8A", 2},
                                                                             {"\xE6\x96", 1},
                                                                             {"\xF0\x9F\x98", 1},
                                                                             {"\xF0\x9F", 1},
                                                                             {"\xC3", 1},
                                                                             {"\xC0\x80", 2},
                                                                             {"\xE0\x80\xAF", 3},
                                                                             {"\xED\xA0\x80", 3},
                                                                             {"\xF4\x90\x80\x80", 4},
                                                                             {"\xE2\x82\xE2\x82", 2}}) {
    EXPECT_EQ(rapt::replace_malformed("a" + bytes + "b"), "a" + marks(count) + "b") << count;
    EXPECT_EQ(rapt::replace_malformed(bytes), marks(count)) << count;
  }
}

TEST(FindInvalidUtf8, GivesTheOffsetOfTheFirstMalformedByte) {
  struct Case {
    std::string_view bytes;
    std::string_view what;
  };
  for (const auto& [bytes, what] : std::vector<Case>{{"\x80", "stray continuation"},
                                                     {"\xC3", "end inside a character"},
                                                     {"\xC3(", "missing continuation"},
                                                     {"\xE2\x82", "end inside a character"},
                                                     {"\xF0\x9F\x98", "end inside a character"},
                                                     {"\xC0\x80", "overlong NUL"},
                                                     {"\xC1\xBF", "overlong"},
                                                     {"\xE0\x80\xAF", "overlong"},
                                                     {"\xE0\x9F\xBF", "overlong"},
                                                     {"\xF0\x80\x80\xAF", "overlong"},
                                                     {"\xF0\x8F\xBF\xBF", "overlong"},
                                                     {"\xED\xA0\x80", "surrogate"},
                                                     {"\xED\xBF\xBF", "surrogate"},
                                                     {"\xF4\x90\x80\x80", "beyond U+10FFFF"},
                                                     {"\xF5\x80\x80\x80", "beyond U+10FFFF"},
                                                     {"\xF8\x88\x80\x80\x80", "five bytes"},
                                                     {"\xFE", "never in UTF-8"},
                                                     {"\xFF", "never in UTF-8"}}) {
    EXPECT_EQ(find_invalid_utf8(bytes), 0u) << what;
    EXPECT_EQ(find_invalid_utf8("ab\xC3\xA9" + std::string(bytes) + "xyz"), 4u) << what;
  }
}

TEST(SplitWhitespace, SplitsAsPythonDoes) {
  EXPECT_EQ(split_whitespace("  one two\t three\n"), (Words{"one", "two", "three"}));
  EXPECT_EQ(split_whitespace(""), Words{});
  EXPECT_EQ(split_whitespace(" \r\n\v\f\t "), Words{});
  EXPECT_EQ(split_whitespace("a\x1C"
                             "b\x1F"
                             "c\x01"
                             "d"),
            (Words{"a", "b",
                   "c\x01"
                   "d"}));
  // next line, no-break space, em space, line separator, ideographic space; a zero width space is none
  EXPECT_EQ(split_whitespace("a\u0085b\u00A0c\u2003d\u2028e\u3000f\u200Bg"),
            (Words{"a", "b", "c", "d", "e", "f\u200Bg"}));
  EXPECT_EQ(split_whitespace("a \xFF\xC2 b"), (Words{"a", "\xFF\xC2", "b"})) << "malformed bytes are no space";
}

TEST(StripEnd, RemovesWhiteSpaceAtTheEnd) {
  EXPECT_EQ(strip_end(" a b \t\u00A0\u3000\n"), " a b");
  EXPECT_EQ(strip_end("\u3000 "), "");
  EXPECT_EQ(strip_end(""), "");
  EXPECT_EQ(strip_end("a\x80\x80\x80\x80\x80\x80"), "a\x80\x80\x80\x80\x80\x80");
}

TEST(ToLower, MapsEveryScriptAndLeavesTheRest) {
  EXPECT_EQ(to_lower("Hello WORLD 123 [\\]^_`{|}~@"), "hello world 123 [\\]^_`{|}~@");
  EXPECT_EQ(to_lower("ÄÖÜ ß ẞ ÉÇ ПРИВЕТ ԱԲԳ 你好 Ⅷ Ⓐ \u212B"), "äöü ß ß éç привет աբգ 你好 ⅷ ⓐ \u00E5");
  EXPECT_EQ(to_lower("\xFF"
                     "A\xC3"),
            "\xFF"
            "a\xC3");
}

TEST(ToLower, TreatsTheDottedIAndTheFinalSigma) {
  EXPECT_EQ(to_lower("\u0130I"), "i\u0307i");
  EXPECT_EQ(to_lower("ΟΔΟΣ ΣΟΦΟΣ"), "οδος σοφος");
  EXPECT_EQ(to_lower("Σ"), "σ") << "alone";
  EXPECT_EQ(to_lower("ΑΣ. ΑΣ'Α 1Σ Α\u0301Σ ΑΣ\u0301Α"), "ας. ασ'α 1σ α\u0301ς ασ\u0301α")
      << "marks and apostrophes are looked through";
}

}  // namespace
