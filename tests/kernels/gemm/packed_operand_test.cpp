/// \file
/// The single-threaded inside of a matrix product: operands, packing, panels.
// covers: kernels/gemm/block.hpp, kernels/gemm/operand.hpp
#include "rapt/kernels/gemm/packed_operand.hpp"

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
T element(const kernels::Operand<T>& m, Index i, Index j) {
  return m.data[i * m.row_stride + j * m.col_stride];
}

template <class T>
class GemmBlock : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GemmBlock, Scalars);

TYPED_TEST(GemmBlock, OperandsNameElementsWithoutMovingThem) {
  using T = TypeParam;
  const auto m = random_tensor<T>(Shape{5, 9}, 1);
  const auto slice = m.view().columns(2, 4);
  const auto as_is = kernels::as_is(slice), turned = kernels::transposed(slice);
  EXPECT_EQ(as_is.data, m.data() + 2);
  EXPECT_EQ(turned.data, m.data() + 2);
  EXPECT_EQ(as_is.rows, 5);
  EXPECT_EQ(turned.rows, 4);
  EXPECT_EQ(element(as_is, 3, 1), m(3, 3));
  EXPECT_EQ(element(turned, 1, 3), m(3, 3));
  const auto part = turned.part(1, 2, 3, 2);
  EXPECT_EQ(part.rows, 3);
  EXPECT_EQ(part.cols, 2);
  EXPECT_EQ(element(part, 2, 1), m(3, 5));
}

TYPED_TEST(GemmBlock, PanelsHoldTheColumnsAndZerosBehindThem) {
  using T = TypeParam;
  for_every_simd_level([] {
    const Index width = kernels::gemm_geometry<T>().panel_columns;
    ASSERT_GT(width, 0);
    ASSERT_EQ(32 % width, 0);
    for (const Index columns : {1, 7, 8, 16, 31, 32, 33, 70}) {
      for (const Index depth : {0, 1, 7, 8, 9, 30}) {
        for (const bool turn : {false, true}) {
          const auto m = turn ? random_tensor<T>(Shape{columns, depth}, 1) : random_tensor<T>(Shape{depth, columns}, 1);
          const auto b = turn ? kernels::transposed(m) : kernels::as_is(m);
          Tensor<T> packed(Shape{kernels::packed_size(depth, columns) + 1}, T(-7));
          kernels::pack_panels(b, packed.data());
          for (Index j = 0; j < (columns + width - 1) / width * width; ++j) {
            for (Index p = 0; p < depth; ++p) {
              const T expected = j < columns ? element(b, p, j) : T(0);
              ASSERT_EQ(packed.data()[(j / width * depth + p) * width + j % width], expected) << p << " " << j;
            }
          }
          EXPECT_EQ(packed.values().back(), T(-7));  // nothing behind the packed size
        }
      }
    }
  });
}

TYPED_TEST(GemmBlock, MultipliesRowsOfAnyNumberByColumnsOfAnyNumber) {
  using T = TypeParam;
  constexpr Index kDepth = 13;
  for_every_simd_level([] {
    for (Index rows = 0; rows <= 31; ++rows) {
      for (const Index columns : {1, 4, 5, 8, 9, 16, 17, 33, 48}) {
        const auto a = random_tensor<T>(Shape{rows, kDepth}, 1), b = random_tensor<T>(Shape{kDepth, columns}, 2);
        const auto before = random_tensor<T>(Shape{rows + 1, columns + 3}, 3);
        Tensor<T> packed(Shape{kernels::packed_size(kDepth, columns)}), c = before;
        kernels::pack_panels(kernels::as_is(b), packed.data());
        kernels::multiply_panels(kernels::as_is(a), packed.data(),
                                 kernels::BlockOutput<T>{.data = c.data(), .stride = columns + 3, .columns = columns});
        auto expected = to_double(before);  // what surrounds the product must stay
        for (Index i = 0; i < rows; ++i) {
          for (Index j = 0; j < columns; ++j) {
            expected(i, j) = 0;
            for (Index p = 0; p < kDepth; ++p) {
              expected(i, j) += static_cast<double>(a(i, p)) * static_cast<double>(b(p, j));
            }
          }
        }
        expect_close(c, expected, 8 * kEpsilon<T>);
      }
    }
  });
}

}  // namespace
