/// \file
/// The mean squared distance and its gradient.
#include "rapt/autograd/ops/mean_squared_error.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Tensor;
using rapt::Variable;
using rapt_test::normal_tensor;

TEST(MeanSquaredError, ByHand) {
  const Variable<float> x(Tensor<float>({2, 2}, {1.f, 2.f, 3.f, 4.f}));
  EXPECT_EQ(rapt::mean_squared_error(x, Tensor<float>({2, 2}, {1.f, 0.f, 4.f, 1.f})).item(), 3.5f);
  EXPECT_EQ(rapt::mean_squared_error(x, Tensor<float>(x.value())).item(), 0.f);
}

TEST(MeanSquaredError, Gradient) {
  const auto x = normal_tensor<double>({5, 3}, 1), target = normal_tensor<double>({5, 3}, 2);
  const auto once = [&](const std::vector<Variable<double>>& in) {
    return rapt::mean_squared_error(in[0], Tensor<double>(target));
  };
  const auto twice = [&](const std::vector<Variable<double>>& in) {
    return rapt::multiply(once(in), rapt::mean_squared_error(in[0], Tensor<double>(target.shape(), 0.5)));
  };
  EXPECT_LT(rapt::gradcheck(once, {x}).worst_relative_error, 1e-7);
  EXPECT_LT(rapt::gradcheck(twice, {x}).worst_relative_error, 1e-7);
  rapt_test::expect_same_gradients_of_subsets(once, {x});
}

TEST(MeanSquaredError, WrongUse) {
  const Variable<double> x(normal_tensor<double>({5, 3}, 1)), none(Tensor<double>(rapt::Shape{0, 3}));
  rapt_test::expect_errors({{"shapes",
                             [&] {
                               std::ignore = rapt::mean_squared_error(x, Tensor<double>(rapt::Shape{3, 5}));
                             },
                             {"mean_squared_error", "[5, 3]", "[3, 5]"}},
                            {"nothing",
                             [&] {
                               std::ignore = rapt::mean_squared_error(none, Tensor<double>(rapt::Shape{0, 3}));
                             },
                             {"mean_squared_error", "[0, 3]"}}});
}

}  // namespace
