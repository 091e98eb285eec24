/// \file
/// Softmax and cross-entropy against plain double code.
#include "rapt/kernels/softmax.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
namespace kernels = rapt::kernels;

const Index kWidths[] = {1, 2, 3, 15, 16, 17, 31, 33, 64, 129, 1000};

/// softmax of each row; zeros for a row of -infinity.
Tensor<double> naive_softmax(const Tensor<double>& x) {
  Tensor<double> y(x.shape(), 0.0);
  for (Index i = 0; i < x.rows(); ++i) {
    const double highest = *std::max_element(x.row(i), x.row(i) + x.cols());
    if (std::isinf(highest)) continue;
    double sum = 0;
    for (Index j = 0; j < x.cols(); ++j) sum += std::exp(x(i, j) - highest);
    for (Index j = 0; j < x.cols(); ++j) y(i, j) = std::exp(x(i, j) - highest) / sum;
  }
  return y;
}

template <class T>
class Softmax : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Softmax, Scalars);

TYPED_TEST(Softmax, EqualsTheFormula) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : kWidths) {
      for (const double size : {1.0, 30.0, 1e4}) {  // large logits must not overflow
        const auto x = random_tensor<T>(Shape{7, cols}, 1, -size, size);
        Tensor<T> y(x.shape()), in_place = x;
        kernels::softmax_rows(x.data(), y.data(), 7, cols);
        expect_close(y, naive_softmax(to_double(x)), 8 * kEpsilon<T>);
        kernels::softmax_rows(in_place.data(), in_place.data(), 7, cols);
        EXPECT_TRUE(same_bits(y, in_place));
      }
    }
  });
}

TYPED_TEST(Softmax, MinusInfinityHasNoWeightAndNothingElseGivesZeros) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : kWidths) {
      auto x = random_tensor<T>(Shape{4, cols}, 1);
      for (Index j = 0; j < cols; j += 2) x(1, j) = -std::numeric_limits<T>::infinity();
      for (Index j = 0; j < cols; ++j) x(2, j) = -std::numeric_limits<T>::infinity();
      Tensor<T> y(x.shape());
      kernels::softmax_rows(x.data(), y.data(), 4, cols);
      expect_close(y, naive_softmax(to_double(x)), 8 * kEpsilon<T>);
      for (Index j = 0; j < cols; ++j) EXPECT_EQ(y(2, j), T(0));
    }
  });
}

TYPED_TEST(Softmax, NaNIsNeverHidden) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : kWidths) {
      const Tensor<T> x(Shape{1, cols}, std::numeric_limits<T>::quiet_NaN());
      Tensor<T> y(x.shape());
      kernels::softmax_rows(x.data(), y.data(), 1, cols);
      for (const T v : y.values()) EXPECT_TRUE(std::isnan(v));
    }
  });
}

TYPED_TEST(Softmax, OfManyRowsIsTheSameOnAnyThreads) {
  using T = TypeParam;
  const auto x = random_tensor<T>(Shape{700, 129}, 1, -3, 3);
  expect_same_bits_on_any_threads([&] {
    Tensor<T> y(x.shape());
    kernels::softmax_rows(x.data(), y.data(), 700, 129);
    return y;
  });
}

struct CrossEntropy {
  std::vector<double> losses;
  Tensor<double> gradient;
};
CrossEntropy naive_cross_entropy(const Tensor<double>& z, const std::vector<TokenId>& targets, double smoothing) {
  CrossEntropy result{std::vector<double>(targets.size()), naive_softmax(z)};
  const auto vocabulary = static_cast<double>(z.cols());
  for (Index i = 0; i < z.rows(); ++i) {
    const double highest = *std::max_element(z.row(i), z.row(i) + z.cols());
    double sum = 0, loss = 0;
    for (Index j = 0; j < z.cols(); ++j) sum += std::exp(z(i, j) - highest);
    for (Index j = 0; j < z.cols(); ++j) {
      const bool is_target = j == targets[static_cast<std::size_t>(i)];
      const double wanted = smoothing / vocabulary + (is_target ? 1 - smoothing : 0);
      if (wanted > 0) loss -= wanted * (z(i, j) - highest - std::log(sum));
      result.gradient(i, j) -= wanted;
    }
    result.losses[static_cast<std::size_t>(i)] = loss;
  }
  return result;
}

