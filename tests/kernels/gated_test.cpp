/// \file
/// Gated activations against the activations themselves, in double.
#include "rapt/kernels/gated.hpp"

#include <gtest/gtest.h>

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
using rapt::TensorView;
namespace kernels = rapt::kernels;

const Shape kShapes[] = {{0, 5}, {1, 1}, {3, 17}, {5, 64}, {130, 33}};
const std::vector<Activation> kKinds = [] {
  std::vector<Activation> all(std::begin(rapt::kActivations), std::end(rapt::kActivations));
  all.push_back(Activation::none);
  return all;
}();

/// activation(x) and its derivative, of one number.
double value_of(Activation activation, double x) {
  double y = 0;
  kernels::activate(activation, &x, &y, 1);
  return y;
}
double slope_of(Activation activation, double x) {
  double one = 1, y = 0;
  kernels::activate_backward(activation, &x, &one, &y, 1, /*accumulate=*/false);
  return y;
}

/// Halves of one matrix, with columns that nobody reads, or two matrices.
template <class T>
struct Case {
  Shape shape;
  Tensor<T> x = random_tensor<T>(Shape{shape[0], 2 * shape[1] + 3}, 1, -4, 4);
  Tensor<T> dy = random_tensor<T>(shape, 2), dx = random_tensor<T>(x.shape(), 3);

  [[nodiscard]] TensorView<const T> a() const { return x.view().columns(1, shape[1]); }
  [[nodiscard]] TensorView<const T> b() const { return x.view().columns(2 + shape[1], shape[1]); }
};

template <class T>
class GatedKernel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GatedKernel, Scalars);

TYPED_TEST(GatedKernel, ForwardAndBackwardEqualTheFormulas) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Activation activation : kKinds) {
      for (const Shape& shape : kShapes) {
        const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(activation) + to_string(shape));
        const Case<T> c{shape};
        const Index cols = shape[1];
        Tensor<double> y(shape), dx = to_double(c.dx), written = dx;
        for (Index i = 0; i < shape[0]; ++i) {
          for (Index j = 0; j < cols; ++j) {
            const auto a = static_cast<double>(c.a().row(i)[j]), b = static_cast<double>(c.b().row(i)[j]);
            const auto dy = static_cast<double>(c.dy(i, j));
            y(i, j) = value_of(activation, a) * b;
            written(i, 1 + j) = dy * b * slope_of(activation, a);
            written(i, 2 + cols + j) = dy * value_of(activation, a);
            dx(i, 1 + j) += written(i, 1 + j);
            dx(i, 2 + cols + j) += written(i, 2 + cols + j);
          }
        }
        Tensor<T> output(shape), gradient = c.dx, fresh = c.dx;
        kernels::gated<T>(activation, c.a(), c.b(), output);
        expect_close(output, y, 8 * kEpsilon<T>);
        const auto halves = [&](Tensor<T>& m, bool accumulate, bool wants_a, bool wants_b) {
          const auto half = [&](bool wanted, Index first) {
            return wanted ? kernels::GradientView<T>{m.view().columns(first, cols), accumulate}
                          : kernels::GradientView<T>{};
          };
          kernels::gated_backward<T>(activation, c.a(), c.b(), c.dy, half(wants_a, 1), half(wants_b, 2 + cols));
        };
        halves(gradient, /*accumulate=*/true, true, true);
        expect_close(gradient, dx, 16 * kEpsilon<T>);
        halves(fresh, /*accumulate=*/false, true, true);
        expect_close(fresh, written, 16 * kEpsilon<T>);
        Tensor<T> only_a = c.dx, only_b = c.dx;
        halves(only_a, /*accumulate=*/true, true, false);
        halves(only_b, /*accumulate=*/true, false, true);
        for (Index i = 0; i < shape[0]; ++i) {
          for (Index j = 0; j < c.x.cols(); ++j) {
            EXPECT_EQ(only_a(i, j), j <= cols ? gradient(i, j) : c.dx(i, j));
            EXPECT_EQ(only_b(i, j), j <= cols + 1 ? c.dx(i, j) : gradient(i, j));
          }
        }
      }
    }
  });
}

TYPED_TEST(GatedKernel, GatesOfEveryMagnitudeAreFinite) {
  using T = TypeParam;
  const std::vector<T> gates = all_magnitudes<T>();
  const Index count = static_cast<Index>(gates.size()) / 7;  // 7 columns: vectors and a rest
  const Shape shape{count, 7};
  Tensor<T> a(shape), y(shape), da(shape), db(shape);
  const Tensor<T> ones(shape, T(1));
  std::copy_n(gates.begin(), a.size(), a.data());
  for_every_simd_level([&] {
    for (const Activation activation : kKinds) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(activation));
      kernels::gated<T>(activation, a, ones, y);
      kernels::gated_backward<T>(activation, a, ones, ones, {da.view(), false}, {db.view(), false});
      for (Index i = 0; i < a.size(); ++i) {
        const auto gate = static_cast<double>(a.data()[i]), value = value_of(activation, gate);
        const double allowed = 16 * kEpsilon<T> * (std::abs(value) + std::min(std::abs(gate), 16.0)) + 1e-34;
        ASSERT_NEAR(y.data()[i], value, allowed) << gate;
        ASSERT_NEAR(db.data()[i], value, allowed) << gate;
        ASSERT_NEAR(da.data()[i], slope_of(activation, gate), 32 * kEpsilon<T>) << gate;
      }
    }
  });
}

TYPED_TEST(GatedKernel, IsTheSameOnAnyThreads) {
  using T = TypeParam;
  const Case<T> c{Shape{700, 70}};
  expect_same_bits_on_any_threads([&] {
    Tensor<T> y(c.shape);
    kernels::gated<T>(Activation::silu, c.a(), c.b(), y);
    return y;
  });
  expect_same_bits_on_any_threads([&] {
    Tensor<T> dx = c.dx;
    kernels::gated_backward<T>(Activation::silu, c.a(), c.b(), c.dy, {dx.view().columns(1, 70)},
                               {dx.view().columns(72, 70)});
    return dx;
  });
}

}  // namespace
