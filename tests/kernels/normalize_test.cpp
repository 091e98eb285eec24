/// \file
/// Rows of length one against plain double code.
#include "rapt/kernels/normalize.hpp"

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
class NormalizeRows : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(NormalizeRows, Scalars);

TYPED_TEST(NormalizeRows, EqualTheFormulas) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : {1, 3, 17, 64, 301}) {
      const Index rows = 131;
      auto x = random_tensor<T>(Shape{rows, cols}, 1);
      for (Index j = 0; j < cols; ++j) x(5, j) = T(0);  // shorter than epsilon
      const auto dy = random_tensor<T>(Shape{rows, cols}, 2), before = random_tensor<T>(Shape{rows, cols}, 3);
      const double epsilon = 0.125;
      Tensor<double> y(x.shape()), dx = to_double(before), lengths(Shape{rows});
      for (Index i = 0; i < rows; ++i) {
        double squares = 0, along = 0;
        for (Index j = 0; j < cols; ++j) squares += static_cast<double>(x(i, j)) * static_cast<double>(x(i, j));
        const double length = std::sqrt(squares), divisor = std::max(length, epsilon);
        lengths.data()[i] = length;
        for (Index j = 0; j < cols; ++j) y(i, j) = static_cast<double>(x(i, j)) / divisor;
        for (Index j = 0; j < cols; ++j) along += length > epsilon ? y(i, j) * static_cast<double>(dy(i, j)) : 0;
        for (Index j = 0; j < cols; ++j) dx(i, j) += (static_cast<double>(dy(i, j)) - along * y(i, j)) / divisor;
      }
      Tensor<T> ours(x.shape()), our_lengths(Shape{rows}), our_dx = before;
      kernels::normalize_rows<T>(x.view(), T(epsilon), our_lengths.data(), ours.data());
      kernels::normalize_rows_backward<T>(std::as_const(ours).view(), our_lengths.data(), T(epsilon), dy.data(),
                                          our_dx.data());
      expect_close(ours, y, 16 * kEpsilon<T>);
      expect_close(our_lengths, lengths, 16 * kEpsilon<T>);
      expect_close(our_dx, dx, 64 * kEpsilon<T>);
    }
  });
}

}  // namespace
