/// \file
/// Activations against their formulas and numeric derivatives.
#include "rapt/kernels/activation.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/common/all_magnitudes.hpp"
#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Activation;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
namespace kernels = rapt::kernels;

const std::vector<Activation> kAll = [] {
  std::vector<Activation> all(std::begin(rapt::kActivations), std::end(rapt::kActivations));
  all.push_back(Activation::none);
  return all;
}();
const Index kSizes[] = {0, 1, 17, 1000, 20000};

double formula(Activation activation, double x) {
  switch (activation) {
    case Activation::relu:
      return std::max(0.0, x);
    case Activation::gelu:
      return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Activation::quick_gelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    default:
      return x;
  }
}
double numeric_derivative(Activation activation, double x) {
  if (activation == Activation::relu) return x > 0;
  if (activation == Activation::tanh) return 1 / (std::cosh(x) * std::cosh(x));  // tiny beside tanh: no digits are left
  if (activation == Activation::sigmoid) return 1 / (2 + std::exp(x) + std::exp(-x));
  constexpr double kStep = 1e-4;  // five-point rule: error of order step^4
  const auto f = [&](double h) { return formula(activation, x + h * kStep); };
  return (8 * (f(1) - f(-1)) - (f(2) - f(-2))) / (12 * kStep);
}

template <class T>
class ActivationKernel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(ActivationKernel, Scalars);

TYPED_TEST(ActivationKernel, EqualsTheFormula) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Activation activation : kAll) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(activation));
      for (const Index size : kSizes) {
        const auto x = random_tensor<T>(Shape{size}, 1, -6, 6);
        Tensor<double> expected(x.shape());
        for (Index i = 0; i < size; ++i) {
          expected.data()[i] = formula(activation, static_cast<double>(x.data()[i]));
        }
        Tensor<T> y(x.shape()), in_place = x;
        kernels::activate(activation, x.data(), y.data(), size);
        expect_close(y, expected, 4 * kEpsilon<T>);
        kernels::activate(activation, in_place.data(), in_place.data(), size);
        EXPECT_TRUE(same_bits(y, in_place));
      }
    }
  });
}

TYPED_TEST(ActivationKernel, BackwardIsTheDerivative) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Activation activation : kAll) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(activation));
      for (const Index size : kSizes) {
        const auto x = random_tensor<T>(Shape{size}, 1, -6, 6), dy = random_tensor<T>(Shape{size}, 2);
        const auto before = random_tensor<T>(Shape{size}, 3);
        Tensor<double> expected(x.shape()), expected_sum(x.shape());
        for (Index i = 0; i < size; ++i) {
          expected.data()[i] =
              static_cast<double>(dy.data()[i]) * numeric_derivative(activation, static_cast<double>(x.data()[i]));
          expected_sum.data()[i] = expected.data()[i] + static_cast<double>(before.data()[i]);
        }
        Tensor<T> dx(x.shape()), sum = before;
        kernels::activate_backward(activation, x.data(), dy.data(), dx.data(), size, false);
        kernels::activate_backward(activation, x.data(), dy.data(), sum.data(), size, true);
        expect_close(dx, expected, std::max(1e-10, 8 * kEpsilon<T>));
        expect_close(sum, expected_sum, std::max(1e-10, 8 * kEpsilon<T>));
      }
    }
  });
}

TYPED_TEST(ActivationKernel, ValueAndDerivativeTogetherAreTheSame) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Activation activation : kAll) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(activation));
      const auto x = random_tensor<T>(Shape{77}, 1, -6, 6);
      const Tensor<T> ones(x.shape(), T(1));
      Tensor<T> y(x.shape()), slope(x.shape()), both = x, derivative(x.shape());
      kernels::activate(activation, x.data(), y.data(), x.size());
      kernels::activate_backward(activation, x.data(), ones.data(), slope.data(), x.size(), false);
      kernels::activate_and_derive(activation, both.data(), derivative.data(), x.size());
      expect_close(both, y, kEpsilon<T>);
      expect_close(derivative, slope, 2 * kEpsilon<T>);
    }
  });
}

TYPED_TEST(ActivationKernel, ReluBackwardMayReadTheOutput) {
  using T = TypeParam;
  EXPECT_TRUE(kernels::derivative_reads_output(Activation::relu));
  EXPECT_FALSE(kernels::derivative_reads_output(Activation::silu));
  const auto x = random_tensor<T>(Shape{100}, 1), dy = random_tensor<T>(Shape{100}, 2);
  Tensor<T> y(x.shape()), from_input(x.shape()), from_output(x.shape());
  kernels::activate(Activation::relu, x.data(), y.data(), 100);
  kernels::activate_backward(Activation::relu, x.data(), dy.data(), from_input.data(), 100, false);
  kernels::activate_backward(Activation::relu, y.data(), dy.data(), from_output.data(), 100, false);
  EXPECT_TRUE(same_bits(from_input, from_output));
}

