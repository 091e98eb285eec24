/// \file
/// Soft-capping and its derivative against the formulas in long double, over the whole range of numbers.
#include "rapt/kernels/soft_cap.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;

template <class T>
class SoftCap : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(SoftCap, Scalars);

TYPED_TEST(SoftCap, IsExactRelativeToItsSize) {
  using T = TypeParam;
  for (const T cap : {T(0.5), T(1), T(30), T(5e4)}) {
    std::vector<T> scores;
    for (int exponent = -30; exponent < 40; ++exponent) {
      for (const double step : {1.0, 1.17, 1.5, 1.93}) {
        scores.push_back(cap * static_cast<T>(std::ldexp(step, exponent)));
        scores.push_back(-scores.back());
      }
    }
    for (double x = 0.2; x < 0.6; x += 0.003) scores.push_back(cap * static_cast<T>(x));  // where two formulas meet
    scores.push_back(0);
    for_every_simd_level([&] {
      std::vector<T> row = scores, alone = scores, slopes(scores.size(), T(7));
      const auto count = static_cast<Index>(scores.size());
      rapt::simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        rapt::kernels::soft_cap_row(isa, row.data(), count, cap, slopes.data());
        rapt::kernels::soft_cap_row(isa, alone.data(), count, cap);
      });
      EXPECT_TRUE(same_bits(row, alone)) << "slopes change nothing";
      for (std::size_t i = 0; i < scores.size(); ++i) {
        const long double x = static_cast<long double>(scores[i]) / static_cast<long double>(cap);
        const long double value = static_cast<long double>(cap) * std::tanh(x);
        const long double slope = 1 / (std::cosh(x) * std::cosh(x));
        EXPECT_LE(std::abs(static_cast<long double>(row[i]) - value), 6 * kEpsilon<T> * std::abs(value)) << scores[i];
        // e^-2|x| multiplies the error of |x|, half an epsilon of it, by 2.
        const long double allowed = (8 + 3 * std::abs(x)) * kEpsilon<T> * slope + std::numeric_limits<T>::min();
        EXPECT_LE(std::abs(static_cast<long double>(slopes[i]) - slope), allowed) << scores[i];
        EXPECT_LE(std::abs(row[i]), cap);
      }
    });
  }
}

TYPED_TEST(SoftCap, InfinityAndNaN) {
  using T = TypeParam;
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  for_every_simd_level([&] {
    std::vector<T> row(37, kInfinity), slopes(37, T(7));
    row[1] = -kInfinity, row[2] = std::numeric_limits<T>::max(), row[36] = std::numeric_limits<T>::quiet_NaN();
    rapt::simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      rapt::kernels::soft_cap_row(isa, row.data(), Index{37}, T(3), slopes.data());
    });
    EXPECT_EQ(row[0], T(3));
    EXPECT_EQ(row[1], T(-3));
    EXPECT_EQ(row[2], T(3));
    EXPECT_TRUE(std::isnan(row[36]));
    for (const std::size_t i : {0u, 1u, 2u}) EXPECT_EQ(slopes[i], T(0)) << i;
  });
}

}  // namespace
