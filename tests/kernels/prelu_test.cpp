/// \file
/// Leaky ReLU with one slope or one for each column, forward and backward, against plain double code.
#include "rapt/kernels/prelu.hpp"

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
class PreluKernel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(PreluKernel, Scalars);

TYPED_TEST(PreluKernel, ForwardAndBackwardEqualTheFormulas) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Shape& shape : {Shape{0, 5}, Shape{1, 1}, Shape{3, 17}, Shape{130, 33}}) {
      for (const bool by_column : {false, true}) {
        const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(shape) + (by_column ? " by column" : ""));
        const auto x = random_tensor<T>(shape, 1), dy = random_tensor<T>(shape, 2), old = random_tensor<T>(shape, 3);
        const auto slopes = random_tensor<T>(Shape{by_column ? shape.cols() : 1}, 4);
        const auto old_slopes = random_tensor<T>(slopes.shape(), 5);
        Tensor<double> y(shape), dx = to_double(old), written(shape), d_slopes = to_double(old_slopes);
        for (Index i = 0; i < x.size(); ++i) {
          const Index column = by_column ? i % shape.cols() : 0;
          const auto v = static_cast<double>(x.data()[i]), up = static_cast<double>(dy.data()[i]);
          const double slope = v > 0 ? 1 : static_cast<double>(slopes.data()[column]);
          y.data()[i] = v * slope;
          written.data()[i] = up * slope;
          dx.data()[i] += up * slope;
          if (v <= 0) d_slopes.data()[column] += up * v;
        }
        Tensor<T> output(shape), added = old, fresh = old, slope_sums = old_slopes;
        kernels::prelu<T>(x, slopes.data(), by_column, output);
        kernels::prelu_backward<T>(x, slopes.data(), by_column, dy, {added.view(), true});
        kernels::prelu_backward<T>(x, slopes.data(), by_column, dy, {fresh.view(), false});
        kernels::prelu_slope_backward<T>(x, dy, by_column, slope_sums.data());
        expect_close(output, y, 2 * kEpsilon<T>);
        expect_close(added, dx, 4 * kEpsilon<T>);
        expect_close(fresh, written, 2 * kEpsilon<T>);
        expect_close(slope_sums, d_slopes, 100 * kEpsilon<T>);
      }
    }
  });
}

TYPED_TEST(PreluKernel, SlopesGradientsAreTheSameOnAnyThreads) {
  using T = TypeParam;
  const auto x = random_tensor<T>(Shape{2000, 33}, 1), dy = random_tensor<T>(Shape{2000, 33}, 2);
  for (const bool by_column : {false, true}) {
    expect_same_bits_on_any_threads([&] {
      Tensor<T> sums(Shape{by_column ? 33 : 1}, T(0));
      kernels::prelu_slope_backward<T>(x, dy, by_column, sums.data());
      return sums;
    });
  }
}

}  // namespace
