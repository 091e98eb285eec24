/// \file
/// SGD against PyTorch's trajectories; what options mean.
#include "rapt/optim/sgd.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/common/optimizer_cases.hpp"

namespace {

using rapt::Sgd;
using rapt::SgdOptions;
using rapt::Shape;
using rapt::Tensor;

template <class T>
class SgdTrajectories : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(SgdTrajectories, Scalars);

TYPED_TEST(SgdTrajectories, ArePyTorchs) {
  const std::pair<const char*, SgdOptions> cases[] = {
      {"sgd", {}},
      {"sgd_decay", {.weight_decay = 0.3}},
      {"sgd_momentum", {.momentum = 0.7}},
      {"sgd_dampening", {.momentum = 0.7, .dampening = 0.4, .weight_decay = 0.1}},
      {"sgd_nesterov", {.momentum = 0.7, .nesterov = true, .weight_decay = 0.1}},
      {"sgd_matrices", {.momentum = 0.7, .weight_decay = 0.3, .decay_vectors = false}},
  };
  for (const auto& [name, options] : cases) {
    rapt_test::expect_trajectory<TypeParam>(
        name, [options = options](auto& module) { return Sgd<TypeParam>(module, options); });
  }
}

TEST(Sgd, RefusesOptionsOutsideTheirRange) {
  rapt_test::MatrixAndVector<double> toy(Shape{5, 7}, Shape{3});
  const auto make = [&](const SgdOptions& options) { return [&toy, options] { Sgd<double> optimizer(toy, options); }; };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  rapt_test::expect_errors({
      {"momentum -0.5", make({.momentum = -0.5}), {"[sgd]", "momentum -0.5"}},
      {"momentum 1.5", make({.momentum = 1.5}), {"[sgd]", "momentum 1.5"}},
      {"momentum nan", make({.momentum = kNan}), {"[sgd]", "momentum nan"}},
      {"dampening -0.25", make({.momentum = 0.5, .dampening = -0.25}), {"[sgd]", "dampening -0.25"}},
      {"weight_decay -2", make({.weight_decay = -2}), {"[sgd]", "weight_decay -2"}},
      {"weight_decay nan", make({.weight_decay = kNan}), {"[sgd]", "weight_decay nan"}},
      {"momentum 0, dampening 0", make({.nesterov = true}), {"[sgd]", "momentum 0, dampening 0"}},
      {"momentum 0.5, dampening 0.25",
       make({.momentum = 0.5, .dampening = 0.25, .nesterov = true}),
       {"[sgd]", "momentum 0.5, dampening 0.25"}},
  });
}

TEST(Sgd, WithoutMomentumThereIsNoState) {
  rapt_test::MatrixAndVector<double> toy(Shape{5, 7}, Shape{3});
  rapt::Sgd plain(toy);
  EXPECT_TRUE(plain.state_names().empty());
  const Tensor<double> before = toy.matrix.value(), gradient = rapt_test::normal_tensor<double>({5, 7}, 3);
  rapt_test::set_gradient(toy.matrix, gradient);
  plain.step(0.5);
  EXPECT_TRUE(plain.slots()[0].state.empty());
  for (rapt::Index i = 0; i < before.size(); ++i) {
    EXPECT_DOUBLE_EQ(toy.matrix.value().data()[i], before.data()[i] - 0.5 * gradient.data()[i]);
  }
  rapt::Sgd with(toy, {.momentum = 0.9});
  EXPECT_EQ(with.state_names(), std::vector<std::string_view>{"momentum"});
}

}  // namespace
