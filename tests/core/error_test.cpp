/// \file
/// Errors: one root, and texts that name place, rule and values.
#include "rapt/core/error.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <type_traits>

#include "rapt/core/shape.hpp"

#include "tests/common/expect_close.hpp"

namespace {

using rapt_test::error_text;

enum class Fruit { apple };
[[maybe_unused]] std::string to_string(Fruit) { return "apple"; }

template <class... Pieces>
std::string text_of(const Pieces&... pieces) {
  return error_text<rapt::Error>([&] { rapt::fail("here", pieces...); });
}

TEST(Error, HasOneRootThatIsARuntimeError) {
  static_assert(std::is_base_of_v<std::runtime_error, rapt::Error>);
  static_assert(std::is_base_of_v<rapt::Error, rapt::ShapeError>);
  static_assert(std::is_base_of_v<rapt::Error, rapt::ValueError>);
  static_assert(std::is_base_of_v<rapt::Error, rapt::IoError>);
}

TEST(Error, TextIsPlaceThenPieces) {
  EXPECT_EQ(text_of("d_model must be a multiple of heads: d_model = ", 10, ", heads = ", rapt::Index{3}),
            "[here] d_model must be a multiple of heads: d_model = 10, heads = 3");
  EXPECT_EQ(text_of(), "[here] ");
}

TEST(Error, PiecesAreStringsNumbersOrTypesWithToString) {
  const std::string owned = "owned";
  EXPECT_EQ(text_of(owned, ' ', std::string_view("view"), " ", "literal"), "[here] owned view literal");
  EXPECT_EQ(text_of(true, false), "[here] truefalse");
  EXPECT_EQ(text_of(std::numeric_limits<std::int64_t>::min(), " ", std::uint64_t{18446744073709551615u}),
            "[here] -9223372036854775808 18446744073709551615");
  EXPECT_EQ(text_of(rapt::Shape{2, 3}, " ", Fruit::apple), "[here] [2, 3] apple");
}

TEST(Error, NumbersPrintShortAndNeverAsZeroUnlessTheyAre) {
  EXPECT_EQ(text_of(0.3f), "[here] 0.3");
  EXPECT_EQ(text_of(-1.5, " ", 2.0, " ", 0.0), "[here] -1.5 2 0");
  EXPECT_EQ(text_of(1e-9), "[here] 1e-09");
  EXPECT_EQ(text_of(1e300), "[here] 1e+300");
  EXPECT_EQ(text_of(std::numeric_limits<double>::infinity()), "[here] inf");
}

TEST(Error, RequireThrowsOnlyWhenTheConditionFails) {
  EXPECT_NO_THROW(rapt::require(true, "here", "never"));
  EXPECT_THROW(rapt::require(false, "here", "text"), rapt::ValueError);
  EXPECT_THROW(rapt::require<rapt::ShapeError>(false, "here", "text"), rapt::ShapeError);
  EXPECT_EQ(error_text<rapt::IoError>([] { rapt::require<rapt::IoError>(false, "file", "line ", 3); }),
            "[file] line 3");
}

}  // namespace
