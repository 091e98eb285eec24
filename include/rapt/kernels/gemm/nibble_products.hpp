/// \file
/// Products of rows of eight bits with panels of four bits (nibbles.hpp), for the vectors that a processor has.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "rapt/core/cpu_features.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/gemm/nibbles.hpp"
#include "rapt/kernels/gemm/quad_products.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// c (+)= a * panel for c.columns <= 32 columns, on the compiler's portable vectors.
inline void multiply_nibbles_portable(const GroupedRows& a, const NibblePanel& panel, const BlockOutput<float>& c) {
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    constexpr int kWidth = simd::kLanes<decltype(isa), std::int32_t>;
    using Integers = simd::Vector<std::int32_t, kWidth>;
    using Bytes = simd::Vector<std::uint8_t, kWidth>;
    using V = simd::Vector<float, kWidth>;
    for (Index i = 0; i < a.rows; ++i) {
      for (Index j = 0; j < c.columns; j += kWidth) {
        V sum = {}, shift = {};
        for (Index g = 0; g < a.groups; ++g) {
          const std::uint32_t* group = panel.data + g * kGroupWords;
          const auto* row = reinterpret_cast<const std::int8_t*>(a.data + (i * a.groups + g) * 8);
          Integers dot = {};
          for (Index h = 0; h < 4; ++h) {
            Integers b;
            simd::load(b, group + h * kQuadColumns + j);
#pragma GCC unroll 4
            for (int byte = 0; byte < 4; ++byte) {
              dot += static_cast<std::int32_t>(row[4 * h + byte]) * ((b >> 8 * byte) & 15);
              dot += static_cast<std::int32_t>(row[16 + 4 * h + byte]) * ((b >> (8 * byte + 4)) & 15);
            }
          }
          Bytes scale, offset;
          simd::load(scale, reinterpret_cast<const std::uint8_t*>(group + kScaleWord) + j);
          simd::load(offset, reinterpret_cast<const std::uint8_t*>(group + kOffsetWord) + j);
          sum += __builtin_convertvector(dot, V) * a.scales[i * a.groups + g] * __builtin_convertvector(scale, V);
          shift += a.sums[i * a.groups + g] * __builtin_convertvector(offset, V);
        }
        float products[kWidth];
        for (int lane = 0; lane < kWidth; ++lane) {
          products[lane] = sum[lane] * panel.scales[j + lane] - shift[lane] * panel.offsets[j + lane];
        }
        detail::write_part(products, kWidth, 1,
                           BlockOutput<float>{.data = c.data + i * c.stride + j,
                                              .stride = c.stride,
                                              .columns = std::min<Index>(kWidth, c.columns - j),
                                              .bias = c.bias != nullptr ? c.bias + j : nullptr,
                                              .accumulate = c.accumulate});
      }
    }
  });
}

#if defined(__x86_64__)
namespace detail {

#define RAPT_TARGET_AVX512_VNNI gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")

/// c[kRows, up to 32] (+)= a[kRows, groups] * panel by AVX-512's dot products of bytes, with all sums in registers.
template <int kRows>
[[RAPT_TARGET_AVX512_VNNI, gnu::noinline]] void dot_nibbles_avx512(const GroupedRows& a, const NibblePanel& panel,
                                                                   const BlockOutput<float>& c) {
  __m512 sum[kRows][2], shift[kRows][2];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    sum[r][0] = sum[r][1] = shift[r][0] = shift[r][1] = _mm512_setzero_ps();
  }
  constexpr __mmask16 all = 0xffff;  // g++ 12 warns of the conversions without a mask
  const __m512i low_half = _mm512_set1_epi8(15), high_half = _mm512_set1_epi8(-16);
  const std::uint32_t* group = panel.data;
  for (Index g = 0; g < a.groups; ++g, group += kGroupWords) {
    if constexpr (kRows == 1) {  // the time goes into reading, which this brings forward by 4.6 kB
#pragma GCC unroll 9
      for (Index line = 0; line < kGroupWords; line += 16) {
        _mm_prefetch(reinterpret_cast<const char*>(group + 8 * kGroupWords + line), _MM_HINT_T0);
      }
    }
    // The high halves of bytes are 16 times their numbers; their sums are divided before those of the low ones follow.
    __m512i dot[kRows][2];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) dot[r][0] = dot[r][1] = _mm512_setzero_si512();
#pragma GCC unroll 2
    for (int high = 1; high >= 0; --high) {
#pragma GCC unroll 4
      for (int h = 0; h < 4; ++h) {
        __m512i b[2];
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
          b[j] = _mm512_and_si512(_mm512_loadu_si512(group + h * kQuadColumns + 16 * j), high ? high_half : low_half);
        }
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          const Quad* x = a.data + (r * a.groups + g) * 8 + 4 * high;
          const __m512i y = _mm512_set1_epi32(static_cast<int>(x[h]));
          dot[r][0] = _mm512_dpbusd_epi32(dot[r][0], b[0], y);
          dot[r][1] = _mm512_dpbusd_epi32(dot[r][1], b[1], y);
        }
      }
      if (high) {
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          dot[r][0] = _mm512_maskz_srai_epi32(all, dot[r][0], 4);
          dot[r][1] = _mm512_maskz_srai_epi32(all, dot[r][1], 4);
        }
      }
    }
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      const __m128i scales = _mm_loadu_si128(reinterpret_cast<const __m128i*>(group + kScaleWord + 4 * j));
      const __m128i offsets = _mm_loadu_si128(reinterpret_cast<const __m128i*>(group + kOffsetWord + 4 * j));
      const __m512 scale = _mm512_maskz_cvtepi32_ps(all, _mm512_maskz_cvtepu8_epi32(all, scales));
      const __m512 offset = _mm512_maskz_cvtepi32_ps(all, _mm512_maskz_cvtepu8_epi32(all, offsets));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m512 factor = _mm512_mul_ps(scale, _mm512_set1_ps(a.scales[r * a.groups + g]));
        sum[r][j] = _mm512_fmadd_ps(_mm512_maskz_cvtepi32_ps(all, dot[r][j]), factor, sum[r][j]);
        shift[r][j] = _mm512_fmadd_ps(offset, _mm512_set1_ps(a.sums[r * a.groups + g]), shift[r][j]);
      }
    }
  }
  float products[kRows][kQuadColumns];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      const __m512 shifted = _mm512_mul_ps(shift[r][j], _mm512_loadu_ps(panel.offsets + 16 * j));
      _mm512_storeu_ps(products[r] + 16 * j,
                       _mm512_fmsub_ps(sum[r][j], _mm512_loadu_ps(panel.scales + 16 * j), shifted));
    }
  }
  write_part(products[0], kQuadColumns, kRows, c);
}

