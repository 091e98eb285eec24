/// \file
/// Root mean square norm, forward and backward, against plain double code.
#include "rapt/kernels/rms_norm.hpp"

#include <gtest/gtest.h>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
namespace kernels = rapt::kernels;

/// Everything that goes in, and what kernels make of it.
template <class T>
struct Case {
  Index rows, cols;
  Tensor<T> x = random_tensor<T>(Shape{rows, cols}, 1, -1, 3);
  Tensor<T> gamma = random_tensor<T>(Shape{cols}, 3), dy = random_tensor<T>(Shape{rows, cols}, 5);
  T epsilon = T(1e-2);

  Tensor<T> y{Shape{rows, cols}}, rstd{Shape{rows}};
  Tensor<T> dx = random_tensor<T>(Shape{rows, cols}, 6), dgamma = random_tensor<T>(Shape{cols}, 8);

  [[nodiscard]] kernels::RmsNorm<T> problem() const { return {rows, cols, x.data(), gamma.data(), epsilon}; }
  void forward() { kernels::rms_norm(problem(), y.data(), rstd.data()); }
  void backward() { kernels::rms_norm_backward<T>(problem(), rstd.data(), dy.data(), {dx.data()}, dgamma.data()); }
};

/// The same in double, by the definitions.
template <class T>
struct Naive {
  Tensor<double> y, dx, dgamma;

  explicit Naive(const Case<T>& c) : y(c.x.shape()), dx(to_double(c.dx)), dgamma(to_double(c.dgamma)) {
    const auto n = static_cast<double>(c.cols);
    for (Index i = 0; i < c.rows; ++i) {
      double square = 0, mean_gn = 0;
      for (Index j = 0; j < c.cols; ++j) square += static_cast<double>(c.x(i, j)) * static_cast<double>(c.x(i, j)) / n;
      const double rstd = 1 / std::sqrt(square + static_cast<double>(c.epsilon));
      const auto normal = [&](Index j) { return static_cast<double>(c.x(i, j)) * rstd; };
      const auto g = [&](Index j) { return static_cast<double>(c.dy(i, j)) * static_cast<double>(c.gamma.data()[j]); };
      for (Index j = 0; j < c.cols; ++j) {
        y(i, j) = normal(j) * static_cast<double>(c.gamma.data()[j]);
        mean_gn += g(j) * normal(j) / n;
        dgamma.data()[j] += static_cast<double>(c.dy(i, j)) * normal(j);
      }
      for (Index j = 0; j < c.cols; ++j) dx(i, j) += rstd * (g(j) - normal(j) * mean_gn);
    }
  }
};

template <class T>
class RmsNormKernel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(RmsNormKernel, Scalars);

TYPED_TEST(RmsNormKernel, ForwardAndBackwardEqualTheFormulas) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : {1, 3, 16, 17, 64, 65, 128, 200}) {
      for (const Index rows : {0, 1, 5, 130}) {
        const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(Shape{rows, cols}));
        Case<T> c{rows, cols};
        const Naive<T> naive(c);
        c.forward();
        c.backward();
        expect_close(c.y, naive.y, 20 * kEpsilon<T>);
        expect_close(c.dx, naive.dx, 100 * kEpsilon<T>);
        expect_close(c.dgamma, naive.dgamma, 100 * kEpsilon<T>);
      }
    }
  });
}

/// Squares of such rows overflow; their size cancels.
TYPED_TEST(RmsNormKernel, RowsOfTheLargestNumbersAreNormalised) {
  using T = TypeParam;
  constexpr T kMost = std::numeric_limits<T>::max();
  for_every_simd_level([] {
    for (const Index cols : {2, 17, 130}) {
      for (const T size : {kMost / 4, std::sqrt(kMost)}) {
        Case<T> small{7, cols};
        small.epsilon = T(0);
        for (Index j = 0; j < cols; ++j) small.x(3, j) = j % 2 == 0 ? T(4) : T(-4);  // times size: +-kMost
        Case<T> large = small;
        for (T& v : large.x.values()) v *= size;
        small.forward();
        large.forward();
        expect_close(large.y, small.y, 100 * kEpsilon<T>);
        large.backward();
        for (const T v : large.dx.values()) EXPECT_TRUE(std::isfinite(v));
        for (const T v : large.dgamma.values()) EXPECT_TRUE(std::isfinite(v));
      }
    }
  });
}

TYPED_TEST(RmsNormKernel, BackwardWritesWhereItNeedNotAddAndLeavesOutWhatIsNotWanted) {
  using T = TypeParam;
  for_every_simd_level([] {
    Case<T> added{70, 33};
    added.forward();
    added.dx.fill(T(0));
    Case<T> written = added, none = added;
    added.backward();
    written.dx.fill(T(7));
    kernels::rms_norm_backward<T>(written.problem(), written.rstd.data(), written.dy.data(), {written.dx.data(), false},
                                  nullptr);
    for (Index i = 0; i < added.dx.size(); ++i) EXPECT_EQ(written.dx.data()[i], added.dx.data()[i]);
    kernels::rms_norm_backward<T>(none.problem(), none.rstd.data(), none.dy.data(), {}, none.dgamma.data());
    EXPECT_TRUE(same_bits(none.dgamma, added.dgamma));
  });
}

TYPED_TEST(RmsNormKernel, ARowOfZerosStaysZero) {
  using T = TypeParam;
  Case<T> c{1, 20};
  c.x.fill(T(0));
  c.forward();
  for (const T v : c.y.values()) EXPECT_EQ(v, T(0));
}

TYPED_TEST(RmsNormKernel, IsTheSameOnAnyThreads) {
  using T = TypeParam;
  const Case<T> c{300, 70};
  const auto compute = [&](auto member) {
    return [&c, member] {
      Case<T> again = c;
      again.forward();
      again.backward();
      return again.*member;
    };
  };
  expect_same_bits_on_any_threads(compute(&Case<T>::y));
  expect_same_bits_on_any_threads(compute(&Case<T>::dx));
  expect_same_bits_on_any_threads(compute(&Case<T>::dgamma));
}

}  // namespace
