/// \file
/// What the pretrained tokenizers share: places in characters instead of bytes, and a fast look for bytes that are not
/// UTF-8.
#include "rapt/text/encoding.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace {

using rapt::TextSpan;

TEST(CharacterSpans, CountCharacters) {
  const std::string text = "aé中😀b";  // 1, 2, 3, 4 and 1 bytes
  const std::vector<TextSpan> bytes = {{0, 1}, {1, 3}, {3, 6}, {6, 10}, {10, 11}, {0, 11}, {0, 0}, {11, 11}};
  const std::vector<TextSpan> expected = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {0, 5}, {0, 0}, {5, 5}};
  EXPECT_EQ(rapt::character_spans(text, bytes), expected);
  EXPECT_THROW(static_cast<void>(rapt::character_spans(text, std::vector<TextSpan>{{0, 12}})), rapt::ValueError);
  EXPECT_THROW(static_cast<void>(rapt::character_spans(text, std::vector<TextSpan>{{2, 1}})), rapt::ValueError);
}

TEST(FindInvalidBytes, AgreesWithTheSlowWay) {
  std::mt19937 random(3);
  const std::vector<std::string> parts = {"a", "abcdefgh", "é", "中", "😀", "\x80", "\xC3", "\xED\xA0\x80", "\xF8"};
  int invalid = 0;
  for (int n = 0; n < 2000; ++n) {
    std::string text;
    for (std::size_t i = random() % 6; i > 0; --i) text += parts[random() % parts.size()];
    ASSERT_EQ(rapt::detail::find_invalid_bytes(text), rapt::find_invalid_utf8(text));
    invalid += rapt::find_invalid_utf8(text).has_value() ? 1 : 0;
  }
  EXPECT_GT(invalid, 100);
}

}  // namespace
