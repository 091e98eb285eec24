/// \file
/// Length penalties: the two formulas, by hand.
#include "rapt/generation/length_penalty.hpp"

#include <gtest/gtest.h>

namespace {

using rapt::length_penalty;
using rapt::LengthNormalisation;

TEST(LengthPenalty, IsTheFormula) {
  EXPECT_EQ(length_penalty(1, 0.6, LengthNormalisation::paper), 1);
  EXPECT_EQ(length_penalty(7, 1, LengthNormalisation::paper), 2);
  EXPECT_EQ(length_penalty(7, 2, LengthNormalisation::paper), 4);
  EXPECT_NEAR(length_penalty(13, 0.6, LengthNormalisation::paper), 1.9331820449, 1e-9);  // 3^0.6
  EXPECT_EQ(length_penalty(1, 0.6, LengthNormalisation::plain), 1);
  EXPECT_EQ(length_penalty(7, 1, LengthNormalisation::plain), 7);
  EXPECT_EQ(length_penalty(9, 0.5, LengthNormalisation::plain), 3);
  EXPECT_EQ(length_penalty(8, -1, LengthNormalisation::plain), 0.125);
}

TEST(LengthPenalty, GrowsOrFallsWithLengthUnlessAlphaIsZero) {
  for (const auto normalisation : {LengthNormalisation::paper, LengthNormalisation::plain}) {
    for (rapt::Index length = 1; length < 100; ++length) {
      EXPECT_EQ(length_penalty(length, 0, normalisation), 1);
      EXPECT_LT(length_penalty(length, 0.6, normalisation), length_penalty(length + 1, 0.6, normalisation));
      EXPECT_GT(length_penalty(length, -0.6, normalisation), length_penalty(length + 1, -0.6, normalisation));
    }
  }
}

}  // namespace
