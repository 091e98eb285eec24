/// \file
/// Lion against its formula in PyTorch, and its sign.
#include "rapt/optim/lion.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/common/optimizer_cases.hpp"

namespace {

using rapt::Lion;
using rapt::LionOptions;
using rapt::Shape;
using rapt::Tensor;

template <class T>
class LionTrajectories : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(LionTrajectories, Scalars);

TYPED_TEST(LionTrajectories, AreThePapers) {
  const std::pair<const char*, LionOptions> cases[] = {
      {"lion", {}},
      {"lion_decay", {.beta1 = 0.6, .beta2 = 0.8, .weight_decay = 0.3}},
      {"lion_matrices", {.weight_decay = 0.3, .decay_vectors = false}},
  };
  for (const auto& [name, options] : cases) {
    rapt_test::expect_trajectory<TypeParam>(
        name, [options = options](auto& module) { return Lion<TypeParam>(module, options); });
  }
}

TEST(Lion, RefusesOptionsOutsideTheirRange) {
  rapt_test::MatrixAndVector<double> toy(Shape{5, 7}, Shape{3});
  const auto make = [&](const LionOptions& options) {
    return [&toy, options] { Lion<double> optimizer(toy, options); };
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  rapt_test::expect_errors({
      {"beta1 1", make({.beta1 = 1}), {"[lion]", "beta1 1"}},
      {"beta2 -0.5", make({.beta2 = -0.5}), {"[lion]", "beta2 -0.5"}},
      {"beta1 nan", make({.beta1 = kNan}), {"[lion]", "beta1 nan"}},
      {"weight_decay -0.25", make({.weight_decay = -0.25}), {"[lion]", "weight_decay -0.25"}},
  });
}

TEST(Lion, MovesByTheWholeRateOrNotAtAll) {
  rapt_test::MatrixAndVector<double> toy(Shape{5, 7}, Shape{3});
  toy.vector.mutable_value() = Tensor<double>({3}, {1.0, 1.0, 1.0});
  rapt::Lion optimizer(toy);
  rapt_test::set_gradient(toy.vector, Tensor<double>({3}, {1e-300, -7.0, 0.0}));
  optimizer.step(0.25);
  EXPECT_EQ(toy.vector.value().data()[0], 0.75);
  EXPECT_EQ(toy.vector.value().data()[1], 1.25);
  EXPECT_EQ(toy.vector.value().data()[2], 1.0);
}

}  // namespace
