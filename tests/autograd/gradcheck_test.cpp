/// \file
/// gradcheck itself: it accepts what is right, catches what is wrong, and takes ops of a user's own.
#include "rapt/autograd/gradcheck.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "rapt/autograd/ops/dropout.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Shape;
using Variables = std::vector<rapt::Variable<double>>;

/// y = x^3 with a backward that says dx = factor x^2 dy: an op outside of the library.
template <class T>
rapt::Variable<T> cube(const rapt::Variable<T>& x, T factor) {
  rapt::Tensor<T> y(x.shape());
  y.matrix() = x.value().matrix().array().cube();
  return rapt::record("cube", std::move(y), {x}, [factor](rapt::Node<T>& out) {
    rapt::Node<T>& in = out.input(0);
    in.grad_sum().matrix().array() += factor * in.value.matrix().array().square() * out.grad.matrix().array();
  });
}

const std::vector<rapt::Tensor<double>> kInput{rapt_test::normal_tensor<double>({3, 4}, 3)};

TEST(Gradcheck, AcceptsAUsersOwnOp) {
  const auto result = rapt::gradcheck([](const Variables& x) { return cube(x[0], 3.0); }, kInput);
  EXPECT_LT(result.worst_relative_error, 1e-6);
}

TEST(Gradcheck, CatchesAWrongFactor) {
  const auto result = rapt::gradcheck([](const Variables& x) { return cube(x[0], 2.0); }, kInput);
  EXPECT_NEAR(result.worst_relative_error, 1.0 / 3, 1e-4);
  EXPECT_NEAR(result.analytic / result.numeric, 2.0 / 3, 1e-4);
}

TEST(Gradcheck, CatchesASmallErrorInOneElement) {
  const auto result = rapt::gradcheck(
      [](const Variables& x) {
        rapt::Tensor<double> y = x[0].value();
        return rapt::record("almost_identity", std::move(y), {x[0]}, [](rapt::Node<double>& out) {
          out.input(0).grad_sum().matrix() += out.grad.matrix();
          out.input(0).grad.data()[7] *= 1.00001;
        });
      },
      kInput);
  EXPECT_GT(result.worst_relative_error, 1e-6);
  EXPECT_LT(result.worst_relative_error, 1e-4);
  EXPECT_EQ(result.worst_input, 0u);
  EXPECT_EQ(result.worst_element, 7);
}

TEST(Gradcheck, CatchesAForgottenInput) {
  const auto product = [](const Variables& x) {
    rapt::Tensor<double> y = x[0].value();
    y.matrix() = x[0].value().matrix().cwiseProduct(x[1].value().matrix());
    return rapt::record("half_a_product", std::move(y), {x[0], x[1]}, [](rapt::Node<double>& out) {
      out.input(0).grad_sum().matrix() += out.grad.matrix().cwiseProduct(out.input(1).value.matrix());
    });
  };
  const auto result = rapt::gradcheck(product, {kInput[0], rapt_test::normal_tensor<double>({3, 4}, 4)});
  EXPECT_NEAR(result.worst_relative_error, 1.0, 1e-9);
  EXPECT_EQ(result.worst_input, 1u);
  EXPECT_EQ(result.analytic, 0.0);
}

TEST(Gradcheck, NotANumberIsTheWorst) {
  const auto result =
      rapt::gradcheck([](const Variables& x) { return cube(x[0], std::numeric_limits<double>::quiet_NaN()); }, kInput);
  EXPECT_FALSE(result.worst_relative_error < 1e-6);
}

TEST(Gradcheck, UsesTheSameDropoutAtEveryEvaluation) {
  const auto f = [](const Variables& x) { return rapt::dropout(x[0], 0.5f); };
  EXPECT_LT(rapt::gradcheck(f, kInput, {.seed = 8, .training = true}).worst_relative_error, 1e-6);
}

TEST(Gradcheck, LeavesTheModeAsItWas) {
  std::ignore = rapt::gradcheck([](const Variables& x) { return cube(x[0], 3.0); }, kInput, {.training = true});
  EXPECT_FALSE(rapt::is_recording());
  const rapt::Recording scope;
  std::ignore = rapt::gradcheck([](const Variables& x) { return cube(x[0], 3.0); }, kInput);
  EXPECT_TRUE(rapt::is_recording());
}

}  // namespace
