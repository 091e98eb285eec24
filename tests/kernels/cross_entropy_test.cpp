/// \file
/// Cross-entropy and its gradient against plain double code.
#include "rapt/kernels/cross_entropy.hpp"

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
using rapt::kernels::CrossEntropyRows;
namespace kernels = rapt::kernels;

const Index kWidths[] = {1, 2, 3, 15, 16, 17, 31, 33, 64, 129, 1000};

struct Expected {
  std::vector<double> losses;
  Tensor<double> gradient;
};
/// By the definition, with every option of the kernel.
template <class T>
Expected naive(const Tensor<T>& logits, const CrossEntropyRows<T>& p) {
  const Tensor<double> z = to_double(logits);
  Expected result{std::vector<double>(p.targets.size()), Tensor<double>(z.shape(), 0.0)};
  for (Index i = 0; i < z.rows(); ++i) {
    const TokenId target = p.targets[static_cast<std::size_t>(i)];
    if (target == p.ignore_index) continue;
    const double highest = *std::max_element(z.row(i), z.row(i) + z.cols());
    double sum = 0, loss = 0, all_wanted = 0;
    for (Index j = 0; j < z.cols(); ++j) sum += std::exp(z(i, j) - highest);
    const auto wanted = [&](Index j) {
      const double weight = p.class_weights != nullptr ? static_cast<double>(p.class_weights[j]) : 1;
      return weight * (p.smoothing / static_cast<double>(z.cols()) + (j == target ? 1 - p.smoothing : 0));
    };
    for (Index j = 0; j < z.cols(); ++j) {
      if (wanted(j) > 0) loss -= wanted(j) * (z(i, j) - highest - std::log(sum));
      all_wanted += wanted(j);
    }
    const double scale = static_cast<double>(p.gradient_scale) *
                         (p.row_gradient_scales != nullptr ? static_cast<double>(p.row_gradient_scales[i]) : 1);
    for (Index j = 0; j < z.cols(); ++j) {
      result.gradient(i, j) = scale * (std::exp(z(i, j) - highest) / sum * all_wanted - wanted(j));
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

template <class T>
class CrossEntropyKernel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(CrossEntropyKernel, Scalars);

TYPED_TEST(CrossEntropyKernel, EqualsTheFormula) {
  using T = TypeParam;
  static constexpr Index kRows = 5;
  for_every_simd_level([] {
    for (const Index cols : kWidths) {
      auto targets = some_targets(kRows, cols);
      targets[1] = -100;
      const auto weights = random_tensor<T>(Shape{cols}, 4, 0, 2), row_scales = random_tensor<T>(Shape{kRows}, 5);
      for (const double smoothing : {0.0, 0.1, 1.0}) {
        for (const bool weighted : {false, true}) {
          for (const double size : {2.0, 1e4}) {
            const CrossEntropyRows<T> problem{.targets = targets,
                                              .smoothing = smoothing,
                                              .ignore_index = -100,
                                              .class_weights = weighted ? weights.data() : nullptr,
                                              .gradient_scale = T(0.5),
                                              .row_gradient_scales = weighted ? row_scales.data() : nullptr};
            const auto z = random_tensor<T>(Shape{kRows, cols}, 1, -size, size);
            const auto expected = naive(z, problem);
            auto gradient = z;
            std::vector<double> losses(kRows, 7.0);
            kernels::cross_entropy_rows(gradient.data(), kRows, cols, problem, losses.data());
            EXPECT_EQ(losses[1], 0.0);
            for (std::size_t i = 0; i < kRows; ++i) {
              EXPECT_NEAR(losses[i], expected.losses[i], 100 * size * kEpsilon<T>) << cols << " " << smoothing;
            }
            for (Index i = 0; i < z.size(); ++i) {
              ASSERT_NEAR(static_cast<double>(gradient.data()[i]), expected.gradient.data()[i], 32 * kEpsilon<T>);
            }
          }
        }
      }
    }
  });
}

TYPED_TEST(CrossEntropyKernel, WithoutGradientGivesTheSameLosses) {
  using T = TypeParam;
  const auto z = random_tensor<T>(Shape{9, 33}, 2);
  const auto targets = some_targets(9, 33);
  std::vector<double> with(9), without(9);
  auto a = z, b = z;
  kernels::cross_entropy_rows<T>(a.data(), 9, 33, {.targets = targets, .smoothing = 0.1, .gradient_scale = T(1)},
                                 with.data());
  kernels::cross_entropy_rows<T>(b.data(), 9, 33, {.targets = targets, .smoothing = 0.1}, without.data());
  EXPECT_EQ(with, without);
}

TYPED_TEST(CrossEntropyKernel, WeightsOfOneChangeNothing) {
  using T = TypeParam;
  for_every_simd_level([] {
    const auto z = random_tensor<T>(Shape{9, 33}, 2, -5, 5);
    const auto targets = some_targets(9, 33);
    const Tensor<T> ones(Shape{33}, T(1));
    std::vector<double> with(9), without(9);
    auto a = z, b = z;
    CrossEntropyRows<T> problem{.targets = targets, .smoothing = 0.1, .gradient_scale = T(1)};
    kernels::cross_entropy_rows(a.data(), 9, 33, problem, without.data());
    problem.class_weights = ones.data();
    kernels::cross_entropy_rows(b.data(), 9, 33, problem, with.data());
    expect_close(with, without, 4 * kEpsilon<T>);
    expect_close(a, b, 4 * kEpsilon<T>);
  });
}

TYPED_TEST(CrossEntropyKernel, PassesOverImpossibleWords) {
  using T = TypeParam;
  for_every_simd_level([] {
    auto z = random_tensor<T>(Shape{3, 40}, 3);
    for (Index i = 0; i < 3; ++i) {
      for (Index j = 1; j < 40; j += 2) z(i, j) = -std::numeric_limits<T>::infinity();
    }
    const std::vector<TokenId> targets{0, 38, 20};
    const CrossEntropyRows<T> problem{.targets = targets, .gradient_scale = T(1)};
    const auto expected = naive(z, problem);
    auto gradient = z;
    std::vector<double> losses(3);
    kernels::cross_entropy_rows(gradient.data(), 3, 40, problem, losses.data());
    expect_close(losses, expected.losses, 8 * kEpsilon<T>);
    expect_close(gradient, expected.gradient, 8 * kEpsilon<T>);
  });
}

/// Sums of such logits overflow, and in float their differences, though not in double, in which losses are.
TYPED_TEST(CrossEntropyKernel, OfTheLargestNumbersIsRight) {
  using T = TypeParam;
  constexpr T kMost = std::numeric_limits<T>::max() / (sizeof(T) == 4 ? T(1) : T(2.5));
  for_every_simd_level([] {
    for (const Index cols : {Index{4}, Index{33}, Index{1000}}) {
      for (const double smoothing : {0.0, 0.1}) {
        Tensor<T> z(Shape{3, cols}, kMost);  // all alike, the target alone high, the target alone low
        for (Index j = 0; j < cols; ++j) z(1, j) = -kMost;
        z(1, 2) = kMost, z(2, 2) = -kMost;
        const std::vector<TokenId> targets{2, 2, 2};
        const CrossEntropyRows<T> problem{.targets = targets, .smoothing = smoothing, .gradient_scale = T(1)};
        std::vector<double> losses(3);
        const double others = static_cast<double>(cols - 1), uniform = smoothing / static_cast<double>(cols);
        kernels::cross_entropy_rows(z.data(), 3, cols, problem, losses.data());
        const auto most = static_cast<double>(kMost);
        EXPECT_NEAR(losses[0], std::log(others + 1), 16 * kEpsilon<T>);
        EXPECT_NEAR(losses[1] / most, 2 * uniform * others, 16 * kEpsilon<T>);
        EXPECT_NEAR(losses[2] / most, 2 * (1 - smoothing) + 2 * uniform, 16 * kEpsilon<T>);
        for (Index j = 0; j < cols; ++j) {
          const double on_target = j == 2 ? 1 - smoothing : 0;
          EXPECT_NEAR(z(0, j), 1 / (others + 1) - on_target - uniform, 8 * kEpsilon<T>);
          EXPECT_NEAR(z(1, j), (j == 2 ? 1 : 0) - on_target - uniform, 8 * kEpsilon<T>);
          EXPECT_NEAR(z(2, j), (j == 2 ? 0 : 1 / others) - on_target - uniform, 8 * kEpsilon<T>);
        }
      }
    }
  });
}

TYPED_TEST(CrossEntropyKernel, IsTheSameOnAnyThreads) {
  using T = TypeParam;
  const auto z = random_tensor<T>(Shape{700, 129}, 1, -3, 3), weights = random_tensor<T>(Shape{129}, 2, 0, 1);
  const auto targets = some_targets(700, 129);
  std::vector<double> losses(700);
  const auto compute = [&] {
    auto gradient = z;
    kernels::cross_entropy_rows<T>(
        gradient.data(), 700, 129,
        {.targets = targets, .smoothing = 0.1, .class_weights = weights.data(), .gradient_scale = T(1)}, losses.data());
    return gradient;
  };
  expect_same_bits_on_any_threads(compute);
  expect_same_bits_on_any_threads([&] {
    (void)compute();
    return losses;
  });
}

}  // namespace
