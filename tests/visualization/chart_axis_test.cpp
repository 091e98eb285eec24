/// \file
/// Ticks: round, few, in order, within the axis, and written the way people write numbers.
#include "rapt/visualization/chart_axis.hpp"

#include <gtest/gtest.h>

#include "rapt/core/rng.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::ValueError;
using rapt::detail::ChartAxis;
using rapt::detail::Decimal;
using Strings = std::vector<std::string>;

Strings ticks(double low, double high, Index parts = 5, bool logarithmic = false, bool to_ticks = true) {
  const ChartAxis axis(low, high, parts, logarithmic, to_ticks);
  Strings texts;
  for (const Decimal& tick : axis.ticks()) texts.push_back(to_string(tick));
  return texts;
}

TEST(ChartAxis, WritesNumbersAsPeopleDo) {
  const std::vector<std::pair<Decimal, std::string>> cases{{{0, 5}, "0"},
                                                           {{1, 0}, "1"},
                                                           {{-1, 0}, "\u22121"},
                                                           {{10, -1}, "1"},
                                                           {{25, -1}, "2.5"},
                                                           {{5, -1}, "0.5"},
                                                           {{5, -4}, "0.0005"},
                                                           {{1, -4}, "0.0001"},
                                                           {{5, -5}, "5×10⁻⁵"},
                                                           {{1, -5}, "10⁻⁵"},
                                                           {{-25, -8}, "\u22122.5×10⁻⁷"},
                                                           {{1, 3}, "1000"},
                                                           {{2, 4}, "20,000"},
                                                           {{125, 3}, "125,000"},
                                                           {{1, 6}, "10⁶"},
                                                           {{1500, 3}, "1.5×10⁶"},
                                                           {{12345, -2}, "123.45"},
                                                           {{3, 100}, "3×10¹⁰⁰"}};
  for (const auto& [number, text] : cases) EXPECT_EQ(to_string(number), text);
}

TEST(ChartAxis, RoundNumbers) {
  EXPECT_EQ(ticks(0, 10), (Strings{"0", "2", "4", "6", "8", "10"}));
  EXPECT_EQ(ticks(1.3, 6.9), (Strings{"0", "2", "4", "6", "8"}));
  EXPECT_EQ(ticks(0.3, 0.7), (Strings{"0.3", "0.4", "0.5", "0.6", "0.7"}));
  EXPECT_EQ(ticks(-1, 1), (Strings{"\u22121", "\u22120.5", "0", "0.5", "1"}));
  EXPECT_EQ(ticks(0, 0.00073), (Strings{"0", "0.0002", "0.0004", "0.0006", "0.0008"}));
  EXPECT_EQ(ticks(1, 12340, 7, false, false), (Strings{"2000", "4000", "6000", "8000", "10,000", "12,000"}));
}

TEST(ChartAxis, OneValueGetsRoom) {
  for (const double value : {0.0, 3.0, -3.0, 1e-12, 1e300, -1e300, 1e-310}) {
    for (const bool logarithmic : {false, true}) {
      if (logarithmic && value < ChartAxis::kSmallest) continue;
      const ChartAxis axis(value, value, 5, logarithmic, true);
      EXPECT_LT(axis.low(), axis.high()) << value;
      EXPECT_GE(axis.ticks().size(), 2) << value;
      EXPECT_GE(axis.position(value), 0) << value;
      EXPECT_LE(axis.position(value), 1) << value;
    }
  }
}

TEST(ChartAxis, Logarithmic) {
  EXPECT_EQ(ticks(0.001, 10, 5, true), (Strings{"0.001", "0.01", "0.1", "1", "10"}));
  EXPECT_EQ(ticks(1.5, 30, 5, true), (Strings{"1", "2", "5", "10", "20", "50"}));
  EXPECT_EQ(ticks(2.1, 3.9, 5, true), (Strings{"2", "2.5", "3", "3.5", "4"}));
  EXPECT_EQ(ticks(1e-9, 1e9, 6, true), (Strings{"10⁻⁹", "10⁻⁶", "0.001", "1", "1000", "10⁶", "10⁹"}));
  const ChartAxis axis(0.01, 100, 5, true, true);
  EXPECT_DOUBLE_EQ(axis.position(0.01), 0);
  EXPECT_DOUBLE_EQ(axis.position(1), 0.5);
  EXPECT_DOUBLE_EQ(axis.position(100), 1);
}

TEST(ChartAxis, AnyRange) {
  rapt::Rng rng(1);
  for (int i = 0; i < 20000; ++i) {
    const bool logarithmic = i % 2 == 1, to_ticks = i % 3 != 0;
    const auto parts = static_cast<Index>(2 + rng.below(9));
    const auto magnitude = [&] {
      return std::pow(10.0, static_cast<double>(rng.below(i % 5 == 0 ? 590 : 13)) - (i % 5 == 0 ? 295 : 6));
    };
    double low = (logarithmic ? rng.uniform() + 1e-3 : 2 * rng.uniform() - 1) * magnitude();
    double high = (logarithmic ? rng.uniform() + 1e-3 : 2 * rng.uniform() - 1) * magnitude();
    if (low > high) std::swap(low, high);
    const ChartAxis axis(low, high, parts, logarithmic, to_ticks);
    const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(Decimal{0, 0}) + std::to_string(i));
    ASSERT_LE(axis.low(), low);
    ASSERT_GE(axis.high(), high);
    ASSERT_LE(axis.ticks().size(), 3 * parts + 3);
    if (to_ticks) {
      ASSERT_GE(axis.ticks().size(), 2) << low << " " << high << " " << parts << " " << logarithmic;
    }
    for (std::size_t t = 0; t < axis.ticks().size(); ++t) {
      ASSERT_GE(axis.position(axis.ticks()[t].value()), -1e-9);
      ASSERT_LE(axis.position(axis.ticks()[t].value()), 1 + 1e-9);
      if (t > 0) {
        ASSERT_LT(axis.ticks()[t - 1].value(), axis.ticks()[t].value());
      }
    }
  }
}

TEST(ChartAxis, RefusesWhatIsNoRange) {
  using rapt_test::error_text;
  EXPECT_EQ(error_text<ValueError>([] { ChartAxis(2, 1, 5, false, true); }), "[chart_axis] from 2 to 1");
  EXPECT_EQ(error_text<ValueError>([] { ChartAxis(0, 1e301, 5, false, true); }), "[chart_axis] from 0 to 1e+301");
  EXPECT_THROW(ChartAxis(std::nan(""), 1, 5, false, true), ValueError);
  EXPECT_EQ(error_text<ValueError>([] { ChartAxis(0, 1, 5, true, true); }),
            "[chart_axis] a logarithmic axis cannot begin at 0");
}

}  // namespace