TYPED_TEST(ActivationKernel, NaNIsNeverHiddenAndLargeValuesStayFinite) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Activation activation : kAll) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(activation));
      Tensor<T> x(Shape{40}, std::numeric_limits<T>::quiet_NaN());
      kernels::activate(activation, x.data(), x.data(), 40);
      for (const T v : x.values()) EXPECT_TRUE(std::isnan(v));
      for (const T large : {T(1e3), T(1e10), T(3e38)}) {
        Tensor<T> z(Shape{40}, large), dz(Shape{40});
        const Tensor<T> ones(Shape{40}, T(1));
        kernels::activate_backward(activation, z.data(), ones.data(), dz.data(), 40, false);
        kernels::activate(activation, z.data(), z.data(), 40);
        const bool bounded = activation == Activation::tanh || activation == Activation::sigmoid;
        for (const T v : z.values()) EXPECT_EQ(v, bounded ? T(1) : large);
        for (const T v : dz.values()) EXPECT_EQ(v, bounded ? T(0) : T(1));
      }
    }
  });
}

/// Far below zero all are nearly flat, all but tanh at 0, and nothing overflows into NaN on the way there.
TYPED_TEST(ActivationKernel, LargeNegativeValuesStayFinite) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Activation activation : rapt::kActivations) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(activation));
      for (const T large : {T(-1e3), T(-1e10), T(-3e38)}) {
        Tensor<T> z(Shape{40}, large), dz(Shape{40});
        const Tensor<T> ones(Shape{40}, T(1));
        kernels::activate_backward(activation, z.data(), ones.data(), dz.data(), 40, false);
        kernels::activate(activation, z.data(), z.data(), 40);
        for (const T v : z.values()) EXPECT_EQ(v, activation == Activation::tanh ? T(-1) : T(0));
        for (const T v : dz.values()) EXPECT_EQ(v, T(0));
      }
    }
  });
}

/// What linear layers store for their backward.
TYPED_TEST(ActivationKernel, ValueAndDerivativeTogetherAreTheSameAtEveryMagnitude) {
  using T = TypeParam;
  const std::vector<T> x = all_magnitudes<T>(), ones(x.size(), T(1));
  const auto count = static_cast<Index>(x.size());
  for_every_simd_level([&] {
    for (const Activation activation : kAll) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(activation));
      std::vector<T> y = x, slopes = x, both = x, derivative = x;
      kernels::activate(activation, x.data(), y.data(), count);
      kernels::activate_backward(activation, x.data(), ones.data(), slopes.data(), count, false);
      kernels::activate_and_derive(activation, both.data(), derivative.data(), count);
      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_TRUE(std::isfinite(y[i]) && std::isfinite(slopes[i])) << x[i];
        // Compilers may fuse products and sums in one of them alone; functions are as exact as their argument, up to 1.
        const double size =
            std::max(std::abs(static_cast<double>(y[i])), std::min(1.0, std::abs(static_cast<double>(x[i]))));
        ASSERT_NEAR(both[i], y[i], 4 * kEpsilon<T> * size) << x[i];
        ASSERT_NEAR(derivative[i], slopes[i], 8 * kEpsilon<T>) << x[i];
      }
    }
  });
}

TYPED_TEST(ActivationKernel, IsTheSameOnAnyThreads) {
  using T = TypeParam;
  const auto x = random_tensor<T>(Shape{50001}, 1, -4, 4);
  for (const Activation activation : kAll) {
    expect_same_bits_on_any_threads([&] {
      Tensor<T> y(x.shape());
      kernels::activate(activation, x.data(), y.data(), y.size());
      return y;
    });
  }
}

TEST(Activation, HasNames) {
  EXPECT_EQ(to_string(Activation::none), "none");
  EXPECT_EQ(to_string(Activation::relu), "relu");
  EXPECT_EQ(to_string(Activation::gelu), "gelu");
  EXPECT_EQ(to_string(Activation::gelu_tanh), "gelu_tanh");
  EXPECT_EQ(to_string(Activation::quick_gelu), "quick_gelu");
  EXPECT_EQ(to_string(Activation::silu), "silu");
  EXPECT_EQ(to_string(Activation::tanh), "tanh");
  EXPECT_EQ(to_string(Activation::sigmoid), "sigmoid");
  std::set<std::string> names;
  for (const Activation activation : kAll) names.insert(to_string(activation));
  EXPECT_EQ(names.size(), kAll.size()) << "each has a name of its own";
}

}  // namespace
