/// \file
/// Spaces that go from decoded text. Tests of the tokenizers compare it with Hugging Face's packages.
#include "rapt/text/clean_up.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace {

using rapt::clean_up_spaces;

TEST(CleanUpSpaces, PunctuationAndContractions) {
  EXPECT_EQ(clean_up_spaces("you should ' ve won , it ' s true ."), "you should've won, it's true.");
  EXPECT_EQ(clean_up_spaces("what ? no ! a , b"), "what? no! a, b");
  EXPECT_EQ(clean_up_spaces("i 'm , he 's , we 've , they 're , do n't"), "i'm, he's, we've, they're, don't");
  EXPECT_EQ(clean_up_spaces("do not"), "do not") << "only WordPiece's own clean-up contracts this";
  EXPECT_EQ(clean_up_spaces("a  . b"), "a . b") << "each replacement goes through the text once";
  EXPECT_EQ(clean_up_spaces(" ' ' "), "'' ");
  EXPECT_EQ(clean_up_spaces(""), "");
  EXPECT_EQ(clean_up_spaces("nothing"), "nothing");
}

TEST(CleanUpSpaces, TimeGrowsWithTheTextAlone) {
  std::string text;
  for (int i = 0; i < 1'000'000; ++i) text += " .";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(clean_up_spaces(text), std::string(1'000'000, '.'));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10)) << "it takes some 10 ms";
}

TEST(CleanUpToken, WordPiecesOwn) {
  std::string token = " do not";
  rapt::detail::clean_up_token(token);
  EXPECT_EQ(token, " don't");
}

}  // namespace
