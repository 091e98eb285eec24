#include "rapt/text/key_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace {

using rapt::detail::KeyTable;
using rapt::detail::pair_key;

TEST(KeyTable, PairsHaveKeysOfTheirOwn) {
  EXPECT_NE(pair_key(1, 2), pair_key(2, 1));
  EXPECT_NE(pair_key(0, -1), pair_key(-1, 0));
  EXPECT_EQ(pair_key(0, 7), 7u);
}

TEST(KeyTable, FindsWhatWasPutIn) {
  KeyTable<int> table;
  EXPECT_EQ(table.find(0), nullptr);
  EXPECT_EQ(table.size(), 0u);
  const auto [value, is_new] = table.try_emplace(0, 5);
  EXPECT_TRUE(is_new);
  EXPECT_EQ(*value, 5);
  const auto [again, is_new_again] = table.try_emplace(0, 6);
  EXPECT_FALSE(is_new_again);
  EXPECT_EQ(*again, 5) << "the first value stays";
  *again = 8;
  EXPECT_EQ(*table.find(0), 8);
}

TEST(KeyTable, IsAMap) {
  std::mt19937_64 random(3);
  for (const std::uint64_t range : {std::uint64_t{50}, std::uint64_t{30000}, ~std::uint64_t{0}}) {
    std::map<std::uint64_t, int> expected;
    KeyTable<int> table;
    for (int i = 0; i < 50000; ++i) {
      // Neighbouring keys, and keys that differ in their upper half alone.
      const std::uint64_t drawn = random() % range, key = i % 2 == 0 ? drawn : drawn << 32;
      if (key == ~std::uint64_t{0}) continue;
      EXPECT_EQ(table.try_emplace(key, i).second, expected.try_emplace(key, i).second);
    }
    EXPECT_EQ(table.size(), expected.size());
    for (const auto& [key, value] : expected) {
      ASSERT_NE(table.find(key), nullptr);
      EXPECT_EQ(*table.find(key), value);
    }
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t key = random();
      EXPECT_EQ(table.find(key) != nullptr, expected.contains(key));
    }
  }
}

}  // namespace
