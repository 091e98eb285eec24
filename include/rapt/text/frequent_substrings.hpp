/// \file
/// The substrings that occur at least twice in a sequence of symbols, found in its sorted suffixes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// symbols[begin, begin + length), which occurs `count` times.
struct FrequentSubstring {
  std::size_t begin, length;
  std::int64_t count;
};

/// Of the substrings of at most `longest` symbols that have no symbol below 0 (such symbols stand between words), those
/// that occur at least twice and that no symbol always follows. (A longer substring with as many occurrences stands for
/// the others: they are the internal nodes of the suffix tree.) Takes a time proportional to n log n times `longest`.
[[nodiscard]] inline std::vector<FrequentSubstring> frequent_substrings(std::span<const std::int32_t> symbols,
                                                                        std::size_t longest) {
  require(symbols.size() < std::size_t{1} << 31, "frequent_substrings", "too many symbols: ", symbols.size());
  std::vector<std::uint32_t> suffixes;  // sorted by their first longest + 1 symbols
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i] >= 0) suffixes.push_back(static_cast<std::uint32_t>(i));
  }
  const auto common = [&](std::size_t a, std::size_t b) {  // the number of symbols with which both begin
    std::size_t length = 0;
    while (length <= longest && std::max(a, b) + length < symbols.size() &&
           symbols[a + length] == symbols[b + length] && symbols[a + length] >= 0) {
      ++length;
    }
    return length;
  };
  const auto symbol_at = [&](std::size_t i) { return i < symbols.size() && symbols[i] >= 0 ? symbols[i] : -1; };
  std::sort(suffixes.begin(), suffixes.end(), [&](std::uint32_t a, std::uint32_t b) {
    const std::size_t length = common(a, b);
    const std::int32_t x = length > longest ? -1 : symbol_at(a + length);
    const std::int32_t y = length > longest ? -1 : symbol_at(b + length);
    return x != y ? x < y : a < b;
  });
  // Neighbours with at least so many symbols in common are an interval, which ends where fewer are in common.
  struct Interval {
    std::size_t length, first;
  };
  std::vector<FrequentSubstring> found;
  std::vector<Interval> open = {{0, 0}};
  for (std::size_t i = 1; i <= suffixes.size(); ++i) {
    const std::size_t length = i < suffixes.size() ? common(suffixes[i - 1], suffixes[i]) : 0;
    std::size_t first = i - 1;
    while (open.back().length > length) {
      const Interval interval = open.back();
      open.pop_back();
      first = interval.first;
      if (interval.length <= longest) {
        found.push_back({suffixes[first], interval.length, static_cast<std::int64_t>(i - first)});
      }
    }
    if (open.back().length < length) open.push_back({length, first});
  }
  return found;
}

}}}  // namespace rapt::RAPT_ABI::detail
