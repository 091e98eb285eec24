/// \file
/// Rows of length one, and the gradient through them.
#include "rapt/autograd/ops/normalize.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using Variables = std::vector<rapt::Variable<double>>;

TEST(Normalize, RowsHaveLengthOneAndKeepTheirDirection) {
  for (const Shape shape : {Shape{1, 1}, Shape{5, 7}, Shape{130, 33}}) {
    const auto x = rapt_test::normal_tensor<double>(shape, 1, 5.0);
    const Tensor<double> y = normalize(rapt::Variable<double>(x)).value();
    for (Index i = 0; i < y.rows(); ++i) {
      double squares = 0, length = 0;
      for (Index j = 0; j < y.cols(); ++j) squares += y(i, j) * y(i, j), length += x(i, j) * x(i, j);
      EXPECT_NEAR(squares, 1, 1e-14);
      for (Index j = 0; j < y.cols(); ++j) EXPECT_NEAR(y(i, j) * std::sqrt(length), x(i, j), 1e-13);
    }
  }
}

TEST(Normalize, ARowShorterThanEpsilonIsDividedByIt) {
  const rapt::Variable<double> x(Tensor<double>(Shape{2, 2}, {0, 0, 3e-3, 4e-3}));
  const Tensor<double> y = normalize(x, 0.1).value();
  EXPECT_EQ(y(0, 0), 0);
  EXPECT_NEAR(y(1, 0), 0.03, 1e-15);
  EXPECT_NEAR(y(1, 1), 0.04, 1e-15);
}

TEST(Normalize, Gradient) {
  for (const Shape shape : {Shape{1, 2}, Shape{5, 7}, Shape{3, 33}, Shape{70, 3}}) {
    const auto x = rapt_test::normal_tensor<double>(shape, 2);
    for (const double epsilon : {1e-12, 100.0}) {
      const auto result =
          rapt::gradcheck([&](const Variables& v) { return normalize(v[0], epsilon); }, {x}, {.step = 1e-6});
      EXPECT_LT(result.worst_relative_error, 1e-6) << to_string(shape) << epsilon;
    }
    const auto twice = rapt::gradcheck([](const Variables& v) { return multiply(normalize(v[0]), v[0]); }, {x});
    EXPECT_LT(twice.worst_relative_error, 1e-6);
    rapt_test::expect_same_gradients_of_subsets([](const Variables& v) { return normalize(v[0]); }, {x});
  }
}

TEST(Normalize, ErrorsNameTheValue) {
  const rapt::Variable<double> x(Tensor<double>(Shape{4, 2}, 0.0));
  rapt_test::expect_errors({{"epsilon", [&] { std::ignore = normalize(x, 0); }, {"epsilon", "0"}}});
}

}  // namespace
