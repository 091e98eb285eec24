/// \file
/// Dropout: the mask is the documented function of (seed, stream, element), whatever computes it.
#include "rapt/kernels/dropout.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::RandomStream;
using rapt::Shape;
using rapt::Tensor;
using rapt::kernels::Dropout;
namespace kernels = rapt::kernels;

/// What the header documents: element 16 w + c of group g is word w of block 16 g + c.
std::uint32_t documented_word(const RandomStream& stream, std::uint64_t element) {
  const std::uint64_t group = element / 64, w = element % 64 / 16, c = element % 16;
  return stream.block(16 * group + c)[w];
}

template <class T>
std::vector<T> factors_of(const Dropout& dropout, Index first, Index count) {
  std::vector<T> factors(static_cast<std::size_t>(kernels::dropout_row_size(count)));
  rapt::simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    kernels::dropout_factors(isa, dropout, first, count, factors.data());
  });
  return factors;
}

template <class T>
class DropoutKernel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(DropoutKernel, Scalars);

TYPED_TEST(DropoutKernel, FactorsAreTheDocumentedFunctionOfTheElement) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const float rate : {0.1f, 0.5f, 0.9f}) {
      const Dropout dropout{{.seed = 0x123456789abcdef0, .stream = 0xfedcba9876543210}, rate};
      const double keep = 1 / (1 - static_cast<double>(rate));
      for (const Index first : {Index{0}, Index{64}, Index{64} << 20, Index{64} << 28, Index{1} << 50}) {
        const auto factors = factors_of<T>(dropout, first, 300);
        for (std::size_t i = 0; i < factors.size(); ++i) {
          const std::uint32_t word = documented_word(dropout.stream, static_cast<std::uint64_t>(first) + i);
          const bool kept = static_cast<double>(word) >= std::floor(static_cast<double>(rate) * 0x1p32);
          ASSERT_NEAR(static_cast<double>(factors[i]), kept ? keep : 0.0, 4 * keep * kEpsilon<T>) << first << " " << i;
        }
      }
    }
  });
}

TYPED_TEST(DropoutKernel, FactorsHaveTheRateAndMeanOne) {
  using T = TypeParam;
  constexpr Index kCount = 64 * 4000;
  for (const float rate : {0.1f, 0.3f, 0.8f}) {
    const auto factors = factors_of<T>(Dropout{{7, 3}, rate}, 0, kCount);
    double zeros = 0, sum = 0, both = 0;
    for (std::size_t i = 0; i < factors.size(); ++i) {
      zeros += factors[i] == 0;
      both += i > 0 && factors[i] == 0 && factors[i - 1] == 0;
      sum += static_cast<double>(factors[i]);
    }
    const double n = kCount, p = static_cast<double>(rate);
    EXPECT_NEAR(zeros / n, p, 5 * std::sqrt(p * (1 - p) / n));
    EXPECT_NEAR(both / n, p * p, 10 * std::sqrt(p * p / n));  // neighbours go independently
    EXPECT_NEAR(sum / n, 1, 5 * std::sqrt(p / (1 - p) / n));
  }
}

TYPED_TEST(DropoutKernel, IsTheSameAtEveryLevelAndThreadCount) {
  using T = TypeParam;
  const auto x = random_tensor<T>(Shape{400, 70}, 1);
  Tensor<T> first;
  for_every_simd_level([&] {
    for_every_thread_count([&] {
      Tensor<T> y(x.shape());
      kernels::apply_dropout(Dropout{{1, 2}, 0.4f}, x.data(), y.data(), x.rows(), x.cols());
      if (first.empty()) first = y;
      EXPECT_TRUE(same_bits(first, y));
    });
  });
}

TYPED_TEST(DropoutKernel, ScalesRowsByTheirFactors) {
  using T = TypeParam;
  const Dropout dropout{{5, 6}, 0.25f};
  for_every_simd_level([&] {
    for (const Index cols : {1, 3, 63, 64, 65, 200}) {
      const auto x = random_tensor<T>(Shape{9, cols}, 1), before = random_tensor<T>(Shape{9, cols}, 2);
      Tensor<T> y(x.shape()), expected(x.shape()), sum = before, expected_sum(x.shape());
      for (Index i = 0; i < 9; ++i) {  // each row has a space of its own, a multiple of 64
        const auto factors = factors_of<T>(dropout, i * ((cols + 63) / 64 * 64), cols);
        for (Index j = 0; j < cols; ++j) {
          expected(i, j) = x(i, j) * factors[static_cast<std::size_t>(j)];
          expected_sum(i, j) = before(i, j) + expected(i, j);
        }
      }
      kernels::apply_dropout(dropout, x.data(), y.data(), 9, cols);
      expect_close(y, expected, 0);  // exactly, but for the sign of 0
      kernels::apply_dropout(dropout, x.data(), sum.data(), 9, cols, true);
      expect_close(sum, expected_sum, kEpsilon<T>);
    }
  });
}

TYPED_TEST(DropoutKernel, RowsAndStreamsAreIndependent) {
  using T = TypeParam;
  constexpr Index kCols = 4096;
  const Tensor<T> ones(Shape{3, kCols}, T(1));
  const auto masks = [&](RandomStream stream) {
    Tensor<T> y(ones.shape());
    kernels::apply_dropout(Dropout{stream, 0.5f}, ones.data(), y.data(), 3, kCols);
    return y;
  };
  const auto a = masks({1, 0}), other_stream = masks({1, 1}), other_seed = masks({2, 0});
  const auto agreement = [](const T* x, const T* y) {
    double same = 0;
    for (Index j = 0; j < kCols; ++j) same += x[j] == y[j];
    return same / static_cast<double>(kCols);
  };
  const double spread = 5 * std::sqrt(0.25 / kCols);
  EXPECT_NEAR(agreement(a.row(0), a.row(1)), 0.5, spread);
  EXPECT_NEAR(agreement(a.row(1), a.row(2)), 0.5, spread);
  EXPECT_NEAR(agreement(a.row(0), other_stream.row(0)), 0.5, spread);
  EXPECT_NEAR(agreement(a.row(0), other_seed.row(0)), 0.5, spread);
}

TEST(Dropout, IsActiveOnlyWithARate) {
  EXPECT_FALSE(Dropout{}.active());
  EXPECT_TRUE((Dropout{{}, 0.1f}.active()));
  EXPECT_EQ(kernels::dropout_row_size(0), 0);
  EXPECT_EQ(kernels::dropout_row_size(1), 64);
  EXPECT_EQ(kernels::dropout_row_size(64), 64);
  EXPECT_EQ(kernels::dropout_row_size(65), 128);
}

}  // namespace
