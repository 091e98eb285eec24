/// \file
/// Rounding and packing for the lower precisions, and the units that multiply pairs, against plain arithmetic on
/// numbers rounded by the standard library.
// covers: kernels/gemm/amx.hpp, kernels/gemm/avx512_bf16.hpp, kernels/gemm/neon_bf16.hpp, kernels/gemm/neon.hpp
#include "rapt/kernels/gemm/bfloat16.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "rapt/kernels/gemm/gemm.hpp"

#include "tests/common/amx_emulator.hpp"
#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::kernels::Pair;
namespace kernels = rapt::kernels;

/// x to 8 bits of mantissa, ties to even (normal numbers).
float rounded(float x) {
  int exponent = 0;
  const float mantissa = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8);
}

float half_of(Pair pair, Index depth) { return std::bit_cast<float>(depth % 2 == 0 ? pair << 16 : pair & 0xffff0000u); }

/// A matrix [indices, depth] and the operand that walks it: rows of a left operand, or columns of a right one.
struct Source {
  Tensor<float> memory;
  Index indices, depth, index_stride, depth_stride;

  Source(Index count, Index deep, bool across, std::uint64_t seed)
      : memory(random_tensor<float>(across ? Shape{deep, count + 3} : Shape{count, deep + 3}, seed)),
        indices(count),
        depth(deep),
        index_stride(across ? 1 : deep + 3),
        depth_stride(across ? count + 3 : 1) {}

  [[nodiscard]] float at(Index i, Index p) const { return memory.data()[i * index_stride + p * depth_stride]; }
  [[nodiscard]] kernels::Operand<float> rows() const {
    return {memory.data(), indices, depth, index_stride, depth_stride};
  }
  [[nodiscard]] kernels::Operand<float> columns() const {
    return {memory.data(), depth, indices, depth_stride, index_stride};
  }
};

/// A left operand of some rows and one panel, packed.
struct Packed {
  Index rows, columns, pairs, stride, row_plane, panel_plane;
  std::vector<Pair> left, right;

  Packed(const Source& a, const Source& b, bool residual)
      : rows(a.indices),
        columns(b.indices),
        pairs(kernels::pairs_of(a.depth)),
        stride(pairs + 16),
        row_plane(residual ? kernels::detail::round_up(rows, 32) * stride : 0),
        panel_plane(residual ? pairs * 32 : 0),
        left(static_cast<std::size_t>(kernels::detail::round_up(rows, 32) * stride + row_plane), Pair{0x7fc07fc0}),
        right(static_cast<std::size_t>(pairs * 32 + panel_plane), Pair{0x7fc07fc0}) {
    kernels::pack_pair_rows(a.rows(), left.data(), stride, row_plane);
    kernels::pack_pair_panel(b.columns(), right.data(), panel_plane);
  }
  [[nodiscard]] kernels::PairRows left_rows() const { return {left.data(), rows, stride, row_plane}; }
  [[nodiscard]] kernels::PairPanel panel() const { return {right.data(), pairs, panel_plane}; }
};

TEST(Bfloat16, RoundsToNearestEvenAndKeepsSpecialValues) {
  for_every_simd_level([] {
    const auto round = [](float x) {
      using Floats = rapt::simd::Vector<float, 16>;
      const Floats in = x - Floats{};
      rapt::simd::Vector<Pair, 16> out;
      kernels::detail::round_to_bfloat16(in, out);
      EXPECT_EQ(out[0] & 0xffffu, 0u);
      return std::bit_cast<float>(static_cast<std::uint32_t>(out[0]));
    };
    for (const float x : {0.f, -0.f, 1.f, -2.5f, 0.1f, 3.14159265f, 1e-30f, -1e30f, 1.00390625f, 1.01171875f}) {
      EXPECT_EQ(round(x), rounded(x)) << x;
      EXPECT_EQ(std::signbit(round(x)), std::signbit(x));
    }
    EXPECT_EQ(round(1.f + 1.f / 256), 1.f);  // halfway between 1 and 1 + 2^-7: to the even one
    EXPECT_EQ(round(1.f + 3.f / 256), 1.f + 4.f / 256);
    EXPECT_EQ(round(INFINITY), INFINITY);
    EXPECT_EQ(round(-INFINITY), -INFINITY);
    EXPECT_TRUE(std::isnan(round(NAN)));
    EXPECT_TRUE(std::isnan(round(std::bit_cast<float>(0x7f800001u))));  // would become infinity if cut off
    EXPECT_EQ(round(std::numeric_limits<float>::max()), INFINITY);
  });
}

