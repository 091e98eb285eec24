/// \file
/// What configs check alike.
#include "rapt/models/config_checks.hpp"

#include <gtest/gtest.h>

#include "tests/common/expect_close.hpp"

namespace {

TEST(ConfigChecks, HeadsDivideTheModelsWidth) {
  const auto text = [](rapt::Index d_model, rapt::Index heads) {
    return rapt_test::error_text<rapt::ValueError>([&] { rapt::detail::require_heads(d_model, heads, "gpt"); });
  };
  EXPECT_NO_THROW(rapt::detail::require_heads(12, 3, "gpt"));
  EXPECT_EQ(text(10, 3), "[gpt] d_model must be a multiple of heads: d_model = 10, heads = 3");
  EXPECT_EQ(text(0, 3), "[gpt] d_model must be a multiple of heads: d_model = 0, heads = 3");
  EXPECT_EQ(text(12, 0), "[gpt] d_model must be a multiple of heads: d_model = 12, heads = 0");
}

TEST(ConfigChecks, RatesOfDropoutAreBelowOne) {
  const auto text = [](float rate) {
    return rapt_test::error_text<rapt::ValueError>([&] { rapt::detail::require_dropout({0.f, rate}, "vit"); });
  };
  EXPECT_NO_THROW(rapt::detail::require_dropout({0.f, 0.5f, 0.99f}, "vit"));
  EXPECT_EQ(text(1.f), "[vit] dropout must be in [0, 1): 1");
  EXPECT_EQ(text(-0.5f), "[vit] dropout must be in [0, 1): -0.5");
}

}  // namespace
