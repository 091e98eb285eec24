/// \file
/// Added tokens found in texts: the longest of the leftmost, against trying all of them.
#include "rapt/text/added_tokens.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace {

using rapt::TokenId;
using rapt::detail::AddedTokenFinder;

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

}  // namespace
