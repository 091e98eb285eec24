/// \file
/// Encodings of distances are the paper's sines and cosines, whether they were computed before or not.
#include "rapt/nn/distance_encoding.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;

TEST(DistanceEncoding, SinesThenCosines) {
  const auto table = rapt::DistanceEncoding<double>::table(7, 10);
  for (Index distance = 0; distance < 7; ++distance) {
    for (Index i = 0; i < 5; ++i) {
      const double angle = static_cast<double>(distance) / std::pow(10000.0, 2.0 * static_cast<double>(i) / 10.0);
      EXPECT_NEAR(table(distance, i), std::sin(angle), 1e-14);
      EXPECT_NEAR(table(distance, 5 + i), std::cos(angle), 1e-14);
    }
  }
}

TEST(DistanceEncoding, MoreThanWasKeptIsTheSame) {
  const rapt::DistanceEncoding<double> few(10, 2), many(10, 20);
  EXPECT_TRUE(rapt_test::same_bits(few(7), many(7)));
  EXPECT_TRUE(rapt_test::same_bits(few(2), many(2)));
  rapt_test::expect_errors({{"odd",
                             [] { std::ignore = rapt::DistanceEncoding<double>::table(2, 5); },
                             {"[distance_encoding] d_model must be even: 5"}}});
}

}  // namespace
