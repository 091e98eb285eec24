/// \file
/// Products with few rows, by unpacked rows and by dot products, against plain loops.
#include "rapt/kernels/gemm/few_rows.hpp"

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
class FewRows : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(FewRows, Scalars);

/// Runs multiply(a, b, c) for b [depth, columns] as it lies or transposed, into the middle of a wider matrix.
template <class T, class Multiply>
void check(bool turn, Index rows, Index depth, Index columns, const Multiply& multiply) {
  const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(Shape{rows, depth, columns}));
  const auto a = random_tensor<T>(Shape{rows, depth + 2}, 1);
  const auto b = random_tensor<T>(turn ? Shape{columns, depth + 3} : Shape{depth, columns + 3}, 2);
  const auto bias = random_tensor<T>(Shape{columns}, 3), before = random_tensor<T>(Shape{rows, columns + 2}, 4);
  const auto left = kernels::as_is(a.view().columns(1, depth));
  const auto right =
      turn ? kernels::transposed(b.view().columns(2, depth)) : kernels::as_is(b.view().columns(2, columns));
  for (const bool accumulate : {false, true}) {
    for (const bool biased : {false, true}) {
      auto c = before;
      multiply(left, right,
               kernels::BlockOutput<T>{.data = c.data() + 1,
                                       .stride = columns + 2,
                                       .columns = columns,
                                       .bias = biased ? bias.data() : nullptr,
                                       .accumulate = accumulate});
      auto expected = to_double(before);
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < columns; ++j) {
          double sum = (accumulate ? expected(i, j + 1) : 0.0) + (biased ? static_cast<double>(bias.data()[j]) : 0.0);
          for (Index p = 0; p < depth; ++p) {
            sum += static_cast<double>(left.data[i * left.row_stride + p]) *
                   static_cast<double>(right.data[p * right.row_stride + j * right.col_stride]);
          }
          expected(i, j + 1) = sum;
        }
      }
      expect_close(c, expected, (4 + 2 * std::sqrt(static_cast<double>(depth))) * kEpsilon<T>);
    }
  }
}

TYPED_TEST(FewRows, UnpackedRowsEqualTheNaiveProduct) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index rows : {1, 2, 3, 5, 14, 15, 32}) {
      for (const Index columns : {16, 32, 48, 80}) {
        for (const Index depth : {1, 7, 40}) {
          check<T>(false, rows, depth, columns, [](const auto& a, const auto& b, const auto& c) {
            ASSERT_TRUE(kernels::has_whole_vectors(b));
            kernels::multiply_rows(a, b, c);
          });
        }
      }
    }
  });
}

TYPED_TEST(FewRows, DotProductsEqualTheNaiveProduct) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index rows : {1, 2, 3, 4, 5, 7, 8}) {
      for (const Index columns : {1, 2, 3, 4, 5, 33}) {
        for (const Index depth : {1, 3, 16, 31, 100}) {
          check<T>(true, rows, depth, columns,
                   [](const auto& a, const auto& b, const auto& c) { kernels::multiply_dots(a, b, c); });
        }
      }
    }
  });
}

TEST(FewRows, OnlyRowsOfWholeVectorsAreReadAsTheyLie) {
  const Tensor<float> m(Shape{4, 40}, 1.f);
  EXPECT_TRUE(kernels::has_whole_vectors(kernels::as_is(m.view().columns(0, 32))));
  EXPECT_FALSE(kernels::has_whole_vectors(kernels::as_is(m)));
  EXPECT_FALSE(kernels::has_whole_vectors(kernels::transposed(m)));
}

}  // namespace
