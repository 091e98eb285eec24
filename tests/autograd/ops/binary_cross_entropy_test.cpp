/// \file
/// Binary cross-entropy on logits, and its gradient.
#include "rapt/autograd/ops/binary_cross_entropy.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Tensor;
using rapt::Variable;
using rapt_test::normal_tensor;

/// Probabilities, 0 and 1 among them.
[[nodiscard]] Tensor<double> target_probabilities() { return Tensor<double>({2, 3}, {0, 1, 0.25, 0.5, 1, 0}); }

TEST(BinaryCrossEntropy, IsTheDefinition) {
  const Tensor<double> x({2, 3}, {0.5, -1, 2, 3, 0, -2}), t = target_probabilities();
  double sum = 0;
  for (rapt::Index i = 0; i < 6; ++i) {
    const double p = 1 / (1 + std::exp(-x.data()[i]));
    sum -= t.data()[i] * std::log(p) + (1 - t.data()[i]) * std::log(1 - p);
  }
  EXPECT_NEAR(rapt::binary_cross_entropy(Variable<double>(x), Tensor<double>(t)).item(), sum / 6, 1e-14);
}

TEST(BinaryCrossEntropy, LargeLogitsLoseNoDigits) {
  const auto loss = [](float x, float t) {
    return rapt::binary_cross_entropy(Variable<float>(Tensor<float>({1}, {x})), Tensor<float>({1}, {t})).item();
  };
  EXPECT_EQ(loss(1000, 1), 0.f);
  EXPECT_EQ(loss(1000, 0), 1000.f);
  EXPECT_EQ(loss(-1000, 1), 1000.f);
  EXPECT_NEAR(loss(-20, 0), std::exp(-20.f), 1e-12f);
}

TEST(BinaryCrossEntropy, Gradient) {
  const auto x = normal_tensor<double>({2, 3}, 1);
  const auto once = [](const std::vector<Variable<double>>& in) {
    return rapt::binary_cross_entropy(in[0], target_probabilities());
  };
  const auto twice = [&](const std::vector<Variable<double>>& in) { return rapt::multiply(once(in), once(in)); };
  EXPECT_LT(rapt::gradcheck(once, {x}).worst_relative_error, 1e-7);
  EXPECT_LT(rapt::gradcheck(twice, {x}).worst_relative_error, 1e-7);
  rapt_test::expect_same_gradients_of_subsets(once, {x});
}

TEST(BinaryCrossEntropy, WrongUse) {
  const Variable<double> x(normal_tensor<double>({2, 3}, 1)), none(Tensor<double>(rapt::Shape{0, 3}));
  const auto with = [](const Variable<double>& logits, const Tensor<double>& target) {
    return [=] { std::ignore = rapt::binary_cross_entropy(logits, Tensor<double>(target)); };
  };
  rapt_test::expect_errors(
      {{"shapes", with(x, Tensor<double>({3, 2}, 0.0)), {"binary_cross_entropy", "[2, 3]", "[3, 2]"}},
       {"nothing", with(none, Tensor<double>(rapt::Shape{0, 3})), {"binary_cross_entropy", "[0, 3]"}},
       {"no probability", with(x, Tensor<double>({2, 3}, {0, 1, 0, 0, 1.5, 0})), {"1.5", "position 4"}}});
}

}  // namespace
