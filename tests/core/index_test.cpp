/// \file
/// Indexing standard containers by Index.
#include "rapt/core/index.hpp"

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <type_traits>
#include <vector>

namespace {

using rapt::at;
using rapt::Index;
using rapt::to_size;

TEST(At, RefersToElementsOfAnythingWithBrackets) {
  std::vector<int> numbers = {5, 6, 7};
  at(numbers, 1) = 60;
  EXPECT_EQ(numbers, (std::vector<int>{5, 60, 7}));
  const std::vector<int>& constant = numbers;
  static_assert(std::is_same_v<decltype(at(constant, 0)), const int&>);
  EXPECT_EQ(&at(constant, 2), &numbers[2]);
  EXPECT_EQ(at(std::span(numbers), 0), 5);
  EXPECT_EQ(at(numbers.data(), 2), 7);
  std::vector<bool> flags(2, false);  // refers by an object
  at(flags, Index{1}) = true;
  EXPECT_EQ(flags, (std::vector<bool>{false, true}));
  constexpr std::array<int, 2> kNumbers = {3, 4};
  static_assert(at(kNumbers, 1) == 4);
}

TEST(ToSize, IsTheSameNumber) {
  static_assert(std::is_same_v<decltype(to_size(0)), std::size_t>);
  EXPECT_EQ(to_size(Index{1} << 40), std::size_t{1} << 40);
}

}  // namespace
