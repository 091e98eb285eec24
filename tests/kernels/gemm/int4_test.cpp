/// \file
/// Products with weights of four bits: against the definition in double, on every unit, and what they cost in accuracy.
// covers: kernels/gemm/nibbles.hpp, kernels/gemm/nibble_products.hpp
#include "rapt/kernels/gemm/int4.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "rapt/kernels/gemm/gemm.hpp"
#include "rapt/kernels/gemm/int8.hpp"
#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::kernels::MatrixFormat;
using rapt::kernels::PackedOperand;
namespace kernels = rapt::kernels;

PackedOperand<float> in_four_bits(const Tensor<float>& w) {
  return PackedOperand<float>(kernels::transposed(w), kernels::store_int4);
}

/// The matrix [out, in] that a packed operand [in, out] holds.
Tensor<float> held_rows(const PackedOperand<float>& packed) {
  Tensor<float> rows(Shape{packed.cols(), packed.rows()});
  for (Index j = 0; j < packed.cols(); ++j) packed.read_column(j, rows.row(j));
  return rows;
}

/// x rounded to eight bits in groups of 32 numbers of a row, in double.
Tensor<double> in_grouped_bytes(const Tensor<float>& x) {
  Tensor<double> rounded(x.shape());
  for (Index i = 0; i < x.rows(); ++i) {
    for (Index begin = 0; begin < x.cols(); begin += 32) {
      const Index end = std::min(begin + 32, x.cols());
      float largest = 0;
      for (Index k = begin; k < end; ++k) largest = std::max(largest, std::abs(x(i, k)));
      const float factor = largest > 0 ? 127 / largest : 0.f;
      for (Index k = begin; k < end; ++k) {
        rounded(i, k) = static_cast<double>(std::nearbyint(x(i, k) * factor)) * static_cast<double>(largest / 127);
      }
    }
  }
  return rounded;
}

TEST(Int4, EqualsTheDefinitionOnEveryUnit) {
  for_every_simd_level([] {
    for (const auto& [rows, depth, columns] :
         std::vector<std::array<Index, 3>>{{1, 1, 1}, {2, 3, 5}, {7, 32, 32}, {29, 95, 33}, {127, 100, 70}}) {
      const auto x = random_tensor<float>(Shape{rows, depth}, 1), w = random_tensor<float>(Shape{columns, depth}, 2);
      const auto bias = random_tensor<float>(Shape{columns}, 3), before = random_tensor<float>(Shape{rows, columns}, 4);
      const PackedOperand<float> packed = in_four_bits(w);
      const Tensor<double> left = in_grouped_bytes(x);
      const Tensor<float> right = held_rows(packed);
      for (const bool accumulate : {false, true}) {
        Tensor<float> y = before;
        kernels::gemm(kernels::as_is(x), packed, y, {.accumulate = accumulate, .bias = bias.data()});
        Tensor<double> expected(Shape{rows, columns});
        for (Index i = 0; i < rows; ++i) {
          for (Index j = 0; j < columns; ++j) {
            expected(i, j) = static_cast<double>(bias.data()[j] + (accumulate ? before(i, j) : 0.f));
            for (Index k = 0; k < depth; ++k) expected(i, j) += left(i, k) * static_cast<double>(right(j, k));
          }
        }
        EXPECT_LE(relative_error(y, expected), 2e-6) << rows << ' ' << depth << ' ' << columns;
      }
      // The portable kernel, which is not called where there is a faster one.
      const kernels::Int4Matrix matrix(kernels::transposed(w));
      const kernels::QuantizedGroups groups(kernels::as_is(x));
      Tensor<float> fast(Shape{rows, columns}), portable(Shape{rows, columns});
      kernels::gemm(kernels::as_is(x), packed, fast);
      for (Index j = 0; j < columns; j += 32) {
        kernels::multiply_nibbles_portable(
            groups.part(0, rows), matrix.panel(j / 32),
            {.data = portable.data() + j, .stride = columns, .columns = std::min<Index>(32, columns - j)});
      }
      EXPECT_LE(relative_error(portable, fast), 2e-6);
      // A left operand whose columns are contiguous.
      const auto by_columns = random_tensor<float>(Shape{depth, rows}, 1);
      Tensor<float> by_rows(Shape{rows, depth}), y(Shape{rows, columns}), same(Shape{rows, columns});
      by_rows.matrix() = by_columns.matrix().transpose();
      kernels::gemm(kernels::transposed(by_columns), packed, y);
      kernels::gemm(kernels::as_is(by_rows), packed, same);
      EXPECT_TRUE(same_bits(y, same));
    }
  });
}

TEST(Int4, BeginsAtAnyPanelAndTakesEveryNumberOfRows) {
  const Index depth = 77, columns = 100;
  const PackedOperand<float> packed = in_four_bits(random_tensor<float>(Shape{columns, depth}, 2));
  const auto many = random_tensor<float>(Shape{31, depth}, 1);
  Tensor<float> whole(Shape{31, columns});
  kernels::gemm(kernels::as_is(many), packed, whole);
  for (Index rows = 0; rows <= 31; ++rows) {
    Tensor<float> y(Shape{rows, columns - 64});
    kernels::gemm(kernels::as_is(many.view().middle_rows(0, rows)), packed, y, {.first_column = 64});
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < y.cols(); ++j) EXPECT_EQ(y(i, j), whole(i, 64 + j));
    }
  }
}

