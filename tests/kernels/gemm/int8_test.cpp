/// \file
/// Products of integers of eight bits: against the definition in double, on every unit, and what they cost in accuracy.
// covers: kernels/gemm/quads.hpp, kernels/gemm/quad_products.hpp
#include "rapt/kernels/gemm/int8.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "rapt/kernels/gemm/gemm.hpp"
#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::kernels::PackedOperand;
namespace kernels = rapt::kernels;

/// x as -127 .. 127 times the scale.
struct Quantized {
  std::vector<int> integers;
  double scale = 0;

  explicit Quantized(const std::vector<float>& x) {
    float largest = 0;
    for (const float v : x) largest = std::max(largest, std::abs(v));
    scale = static_cast<double>(largest) / 127;
    for (const float v : x) {
      integers.push_back(largest == 0 ? 0 : static_cast<int>(std::nearbyint(v * (127 / largest))));
    }
  }
};

/// x W^T of quantised rows, in double   // [rows, columns]
Tensor<double> product(const Tensor<float>& x, const Tensor<float>& w) {
  Tensor<double> y(Shape{x.rows(), w.rows()});
  for (Index i = 0; i < x.rows(); ++i) {
    const Quantized a(std::vector<float>(x.row(i), x.row(i) + x.cols()));
    for (Index j = 0; j < w.rows(); ++j) {
      const Quantized b(std::vector<float>(w.row(j), w.row(j) + w.cols()));
      double sum = 0;
      for (std::size_t k = 0; k < a.integers.size(); ++k) sum += a.integers[k] * b.integers[k];
      y(i, j) = sum * a.scale * b.scale;
    }
  }
  return y;
}

TEST(Int8, EqualsTheDefinitionOnEveryUnit) {
  for_every_simd_level([] {
    for (const auto& [rows, depth, columns] :
         std::vector<std::array<Index, 3>>{{1, 1, 1}, {2, 3, 5}, {29, 31, 33}, {14, 64, 32}, {127, 100, 70}}) {
      const auto x = random_tensor<float>(Shape{rows, depth}, 1), w = random_tensor<float>(Shape{columns, depth}, 2);
      const auto bias = random_tensor<float>(Shape{columns}, 3), before = random_tensor<float>(Shape{rows, columns}, 4);
      const PackedOperand<float> packed(kernels::transposed(w), kernels::store_int8);
      for (const bool accumulate : {false, true}) {
        Tensor<float> y = before;
        kernels::gemm(kernels::as_is(x), packed, y, {.accumulate = accumulate, .bias = bias.data()});
        Tensor<double> expected = product(x, w);
        for (Index i = 0; i < rows; ++i) {
          for (Index j = 0; j < columns; ++j) {
            expected(i, j) += static_cast<double>(bias.data()[j] + (accumulate ? before(i, j) : 0.f));
          }
        }
        EXPECT_LE(relative_error(y, expected), 1e-6) << rows << ' ' << depth << ' ' << columns;
      }
      // a left operand that is walked across its lines
      const auto turned = random_tensor<float>(Shape{depth, rows}, 1);
      Tensor<float> upright(Shape{rows, depth});
      for (Index i = 0; i < rows; ++i) {
        for (Index k = 0; k < depth; ++k) upright(i, k) = turned(k, i);
      }
      Tensor<float> y(Shape{rows, columns}), same(Shape{rows, columns});
      kernels::gemm(kernels::transposed(turned), packed, y);
      kernels::gemm(kernels::as_is(upright), packed, same);
      EXPECT_TRUE(same_bits(y, same));
    }
  });
}

#if defined(__aarch64__)
TEST(Int8, DotProductsAndTilesGiveTheSameBits) {
  if (!rapt::detail::arm_features().int8_matrix) GTEST_SKIP() << "this processor has no SMMLA";
  for (const Index rows : {1, 2, 3, 4, 7, 10, 13, 24}) {
    for (const Index depth : {1, 4, 5, 16, 37, 64}) {
      for (const Index columns : {1, 4, 7, 17, 32}) {
        const auto x = random_tensor<float>(Shape{rows, depth}, 1), w = random_tensor<float>(Shape{columns, depth}, 2);
        const kernels::QuantizedRows left(kernels::as_is(x));
        std::vector<kernels::Quad> quads(static_cast<std::size_t>(kernels::quads_of(depth) * kernels::kQuadColumns));
        std::vector<float> scales(32);
        std::vector<std::int32_t> shifts(32);
        kernels::quantize_panel(kernels::transposed(w), quads.data(), scales.data(), shifts.data());
        const kernels::QuadPanel panel{quads.data(), scales.data(), shifts.data(), kernels::quads_of(depth)};
        Tensor<float> portable(Shape{rows, columns}), dots(Shape{rows, columns}), tiles(Shape{rows, columns});
        const auto output = [&](Tensor<float>& c) {
          return kernels::BlockOutput<float>{.data = c.data(), .stride = columns, .columns = columns};
        };
        kernels::multiply_quads_portable(left.part(0, rows), panel, output(portable));
        kernels::multiply_quads_by_dots(left.part(0, rows), panel, output(dots));
        kernels::multiply_quads_by_tiles(left.part(0, rows), panel, output(tiles));
        EXPECT_TRUE(same_bits(portable, dots)) << rows << ' ' << depth << ' ' << columns;
        EXPECT_TRUE(same_bits(portable, tiles)) << rows << ' ' << depth << ' ' << columns;
      }
    }
  }
}
#endif

