/// \file
/// Products of integers of eight bits (quads.hpp), by the processor's dot products or products of bytes where it has
/// them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "rapt/core/cpu_features.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/gemm/neon.hpp"
#include "rapt/kernels/gemm/quads.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// c (+)= a * panel for c.columns <= 32 columns, on the compiler's portable vectors.
inline void multiply_quads_portable(const QuadRows& a, const QuadPanel& panel, const BlockOutput<float>& c) {
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    constexpr int kWidth = simd::kLanes<decltype(isa), std::int32_t>;
    using Integers = simd::Vector<std::int32_t, kWidth>;
    for (Index i = 0; i < a.rows; ++i) {
      const Quad* row = a.data + i * a.stride;
      for (Index j = 0; j < c.columns; j += kWidth) {
        Integers sum = {};
        for (Index p = 0; p < panel.quads; ++p) {
          Integers b;
          simd::load(b, panel.data + p * kQuadColumns + j);
#pragma GCC unroll 4
          for (int byte = 0; byte < 4; ++byte) {  // an unsigned byte of the left by a signed one of the right
            sum += static_cast<std::int32_t>(row[p] >> 8 * byte & 0xffu) * ((b << (24 - 8 * byte)) >> 24);
          }
        }
        for (Index lane = 0; lane < std::min<Index>(kWidth, c.columns - j); ++lane) {
          const Index at = j + lane;
          float& out = c.data[i * c.stride + at];
          const float product = static_cast<float>(sum[lane] - panel.shifts[at]) * (a.scales[i] * panel.scales[at]);
          out = product + (c.bias != nullptr ? c.bias[at] : 0.f) + (c.accumulate ? out : 0.f);
        }
      }
    }
  });
}

/// True if the processor has dot products of bytes: AVX-512's (VNNI), which need that instruction set in force, or
/// AArch64's.
[[nodiscard]] inline bool has_int8_dot_products() {
#if defined(__x86_64__)
  return simd_level() == SimdLevel::avx512 && rapt::detail::x86_features().avx512_vnni;
#elif defined(__aarch64__)
  return rapt::detail::arm_features().dot_product;
#else
  return false;
#endif
}

#if defined(__x86_64__)
#define RAPT_TARGET_AVX512_VNNI gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")

namespace detail {

/// c[kRows, up to 32] (+)= a[kRows, quads] * panel, with all sums in registers: two vectors of 16 columns for each row.
template <int kRows>
[[RAPT_TARGET_AVX512_VNNI, gnu::noinline]] void dot_quads_block(const QuadRows& a, const QuadPanel& panel,
                                                                const BlockOutput<float>& c) {
  __m512i sum[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_si512();
  const Quad *left = a.data, *right = panel.data;
  for (Index p = 0; p < panel.quads; ++p, ++left, right += kQuadColumns) {
    const __m512i b[2] = {_mm512_loadu_si512(right), _mm512_loadu_si512(right + 16)};
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512i x = _mm512_set1_epi32(static_cast<int>(left[r * a.stride]));
      sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], x, b[0]);
      sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], x, b[1]);
    }
  }
  // From sums of integers to numbers: (sum - shift) * (scale of the row * scale of the column) + bias, masked to c's
  // width.
#pragma GCC unroll 2
  for (int j = 0; j < 2; ++j) {
    const Index columns = std::min<Index>(16, c.columns - 16 * j);
    if (columns <= 0) break;
    const auto mask = static_cast<__mmask16>((1u << columns) - 1);
    const __m512 bias = c.bias != nullptr ? _mm512_maskz_loadu_ps(mask, c.bias + 16 * j) : _mm512_setzero_ps();
    const __m512 scales = _mm512_loadu_ps(panel.scales + 16 * j);
    const __m512i shifts = _mm512_loadu_si512(panel.shifts + 16 * j);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      float* to = c.data + r * c.stride + 16 * j;
      const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(a.scales[r]), scales);
      __m512 value = _mm512_mul_ps(_mm512_maskz_cvtepi32_ps(mask, _mm512_sub_epi32(sum[r][j], shifts)), scale);
      value = _mm512_add_ps(value, bias);
      if (c.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, to));
      _mm512_mask_storeu_ps(to, mask, value);
    }
  }
}

}  // namespace detail

/// As `multiply_quads_portable`, by AVX-512's dot products, each of which adds 16 x 4 products to 16 sums. Blocks have
/// 14 rows: their 28 sums, two vectors of the panel and a broadcast fit the 32 registers.
inline void multiply_quads_avx512(QuadRows a, const QuadPanel& panel, BlockOutput<float> c) {
  const auto step = [&]<int kRows>(std::integral_constant<int, kRows>) {
    for (; a.rows >= kRows; a.rows -= kRows) {
      detail::dot_quads_block<kRows>(a, panel, c);
      a.data += kRows * a.stride, a.scales += kRows, c.data += kRows * c.stride;
    }
  };
  step(std::integral_constant<int, 14>{});
  step(std::integral_constant<int, 8>{});
  step(std::integral_constant<int, 4>{});
  step(std::integral_constant<int, 2>{});
  step(std::integral_constant<int, 1>{});
}

#undef RAPT_TARGET_AVX512_VNNI
#endif

