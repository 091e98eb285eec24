/// \file
/// ByteTrie against trying all beginnings of a text.
#include "rapt/text/byte_trie.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using rapt::detail::ByteTrie;

ByteTrie trie_of(const std::map<std::string, std::int32_t>& keys) {
  std::vector<ByteTrie::Key> list;
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) list.push_back({key->first, key->second});
  return ByteTrie(std::move(list));
}

TEST(ByteTrie, FindsAllKeysThatATextBeginsWith) {
  std::mt19937 random(5);
  for (const auto& [count, longest, letters] :
       {std::tuple{0u, 1u, 256u}, {1u, 3u, 2u}, {300u, 6u, 3u}, {5000u, 4u, 256u}, {20000u, 12u, 26u}}) {
    std::map<std::string, std::int32_t> keys;
    const auto draw = [&, longest = longest, letters = letters] {
      std::string text(1 + random() % longest, ' ');
      for (char& c : text) c = static_cast<char>((letters == 256 ? 0 : 'a') + random() % letters);
      return text;
    };
    for (unsigned i = 0; i < count; ++i) keys.emplace(draw(), static_cast<std::int32_t>(random() >> 1));
    const ByteTrie trie = trie_of(keys);
    for (int n = 0; n < 2000; ++n) {
      std::string text = draw() + draw();
      if (n % 2 == 0 && !keys.empty())
        text = keys.lower_bound(text) == keys.end() ? keys.begin()->first : keys.lower_bound(text)->first;
      std::vector<std::pair<std::size_t, std::int32_t>> expected, found;
      for (std::size_t length = 1; length <= text.size(); ++length) {
        if (const auto key = keys.find(text.substr(0, length)); key != keys.end())
          expected.emplace_back(length, key->second);
      }
      trie.walk(text, [&](std::size_t length, std::int32_t value) { found.emplace_back(length, value); });
      ASSERT_EQ(found, expected);
      EXPECT_EQ(trie.longest(text).length, expected.empty() ? 0 : expected.back().first);
      EXPECT_EQ(trie.longest(text).value, expected.empty() ? -1 : expected.back().second);
    }
    for (int c = 0; c < 256; ++c) {
      const std::string first(1, static_cast<char>(c));
      const auto key = keys.lower_bound(first);
      EXPECT_EQ(trie.has_first(static_cast<unsigned char>(c)), key != keys.end() && key->first.starts_with(first));
    }
  }
}

TEST(ByteTrie, WithoutKeysFindsNothing) {
  const ByteTrie trie;
  EXPECT_EQ(trie.longest("a").length, 0u);
  EXPECT_EQ(trie.longest("").length, 0u);
  EXPECT_FALSE(trie.has_first(0));
}

}  // namespace
