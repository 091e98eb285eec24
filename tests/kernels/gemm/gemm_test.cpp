/// \file
/// Matrix products against a naive product in double.
#include "rapt/kernels/gemm/gemm.hpp"

#include <gtest/gtest.h>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
namespace kernels = rapt::kernels;

/// An operand of the given size that lies inside a wider matrix, as it stands or transposed.
template <class T>
struct Strided {
  Tensor<T> memory;
  kernels::Operand<T> operand;

  Strided(Index rows, Index cols, bool turn, std::uint64_t seed)
      : memory(random_tensor<T>(turn ? Shape{cols, rows + 5} : Shape{rows, cols + 5}, seed)),
        operand(turn ? kernels::transposed(memory.view().columns(2, rows))
                     : kernels::as_is(memory.view().columns(2, cols))) {}
};

template <class T>
Tensor<double> naive_product(const kernels::Operand<T>& a, const kernels::Operand<T>& b) {
  Tensor<double> c(Shape{a.rows, b.cols}, 0.0);
  for (Index i = 0; i < a.rows; ++i) {
    for (Index p = 0; p < a.cols; ++p) {
      const auto x = static_cast<double>(a.data[i * a.row_stride + p * a.col_stride]);
      for (Index j = 0; j < b.cols; ++j)
        c(i, j) += x * static_cast<double>(b.data[p * b.row_stride + j * b.col_stride]);
    }
  }
  return c;
}

/// Checks c = a b, c = a b + bias, c += a b and c += a b + bias, into columns of a wider matrix that must stay.
template <class T>
void check_product(Index rows, Index depth, Index columns, bool turn_a, bool turn_b) {
  const testing::ScopedTrace trace(
      __FILE__, __LINE__, to_string(Shape{rows, depth, columns}) + (turn_a ? " a^T" : "") + (turn_b ? " b^T" : ""));
  const Strided<T> a(rows, depth, turn_a, 1), b(depth, columns, turn_b, 2);
  const auto product = naive_product(a.operand, b.operand);
  const auto bias = random_tensor<T>(Shape{columns}, 3), before = random_tensor<T>(Shape{rows, columns + 4}, 4);
  for (const bool accumulate : {false, true}) {
    for (const bool biased : {false, true}) {
      auto c = before;
      kernels::gemm(a.operand, b.operand, c.view().columns(1, columns),
                    {.accumulate = accumulate, .bias = biased ? bias.data() : nullptr});
      auto expected = to_double(before);
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < columns; ++j) {
          expected(i, j + 1) = product(i, j) + (accumulate ? expected(i, j + 1) : 0.0) +
                               (biased ? static_cast<double>(bias.data()[j]) : 0.0);
        }
      }
      expect_close(c, expected, (4 + 2 * std::sqrt(static_cast<double>(depth))) * kEpsilon<T>);
    }
  }
}

template <class T>
class Gemm : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Gemm, Scalars);

TYPED_TEST(Gemm, EqualsTheNaiveProduct) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const bool turn_a : {false, true}) {
      for (const bool turn_b : {false, true}) {
        for (const auto& [rows, depth, columns] : {std::array<Index, 3>{0, 3, 5},
                                                   {3, 0, 5},
                                                   {5, 3, 0},
                                                   {0, 0, 0},
                                                   {1, 1, 1},
                                                   {1, 7, 1},
                                                   {2, 3, 5},
                                                   {1, 64, 37},
                                                   {31, 33, 32},
                                                   {32, 31, 33},
                                                   {33, 32, 31},
                                                   {13, 255, 17},
                                                   {17, 256, 13},
                                                   {5, 257, 47},
                                                   {113, 64, 65},
                                                   {241, 19, 7},
                                                   {7, 19, 241},
                                                   {64, 520, 64},
                                                   {33, 4099, 45}}) {
          check_product<T>(rows, depth, columns, turn_a, turn_b);
        }
      }
    }
  });
}

TEST(GemmPrecision, EqualsTheNaiveProductOnEveryUnit) {
  for_every_matrix_unit([](rapt::Precision precision, rapt::MatrixUnit) {
    const double tolerance = precision == rapt::Precision::high ? 4e-5 : 1e-2;
    for (const auto& [rows, depth, columns] :
         {std::array<Index, 3>{9, 1, 1}, {10, 64, 37}, {33, 32, 31}, {17, 513, 13}, {241, 19, 7}, {130, 1200, 70}}) {
      for (const bool turn_a : {false, true}) {
        for (const bool turn_b : {false, true}) {
          const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(Shape{rows, depth, columns}));
          const Strided<float> a(rows, depth, turn_a, 1), b(depth, columns, turn_b, 2);
          const auto bias = random_tensor<float>(Shape{columns}, 3);
          Tensor<float> c(Shape{rows, columns + 2}, 5.f);
          auto expected = naive_product(a.operand, b.operand);
          kernels::gemm(a.operand, b.operand, c.view().columns(1, columns), {.accumulate = true, .bias = bias.data()});
          for (Index i = 0; i < rows; ++i) {
            EXPECT_EQ(c(i, 0), 5.f);
            EXPECT_EQ(c(i, columns + 1), 5.f);
            for (Index j = 0; j < columns; ++j) expected(i, j) += 5.0 + static_cast<double>(bias.data()[j]);
          }
          EXPECT_LE(relative_error(Tensor<float>(std::as_const(c).view().columns(1, columns)), expected), tolerance);
        }
      }
    }
  });
}

