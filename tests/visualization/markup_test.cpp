/// \file
/// Escaping: what comes out is well-formed, and reads as what went in.
#include "rapt/visualization/markup.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace {

using rapt::detail::escape_markup;
using rapt::detail::json_string;
using rapt::detail::utf8_length;

const std::string kReplaced = "\uFFFD";

TEST(Markup, EscapesWhatHasAMeaning) {
  EXPECT_EQ(escape_markup("</script><b a=\"x\">&amp;'"), "&lt;/script&gt;&lt;b a=&quot;x&quot;&gt;&amp;amp;&#39;");
  EXPECT_EQ(escape_markup("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(escape_markup("我 مرحبا 🙂 é"), "我 مرحبا 🙂 é");
  EXPECT_EQ(escape_markup(""), "");
}

TEST(Markup, ReplacesWhatNoDocumentMayHold) {
  EXPECT_EQ(escape_markup(std::string_view("a\0b\x1B\x7F", 5)), "a" + kReplaced + "b" + kReplaced + kReplaced);
  EXPECT_EQ(escape_markup("\xEF\xBF\xBF|\xEF\xBF\xBE"), kReplaced + "|" + kReplaced);
  for (const std::string malformed : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                      "\xF8\x88\x80\x80\x80", "\xFF", "\xE6\x88"}) {
    std::string expected;
    for (std::size_t i = 0; i < malformed.size(); ++i) expected += kReplaced;
    EXPECT_EQ(escape_markup(malformed), expected);
    EXPECT_EQ(escape_markup(malformed + "<"), expected + "&lt;");  // what follows is not swallowed
  }
}

TEST(Markup, KnowsEveryCharacter) {
  // All of Unicode, encoded here by hand.
  for (std::uint32_t value = 0; value <= 0x110000; ++value) {
    std::string text;
    const auto continuation = [&](int shift) { text += static_cast<char>(0x80 | ((value >> shift) & 0x3F)); };
    if (value < 0x80) {
      text += static_cast<char>(value);
    } else if (value < 0x800) {
      text += static_cast<char>(0xC0 | (value >> 6));
      continuation(0);
    } else if (value < 0x10000) {
      text += static_cast<char>(0xE0 | (value >> 12));
      continuation(6);
      continuation(0);
    } else {
      text += static_cast<char>(0xF0 | (value >> 18));
      continuation(12);
      continuation(6);
      continuation(0);
    }
    const bool valid = value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF);
    ASSERT_EQ(utf8_length(text, 0), valid ? text.size() : 0) << value;
    ASSERT_EQ(utf8_length(text + "x", 0), valid ? text.size() : 0) << value;
    if (text.size() > 1) {
      ASSERT_EQ(utf8_length(text.substr(0, text.size() - 1), 0), 0) << value;
    }
  }
}

TEST(Markup, JsonReadsBack) {
  for (const std::string text : {"", "plain", "</script><!--<script>", "quote \" backslash \\ tab \t line \n\r",
                                 "'&<>'", "我 مرحبا 🙂 \u2028"}) {
    const std::string json = json_string(text);
    EXPECT_EQ(nlohmann::json::parse(json).get<std::string>(), text) << json;
    EXPECT_EQ(json.find_first_of("<>&'\n"), std::string::npos) << json;
  }
  EXPECT_EQ(nlohmann::json::parse(json_string("\xFF\x01|")).get<std::string>(), kReplaced + kReplaced + "|");
}

}  // namespace
