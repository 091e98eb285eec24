/// \file
/// Initial values: what is drawn later is what it would be if it had been drawn at once.
#include "rapt/nn/init.hpp"

#include <gtest/gtest.h>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Shape;
namespace init = rapt::init;

TEST(DrawLater, TakesTheStreamsAndDrawsNothing) {
  rapt::Rng drawn(3), later(3);
  std::ignore = init::xavier_uniform<float>(Shape{4, 5}, drawn);
  std::ignore = init::normal<float>(Shape{4, 5}, drawn, 0.02);
  const auto expected = init::normal<float>(Shape{7, 3}, drawn, 0.02);
  {
    const rapt::detail::DrawLater scope;
    const auto nothing = init::xavier_uniform<float>(Shape{4, 5}, later);
    EXPECT_EQ(nothing.shape(), (Shape{4, 5}));
    EXPECT_FALSE(nothing.has_elements());
    EXPECT_FALSE(init::normal<float>(Shape{4, 5}, later, 0.02).has_elements());
    EXPECT_EQ(init::constant<float>(Shape{2}, 1.f).data()[1], 1.f);
  }
  EXPECT_TRUE(rapt_test::same_bits(init::normal<float>(Shape{7, 3}, later, 0.02), expected));
  EXPECT_EQ(later.state(), drawn.state());
}

TEST(DrawLater, TakesNothingWhereNothingIsInitialised) {
  rapt::Rng rng(3);
  const rapt::detail::InitialiseNothing nothing;
  const rapt::detail::DrawLater scope;
  EXPECT_FALSE(init::xavier_uniform<float>(Shape{4, 5}, rng).has_elements());
  EXPECT_FALSE(init::constant<float>(Shape{2}, 1.f).has_elements());
  EXPECT_EQ(rng.state().streams_taken, 0u);
}

}  // namespace
