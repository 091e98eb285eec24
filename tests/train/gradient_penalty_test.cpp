/// \file
/// The gradient penalty: its value, and its gradient against closed forms and central differences of the value.
#include "rapt/train/gradient_penalty.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "rapt/autograd/ops/activation.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/nn/linear.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::GradientPenaltyOptions;
using rapt::Index;
using rapt::Parameter;
using rapt::Shape;
using rapt::Tensor;
using rapt::Variable;
using rapt_test::normal_tensor;

/// w x: the penalty is known.
struct Slope {
  using ScalarType = double;
  Parameter<double> weight;
  Variable<double> operator()(const Variable<double>& x) const { return rapt::linear<double>(x, weight, {}); }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight);
  }
};

/// Curved in inputs and parameters, with dropout, which must be off.
template <class T>
struct Curve {
  using ScalarType = T;
  rapt::Linear<T> in, out;
  explicit Curve(rapt::Rng& rng) : in(6, 8, rng), out(8, 1, rng) {}
  Variable<T> operator()(const Variable<T>& x) const { return out(rapt::dropout(rapt::gelu(in(x)), .5f)); }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("in", self.in);
    visitor("out", self.out);
  }
};

template <class M>
void expect_empty_gradients(const M& model) {
  rapt::for_each_parameter(model,
                           [&](const std::string& name, const auto& p) { EXPECT_TRUE(p.grad().empty()) << name; });
}

/// All gradients of a model, one behind the other, as numbers in double.
template <class M>
std::vector<double> gradients_of(const M& model) {
  std::vector<double> numbers;
  rapt::for_each_parameter(model, [&](const std::string&, const auto& p) {
    if (p.grad().empty()) return numbers.resize(numbers.size() + rapt::to_size(p.size()), 0.0);
    numbers.insert(numbers.end(), p.grad().values().begin(), p.grad().values().end());
  });
  return numbers;
}
double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

// D = w x: n = |w| for all inputs, so that P = weight (|w| - c)^2 / 2 and dP/dw = weight (|w| - c) w / |w|.
TEST(GradientPenalty, OfAStraightLine) {
  const Slope critic{Parameter<double>(Tensor<double>(Shape{1, 3}, {2, -1, 2}))};
  const auto x = normal_tensor<double>({5, 3}, 1);
  for (const double target : {0.0, 1.0}) {
    std::vector<double> norms;
    const rapt::Recording scope;
    const auto penalty = gradient_penalty(critic, x, {.weight = 4, .target = target}, &norms);
    EXPECT_NEAR(penalty.item(), 2 * (3 - target) * (3 - target), 1e-12);
    ASSERT_EQ(norms.size(), 5u);
    for (const double norm : norms) EXPECT_NEAR(norm, 3, 1e-12);
    expect_empty_gradients(critic);
    backward(penalty);
    for (Index j = 0; j < 3; ++j) {
      EXPECT_NEAR(critic.weight.grad()(0, j), 4 * (3 - target) * critic.weight.value()(0, j) / 3, 1e-9);
    }
    critic.weight.node()->grad = Tensor<double>();
  }
}

/// Central differences of the penalty itself, whose value is exact, by every parameter.
std::vector<double> numeric_gradients(Curve<double>& critic, const Tensor<double>& x,
                                      const GradientPenaltyOptions& options) {
  std::vector<double> numbers;
  rapt::for_each_parameter(critic, [&](const std::string&, Parameter<double>& p) {
    for (Index i = 0; i < p.size(); ++i) {
      double& number = p.mutable_value().data()[i];
      const double was = number, step = 1e-5;
      number = was + step;
      const double above = gradient_penalty(critic, x, options).item();
      number = was - step;
      const double below = gradient_penalty(critic, x, options).item();
      number = was;
      numbers.push_back((above - below) / (2 * step));
    }
  });
  return numbers;
}