TEST(Int8, BeginsAtAnyPanelAndTakesEveryNumberOfRows) {
  const Index depth = 37, columns = 100;
  const auto w = random_tensor<float>(Shape{columns, depth}, 2);
  const PackedOperand<float> packed(kernels::transposed(w), kernels::store_int8);
  for (Index rows = 0; rows <= 31; ++rows) {
    const auto x = random_tensor<float>(Shape{rows, depth}, 1);
    Tensor<float> y(Shape{rows, columns - 64});
    kernels::gemm(kernels::as_is(x), packed, y, {.first_column = 64});
    const Tensor<float> rest(w.view().middle_rows(64, columns - 64));
    EXPECT_LE(relative_error(y, product(x, rest)), 1e-6) << rows;
  }
  Tensor<float> column(Shape{depth});
  for (const Index j : {Index{0}, Index{33}, Index{99}}) {
    packed.read_column(j, column.data());
    const Quantized expected(std::vector<float>(w.row(j), w.row(j) + depth));
    for (Index k = 0; k < depth; ++k) {
      EXPECT_NEAR(column.data()[k], expected.integers[static_cast<std::size_t>(k)] * expected.scale, 1e-7);
    }
  }
}

TEST(Int8, IsWithinAHundredthOfTheExactProduct) {
  const auto x = random_tensor<float>(Shape{64, 512}, 1), w = random_tensor<float>(Shape{96, 512}, 2);
  Tensor<float> y(Shape{64, 96}), exact(Shape{64, 96});
  kernels::gemm(kernels::as_is(x), PackedOperand<float>(kernels::transposed(w), kernels::store_int8), y);
  const HighestPrecision scope;
  kernels::gemm(kernels::as_is(x), kernels::transposed(w), exact);
  EXPECT_LE(relative_error(y, exact), 0.01);
  EXPECT_GE(relative_error(y, exact), 1e-4);  // it was rounded
}

TEST(Int8, NumbersThatAreNone) {
  for_every_simd_level([] {
    for (const Index at : {0, 18}) {  // in a vector, and behind the last whole one
      for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        auto x = random_tensor<float>(Shape{3, 19}, 1);
        const auto w = random_tensor<float>(Shape{4, 19}, 2);
        x(1, at) = bad;
        Tensor<float> y(Shape{3, 4});
        kernels::gemm(kernels::as_is(x), PackedOperand<float>(kernels::transposed(w), kernels::store_int8), y);
        for (Index j = 0; j < 4; ++j) {
          EXPECT_TRUE(std::isfinite(y(0, j)) && std::isnan(y(1, j)) && std::isfinite(y(2, j)));
        }
      }
    }
    Tensor<float> nothing(Shape{2, 19}), w(Shape{4, 19}), y(Shape{2, 4});
    nothing.fill(0), w.fill(0);
    kernels::gemm(kernels::as_is(nothing), PackedOperand<float>(kernels::transposed(w), kernels::store_int8), y);
    for (const float v : y.values()) EXPECT_EQ(v, 0);
  });
}

TEST(Int8, SameBitsOnAnyNumberOfThreads) {
  const auto x = random_tensor<float>(Shape{150, 130}, 1), w = random_tensor<float>(Shape{300, 130}, 2);
  expect_same_bits_on_any_threads([&] {
    Tensor<float> y(Shape{150, 300});
    kernels::gemm(kernels::as_is(x), PackedOperand<float>(kernels::transposed(w), kernels::store_int8), y);
    return y;
  });
}

TEST(Int8, OnlyFloatAndNotTooDeep) {
  const Tensor<double> w(Shape{2, 2});
  EXPECT_NE(error_text<rapt::Error>([&] {
              std::ignore = PackedOperand<double>(kernels::transposed(w), kernels::store_int8);
            }).find("float32"),
            std::string::npos);
  const Tensor<float> deep(Shape{1, kernels::kMostQuadDepth + 1});
  EXPECT_NE(error_text<rapt::ShapeError>([&] {
              std::ignore = PackedOperand<float>(kernels::transposed(deep), kernels::store_int8);
            }).find("65537"),
            std::string::npos);
}

TEST(Int8, DotProductsOfBytesAreHere) {
  if (!kernels::has_int8_dot_products()) GTEST_SKIP() << "the processor has none; plain C++ computes the same";
  SUCCEED();
}

}  // namespace