// The error of a number is at most half a step: a fifteenth of its group's range, which rounding the scale and the
// offset to eight bits widens by a few steps of theirs.
TEST(Int4, NumbersAreWithinHalfAStep) {
  auto w = random_tensor<float>(Shape{40, 100}, 2);
  for (Index k = 0; k < 100; ++k) w(3, k) = 0, w(4, k) = std::abs(w(4, k)) + 1, w(5, k) = -std::abs(w(5, k));
  w(6, 50) = 40;  // a group much wider than the others of its column
  const Tensor<float> held = held_rows(in_four_bits(w));
  for (Index j = 0; j < w.rows(); ++j) {
    float widest = 0;
    const auto range = [&](Index group) {
      float low = 0, high = 0;
      for (Index k = group * 32; k < std::min<Index>(100, group * 32 + 32); ++k) {
        low = std::min(low, w(j, k)), high = std::max(high, w(j, k));
      }
      return high - low;
    };
    for (Index group = 0; group < 4; ++group) widest = std::max(widest, range(group));
    for (Index k = 0; k < 100; ++k) {
      EXPECT_NEAR(held(j, k), w(j, k), 0.5f / 15 * (range(k / 32) + 3 * widest / 255 * 15) + 1e-6f) << j << ' ' << k;
    }
  }
}

TEST(Int4, IsWithinATenthOfTheExactProduct) {
  const auto x = random_tensor<float>(Shape{64, 512}, 1), w = random_tensor<float>(Shape{96, 512}, 2);
  Tensor<float> y(Shape{64, 96}), exact(Shape{64, 96});
  kernels::gemm(kernels::as_is(x), in_four_bits(w), y);
  const HighestPrecision scope;
  kernels::gemm(kernels::as_is(x), kernels::transposed(w), exact);
  EXPECT_LE(relative_error(y, exact), 0.1);
  EXPECT_GE(relative_error(y, exact), 1e-3);  // it was rounded
}

TEST(Int4, NumbersThatAreNone) {
  for_every_simd_level([] {
    for (const Index at : {0, 18, 40}) {
      for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        auto x = random_tensor<float>(Shape{3, 41}, 1), w = random_tensor<float>(Shape{4, 41}, 2);
        Tensor<float> y(Shape{3, 4});
        const PackedOperand<float> finite = in_four_bits(w);
        x(1, at) = bad;
        kernels::gemm(kernels::as_is(x), finite, y);
        for (Index j = 0; j < 4; ++j) {
          EXPECT_TRUE(std::isfinite(y(0, j)) && std::isnan(y(1, j)) && std::isfinite(y(2, j)));
        }
        w(2, at) = bad;
        kernels::gemm(kernels::as_is(x), in_four_bits(w), y);
        EXPECT_TRUE(std::isfinite(y(0, 1)) && std::isnan(y(0, 2)) && std::isfinite(y(0, 3)));
      }
    }
  });
}

TEST(Int4, SameBitsOnAnyNumberOfThreads) {
  const auto x = random_tensor<float>(Shape{150, 130}, 1), w = random_tensor<float>(Shape{300, 130}, 2);
  for (const Index rows : {1, 150}) {
    expect_same_bits_on_any_threads([&] {
      Tensor<float> y(Shape{rows, 300});
      kernels::gemm(kernels::as_is(x.view().middle_rows(0, rows)), in_four_bits(w), y);
      return y;
    });
  }
}

TEST(Int4, TheTransposedProductUnpacks) {
  const auto w = random_tensor<float>(Shape{300, 50}, 2), dy = random_tensor<float>(Shape{20, 280}, 3);
  for (const MatrixFormat format :
       {MatrixFormat{kernels::store_int4}, MatrixFormat{kernels::store_int8}, MatrixFormat{}}) {
    const PackedOperand<float> packed(kernels::transposed(w), format);
    const Tensor<float> held = held_rows(packed);
    for (const bool accumulate : {false, true}) {
      const auto before = random_tensor<float>(Shape{20, 50}, 4);
      Tensor<float> dx = before, expected = before;
      kernels::gemm_transposed(kernels::as_is(dy), packed, 7, dx, accumulate);
      kernels::gemm(kernels::as_is(dy), kernels::as_is(held.view().middle_rows(7, 280)), expected,
                    {.accumulate = accumulate});
      expect_close(dx, expected, 1e-5);
    }
  }
  const PackedOperand<float> packed = in_four_bits(w);
  Tensor<float> dx(Shape{20, 50});
  EXPECT_THROW(kernels::gemm_transposed(kernels::as_is(dy), packed, 21, dx), rapt::ShapeError);
}

TEST(Int4, OnlyFloat) {
  const Tensor<double> w(Shape{2, 2});
  EXPECT_NE(error_text<rapt::Error>([&] {
              std::ignore = PackedOperand<double>(kernels::transposed(w), kernels::store_int4);
            }).find("only float32"),
            std::string::npos);
}

}  // namespace
