/// \file
/// Character maps that are put together here, whole and damaged. (tests/pretrained/sentencepiece_file_test.cpp compares
/// the maps of Unicode's normal forms with what SentencePiece makes of texts.)
#include "rapt/text/character_map.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::CharacterMap;
using rapt::ValueError;
using rapt_test::error_text;
using Rules = std::vector<std::pair<std::string, std::string>>;

std::string little_endian(std::uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFFu);
  return bytes;
}

/// A trie in which the children of each node have a block of their own.
struct MapParts {
  std::vector<std::uint32_t> units;
  std::string texts;

  explicit MapParts(const Rules& rules) : units(256) {
    std::map<std::string, std::size_t> places = {{"", 0}};  // of the node of each beginning of a key
    const auto children = [&](std::size_t place) -> std::size_t {
      const std::uint32_t offset = units[place] >> 10;
      if (offset != 0) return place ^ offset;
      const std::size_t base = units.size();
      units.resize(base + 256, 1);  // a label that is not that of the unit's place, for all but one
      units[base + 1] = 0;
      units[place] |= static_cast<std::uint32_t>(place ^ base) << 10;
      return base;
    };
    for (const auto& [key, replacement] : rules) {
      std::size_t place = 0;
      for (std::size_t i = 0; i < key.size(); ++i) {
        const auto byte = static_cast<unsigned char>(key[i]);
        const std::size_t base = children(place);
        place = base ^ byte;
        if (places.try_emplace(key.substr(0, i + 1), place).second) units[place] = byte;
      }
      const std::size_t base = children(place);
      units[place] |= 0x100u;
      units[base] = 0x80000000u | static_cast<std::uint32_t>(texts.size());
      (texts += replacement) += '\0';
    }
  }
  [[nodiscard]] std::string bytes() const {
    std::string all = little_endian(static_cast<std::uint32_t>(4 * units.size()));
    for (const std::uint32_t unit : units) all += little_endian(unit);
    return all += texts;
  }
};

const Rules kRules = {{"a", "b"}, {"ab", ""}, {"\xC2\xBD", "1/2"}, {"e\xCC\x81", "\xC3\xA9"}};

TEST(CharacterMap, FindsTheLongestAndTheShortestRule) {
  const CharacterMap map(MapParts(kRules).bytes());
  const auto longest = [&](std::string_view text) {
    const auto found = map.longest(text);
    return found ? std::pair(std::string(found->replacement), found->length)
                 : std::pair(std::string("none"), std::size_t{0});
  };
  EXPECT_EQ(longest("abc"), (std::pair<std::string, std::size_t>("", 2)));
  EXPECT_EQ(longest("aabc"), (std::pair<std::string, std::size_t>("b", 1)));
  EXPECT_EQ(longest("\xC2\xBD"), (std::pair<std::string, std::size_t>("1/2", 2)));
  EXPECT_EQ(longest("e\xCC\x81"), (std::pair<std::string, std::size_t>("\xC3\xA9", 3)));
  for (const std::string_view text : {"", "b", "e", "\xC2\xBC", "e\xCC\x80", "\xCC\x81"}) {
    EXPECT_FALSE(map.longest(text)) << text;
    EXPECT_FALSE(map.shortest(text)) << text;
  }
  EXPECT_FALSE(map.longest(std::string(3, '\0')));
  ASSERT_TRUE(map.shortest("abc"));
  EXPECT_EQ(map.shortest("abc")->replacement, "b");
  EXPECT_EQ(map.shortest("abc")->length, 1u);
  EXPECT_FALSE(map.empty());
  EXPECT_TRUE(CharacterMap().empty());
  EXPECT_FALSE(CharacterMap().longest("a"));
}

TEST(CharacterMap, ARuleEndsAtACharacter) {  // whatever its key is
  const CharacterMap map(MapParts(Rules{{"\xC3", "x"}, {"e", "y"}}).bytes());
  EXPECT_FALSE(map.longest("\xC3\xA4"));
  EXPECT_TRUE(map.longest("\xC3"));
  EXPECT_TRUE(map.longest("e\xCC\x81"));
}

TEST(CharacterMap, KnowsWhatIsNeverReplaced) {
  const CharacterMap map(MapParts(kRules).bytes());
  EXPECT_FALSE(map.is_unchanged('a'));
  EXPECT_TRUE(map.is_unchanged('b'));
  EXPECT_TRUE(map.is_unchanged('e')) << "only before a character that is not ASCII";
  EXPECT_FALSE(CharacterMap(MapParts(Rules{{"xy", "z"}}).bytes()).is_unchanged('x'));
  EXPECT_TRUE(CharacterMap().is_unchanged(0));
}

TEST(CharacterMap, RefusesDamagedBytes) {
  const auto refusal = [](const std::string& bytes) {
    return error_text<ValueError>([&] { CharacterMap map(bytes); });
  };
  const MapParts whole(kRules);
  const std::string bytes = whole.bytes();
  EXPECT_NE(refusal("").find("[character_map] a map must begin with the size of its trie: it has 0 bytes"),
            std::string::npos);
  EXPECT_NE(refusal(bytes.substr(0, 100)).find("less than the 96 bytes behind it: "), std::string::npos);
  EXPECT_NE(refusal(little_endian(1020) + bytes.substr(4)).find("must be a multiple of 1024"), std::string::npos);
  EXPECT_NE(refusal(little_endian(0) + bytes.substr(4)).find("must be a multiple of 1024"), std::string::npos);
  EXPECT_NE(refusal(bytes.substr(0, bytes.size() - 1)).find("must end with a zero byte"), std::string::npos);
  MapParts far(kRules);
  far.units[0] = 0x7FFFFC00u;
  EXPECT_NE(refusal(far.bytes()).find("unit 0 has children at 2097151"), std::string::npos) << refusal(far.bytes());
  MapParts value(kRules);
  value.texts = std::string(1, '\0');
  EXPECT_NE(refusal(value.bytes()).find("the replacements are 1 bytes: unit "), std::string::npos);
  EXPECT_NE(refusal(MapParts(Rules{{"a", "\xFF"}}).bytes()).find("a replacement must be UTF-8: that at 0"),
            std::string::npos);
  EXPECT_NE(refusal(MapParts(Rules{{"a", "b"}, {"c", "d\xFF"}}).bytes()).find("must be UTF-8: that at 2"),
            std::string::npos);
  MapParts inside(Rules{{"a", "\xC3\xA9"}});
  for (std::uint32_t& unit : inside.units) unit += unit == 0x80000000u ? 1 : 0;
  EXPECT_NE(refusal(inside.bytes()).find("must begin with a character: that at 1"), std::string::npos);
  for (std::size_t i = 0; i < 4 * whole.units.size(); i += 41) {  // any damage is refused or harmless
    std::string damaged = bytes;
    damaged[4 + i] = static_cast<char>(damaged[4 + i] ^ (1 << i % 8));
    try {
      const CharacterMap map(damaged);
      for (int c = 0; c < 256; ++c) {
        const std::string text = {static_cast<char>(c), 'a', 'b', '\xCC', '\x81', '\xBD'};
        const auto found = map.longest(text);
        EXPECT_TRUE(!found || found->length <= text.size());
      }
    } catch (const ValueError&) {
    }
  }
}

}  // namespace
