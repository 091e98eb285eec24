/// \file
/// Adagrad against PyTorch's trajectories.
#include "rapt/optim/adagrad.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/common/optimizer_cases.hpp"

namespace {

using rapt::Adagrad;
using rapt::AdagradOptions;
using rapt::Shape;
using rapt::Tensor;

template <class T>
class AdagradTrajectories : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(AdagradTrajectories, Scalars);

TYPED_TEST(AdagradTrajectories, ArePyTorchs) {
  const std::pair<const char*, AdagradOptions> cases[] = {
      {"adagrad", {}},
      {"adagrad_decay", {.lr_decay = 0.5, .weight_decay = 0.3}},
      {"adagrad_initial", {.initial_accumulator = 0.5, .epsilon = 1e-2}},
      {"adagrad_matrices", {.weight_decay = 0.3, .decay_vectors = false}},
  };
  for (const auto& [name, options] : cases) {
    rapt_test::expect_trajectory<TypeParam>(
        name, [options = options](auto& module) { return Adagrad<TypeParam>(module, options); });
  }
}

TEST(Adagrad, RefusesOptionsOutsideTheirRange) {
  rapt_test::MatrixAndVector<double> toy(Shape{5, 7}, Shape{3});
  const auto make = [&](const AdagradOptions& options) {
    return [&toy, options] { Adagrad<double> optimizer(toy, options); };
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  rapt_test::expect_errors({
      {"lr_decay -0.5", make({.lr_decay = -0.5}), {"[adagrad]", "lr_decay -0.5"}},
      {"initial_accumulator -1", make({.initial_accumulator = -1}), {"[adagrad]", "initial_accumulator -1"}},
      {"epsilon nan", make({.epsilon = kNan}), {"[adagrad]", "epsilon nan"}},
      {"weight_decay -0.25", make({.weight_decay = -0.25}), {"[adagrad]", "weight_decay -0.25"}},
  });
}

}  // namespace