#undef RAPT_TARGET_AVX512_VNNI

/// As above for kVectors vectors of eight columns from column `first` on, by AVX2: products of bytes are added in pairs
/// to 16 bits, of which the eight of a group fit, as 8 * 2 * 15 * 127 < 2^15.
template <int kRows, int kVectors>
[[gnu::target("avx2,fma"), gnu::noinline]] void dot_nibbles_avx2(const GroupedRows& a, const NibblePanel& panel,
                                                                 Index first, float* products) {
  __m256 sum[kRows][kVectors], shift[kRows][kVectors];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[r][j] = shift[r][j] = _mm256_setzero_ps();
  }
  const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
  const std::uint32_t* group = panel.data + first;
  const auto* scale_bytes = reinterpret_cast<const char*>(panel.data + kScaleWord) + first;
  for (Index g = 0; g < a.groups; ++g, group += kGroupWords, scale_bytes += 4 * kGroupWords) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      __m256i dot[kRows];
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) dot[r] = _mm256_setzero_si256();
#pragma GCC unroll 4
      for (int h = 0; h < 4; ++h) {
        const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(group + h * kQuadColumns + 8 * j));
        const __m256i low = _mm256_and_si256(b, nibble), high = _mm256_and_si256(_mm256_srli_epi16(b, 4), nibble);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          const Quad* x = a.data + (r * a.groups + g) * 8;
          const __m256i x_low = _mm256_set1_epi32(static_cast<int>(x[h]));
          const __m256i x_high = _mm256_set1_epi32(static_cast<int>(x[h + 4]));
          dot[r] = _mm256_add_epi16(dot[r], _mm256_maddubs_epi16(low, x_low));
          dot[r] = _mm256_add_epi16(dot[r], _mm256_maddubs_epi16(high, x_high));
        }
      }
      const __m128i scales = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(scale_bytes + 8 * j));
      const __m128i offsets = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(scale_bytes + kQuadColumns + 8 * j));
      const __m256 scale = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(scales));
      const __m256 offset = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(offsets));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m256 factor = _mm256_mul_ps(scale, _mm256_set1_ps(a.scales[r * a.groups + g]));
        sum[r][j] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_madd_epi16(dot[r], ones)), factor, sum[r][j]);
        shift[r][j] = _mm256_fmadd_ps(offset, _mm256_set1_ps(a.sums[r * a.groups + g]), shift[r][j]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const Index column = first + 8 * j;
      const __m256 shifted = _mm256_mul_ps(shift[r][j], _mm256_loadu_ps(panel.offsets + column));
      _mm256_storeu_ps(products + r * kQuadColumns + column,
                       _mm256_fmsub_ps(sum[r][j], _mm256_loadu_ps(panel.scales + column), shifted));
    }
  }
}

}  // namespace detail
#elif defined(__aarch64__)
namespace detail {

/// c[kRows, up to 32] (+)= a[kRows, groups] * panel by AArch64's dot products of signed bytes, kVectors vectors of four
/// columns at a time.
template <int kRows, int kVectors>
[[gnu::noinline, RAPT_TARGET_DOT_PRODUCT]] void dot_nibbles_neon(const GroupedRows& a, const NibblePanel& panel,
                                                                 const BlockOutput<float>& c) {
  for (Index first = 0; first < c.columns; first += 4 * kVectors) {
    Floats4 sum[kRows][kVectors] = {}, shift[kRows][kVectors] = {};
    const std::uint32_t* group = panel.data;
    for (Index g = 0; g < a.groups; ++g, group += kGroupWords) {
      Words4 x[kRows][2];
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        simd::load(x[r][0], a.data + (r * a.groups + g) * 8);
        simd::load(x[r][1], a.data + (r * a.groups + g) * 8 + 4);
      }
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) {
        Integers4 dot[kRows] = {};
        const auto step = [&]<int kLane>(std::integral_constant<int, kLane>) __attribute__((always_inline)) {
          Words4 b;
          simd::load(b, group + kLane * kQuadColumns + first + 4 * j);
          using Bytes = simd::Vector<std::uint8_t, 16>;
          const auto low = (Words4)((Bytes)b & 15), high = (Words4)((Bytes)b >> 4);
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) {
            add_byte_dots<kLane>(dot[r], low, x[r][0]);
            add_byte_dots<kLane>(dot[r], high, x[r][1]);
          }
        };
        step(std::integral_constant<int, 0>{});
        step(std::integral_constant<int, 1>{});
        step(std::integral_constant<int, 2>{});
        step(std::integral_constant<int, 3>{});
        Floats4 scale, offset;
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(group + kScaleWord) + first + 4 * j;
        load_bytes(bytes, scale);
        load_bytes(bytes + kQuadColumns, offset);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          sum[r][j] += __builtin_convertvector(dot[r], Floats4) * (scale * a.scales[r * a.groups + g]);
          shift[r][j] += offset * a.sums[r * a.groups + g];
        }
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) {
        const Index column = first + 4 * j;
        Floats4 scales, offsets;
        simd::load(scales, panel.scales + column);
        simd::load(offsets, panel.offsets + column);
        write_four(sum[r][j] * scales - shift[r][j] * offsets, c, r, column);
      }
    }
  }
}

}  // namespace detail
#endif

