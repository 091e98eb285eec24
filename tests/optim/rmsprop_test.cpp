/// \file
/// RMSprop against PyTorch's trajectories, and where the centered variance is rounding alone.
#include "rapt/optim/rmsprop.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/common/optimizer_cases.hpp"

namespace {

using rapt::Rmsprop;
using rapt::RmspropOptions;
using rapt::Shape;
using rapt::Tensor;

template <class T>
class RmspropTrajectories : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(RmspropTrajectories, Scalars);

TYPED_TEST(RmspropTrajectories, ArePyTorchs) {
  const std::pair<const char*, RmspropOptions> cases[] = {
      {"rmsprop", {}},
      {"rmsprop_alpha", {.alpha = 0.6, .epsilon = 1e-2, .weight_decay = 0.3}},
      {"rmsprop_momentum", {.alpha = 0.9, .momentum = 0.7}},
      {"rmsprop_centered", {.alpha = 0.9, .epsilon = 1e-2, .centered = true}},
      {"rmsprop_all", {.alpha = 0.8, .epsilon = 1e-2, .centered = true, .momentum = 0.5, .weight_decay = 0.1}},
      {"rmsprop_matrices", {.weight_decay = 0.3, .decay_vectors = false}},
  };
  for (const auto& [name, options] : cases) {
    rapt_test::expect_trajectory<TypeParam>(
        name, [options = options](auto& module) { return Rmsprop<TypeParam>(module, options); });
  }
}

TEST(Rmsprop, RefusesOptionsOutsideTheirRange) {
  rapt_test::MatrixAndVector<double> toy(Shape{5, 7}, Shape{3});
  const auto make = [&](const RmspropOptions& options) {
    return [&toy, options] { Rmsprop<double> optimizer(toy, options); };
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  rapt_test::expect_errors({
      {"alpha 1", make({.alpha = 1}), {"[rmsprop]", "alpha 1"}},
      {"alpha -0.5", make({.alpha = -0.5}), {"[rmsprop]", "alpha -0.5"}},
      {"alpha nan", make({.alpha = kNan}), {"[rmsprop]", "alpha nan"}},
      {"epsilon -1", make({.epsilon = -1}), {"[rmsprop]", "epsilon -1"}},
      {"momentum -0.5", make({.momentum = -0.5}), {"[rmsprop]", "momentum -0.5"}},
      {"momentum 2", make({.momentum = 2}), {"[rmsprop]", "momentum 2"}},
      {"weight_decay -0.25", make({.weight_decay = -0.25}), {"[rmsprop]", "weight_decay -0.25"}},
  });
}

/// A gradient that never changes has no variance: what is left of v - mean^2 is rounding, of either sign.
TEST(Rmsprop, AConstantGradientGivesNumbers) {
  rapt_test::MatrixAndVector<float> toy(Shape{50, 70}, Shape{3});
  rapt::Rmsprop optimizer(toy, {.alpha = 0.5, .epsilon = 1e-3, .centered = true});
  const Tensor<float> gradient = rapt_test::normal_tensor<float>({50, 70}, 3, 100.0);
  for (int t = 0; t < 100; ++t) {
    rapt_test::set_gradient(toy.matrix, gradient);
    optimizer.step(1e-6);
  }
  const auto values = toy.matrix.value().values();
  EXPECT_TRUE(std::all_of(values.begin(), values.end(), [](float w) { return std::isfinite(w); }));
}

TEST(Rmsprop, HasTheStateThatItsOptionsNeed) {
  rapt_test::MatrixAndVector<double> toy(Shape{5, 7}, Shape{3});
  using Names = std::vector<std::string_view>;
  EXPECT_EQ(rapt::Rmsprop(toy).state_names(), Names{"square"});
  EXPECT_EQ(rapt::Rmsprop(toy, {.momentum = 0.5}).state_names(), (Names{"square", "momentum"}));
  EXPECT_EQ(rapt::Rmsprop(toy, {.centered = true}).state_names(), (Names{"square", "mean"}));
}

}  // namespace
