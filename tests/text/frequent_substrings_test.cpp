/// \file
/// Substrings of sorted suffixes, against counting all substrings.
#include "rapt/text/frequent_substrings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace {

using Symbols = std::vector<std::int32_t>;

/// All substrings without a negative symbol that occur twice and that not always the same symbol follows. One that ends
/// its word at one place is followed by nothing there.
std::map<Symbols, std::int64_t> count_naively(const Symbols& symbols, std::size_t longest) {
  std::map<Symbols, std::int64_t> counts;
  std::map<Symbols, std::set<std::int64_t>> behind;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    for (std::size_t k = i; k < symbols.size() && symbols[k] >= 0 && k - i < longest; ++k) {
      const Symbols part(symbols.begin() + static_cast<std::ptrdiff_t>(i),
                         symbols.begin() + static_cast<std::ptrdiff_t>(k + 1));
      ++counts[part];
      const bool is_last = k + 1 == symbols.size() || symbols[k + 1] < 0;
      behind[part].insert(is_last ? -1 - static_cast<std::int64_t>(k) : symbols[k + 1]);
    }
  }
  std::erase_if(counts, [&](const auto& one) { return one.second < 2 || behind[one.first].size() < 2; });
  return counts;
}

TEST(FrequentSubstrings, AgreeWithCounting) {
  std::mt19937 random(9);
  for (int round = 0; round < 300; ++round) {
    Symbols symbols(random() % 40);
    for (std::int32_t& symbol : symbols) symbol = static_cast<std::int32_t>(random() % 4) - 1;
    const std::size_t longest = 1 + random() % 5;
    std::map<Symbols, std::int64_t> found;
    for (const auto& one : rapt::detail::frequent_substrings(symbols, longest)) {
      const auto begin = symbols.begin() + static_cast<std::ptrdiff_t>(one.begin);
      const bool is_new =
          found.emplace(Symbols(begin, begin + static_cast<std::ptrdiff_t>(one.length)), one.count).second;
      EXPECT_TRUE(is_new);
    }
    EXPECT_EQ(found, count_naively(symbols, longest));
  }
  EXPECT_TRUE(rapt::detail::frequent_substrings({}, 3).empty());
}

}  // namespace
