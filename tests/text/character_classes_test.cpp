/// \file
/// Classes of characters, where the Unicode of the models and that of utf8proc differ, too.
#include "rapt/text/character_classes.hpp"

#include <gtest/gtest.h>

#include <span>
#include <string>

namespace {

using rapt::detail::CharacterClasses;

TEST(CharacterClasses, AreThoseOfTheModels) {
  const CharacterClasses classes;
  using namespace rapt::detail;
  struct Case {
    std::int32_t value;
    int bits;
  };
  const Case cases[] = {
      {'a', kLetter},
      {'A', kLetter | kChanges},
      {'7', kNumber},
      {' ', kSpace},
      {'\n', kSpace | kRemoved},
      {0x1C, kRemoved},  // white space for Python, not for Unicode
      {'$', kPunctuation},
      {'^', kPunctuation},
      {'_', kPunctuation},
      {0xA0, kSpace},
      {0xBD, kNumber},
      {0xE9, kLetter | kChanges},
      {0x301, kMark | kChanges},
      {0x901, kMark},  // a mark without a combining class
      {0x4E2D, kLetter | kIdeograph},
      {0xF900, kLetter | kIdeograph | kChanges},
      {0x3042, kLetter},
      {0xAC00, kLetter | kChanges},
      {0x3002, kPunctuation},
      {0x200B, kRemoved},
      {0xE000, kRemoved},
      {0xFFFD, kRemoved},
      {0x20AC, 0},
      {0x1F600, 0},
      {0x20000, kLetter | kIdeograph},
      {0x10FFFF, 0},
      // Where the models' Unicode is older than today's, and newer than utf8proc's.
      {0x61D, 0},
      {0x8CA, 0},
      {0x8E2, 0},
      {0x13430, 0},
      {0x166D, kPunctuation},
      {0x1734, kMark | kChanges},
      {0x2EBF0, kLetter},
      {0x11BF0, kNumber},
  };
  for (const Case& c : cases) EXPECT_EQ(classes[c.value], c.bits) << std::hex << c.value;
}

TEST(CharacterClasses, ListsAreInOrder) {
  const auto check = [](std::span<const rapt::detail::CodePointRange> ranges) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      EXPECT_LE(ranges[i].first, ranges[i].last);
      if (i > 0) {
        EXPECT_LT(ranges[i - 1].last, ranges[i].first) << std::hex << ranges[i].first;
      }
    }
  };
  check(rapt::detail::kNewLetters);
  check(rapt::detail::kNewNumbers);
  check(rapt::detail::kNewPunctuation);
  check(rapt::detail::kNewFormat);
  check(rapt::detail::kNewMarks);
  check(rapt::detail::kNewMarksWithClass);
  check(rapt::detail::kNewSpacingMarks);
  check(rapt::detail::kNewDecompositions);
}

TEST(CharacterClasses, KnownTextIsReadAsAnyText) {
  for (std::int32_t value = 1; value < 0x110000; value += value < 0x3000 ? 1 : 97) {
    if (value >= 0xD800 && value < 0xE000) continue;
    std::string text;
    rapt::append_code_point(text, value);
    const rapt::CodePoint point = rapt::detail::known_code_point_at(text, 0);
    ASSERT_EQ(point.value, value);
    ASSERT_EQ(point.length, text.size());
  }
}

}  // namespace
