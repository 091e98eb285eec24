/// \file
/// Elements of files in the types of a program: which values each type holds.
#include "rapt/io/file_element.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace {

using rapt::detail::holds;

template <class T, class Value>
void expect_bounds_of(Value beyond_most) {
  EXPECT_TRUE(holds<T>(std::nextafter(beyond_most, Value{0}) > 1e9 ? Value{1e9} : std::floor(beyond_most - 1)));
  EXPECT_FALSE(holds<T>(beyond_most));
  EXPECT_FALSE(holds<T>(std::numeric_limits<Value>::infinity()));
  EXPECT_FALSE(holds<T>(-std::numeric_limits<Value>::infinity()));
  EXPECT_FALSE(holds<T>(std::numeric_limits<Value>::quiet_NaN()));
  EXPECT_FALSE(holds<T>(Value{0.5}));
  EXPECT_FALSE(holds<T>(std::numeric_limits<Value>::denorm_min()));
  EXPECT_TRUE(holds<T>(-Value{0}));
  EXPECT_TRUE(holds<T>(Value{255}));
}

TEST(FileElement, IntegersHoldWholeNumbersWithinTheirBounds) {
  expect_bounds_of<std::int64_t>(0x1p63);
  expect_bounds_of<std::int64_t>(0x1p63f);
  expect_bounds_of<std::int32_t>(0x1p31);
  expect_bounds_of<std::int32_t>(0x1p31f);
  expect_bounds_of<std::uint8_t>(256.);
  expect_bounds_of<std::uint8_t>(256.f);
  EXPECT_TRUE(holds<std::int64_t>(-0x1p63));
  EXPECT_FALSE(holds<std::int64_t>(std::nextafter(-0x1p63, -1e300)));
  EXPECT_TRUE(holds<std::int64_t>(0x1.fffffffffffffp62));
  EXPECT_TRUE(holds<std::int32_t>(-0x1p31));
  EXPECT_FALSE(holds<std::int32_t>(-0x1p31 - 1));
  EXPECT_TRUE(holds<std::int32_t>(2147483647.));
  EXPECT_FALSE(holds<std::int32_t>(2147483647.5));
  EXPECT_FALSE(holds<std::uint8_t>(-1.));
  EXPECT_FALSE(holds<std::int32_t>(3'000'000'000LL));
  EXPECT_FALSE(holds<std::int32_t>(std::numeric_limits<std::uint64_t>::max()));
  EXPECT_FALSE(holds<std::int64_t>(std::uint64_t{1} << 63));
  EXPECT_TRUE(holds<std::int64_t>((std::uint64_t{1} << 63) - 1));
  EXPECT_FALSE(holds<std::uint8_t>(std::int8_t{-1}));
  EXPECT_TRUE(holds<std::int64_t>(true));
}

TEST(FileElement, BoolHoldsZeroAndOne) {
  for (const double value : {0., -0., 1.}) EXPECT_TRUE(holds<bool>(value));
  for (const double value : {2., -1., 0.5, std::nan(""), 1e300}) EXPECT_FALSE(holds<bool>(value));
  EXPECT_TRUE(holds<bool>(std::uint8_t{1}));
  EXPECT_FALSE(holds<bool>(std::uint8_t{255}));
  EXPECT_FALSE(holds<bool>(std::int64_t{256}));
}

TEST(FileElement, FloatAndDoubleTakeEveryValue) {
  EXPECT_TRUE(holds<float>(1e300));
  EXPECT_TRUE(holds<float>(std::nan("")));
  EXPECT_TRUE(holds<double>(std::numeric_limits<std::uint64_t>::max()));
}

TEST(FileElement, ValuesAreNamedWithAllTheirDigits) {
  EXPECT_EQ(rapt::detail::exact_text(2147483648.5), "2147483648.5");
  EXPECT_EQ(rapt::detail::exact_text(0.1f), "0.1");
  EXPECT_EQ(rapt::detail::exact_text(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(rapt::detail::exact_text(std::int8_t{-5}), "-5");
}

}  // namespace