TEST(GemmPrecision, IsTheSameOnAnyThreads) {
  for_every_matrix_unit([](rapt::Precision, rapt::MatrixUnit) {
    for (const auto& [rows, depth, columns] : {std::array<Index, 3>{257, 300, 131}, {12, 700, 300}}) {
      const Strided<float> a(rows, depth, true, 1), b(depth, columns, true, 2);
      expect_same_bits_on_any_threads([&, m = rows, n = columns] {
        Tensor<float> c(Shape{m, n});
        kernels::gemm(a.operand, b.operand, c);
        return c;
      });
    }
  });
}

TEST(GemmPrecision, DoubleIsNeverLowered) {
  for_every_matrix_unit([](rapt::Precision, rapt::MatrixUnit) { check_product<double>(40, 30, 20, false, true); });
}

TYPED_TEST(Gemm, PackedOperandServesManyProducts) {
  using T = TypeParam;
  for_every_simd_level([] {
    const Strided<T> b(300, 45, true, 2);
    const kernels::PackedOperand<T> packed(b.operand);
    EXPECT_EQ(packed.rows(), 300);
    EXPECT_EQ(packed.cols(), 45);
    for (const Index rows : {1, 17, 150}) {
      const Strided<T> a(rows, 300, false, static_cast<std::uint64_t>(rows));
      Tensor<T> c(Shape{rows, 45}), direct(Shape{rows, 45});
      kernels::gemm(a.operand, packed, c);
      kernels::gemm(a.operand, b.operand, direct);
      EXPECT_TRUE(rows <= 8 || same_bits(c, direct));  // fewer rows are not packed
      expect_close(direct, c, 40 * kEpsilon<T>);
      expect_close(c, naive_product(a.operand, b.operand), 40 * kEpsilon<T>);
    }
  });
}

TYPED_TEST(Gemm, IsTheSameOnAnyThreads) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const auto& [rows, depth, columns] : {std::array<Index, 3>{257, 300, 131}, {3, 700, 1000}, {1000, 30, 5}}) {
      const Strided<T> a(rows, depth, false, 1), b(depth, columns, true, 2);
      expect_same_bits_on_any_threads([&, m = rows, n = columns] {
        Tensor<T> c(Shape{m, n});
        kernels::gemm(a.operand, b.operand, c);
        return c;
      });
    }
  });
}

TYPED_TEST(Gemm, OfGreatDepthIsTheSameOnAnyThreads) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const auto& [rows, depth, columns] : {std::array<Index, 3>{35, 5003, 40}, {70, 17001, 33}}) {
      const Strided<T> a(rows, depth, true, 1), b(depth, columns, false, 2);
      ASSERT_GT(kernels::depth_parts(rows, depth, columns), 1);
      expect_same_bits_on_any_threads([&, m = rows, n = columns] {
        Tensor<T> c(Shape{m, n}, T(1));
        kernels::gemm(a.operand, b.operand, c, {.accumulate = true});
        return c;
      });
    }
  });
}

TYPED_TEST(Gemm, ARowDoesNotDependOnItsNeighbours) {
  using T = TypeParam;
  const Strided<T> a(100, 70, false, 1), b(70, 50, false, 2);
  Tensor<T> all(Shape{100, 50}), some(Shape{41, 50});
  kernels::gemm(a.operand, b.operand, all);
  kernels::gemm(a.operand.part(30, 0, 41, 70), b.operand, some);
  EXPECT_TRUE(same_bits(some, Tensor<T>(std::as_const(all).view().middle_rows(30, 41))));
}

TYPED_TEST(Gemm, RefusesSizesThatDoNotAgree) {
  using T = TypeParam;
  const Tensor<T> a(Shape{2, 3}, T(1)), b(Shape{4, 5}, T(1));
  Tensor<T> c(Shape{2, 5}), wrong(Shape{5, 2});
  EXPECT_EQ(error_text<rapt::ShapeError>([&] { kernels::gemm(kernels::as_is(a), kernels::as_is(b), c); }),
            "[gemm] [2, 3] times [4, 5] into [2, 5]");
  EXPECT_EQ(error_text<rapt::ShapeError>(
                [&] { kernels::gemm(kernels::as_is(a), kernels::as_is(b).part(0, 0, 3, 5), wrong); }),
            "[gemm] [2, 3] times [3, 5] into [5, 2]");
}

}  // namespace
