/// \file
/// Numbers of templates in Jinja: written and read as Python does.
#include "rapt/text/jinja/numbers.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

namespace {

using rapt::detail::python_float;
using rapt::detail::python_number;

TEST(JinjaNumbers, AreWrittenAsPythonWritesThem) {
  EXPECT_EQ(python_number(1e22), "1e+22");
  EXPECT_EQ(python_number(-1.5e-5), "-1.5e-05");
  EXPECT_EQ(python_number(1e-4), "0.0001");
  EXPECT_EQ(python_number(9999999999999998.0), "9999999999999998.0");
  EXPECT_EQ(python_number(-0.0), "-0.0");
  EXPECT_EQ(python_number(1e300), "1e+300");
  EXPECT_EQ(python_number(HUGE_VAL), "inf");
  EXPECT_EQ(python_number(-HUGE_VAL), "-inf");
  EXPECT_EQ(python_number(NAN), "nan");
}

TEST(JinjaNumbers, AreReadAsPythonReadsThem) {
  EXPECT_EQ(python_float("-1_0.5e-1"), -1.05);
  EXPECT_EQ(python_float(".5"), 0.5);
  EXPECT_EQ(python_float("5."), 5.0);
  EXPECT_EQ(python_float("+Infinity"), HUGE_VAL);
  EXPECT_EQ(python_float("1e999"), HUGE_VAL);
  EXPECT_TRUE(std::isnan(python_float("NaN").value()));
  for (const char* const text : {"", "-", ".", "1e", "1__0", "_1", "0x1F", "1 2", "1,5"}) {
    EXPECT_EQ(python_float(text), std::nullopt) << text;
  }
}

}  // namespace
