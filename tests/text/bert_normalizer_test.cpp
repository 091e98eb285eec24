/// \file
/// What BERT does to texts before they are cut, and where the characters that remain came from.
#include "rapt/text/bert_normalizer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace {

using Steps = rapt::detail::BertNormalization;
constexpr Steps kUncased{true, true, true, true}, kCased{true, true, false, false};

struct Normalized {
  std::string text;
  std::vector<std::size_t> origins;
};
Normalized normalized(std::string_view text, const Steps& steps = kUncased) {
  const rapt::detail::BertNormalizer normalizer(steps, {});
  rapt::detail::BertNormalizer::Work work;
  rapt::detail::NormalizedText with, without;
  with.with_origins = true;
  normalizer(text, work, with);
  normalizer(text, work, without);
  EXPECT_EQ(with.text, without.text);
  EXPECT_EQ(with.text.size(), with.origins.size());
  EXPECT_TRUE(without.origins.empty());
  return {with.text, with.origins};
}

TEST(BertNormalizer, CleansSeparatesStripsAndLowers) {
  EXPECT_EQ(normalized("").text, "");
  EXPECT_EQ(normalized("Ab\tc\r\n\x01\x7F d").text, "ab c   d");
  EXPECT_EQ(normalized("a\u00A0b\u200Bc\u3000").text, "a bc ");
  EXPECT_EQ(normalized("x中国y").text, "x 中  国 y");
  EXPECT_EQ(normalized("ÀÉîõü Ñ").text, "aeiou n");
  EXPECT_EQ(normalized("e\u0301\u0323!").text, "e!");
  EXPECT_EQ(normalized("İ ΟΔΟΣ ẞ").text, "i οδοσ ß");
  EXPECT_EQ(normalized("が 각").text, "か \u1100\u1161\u11A8");
  EXPECT_EQ(normalized("\uF900").text, " \u8C48 ");
  EXPECT_EQ(normalized("≠").text, "=");
  EXPECT_EQ(normalized("ÀÉ", kCased).text, "ÀÉ");
  EXPECT_EQ(normalized("İ", {true, true, false, true}).text, "i\u0307");
  EXPECT_EQ(normalized("A\tB\x01中", {false, false, false, true}).text, "a\tb\x01中");
}

TEST(BertNormalizer, KeepsWhereCharactersCameFrom) {
  using Origins = std::vector<std::size_t>;
  EXPECT_EQ(normalized("a\x01"
                       "b")
                .origins,
            (Origins{0, 2}));
  EXPECT_EQ(normalized("é中x").origins, (Origins{0, 2, 2, 2, 2, 2, 5}));  // e, space, three bytes, space, x
  EXPECT_EQ(normalized("각").origins, Origins(9, 0));
  // Spacing marks are brought into order and each takes the place of the one that stood there. The mark between them is
  // stripped, but it counts.
  const Normalized marks = normalized("a\u302E\u0327\u1B44");
  EXPECT_EQ(marks.text, "a\u1B44\u302E");
  EXPECT_EQ(marks.origins, (Origins{0, 1, 1, 1, 6, 6, 6}));
  // A control character between marks is as if it were not there.
  EXPECT_EQ(normalized("\u302E\x1F\u0327").origins, (Origins{4, 4, 4}));
}

}  // namespace
