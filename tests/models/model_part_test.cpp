/// \file
/// What asking for a part of a model gives.
#include "rapt/models/model_part.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <tuple>

#include "tests/common/expect_close.hpp"

namespace {

TEST(ModelPart, IsThePartItselfOrAnErrorThatNamesIt) {
  const std::optional<int> head = 7, none;
  EXPECT_EQ(&rapt::detail::require_part(head, "bert", "pooler"), &*head);
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>(
                [&] { std::ignore = rapt::detail::require_part(none, "bert", "pooler"); }),
            "[bert] the model has no pooler");
}

}  // namespace
