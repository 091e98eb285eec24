/// \file
/// What is replaced, and what is put in its place.
#include "rapt/text/replace_all.hpp"

#include <gtest/gtest.h>

namespace {

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  rapt::detail::replace_all(text, from, to);
  return text;
}

TEST(ReplaceAll, FromLeftToRightWithoutLookingAgain) {
  EXPECT_EQ(replaced("", "a", "b"), "");
  EXPECT_EQ(replaced("none", "x", "y"), "none");
  EXPECT_EQ(replaced("a-b-c", "-", "--"), "a--b--c");
  EXPECT_EQ(replaced("aaa", "aa", "b"), "ba");
  EXPECT_EQ(replaced("aabb", "ab", ""), "ab");
  EXPECT_EQ(replaced("aaaa", "aa", "a"), "aa");
  EXPECT_EQ(replaced(std::string(100000, 'a'), "a", "bc").size(), 200000u);
}

}  // namespace
