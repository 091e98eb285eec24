/// \file
/// What the pretrained tokenizers share: classes of characters, the table of tokens, tokens found in texts, places.
#include "rapt/text/encoding.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/text/token_table.hpp"

namespace {

using rapt::TextSpan;
using rapt::TokenId;
using rapt::detail::AddedTokenFinder;
using rapt::detail::CharacterClasses;
using rapt::detail::TokenTable;

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

TEST(TokenTable, FindsWhatWasAdded) {
  std::mt19937 random(1);
  std::map<std::string, TokenId> expected;
  TokenTable table;
  for (TokenId i = 0; i < 5000; ++i) {
    std::string text(random() % 7, 'a');
    for (char& c : text) c = static_cast<char>('a' + random() % 3);
    const bool is_new = expected.try_emplace(text, i).second;
    ASSERT_EQ(table.add(text, i), is_new) << text;
  }
  EXPECT_EQ(table.longest(), 6u);
  std::string text;
  for (int length = 0; length <= 7; ++length) {
    for (int n = 0; n < 300; ++n) {
      text.resize(static_cast<std::size_t>(length));
      for (char& c : text) c = static_cast<char>('a' + random() % 3);
      const auto at = expected.find(text);
      ASSERT_EQ(table.find(text), at == expected.end() ? -1 : at->second) << text;
    }
  }
}

TEST(TokenTable, TellsTextsWithEqualHashesApart) {
  // Multiplying hashes modulo 2^64 gives the two halves of the Thue-Morse sequence the same hash, once they are long.
  std::string a = "a", b = "b";
  while (a.size() < 2048) std::tie(a, b) = std::pair(a + b, b + a);
  ASSERT_EQ(TokenTable::hash_on(0, a), TokenTable::hash_on(0, b));
  ASSERT_NE(a, b);
  TokenTable table;
  EXPECT_TRUE(table.add(a, 7));
  EXPECT_EQ(table.find(b), -1);
  EXPECT_TRUE(table.add(b, 8));
  EXPECT_FALSE(table.add(a, 9));
  EXPECT_FALSE(table.add(b, 9));
  EXPECT_EQ(table.find(a), 7);
  EXPECT_EQ(table.find(b), 8);
}

TEST(TokenTable, FindsATextInTwoParts) {
  TokenTable table;
  table.add("##ing", 1);
  table.add("ing", 2);
  const auto hash = TokenTable::hash_on(TokenTable::hash_on(TokenTable::kEmptyHash, "##"), "ing");
  EXPECT_EQ(table.find(hash, "##", "ing"), 1);
  EXPECT_EQ(table.find("ing"), 2);
}

using Found = std::vector<std::tuple<std::size_t, std::size_t, TokenId>>;

Found found_in(const AddedTokenFinder& finder, std::string_view text, bool find_special = true) {
  Found found;
  finder.split(text, find_special,
               [&](std::size_t begin, std::size_t end, TokenId id) { found.emplace_back(begin, end, id); });
  return found;
}

AddedTokenFinder finder_of(const std::vector<rapt::AddedToken>& tokens) {
  AddedTokenFinder finder;
  for (std::size_t i = 0; i < tokens.size(); ++i) finder.add(tokens[i].text, static_cast<TokenId>(i), tokens[i]);
  finder.finish();
  return finder;
}

TEST(AddedTokenFinder, TakesTheLongestOfTheLeftmost) {
  const auto finder = finder_of({{"ab"}, {"abc"}, {"bcd"}, {"x"}});
  EXPECT_EQ(found_in(finder, "abcd"), (Found{{0, 3, 1}, {3, 4, -1}}));
  EXPECT_EQ(found_in(finder, "abbcdx"), (Found{{0, 2, 0}, {2, 5, 2}, {5, 6, 3}}));
  EXPECT_EQ(found_in(finder, "-a-xx"), (Found{{0, 3, -1}, {3, 4, 3}, {4, 5, 3}}));
  EXPECT_EQ(found_in(finder, ""), Found{});
  EXPECT_EQ(found_in(finder_of({}), "ab"), (Found{{0, 2, -1}}));
  EXPECT_EQ(found_in(finder_of({{"ab"}}), "a ab a"), (Found{{0, 2, -1}, {2, 4, 0}, {4, 6, -1}}));  // one first byte
}

TEST(AddedTokenFinder, LeavesSpecialTokensInThePlainText) {
  const auto finder = finder_of({{.text = "<s>"}, {.text = "word", .special = false}});
  EXPECT_EQ(found_in(finder, "a<s>word", false), (Found{{0, 4, -1}, {4, 8, 1}}));
  EXPECT_EQ(found_in(finder, "a<s>word"), (Found{{0, 1, -1}, {1, 4, 0}, {4, 8, 1}}));
}

TEST(AddedTokenFinder, StripsWhiteSpace) {
  const auto finder = finder_of({{.text = "<l>", .strip_left = true}, {.text = "<r>", .strip_right = true}});
  EXPECT_EQ(found_in(finder, "a \u3000<l> b"), (Found{{0, 1, -1}, {1, 8, 0}, {8, 10, -1}}));
  EXPECT_EQ(found_in(finder, "a <r>\n b"), (Found{{0, 2, -1}, {2, 7, 1}, {7, 8, -1}}));
  EXPECT_EQ(found_in(finder, "<r>  <l>"), (Found{{0, 5, 1}, {5, 8, 0}}));  // the space belongs to the first
}

TEST(AddedTokenFinder, StripsInTimeThatGrowsWithTheTextAlone) {
  const auto finder = finder_of({{.text = " ", .strip_left = true}});
  EXPECT_EQ(found_in(finder, std::string(300'000, ' ')).size(), 300'000u) << "some 10 ms, and not minutes";
}

TEST(AddedTokenFinder, AgreesWithTryingAllOfThem) {
  std::mt19937 random(7);
  for (int n = 0; n < 300; ++n) {
    std::vector<rapt::AddedToken> tokens;
    for (std::size_t i = 0; i < 1 + random() % 4; ++i) {
      std::string text(1 + random() % 3, 'a');
      for (char& c : text) c = static_cast<char>('a' + random() % 2);
      const bool is_new = std::none_of(tokens.begin(), tokens.end(), [&](const auto& t) { return t.text == text; });
      if (is_new) tokens.push_back({text});
    }
    std::string text(random() % 12, 'a');
    for (char& c : text) c = static_cast<char>('a' + random() % 3);
    Found expected;
    std::size_t plain = 0;
    for (std::size_t at = 0; at < text.size();) {
      TokenId best = -1;
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        const bool longer = best < 0 || tokens[i].text.size() > tokens[static_cast<std::size_t>(best)].text.size();
        if (longer && text.compare(at, tokens[i].text.size(), tokens[i].text) == 0) best = static_cast<TokenId>(i);
      }
      if (best < 0) {
        ++at;
        continue;
      }
      if (at > plain) expected.emplace_back(plain, at, -1);
      plain = at + tokens[static_cast<std::size_t>(best)].text.size();
      expected.emplace_back(at, plain, best);
      at = plain;
    }
    if (plain < text.size()) expected.emplace_back(plain, text.size(), -1);
    ASSERT_EQ(found_in(finder_of(tokens), text), expected) << text;
  }
}

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
