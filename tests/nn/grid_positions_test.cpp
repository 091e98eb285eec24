/// \file
/// Sines and cosines of places in a grid.
#include "rapt/nn/grid_positions.hpp"

#include <gtest/gtest.h>

namespace {

using rapt::Index;

TEST(GridPositions, ByHand) {
  const auto table = rapt::grid_positions<double>(2, 3, 8);  // frequencies 1 and 1/100
  ASSERT_EQ(table.shape(), (rapt::Shape{1, 7, 8}));
  for (Index j = 0; j < 8; ++j) EXPECT_EQ(table(0, j), 0);
  const double expected[] = {std::sin(2.0), std::sin(0.02), std::cos(2.0), std::cos(0.02),
                             std::sin(1.0), std::sin(0.01), std::cos(1.0), std::cos(0.01)};
  for (Index j = 0; j < 8; ++j) EXPECT_NEAR(table(6, j), expected[j], 1e-15);  // patch 5: row 1, column 2
}

TEST(GridPositions, WidthsInQuarters) {
  EXPECT_THROW(static_cast<void>(rapt::grid_positions<float>(2, 2, 6)), rapt::ValueError);
}

TEST(GridPositions, AConstantGetsNoGradient) {
  const rapt::Parameter<float> parameter(rapt::grid_positions<float>(2, 2, 4));
  const auto constant = rapt::detail::constant(parameter);
  EXPECT_TRUE(parameter.requires_grad());
  EXPECT_FALSE(constant.requires_grad());
  EXPECT_EQ(constant.value().data(), parameter.value().data());
}

}  // namespace
