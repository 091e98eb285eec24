/// \file
/// Softmax against plain double code.
#include "rapt/kernels/softmax.hpp"

#include <gtest/gtest.h>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
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

TYPED_TEST(Softmax, RowsAreScaledByFactorsOfTheirOwn) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : kWidths) {
      auto x = random_tensor<T>(Shape{40, cols}, 1);
      const auto before = x, factors = random_tensor<T>(Shape{40}, 2);
      kernels::scale_rows(x.data(), factors.data(), 40, cols);
      for (Index i = 0; i < x.size(); ++i) EXPECT_EQ(x.data()[i], before.data()[i] * factors.data()[i / cols]);
    }
  });
}

TYPED_TEST(Softmax, OfTheLargestNumbersIsRight) {
  using T = TypeParam;
  constexpr T kMost = std::numeric_limits<T>::max();
  for_every_simd_level([] {
    for (const Index cols : kWidths) {
      Tensor<T> x(Shape{2, cols}, -kMost), y(x.shape());
      x(0, cols / 2) = kMost;
      kernels::softmax_rows(x.data(), y.data(), 2, cols);
      for (Index j = 0; j < cols; ++j) {
        EXPECT_EQ(y(0, j), j == cols / 2 ? T(1) : T(0));
        EXPECT_NEAR(y(1, j), 1.0 / static_cast<double>(cols), kEpsilon<T>);
      }
    }
  });
}

TYPED_TEST(Softmax, OneNaNSpreadsOverItsRow) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : kWidths) {
      auto x = random_tensor<T>(Shape{2, cols}, 1);
      x(0, cols / 2) = std::numeric_limits<T>::quiet_NaN();
      Tensor<T> y(x.shape());
      kernels::softmax_rows(x.data(), y.data(), 2, cols);
      for (Index j = 0; j < cols; ++j) EXPECT_TRUE(std::isnan(y(0, j)) && std::isfinite(y(1, j))) << cols;
    }
  });
}

TYPED_TEST(Softmax, ExponentialsAreSoftmaxUpToAFactor) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : kWidths) {
      const auto x = random_tensor<T>(Shape{1, cols}, 1, -30, 30);
      Tensor<T> y = x;
      kernels::exponentials_of(y.data(), cols);
      EXPECT_EQ(*std::max_element(y.data(), y.data() + cols), T(1));
      double sum = 0;
      for (Index j = 0; j < cols; ++j) sum += static_cast<double>(y(0, j));
      for (Index j = 0; j < cols; ++j) y(0, j) = static_cast<T>(static_cast<double>(y(0, j)) / sum);
      expect_close(y, naive_softmax(to_double(x)), 8 * kEpsilon<T>);
    }
  });
}

TYPED_TEST(Softmax, ElementsAboveAThresholdComeInOrder) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : kWidths) {
      const auto x = random_tensor<T>(Shape{1, cols}, 1);
      for (const double limit : {-2.0, 0.0, 0.9, 2.0}) {
        std::vector<Index> found, expected;
        const auto threshold = static_cast<T>(limit);
        kernels::for_each_above(x.data(), cols, threshold, [&](Index j) { found.push_back(j); });
        for (Index j = 0; j < cols; ++j) {
          if (x(0, j) > threshold) expected.push_back(j);
        }
        EXPECT_EQ(found, expected);
      }
      T highest = -std::numeric_limits<T>::infinity();  // raised while the row is searched
      kernels::for_each_above(x.data(), cols, highest, [&](Index j) { highest = x(0, j); });
      EXPECT_EQ(highest, *std::max_element(x.data(), x.data() + cols));
    }
  });
}

}  // namespace