TEST(Bfloat16, PacksEverySizeAndOrderWithZerosBehind) {
  for_every_simd_level([] {
    for (const bool across : {false, true}) {
      for (const bool residual : {false, true}) {
        for (const Index indices : {1, 2, 15, 16, 17, 31, 32}) {
          for (const Index depth : {1, 2, 3, 31, 32, 33, 70}) {
            const Source source(indices, depth, across, 1);
            const Packed packed(source, source, residual);
            const auto check = [&](Index i, Index p, Pair pair, Pair rest) {
              const float x = i < indices && p < depth ? source.at(i, p) : 0.f;
              ASSERT_EQ(half_of(pair, p), rounded(x)) << i << " " << p;
              if (residual) {
                ASSERT_EQ(half_of(rest, p), rounded(x - rounded(x))) << i << " " << p;
              }
            };
            for (Index p = 0; p < 2 * packed.pairs; ++p) {
              for (Index i = 0; i < kernels::detail::round_up(indices, 16); ++i) {
                const Pair* at = packed.left.data() + i * packed.stride + p / 2;
                check(i, p, *at, at[packed.row_plane]);
              }
              for (Index j = 0; j < 32; ++j) {
                const Pair* at = packed.right.data() + p / 2 * 32 + j;
                check(j, p, *at, at[packed.panel_plane]);
              }
            }
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  });
}

/// Products of any rows and columns, with and without bias and accumulation, on one unit; `high` within 2^-16 of the
/// exact product, and both within float32's rounding of the products of rounded numbers.
template <class Multiply>
void check_unit(const Multiply& multiply) {
  for (const bool residual : {false, true}) {
    for (const Index rows : {1, 2, 3, 6, 14, 15, 16, 17, 31, 32, 33, 64, 75}) {
      for (const Index columns : {1, 15, 16, 17, 31, 32}) {
        const Index depth = rows % 2 == 0 ? 70 : 32;
        const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(Shape{rows, depth, columns}));
        const Source a(rows, depth, rows % 3 == 0, 1), b(columns, depth, columns % 2 == 0, 2);
        const Packed packed(a, b, residual);
        const auto bias = random_tensor<float>(Shape{columns}, 3);
        const auto before = random_tensor<float>(Shape{rows + 1, columns + 4}, 4);
        for (const bool accumulate : {false, true}) {
          for (const bool biased : {false, true}) {
            auto c = before;
            multiply(packed.left_rows(), packed.panel(),
                     kernels::BlockOutput<float>{.data = c.data() + 1,
                                                 .stride = columns + 4,
                                                 .columns = columns,
                                                 .bias = biased ? bias.data() : nullptr,
                                                 .accumulate = accumulate});
            auto expected = to_double(before);  // what surrounds the product must stay
            double largest = 0;
            for (Index i = 0; i < rows; ++i) {
              for (Index j = 0; j < columns; ++j) {
                double sum = 0;
                for (Index p = 0; p < depth; ++p) {
                  const double x = rounded(a.at(i, p)), y = rounded(b.at(j, p));
                  sum += x * y;
                  if (residual) {
                    sum +=
                        x * rounded(b.at(j, p) - rounded(b.at(j, p))) + rounded(a.at(i, p) - rounded(a.at(i, p))) * y;
                  }
                }
                if (biased) sum += static_cast<double>(bias.data()[j]);
                expected(i, j + 1) = sum + (accumulate ? expected(i, j + 1) : 0.0);
                largest = std::max(largest, std::abs(expected(i, j + 1)));
              }
            }
            ASSERT_LE(relative_error(c, expected), 16 * kEpsilon<float>);
          }
        }
      }
    }
  }
}

TEST(Bfloat16, PortableProductIsThatOfRoundedNumbers) { check_unit(kernels::multiply_pairs_portable); }

#if defined(__aarch64__)
TEST(Bfloat16, NeonProductIsThatOfRoundedNumbers) {
  if (!rapt::has_matrix_unit(rapt::MatrixUnit::neon_bf16)) GTEST_SKIP() << "this processor has no BFMMLA";
  check_unit(kernels::multiply_pairs_neon);
}
#endif

#if defined(__x86_64__)
TEST(Bfloat16, Avx512ProductIsThatOfRoundedNumbers) {
  if (rapt::detected_matrix_unit() < rapt::MatrixUnit::avx512_bf16) {
    GTEST_SKIP() << "this processor has no AVX512_BF16; the portable product is tested in its place";
  }
  check_unit(kernels::multiply_pairs_avx512);
}

/// Real tiles where the processor has them, emulated ones elsewhere: the machine code of the kernel runs either way.
TEST(Bfloat16, AmxProductIsThatOfRoundedNumbers) {
  if (!AmxEmulator::supported()) GTEST_SKIP() << "AMX runs or is emulated on Linux only";
  const AmxEmulator emulator;
  const kernels::detail::Tiles tiles;
  check_unit(kernels::multiply_pairs_amx);
}

TEST(Bfloat16, ProductsRunOnAmxOnAnyThreads) {
  if (!AmxEmulator::supported()) GTEST_SKIP() << "AMX runs or is emulated on Linux only";
  const AmxEmulator emulator;
  rapt::detail::PrecisionState& state = rapt::detail::precision_state();
  const rapt::Precision before = rapt::precision();
  for (const auto precision : {rapt::Precision::high, rapt::Precision::medium}) {
    const auto a = random_tensor<float>(Shape{70, 50}, 1), weight = random_tensor<float>(Shape{45, 50}, 2);
    const auto bias = random_tensor<float>(Shape{45}, 3);
    const auto product = [&](rapt::MatrixUnit unit) {
      rapt::set_precision(precision);
      state.unit = unit;  // not set_matrix_unit, which refuses what the processor lacks
      state.unit_was_set = true;
      Tensor<float> c(Shape{70, 45});
      const kernels::PackedOperand<float> packed(kernels::transposed(weight));
      EXPECT_EQ(packed.packing().unit, unit);
      kernels::gemm(kernels::as_is(a), packed, c, {.bias = bias.data()});
      return c;
    };
    const Tensor<float> portable = product(rapt::MatrixUnit::portable);
    expect_same_bits_on_any_threads([&] { return product(rapt::MatrixUnit::amx); });
    EXPECT_LE(relative_error(product(rapt::MatrixUnit::amx), portable), 16 * kEpsilon<float>);
  }
  rapt::set_precision(before);
  rapt::set_matrix_unit(std::nullopt);
}
#endif

}  // namespace
