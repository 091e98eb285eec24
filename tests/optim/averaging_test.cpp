/// \file
/// Averages of parameters against plain sums in double, and what does not fit.
#include "rapt/optim/averaging.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::ExponentialMovingAverage;
using rapt::Index;
using rapt::ParameterMean;
using rapt::Shape;
using rapt::ShapeError;
using rapt::Tensor;
using rapt::ValueError;
using rapt_test::error_text;

/// One parameter, or two.
template <class T>
struct Toy {
  using ScalarType = T;
  rapt::Parameter<T> a{Tensor<T>({3, 5})};
  std::optional<rapt::Parameter<T>> b;
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("a", self.a);
    visitor("b", self.b);
  }
};
static_assert(rapt::Module<Toy<float>>);

template <class T>
Toy<T> random_toy(std::uint64_t seed, bool two = true) {
  Toy<T> toy;
  if (two) toy.b.emplace(Tensor<T>({1037}));
  rapt_test::randomize(toy, seed);
  return toy;
}

template <class M>
std::vector<double> numbers_of(const M& model) {
  std::vector<double> numbers;
  rapt::for_each_parameter(model, [&](const std::string&, const auto& parameter) {
    numbers.insert(numbers.end(), parameter.value().values().begin(), parameter.value().values().end());
  });
  return numbers;
}

// ParameterMean -------------------------------------------------------------------------------------------------------

template <class T>
class ParameterMeanTest : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(ParameterMeanTest, Scalars);

TYPED_TEST(ParameterMeanTest, IsThePlainMean) {
  for (const std::size_t count : {2u, 3u, 10u}) {
    std::vector<Toy<TypeParam>> models;
    for (std::size_t i = 0; i < count; ++i) models.push_back(random_toy<TypeParam>(i + 1));
    std::vector<double> sums(numbers_of(models[0]).size(), 0.0);
    for (const auto& model : models) {
      const auto numbers = numbers_of(model);
      for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += numbers[j];
    }
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (int turn = 0; turn < 3; ++turn) {
      ParameterMean<TypeParam> mean;
      for (const std::size_t i : order) mean.add(models[i]);
      EXPECT_EQ(mean.count(), static_cast<Index>(count));
      auto result = random_toy<TypeParam>(99);
      mean.assign_to(result);
      const auto numbers = numbers_of(result);
      const double rounding = std::is_same_v<TypeParam, float> ? 1e-7 : 1e-15;  // of numbers below 2
      for (std::size_t j = 0; j < sums.size(); ++j) {
        ASSERT_NEAR(numbers[j], sums[j] / static_cast<double>(count), rounding) << j;
      }
      std::rotate(order.begin(), order.begin() + 1, order.end());
      if (turn == 1) std::reverse(order.begin(), order.end());
    }
  }
}

TYPED_TEST(ParameterMeanTest, OfOneModelIsTheModel) {
  const auto model = random_toy<TypeParam>(1);
  ParameterMean<TypeParam> mean;
  for (int times = 0; times < 3; ++times) {
    mean.add(model);
    auto result = random_toy<TypeParam>(2);
    mean.assign_to(result);
    EXPECT_EQ(numbers_of(result), numbers_of(model));
  }
}

// A sum in float would have lost the small ones.
TEST(ParameterMean, IsTakenInDouble) {
  Toy<float> model;
  ParameterMean<float> mean;
  for (const float value : {1e8f, 1.f, 1.f, 1.f}) {
    model.a.mutable_value().fill(value);
    mean.add(model);
  }
  mean.assign_to(model);
  for (const double number : numbers_of(model))
    EXPECT_EQ(number, static_cast<double>(static_cast<float>(100000003. / 4)));
}

TEST(ParameterMean, OtherModelsAreRefusedAndChangeNothing) {
  const auto first = random_toy<float>(1), second = random_toy<float>(2);
  ParameterMean<float> mean, reference;
  mean.add(first);
  reference.add(first);
  auto fewer = random_toy<float>(3, false);
  auto other = random_toy<float>(3);
  other.b.emplace(Tensor<float>({1036}));
  EXPECT_EQ(error_text<ShapeError>([&] { mean.add(fewer); }),
            "[parameter_mean] the model has 1 parameters, the first one has 2");
  EXPECT_EQ(error_text<ShapeError>([&] { mean.add(other); }),
            "[parameter_mean] b has shape [1036], which the first model has not");
  ParameterMean<float> of_fewer;
  of_fewer.add(fewer);
  EXPECT_THROW(of_fewer.add(first), ShapeError);
  EXPECT_EQ(mean.count(), 1);

  const auto before = numbers_of(other);
  EXPECT_THROW(mean.assign_to(other), ShapeError);
  EXPECT_EQ(numbers_of(other), before);
  EXPECT_THROW(mean.assign_to(fewer), ShapeError);

  mean.add(second);
  reference.add(second);
  auto result = random_toy<float>(4), expected = random_toy<float>(5);
  mean.assign_to(result);
  reference.assign_to(expected);
  EXPECT_EQ(numbers_of(result), numbers_of(expected));
}