TEST(GradientPenalty, GradientIsThatOfTheValue) {
  rapt::Rng rng(2);
  Curve<double> critic(rng);
  const auto x = normal_tensor<double>({4, 6}, 3);
  for (const double target : {0.0, 1.0}) {
    GradientPenaltyOptions options{.weight = 2, .target = target};
    const std::vector<double> expected = numeric_gradients(critic, x, options);
    const double size = *std::max_element(expected.begin(), expected.end(),
                                          [](double a, double b) { return std::abs(a) < std::abs(b); });
    std::vector<double> errors;
    for (const double step : {.04, .02, .01, 1e-4}) {
      options.step = step;
      rapt::Rng random(4);
      {
        const rapt::Training scope(random);
        backward(gradient_penalty(critic, x, options));
      }
      errors.push_back(largest_difference(gradients_of(critic), expected) / std::abs(size));
      rapt::clear_gradients(critic);
      EXPECT_EQ(random.state().streams_taken, 0u) << "dropout was on";
    }
    EXPECT_LT(errors[2], 2e-3);
    EXPECT_LT(errors[3], 1e-7);
    for (const std::size_t i : {0u, 1u}) EXPECT_NEAR(errors[i] / errors[i + 1], 4, .4);  // O(h^2)
  }
}

TEST(GradientPenalty, InFloatAsInDouble) {
  const rapt_test::HighestPrecision highest;  // the difference of scores would magnify the errors of a lower one
  rapt::Rng rng(5);
  const Curve<double> exact(rng);
  rapt::Rng any(5);
  Curve<float> critic(any);
  std::vector<double> numbers;
  rapt::for_each_parameter(exact, [&](const std::string&, const auto& p) {
    numbers.insert(numbers.end(), p.value().values().begin(), p.value().values().end());
  });
  std::size_t next = 0;
  rapt::for_each_parameter(critic, [&](const std::string&, Parameter<float>& p) {
    for (float& v : p.mutable_value().values()) v = static_cast<float>(numbers[next++]);
  });
  const auto x = normal_tensor<double>({16, 6}, 6);
  Tensor<float> narrow(x.shape());
  std::copy_n(x.data(), x.size(), narrow.data());
  const rapt::Recording scope;
  const Variable<double> in_double = gradient_penalty(exact, x, {});
  const Variable<float> in_float = gradient_penalty(critic, narrow, {});
  EXPECT_NEAR(static_cast<double>(in_float.item()), in_double.item(), 1e-5 * in_double.item());
  backward(in_double);
  backward(in_float);
  const std::vector<double> expected = gradients_of(exact);
  double size = 0;
  for (const double v : expected) size = std::max(size, std::abs(v));
  EXPECT_LT(largest_difference(gradients_of(critic), expected), 1e-4 * size);
}

TEST(GradientPenalty, OutsideOfTrainingItIsAConstant) {
  rapt::Rng rng(7);
  const Curve<double> critic(rng);
  const auto penalty = gradient_penalty(critic, normal_tensor<double>({2, 6}, 8), {});
  EXPECT_FALSE(penalty.requires_grad());
  EXPECT_GT(penalty.item(), 0);
  expect_empty_gradients(critic);
}

// Where the scores are constant there is no direction; the penalty of a target is then the target's alone.
TEST(GradientPenalty, WithoutSlope) {
  const Slope critic{Parameter<double>(Tensor<double>(Shape{1, 3}, 0.0))};
  const rapt::Recording scope;
  const auto penalty = gradient_penalty(critic, normal_tensor<double>({2, 3}, 9), {.weight = 4, .target = 1});
  EXPECT_DOUBLE_EQ(penalty.item(), 2);
  backward(penalty);
  for (const double v : critic.weight.grad().values()) EXPECT_EQ(v, 0);
}

TEST(GradientPenalty, SaysWhatDoesNotFit) {
  const Slope critic{Parameter<double>(Tensor<double>(Shape{2, 3}, 1.0))};
  const auto x = normal_tensor<double>({4, 3}, 10);
  rapt_test::expect_errors({
      {"scores", [&] { std::ignore = gradient_penalty(critic, x, {}); }, {"[4, 2]", "[4, 3]"}},
      {"weight", [&] { std::ignore = gradient_penalty(critic, x, {.weight = -1}); }, {"-1", "negative"}},
      {"step", [&] { std::ignore = gradient_penalty(critic, x, {.step = 0}); }, {"step positive"}},
  });
}

}  // namespace