std::vector<TokenId> some_targets(Index rows, Index cols) {
  std::vector<TokenId> targets;
  for (Index i = 0; i < rows; ++i) targets.push_back(static_cast<TokenId>(i * 7 % cols));
  return targets;
}

TYPED_TEST(Softmax, CrossEntropyEqualsTheFormula) {
  using T = TypeParam;
  static constexpr Index kRows = 5;
  for_every_simd_level([] {
    for (const Index cols : kWidths) {
      for (const double smoothing : {0.0, 0.1, 1.0}) {
        for (const double size : {2.0, 1e4}) {
          const auto z = random_tensor<T>(Shape{kRows, cols}, 1, -size, size);
          const auto targets = some_targets(kRows, cols);
          auto expected = naive_cross_entropy(to_double(z), targets, smoothing);
          auto gradient = z;
          std::vector<double> losses(kRows);
          kernels::cross_entropy_rows(gradient.data(), kRows, cols, std::span<const TokenId>(targets), smoothing,
                                      T(0.5), losses.data());
          for (double& g : expected.gradient.values()) g *= 0.5;
          for (std::size_t i = 0; i < kRows; ++i) {
            EXPECT_NEAR(losses[i], expected.losses[i], 100 * size * kEpsilon<T>) << cols << " " << smoothing;
          }
          for (Index i = 0; i < z.size(); ++i) {
            ASSERT_NEAR(static_cast<double>(gradient.data()[i]), expected.gradient.data()[i], 8 * kEpsilon<T>);
          }
        }
      }
    }
  });
}

TYPED_TEST(Softmax, CrossEntropyWithoutGradientGivesTheSameLosses) {
  using T = TypeParam;
  const auto z = random_tensor<T>(Shape{9, 33}, 2);
  const auto targets = some_targets(9, 33);
  std::vector<double> with(9), without(9);
  auto a = z, b = z;
  kernels::cross_entropy_rows(a.data(), 9, 33, std::span<const TokenId>(targets), 0.1, T(1), with.data());
  kernels::cross_entropy_rows(b.data(), 9, 33, std::span<const TokenId>(targets), 0.1, T(0), without.data());
  EXPECT_EQ(with, without);
}

TYPED_TEST(Softmax, CrossEntropyIgnoresImpossibleWords) {
  using T = TypeParam;
  for_every_simd_level([] {
    auto z = random_tensor<T>(Shape{3, 40}, 3);
    for (Index i = 0; i < 3; ++i) {
      for (Index j = 1; j < 40; j += 2) z(i, j) = -std::numeric_limits<T>::infinity();
    }
    const std::vector<TokenId> targets{0, 38, 20};
    const auto expected = naive_cross_entropy(to_double(z), targets, 0);
    auto gradient = z;
    std::vector<double> losses(3);
    kernels::cross_entropy_rows(gradient.data(), 3, 40, std::span<const TokenId>(targets), 0.0, T(1), losses.data());
    expect_close(losses, expected.losses, 8 * kEpsilon<T>);
    expect_close(gradient, expected.gradient, 8 * kEpsilon<T>);
  });
}

TYPED_TEST(Softmax, CrossEntropyIsTheSameOnAnyThreads) {
  using T = TypeParam;
  const auto z = random_tensor<T>(Shape{700, 129}, 1, -3, 3);
  const auto targets = some_targets(700, 129);
  std::vector<double> losses(700);
  const auto compute = [&] {
    auto gradient = z;
    kernels::cross_entropy_rows(gradient.data(), 700, 129, std::span<const TokenId>(targets), 0.1, T(1), losses.data());
    return gradient;
  };
  expect_same_bits_on_any_threads(compute);
  expect_same_bits_on_any_threads([&] {
    (void)compute();
    return losses;
  });
}

}  // namespace
