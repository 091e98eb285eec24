/// \file
/// The mean of distributions that are given by their logarithms, against plain double code.
#include "rapt/kernels/log_mean_exp.hpp"

#include <gtest/gtest.h>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
namespace kernels = rapt::kernels;

template <class T>
class LogMeanExp : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(LogMeanExp, Scalars);

TYPED_TEST(LogMeanExp, EqualsTheFormula) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : {1, 3, 16, 17, 100}) {
      for (const Index models : {1, 2, 5}) {
        const auto x = random_tensor<T>(Shape{models, cols}, 1, -30, 0);
        Tensor<double> expected(Shape{cols});
        for (Index j = 0; j < cols; ++j) {
          double sum = 0;
          for (Index k = 0; k < models; ++k) sum += std::exp(static_cast<double>(x(k, j)));
          expected.data()[j] = std::log(sum / static_cast<double>(models));
        }
        Tensor<T> result(Shape{cols});
        kernels::log_mean_exp(
            models, [&](Index k) { return x.row(k); }, result.data(), cols);
        expect_close(result, expected, 16 * kEpsilon<T>);
      }
    }
  });
}

TYPED_TEST(LogMeanExp, NothingUnderflowsAndTheImpossibleStaysSo) {
  using T = TypeParam;
  constexpr T kNever = -std::numeric_limits<T>::infinity();
  Tensor<T> x(Shape{2, 3}, kNever), result(Shape{3});
  x(0, 0) = x(1, 0) = T(-2000);
  x(0, 1) = T(-2000);
  kernels::log_mean_exp(
      2, [&](Index k) { return std::as_const(x).row(k); }, result.data(), 3);
  EXPECT_EQ(result.data()[0], T(-2000));
  EXPECT_NEAR(result.data()[1], -2000 - std::log(2.0), 2000 * kEpsilon<T>);
  EXPECT_EQ(result.data()[2], kNever);
}

}  // namespace