namespace detail {

/// Calls block(constant, a, c) for blocks of four, two and one rows that cover all rows of a and c.
template <class F>
void for_grouped_rows(GroupedRows a, BlockOutput<float> c, const F& block) {
  const auto step = [&]<int kRows>(std::integral_constant<int, kRows> constant) {
    for (; a.rows >= kRows; a.rows -= kRows) {
      block(constant, a, c);
      a.data += 8 * kRows * a.groups, a.scales += kRows * a.groups, a.sums += kRows * a.groups;
      c.data += kRows * c.stride;
    }
  };
  step(std::integral_constant<int, 4>{});
  step(std::integral_constant<int, 2>{});
  step(std::integral_constant<int, 1>{});
}

}  // namespace detail

/// c (+)= a * panel for c.columns <= 32 columns, on the fastest unit that the processor has.
inline void multiply_nibbles(const GroupedRows& a, const NibblePanel& panel, const BlockOutput<float>& c) {
#if defined(__x86_64__)
  if (has_int8_dot_products()) {
    return detail::for_grouped_rows(
        a, c, [&]<int kRows>(std::integral_constant<int, kRows>, const GroupedRows& some, const auto& part) {
          detail::dot_nibbles_avx512<kRows>(some, panel, part);
        });
  }
  if (simd_level() != SimdLevel::baseline) {
    return detail::for_grouped_rows(
        a, c, [&]<int kRows>(std::integral_constant<int, kRows>, const GroupedRows& some, const auto& part) {
          float products[kRows][kQuadColumns];
          constexpr int kVectors = kRows == 1 ? 4 : 2;
          for (Index j = 0; j < kQuadColumns; j += 8 * kVectors) {
            detail::dot_nibbles_avx2<kRows, kVectors>(some, panel, j, products[0]);
          }
          detail::write_part(products[0], kQuadColumns, kRows, part);
        });
  }
#elif defined(__aarch64__)
  if (has_int8_dot_products()) {
    return detail::for_grouped_rows(
        a, c, [&]<int kRows>(std::integral_constant<int, kRows>, const GroupedRows& some, const auto& part) {
          constexpr int kVectors = kRows == 1 ? 8 : kRows == 2 ? 4 : 2;  // whose sums and shifts fit the registers
          detail::dot_nibbles_neon<kRows, kVectors>(some, panel, part);
        });
  }
#endif
  multiply_nibbles_portable(a, panel, c);
}

}}}  // namespace rapt::RAPT_ABI::kernels
