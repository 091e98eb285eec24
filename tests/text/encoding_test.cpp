/// \file
/// Spans of texts, in bytes and in characters.
#include "rapt/text/encoding.hpp"

#include <gtest/gtest.h>

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

}  // namespace
