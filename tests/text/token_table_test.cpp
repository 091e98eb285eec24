/// \file
/// The table of tokens against std::map, and texts whose hashes are equal.
#include "rapt/text/token_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::TokenId;
using rapt::detail::TokenTable;

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

TEST(IndexTokens, IdsArePlacesAndErrorsNameThem) {
  const std::vector<std::string> tokens = {"a", "", "b"};
  const TokenTable table = rapt::detail::index_tokens(tokens, std::vector<TokenId>{1}, "test");
  EXPECT_EQ(table.find("a"), 0);
  EXPECT_EQ(table.find(""), -1);
  EXPECT_EQ(table.find("b"), 2);
  const auto expect_refusal = [](const std::vector<std::string>& names, const std::vector<TokenId>& unused,
                                 const std::string& part) {
    rapt_test::expect_message<rapt::ValueError>([&] { (void)rapt::detail::index_tokens(names, unused, "test"); }, part);
  };
  expect_refusal({"a", "b", "a"}, {}, "[test] a token must occur once: \"a\" has the ids 0 and 2");
  expect_refusal({"a\xFF"}, {}, "[test] a token must be UTF-8: id 0");
  expect_refusal({"a"}, {1}, "[test] an unused id must be from 0 to 0: 1");
  expect_refusal({"a"}, {0}, "[test] an unused id must have no token: 0 has \"a\"");
  expect_refusal({"a", ""}, {1, 1}, "[test] an unused id must occur once: 1");
}

}  // namespace