TEST(ParameterMean, OfNothing) {
  Toy<float> model;
  EXPECT_EQ(error_text<ValueError>([&] { ParameterMean<float>().assign_to(model); }),
            "[parameter_mean] no model was added");
}

// ExponentialMovingAverage --------------------------------------------------------------------------------------------

template <class T>
class MovingAverageTest : public testing::Test {};
TYPED_TEST_SUITE(MovingAverageTest, Scalars);

TYPED_TEST(MovingAverageTest, FollowsTheFormula) {
  for (const double decay : {0.15, 0.5, 0.999}) {
    auto model = random_toy<TypeParam>(1);
    ExponentialMovingAverage<TypeParam> average(model, decay);
    std::vector<double> expected = numbers_of(model);
    for (Index step = 1; step <= 30; ++step) {
      rapt_test::randomize(model, static_cast<std::uint64_t>(100 + step));
      average.update(step);
      const double t = static_cast<double>(step), d = std::min(decay, (1 + t) / (10 + t));
      const auto numbers = numbers_of(model);
      for (std::size_t j = 0; j < numbers.size(); ++j) expected[j] = d * expected[j] + (1 - d) * numbers[j];
    }
    auto result = random_toy<TypeParam>(2);
    const auto before = numbers_of(model);
    average.assign_to(result);
    EXPECT_TRUE(rapt_test::close(numbers_of(result), expected, std::is_same_v<TypeParam, float> ? 1e-6 : 1e-14));
    EXPECT_EQ(numbers_of(model), before);
  }
}

TEST(MovingAverage, BeginsWithTheModelAndStaysWithOneThatStands) {
  auto model = random_toy<float>(1);
  ExponentialMovingAverage<float> average(model, 0.9);
  auto result = random_toy<float>(2);
  average.assign_to(result);
  EXPECT_EQ(numbers_of(result), numbers_of(model));
  for (Index step = 1; step < 5; ++step) average.update(step);
  average.assign_to(result);
  EXPECT_EQ(numbers_of(result), numbers_of(model));
}

/// What is frozen has its own value as average, bit for bit, and assigning an average releases nothing.
TEST(MovingAverage, KeepsWhatIsFrozen) {
  auto model = random_toy<float>(1);
  model.a.set_frozen(true);
  const Tensor<float> frozen = model.a.value();
  ExponentialMovingAverage<float> average(model, 0.9);
  ParameterMean<float> mean;
  for (Index step = 1; step < 20; ++step) {
    for (float& w : model.b->mutable_value().values()) w += 0.1f;
    average.update(step);
    mean.add(model);
  }
  auto moving = model, plain = model;
  average.assign_to(moving);
  mean.assign_to(plain);
  for (const auto* result : {&moving, &plain}) {
    EXPECT_TRUE(rapt_test::same_bits(result->a.value(), frozen));
    EXPECT_FALSE(rapt_test::same_bits(result->b->value(), model.b->value()));
    EXPECT_TRUE(result->a.is_frozen());
    EXPECT_FALSE(result->b->is_frozen());
  }
}

TEST(MovingAverage, SameBitsOnAnyThreadsAndSimdLevels) {
  rapt_test::for_every_simd_level([&] {
    rapt_test::expect_same_bits_on_any_threads([&] {
      auto model = random_toy<float>(1);
      model.b.emplace(Tensor<float>({100'003}));  // many parts for the threads
      rapt_test::randomize(model, 9);
      ExponentialMovingAverage<float> average(model, 0.9);
      for (Index step = 1; step <= 3; ++step) {
        rapt_test::randomize(model, static_cast<std::uint64_t>(step));
        average.update(step);
      }
      average.assign_to(model);
      return numbers_of(model);
    });
  });
}

TEST(MovingAverage, WrongUse) {
  auto model = random_toy<float>(1);
  for (const double decay : {0.0, 1.0, -0.5, 2.0, std::nan("")}) {
    EXPECT_THROW(ExponentialMovingAverage<float>(model, decay), ValueError) << decay;
  }
  EXPECT_EQ(error_text<ValueError>([&] { ExponentialMovingAverage<float>(model, 1.5); }),
            "[moving_average] the decay must be between 0 and 1: 1.5");
  const ExponentialMovingAverage<float> average(model, 0.5);
  auto fewer = random_toy<float>(3, false);
  auto other = random_toy<float>(3);
  other.b.emplace(Tensor<float>({1036}));
  for (auto* wrong : {&fewer, &other}) {
    const auto before = numbers_of(*wrong);
    EXPECT_THROW(average.assign_to(*wrong), ShapeError);
    EXPECT_EQ(numbers_of(*wrong), before);
  }
  const ExponentialMovingAverage<float> small(fewer, 0.5);
  EXPECT_THROW(small.assign_to(model), ShapeError);
}

}  // namespace
