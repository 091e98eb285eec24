/// \file
/// Products with weights in float16 and bfloat16: against the definition, on every instruction set.
// covers: kernels/gemm/halves.hpp
#include "rapt/kernels/gemm/half.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "rapt/core/precision.hpp"
#include "rapt/kernels/gemm/gemm.hpp"
#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::kernels::Half;
using rapt::kernels::HalfType;
using rapt::kernels::PackedOperand;
namespace kernels = rapt::kernels;

double value_of(HalfType type, Half bits) {  // by the definition of the formats
  const int mantissa_bits = type == HalfType::float16 ? 10 : 7, exponent_bits = 15 - mantissa_bits;
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1), mantissa = bits & ((1 << mantissa_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return mantissa != 0 ? NAN : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

TEST(Half, WidensEveryNumberExactly) {
  std::vector<Half> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<Half>(i);
  for (const HalfType type : {HalfType::float16, HalfType::bfloat16}) {
    for_every_simd_level([&] {
      std::vector<float> wide(all.size() - 1);  // an odd number of them
      kernels::widen(type, all.data() + 1, std::ssize(wide), wide.data());
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < wide.size(); ++i) {
        const double expected = value_of(type, all[i + 1]), found = static_cast<double>(wide[i]);
        wrong += std::isnan(expected) ? !std::isnan(found)
                                      : expected != found || std::signbit(expected) != std::signbit(found);
        if (!std::isnan(expected)) wrong += kernels::to_half(type, wide[i]) != all[i + 1];
      }
      EXPECT_EQ(wrong, 0u);
    });
  }
}

TEST(Half, ProductsEqualThoseOfTheWidenedWeights) {
  for (const kernels::MatrixFormat format : {kernels::store_float16, kernels::store_bfloat16}) {
    const HalfType type = format == kernels::store_float16 ? HalfType::float16 : HalfType::bfloat16;
    for_every_simd_level([&] {
      for (const Index depth : {1, 37, 64}) {
        const auto w = random_tensor<float>(Shape{300, depth}, 2), bias = random_tensor<float>(Shape{300}, 3);
        const PackedOperand<float> packed(kernels::transposed(w), format);
        const kernels::HalfMatrix halves(kernels::transposed(w), type);
        Tensor<float> held(w.shape());
        for (Index j = 0; j < w.rows(); ++j) packed.read_column(j, held.row(j));
        EXPECT_LE(relative_error(held, w), type == HalfType::float16 ? 1.0 / 2048 : 1.0 / 256);
        for (const Index rows : {0, 1, 4, 5, 8, 9, 40}) {
          const auto x = random_tensor<float>(Shape{rows, depth}, 1);
          for (const bool accumulate : {false, true}) {
            const auto before = random_tensor<float>(Shape{rows, 267}, 4);
            Tensor<float> y = before, expected = before;
            kernels::gemm(kernels::as_is(x), packed, y,
                          {.accumulate = accumulate, .bias = bias.data() + 32, .first_column = 32});
            kernels::gemm(kernels::as_is(x), kernels::transposed(held.view().middle_rows(32, 267)), expected,
                          {.accumulate = accumulate, .bias = bias.data() + 32});
            expect_close(y, expected, 2e-6);
          }
          if (rows == 0 || rows > 8) continue;
          Tensor<float> fast(Shape{rows, 300}), portable(Shape{rows, 300});
          kernels::gemm(kernels::as_is(x), packed, fast);
          kernels::multiply_halves_portable(kernels::as_is(x), halves.columns_from(0),
                                            {.data = portable.data(), .stride = 300, .columns = 300});
          EXPECT_LE(relative_error(portable, fast), 2e-6);
        }
        // A left operand whose columns are contiguous.
        const auto by_columns = random_tensor<float>(Shape{depth, 3}, 1);
        Tensor<float> by_rows(Shape{3, depth}), y(Shape{3, 300}), same(Shape{3, 300});
        by_rows.matrix() = by_columns.matrix().transpose();
        kernels::gemm(kernels::transposed(by_columns), packed, y);
        kernels::gemm(kernels::as_is(by_rows), packed, same);
        expect_close(y, same, 2e-6);
      }
    });
  }
}

TEST(Half, ReadsWeightsWhereTheyLie) {
  const auto w = random_tensor<float>(Shape{33, 20}, 2), x = random_tensor<float>(Shape{2, 20}, 1);
  Tensor<Half> halves(w.shape());
  for (Index i = 0; i < w.size(); ++i) halves.data()[i] = kernels::to_half(HalfType::bfloat16, w.data()[i]);
  const Half* elements = halves.data();
  const auto matrix = std::make_shared<const kernels::HalfMatrix>(std::move(halves), HalfType::bfloat16);
  const PackedOperand<float> packed(matrix);
  EXPECT_EQ(matrix->columns_from(0).data, elements);
  EXPECT_EQ(packed.stored(), matrix.get());
  EXPECT_EQ(packed.format(), kernels::store_bfloat16);
  EXPECT_TRUE(packed.is_current());
  const PackedOperand<float> rounded(kernels::transposed(w), kernels::store_bfloat16);
  Tensor<float> y(Shape{2, 33}), same(Shape{2, 33});
  kernels::gemm(kernels::as_is(x), packed, y);
  kernels::gemm(kernels::as_is(x), rounded, same);
  EXPECT_TRUE(same_bits(y, same));
}

TEST(Half, ManyRowsHaveTheBitsOfAProductWithTheWidenedWeights) {
  const auto w = random_tensor<float>(Shape{600, 70}, 2), columns = random_tensor<float>(Shape{70, 40}, 1);
  const PackedOperand<float> packed(kernels::transposed(w), kernels::store_bfloat16);
  Tensor<float> held(w.shape());
  for (Index j = 0; j < w.rows(); ++j) packed.read_column(j, held.row(j));
  const auto greatest_error = [&] {
    double error = 0;
    for (const Index rows : {40, 7}) {  // few rows that are not contiguous take the way of many rows
      const auto x = kernels::transposed(columns).part(0, 0, rows, 70);
      Tensor<float> y(Shape{rows, 600}), expected(Shape{rows, 600});
      kernels::gemm(x, packed, y);
      kernels::gemm(x, PackedOperand<float>(kernels::transposed(held)), expected);
      error = std::max(error, static_cast<double>(relative_error(y, expected)));
    }
    return error;
  };
  {
    const HighestPrecision scope;
    EXPECT_LE(greatest_error(), 1e-6);
  }
  // `high` and `medium` on the portable unit as well, as without a unit both would be float32 once more.
  for_every_matrix_unit([&](rapt::Precision precision, rapt::MatrixUnit unit) {
    EXPECT_EQ(rapt::matrix_unit(precision), unit);
    EXPECT_EQ(greatest_error(), 0);
  });
}

TEST(Half, SameBitsOnAnyNumberOfThreads) {
  const auto x = random_tensor<float>(Shape{150, 130}, 1), w = random_tensor<float>(Shape{700, 130}, 2);
  for (const Index rows : {1, 7, 150}) {
    expect_same_bits_on_any_threads([&] {
      Tensor<float> y(Shape{rows, 700});
      kernels::gemm(kernels::as_is(x.view().middle_rows(0, rows)),
                    PackedOperand<float>(kernels::transposed(w), kernels::store_float16), y);
      return y;
    });
  }
}

}  // namespace