#if defined(__aarch64__)
namespace detail {

/// Writes four columns of row r, from number j on: sums of products of signed integers,
/// times the scales of row and columns.
[[gnu::always_inline]] inline void write_quad_sums(const Integers4& sums, const QuadRows& a, const QuadPanel& panel,
                                                   const BlockOutput<float>& c, Index r, Index j) {
  Floats4 scales;
  simd::load(scales, panel.scales + j);
  write_four(__builtin_convertvector(sums, Floats4) * (a.scales[r] * scales), c, r, j);
}

/// c[kRows, up to 32] (+)= a[kRows, quads] * panel by dot products of signed bytes, 16 columns at a time.
template <int kRows>
[[gnu::noinline, RAPT_TARGET_DOT_PRODUCT]] void dot_quads_neon(const QuadRows& a, const QuadPanel& panel,
                                                               const BlockOutput<float>& c) {
  for (Index j = 0; j < c.columns; j += 16) {
    Integers4 sums[kRows][4] = {};
    const Quad *left = a.data, *right = panel.data + j;
    Index p = 0;
    const auto step = [&]<int kLane>(const Words4(&x)[kRows], std::integral_constant<int, kLane>)
        __attribute__((always_inline)) {
      Words4 b[4];
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) simd::load(b[k], right + 4 * k);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) add_byte_dots<kLane>(sums[r][k], b[k], x[r]);
      }
      right += kQuadColumns;
    };
    Words4 x[kRows];
    for (; p + 4 <= panel.quads; p += 4) {
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        simd::load(x[r], left + r * a.stride + p);
        x[r] ^= ByteTile::kFlip;
      }
      step(x, std::integral_constant<int, 0>{});
      step(x, std::integral_constant<int, 1>{});
      step(x, std::integral_constant<int, 2>{});
      step(x, std::integral_constant<int, 3>{});
    }
    for (; p < panel.quads; ++p) {
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) x[r] = Words4{left[r * a.stride + p]} ^ ByteTile::kFlip;
      step(x, std::integral_constant<int, 0>{});
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) write_quad_sums(sums[r][k], a, panel, c, r, j + 4 * k);
    }
  }
}

/// c[rows, up to 32] (+)= a * panel by products of 2 x 8 by 8 x 2 bytes; rows are 2 kRowPairs, or 1.
template <int kRowPairs>
void multiply_quad_tiles(const QuadRows& a, const QuadPanel& panel, const BlockOutput<float>& c) {
  for (Index j = 0; j < c.columns; j += 8) {
    Integers4 sums[kRowPairs][4];
    multiply_tiles<ByteTile, kRowPairs, false>(
        {.left = a.data, .right = panel.data + j, .stride = a.rows > 1 ? a.stride : 0, .words = panel.quads}, sums);
    for (Index r = 0; r < a.rows; ++r) {
      const auto& tiles = sums[r / 2];
      Integers4 low, high;
      tile_row(tiles[0], tiles[1], static_cast<int>(r % 2), low);
      tile_row(tiles[2], tiles[3], static_cast<int>(r % 2), high);
      write_quad_sums(low, a, panel, c, r, j);
      write_quad_sums(high, a, panel, c, r, j + 4);
    }
  }
}

}  // namespace detail

/// As `multiply_quads_portable`, by dot products of signed bytes, each of which adds 4 x 4 products to four sums.
/// Blocks have four rows: 16 vectors of sums, four of the panel and four of rows. Left integers become signed, so that
/// no shift is to be subtracted.
inline void multiply_quads_by_dots(QuadRows a, const QuadPanel& panel, BlockOutput<float> c) {
  const auto step = [&]<int kRows>(std::integral_constant<int, kRows>) {
    for (; a.rows >= kRows; a.rows -= kRows) {
      detail::dot_quads_neon<kRows>(a, panel, c);
      a.data += kRows * a.stride, a.scales += kRows, c.data += kRows * c.stride;
    }
  };
  step(std::integral_constant<int, 4>{});
  step(std::integral_constant<int, 2>{});
  step(std::integral_constant<int, 1>{});
}

/// As above, by products of 2 x 8 by 8 x 2 bytes, each of which adds 32 products to four sums.
inline void multiply_quads_by_tiles(const QuadRows& a, const QuadPanel& panel, const BlockOutput<float>& c) {
  detail::for_row_pairs<5>(a.rows, [&]<int kRowPairs>(std::integral_constant<int, kRowPairs>, Index first, Index rows) {
    const QuadRows some{
        .data = a.data + first * a.stride, .scales = a.scales + first, .rows = rows, .stride = a.stride};
    BlockOutput<float> part = c;
    part.data += first * c.stride;
    detail::multiply_quad_tiles<kRowPairs>(some, panel, part);
  });
}
#endif

/// c (+)= a * panel for c.columns <= 32 columns, on the fastest unit that the processor has.
inline void multiply_quads(const QuadRows& a, const QuadPanel& panel, const BlockOutput<float>& c) {
#if defined(__x86_64__)
  if (has_int8_dot_products()) return multiply_quads_avx512(a, panel, c);
#elif defined(__aarch64__)
  // A single row fills half of each tile, of which the rest would be wasted.
  if (rapt::detail::arm_features().int8_matrix && a.rows > 1) return multiply_quads_by_tiles(a, panel, c);
  if (has_int8_dot_products()) return multiply_quads_by_dots(a, panel, c);
#endif
  multiply_quads_portable(a, panel, c);
}

}}}  // namespace rapt::RAPT_ABI::kernels
