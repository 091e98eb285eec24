/// \file
/// Products of bfloat16 pairs by AVX-512's dot products. Each instruction multiplies 16 pairs by a broadcast pair and
/// adds both products of each pair to one of 16 float32 sums.
#pragma once

#include "rapt/kernels/gemm/bfloat16.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

#define RAPT_TARGET_AVX512_BF16 gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")

namespace detail {

/// c[kRows, up to 16 kVectors] (+)= a[kRows, pairs] * panel, with all sums in registers. With kResidual it is the sum
/// of the three products of precision `high`.
template <int kRows, int kVectors, bool kResidual>
[[RAPT_TARGET_AVX512_BF16, gnu::noinline]] void dot_pairs_block(const PairRows& a, const PairPanel& panel,
                                                                const BlockOutput<float>& c) {
  __m512 sum[kRows][kVectors];
  for (auto& row : sum) {
    for (auto& s : row) s = _mm512_setzero_ps();
  }
  const Pair *left = a.data, *right = panel.data;
  for (Index p = 0; p < panel.pairs; ++p, ++left, right += kPairColumns) {
    __m512i b[kVectors], b_rest[kVectors];
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      b[j] = _mm512_loadu_si512(right + 16 * j);
      if constexpr (kResidual) b_rest[j] = _mm512_loadu_si512(right + panel.plane + 16 * j);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512i x = _mm512_set1_epi32(static_cast<int>(left[r * a.stride]));
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) {
        if constexpr (kResidual) sum[r][j] = _mm512_dpbf16_ps(sum[r][j], (__m512bh)x, (__m512bh)b_rest[j]);
        sum[r][j] = _mm512_dpbf16_ps(sum[r][j], (__m512bh)x, (__m512bh)b[j]);
      }
      if constexpr (kResidual) {
        const __m512i x_rest = _mm512_set1_epi32(static_cast<int>(left[r * a.stride + a.plane]));
#pragma GCC unroll 2
        for (int j = 0; j < kVectors; ++j) {
          sum[r][j] = _mm512_dpbf16_ps(sum[r][j], (__m512bh)x_rest, (__m512bh)b[j]);
        }
      }
    }
  }
#pragma GCC unroll 2
  for (int j = 0; j < kVectors; ++j) {
    const Index columns = std::min<Index>(16, c.columns - 16 * j);
    if (columns <= 0) break;
    const auto mask = static_cast<__mmask16>((1u << columns) - 1);
    const __m512 bias = c.bias != nullptr ? _mm512_maskz_loadu_ps(mask, c.bias + 16 * j) : _mm512_setzero_ps();
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      float* to = c.data + r * c.stride + 16 * j;
      __m512 value = _mm512_add_ps(sum[r][j], bias);
      if (c.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, to));
      _mm512_mask_storeu_ps(to, mask, value);
    }
  }
}

}  // namespace detail

/// c (+)= a * panel for c.columns <= 32 columns, as `multiply_pairs_portable`. The most rows of a block are those whose
/// sums and operands fit the 32 registers.
inline void multiply_pairs_avx512(PairRows a, const PairPanel& panel, BlockOutput<float> c) {
  const auto step = [&]<int kRows, bool kResidual>(std::integral_constant<int, kRows>, std::bool_constant<kResidual>) {
    for (; a.rows >= kRows; a.rows -= kRows, a.data += kRows * a.stride, c.data += kRows * c.stride) {
      detail::dot_pairs_block<kRows, 2, kResidual>(a, panel, c);
    }
  };
  if (a.plane != 0) {
    step(std::integral_constant<int, 12>{}, std::true_type{});
    step(std::integral_constant<int, 1>{}, std::true_type{});
  } else {
    step(std::integral_constant<int, 14>{}, std::false_type{});
    step(std::integral_constant<int, 8>{}, std::false_type{});
    step(std::integral_constant<int, 4>{}, std::false_type{});
    step(std::integral_constant<int, 2>{}, std::false_type{});
    step(std::integral_constant<int, 1>{}, std::false_type{});
  }
}

}}}  // namespace rapt::RAPT_ABI::kernels

#undef RAPT_TARGET_AVX512_BF16
#endif
