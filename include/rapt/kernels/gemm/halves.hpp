/// \file
/// Numbers of 16 bits as files store weights, float16 or bfloat16: rounding, widening, and dot products with rows of
/// float32, widened in registers.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "rapt/core/cpu_features.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/kernels/gemm/block.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The bits of a number of 16 bits: IEEE 754's binary16, or bfloat16, the upper half of a float32.
using Half = std::uint16_t;
/// The two formats of 16 bits: IEEE's float16, and the upper half of a float32.
enum class HalfType { float16, bfloat16 };

/// Rounds to the nearest number of the type, ties to even.
[[nodiscard]] inline Half to_half(HalfType type, float x) {
  return type == HalfType::float16 ? std::bit_cast<Half>(Eigen::half(x)) : std::bit_cast<Half>(Eigen::bfloat16(x));
}

namespace detail {

/// x <- the numbers whose bits stand at `from`, exactly. A float16 becomes a float32 by moving its exponent and
/// mantissa to their places and multiplying by 2^(127 - 15), which is right for subnormal numbers, too; NEON has an
/// instruction for it.
template <HalfType kType, int kWidth>
[[gnu::always_inline]] inline void load_halves(simd::Vector<float, kWidth>& x, const Half* from) {
  using Bits = simd::Vector<std::uint32_t, kWidth>;
  if constexpr (kType == HalfType::bfloat16) {
    Bits bits;
    simd::load_upper_halves<kWidth>(bits, from);
    x = (simd::Vector<float, kWidth>)bits;
    return;
  }
  simd::Vector<Half, kWidth> narrow;
  simd::load(narrow, from);
#if defined(__aarch64__)
  if constexpr (kWidth == 4) {
    asm("fcvtl %0.4s, %1.4h" : "=w"(x) : "w"(narrow));
    return;
  }
#endif
  const Bits bits = __builtin_convertvector(narrow, Bits);
  const simd::Vector<float, kWidth> magnitude = (simd::Vector<float, kWidth>)((bits & 0x7fffu) << 13) * 0x1p112f;
  const Bits not_finite = (Bits)((bits & 0x7c00u) == 0x7c00u) & 0x7f800000u;
  x = (simd::Vector<float, kWidth>)((Bits)magnitude | not_finite | (bits & 0x8000u) << 16);
}

/// f(constant) with the type as a constant of the compiler.
template <class F>
[[gnu::always_inline]] inline void with_half_type(HalfType type, const F& f) {
  if (type == HalfType::float16) {
    f(std::integral_constant<HalfType, HalfType::float16>{});
  } else {
    f(std::integral_constant<HalfType, HalfType::bfloat16>{});
  }
}

}  // namespace detail

/// to[i] = from[i] in float32, exactly.
inline void widen(HalfType type, const Half* from, Index count, float* to) {
  detail::with_half_type(
      type, [&](auto constant) __attribute__((always_inline)) {
        simd::with_simd([&](auto isa) __attribute__((always_inline)) {
          simd::for_lanes<float>(
              isa, count, [&](auto lanes, Index i) __attribute__((always_inline)) {
                simd::Vector<float, lanes> x;
                detail::load_halves<constant(), lanes>(x, from + i);
                simd::store(to + i, x);
              });
        });
      });
}

/// Rows of a weight [columns of c][depth], `stride` numbers apart.
struct HalfRows {
  HalfType type = HalfType::float16;  ///< what the 16 bits mean
  const Half* data = nullptr;         ///< the first number of the row that gives c's first column
  Index stride = 0;
};

namespace detail {

/// The left operand's first row, the four rows of the weight that are multiplied by it, and the depth.
struct HalfDots {
  const float* a = nullptr;
  Index a_stride = 0;
  const Half* b[4] = {};
  Index depth = 0;
  Index next = 0;  ///< from b to the rows that are multiplied afterwards, which are prefetched
};

/// sums[kRows][4] = a[kRows, depth] * b[4, depth]^T.
template <HalfType kType, int kRows, class Isa>
[[gnu::always_inline]] inline void dot_halves(Isa, const HalfDots& dots, float (&sums)[kRows][4]) {
  constexpr int kLanes = simd::kLanes<Isa, float>;
  simd::Vector<float, kLanes> sum[kRows][4] = {};
  const auto step = [&]<int kWidth>(auto& totals, Index p, std::integral_constant<int, kWidth>)
      __attribute__((always_inline)) {
    simd::Vector<float, kWidth> x[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) load_halves<kType, kWidth>(x[j], dots.b[j] + p);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      simd::Vector<float, kWidth> y;
      simd::load(y, dots.a + r * dots.a_stride + p);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) totals[r][j] += x[j] * y;
    }
  };
  Index p = 0;
  for (; p + kLanes <= dots.depth; p += kLanes) step(sum, p, std::integral_constant<int, kLanes>{});
  simd::Vector<float, 1> rest[kRows][4] = {};
  for (; p < dots.depth; ++p) step(rest, p, std::integral_constant<int, 1>{});
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < 4; ++j) sums[r][j] = rest[r][j][0] + simd::sum_lanes<kLanes>(sum[r][j]);
  }
}

#if defined(__x86_64__)

/// The sums of the lanes of four vectors.
[[gnu::target("avx2"), gnu::always_inline]] inline void add_lanes(const __m256 (&vectors)[4], float (&sums)[4]) {
  const __m256 pairs = _mm256_hadd_ps(vectors[0], vectors[1]), others = _mm256_hadd_ps(vectors[2], vectors[3]);
  const __m256 halves = _mm256_hadd_ps(pairs, others);
  _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
}

/// How many rows of the weight are read side by side: a single row of the left operand is multiplied by them one after
/// the other, as memory is read about twice as fast in one stream as in four.
template <int kRows>
inline constexpr int kStreams = kRows == 1 ? 1 : 4;

/// As `dot_halves`, by the instructions that widen float16, which the portable vectors cannot name.
template <HalfType kType, int kRows>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"), gnu::noinline]] void dot_halves_avx512(
    const HalfDots& dots, float (&sums)[kRows][4]) {
  // One row has two sums for each column, which take turns, so that an addition need not wait for the one before it.
  constexpr int kTurns = kRows == 1 ? 2 : 1, kColumns = kStreams<kRows>;
  __m256 folded[kRows][4];
#pragma GCC unroll 4
  for (int first = 0; first < 4; first += kColumns) {
    const Half* const* b = dots.b + first;
    __m512 sum[kRows][kColumns], other[kRows][kColumns];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < kColumns; ++j) sum[r][j] = other[r][j] = _mm512_setzero_ps();
    }
    Index p = 0;
    for (; p + 32 <= dots.depth; p += 32) {  // a cache line of each row of the weight
      if constexpr (kColumns > 1) {          // the processor itself follows one stream alone
#pragma GCC unroll 4
        for (int j = 0; j < kColumns; ++j) {
          _mm_prefetch(reinterpret_cast<const char*>(b[j] + dots.next + p), _MM_HINT_T1);
        }
      }
#pragma GCC unroll 2
      for (int part = 0; part < 2; ++part) {
        __m512 x[kColumns];
#pragma GCC unroll 4
        for (int j = 0; j < kColumns; ++j) {
          const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b[j] + p + 16 * part));
          if constexpr (kType == HalfType::float16) {
            x[j] = _mm512_maskz_cvtph_ps(0xffff, bits);
          } else {
            x[j] = _mm512_castsi512_ps(_mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, bits), 16));
          }
        }
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          const __m512 y = _mm512_loadu_ps(dots.a + r * dots.a_stride + p + 16 * part);
#pragma GCC unroll 4
          for (int j = 0; j < kColumns; ++j) {
            __m512& to = part % kTurns == 0 ? sum[r][j] : other[r][j];
            to = _mm512_fmadd_ps(x[j], y, to);
          }
        }
      }
    }
    for (; p < dots.depth; p += 16) {
      const Index count = std::min<Index>(16, dots.depth - p);
      const auto mask = static_cast<__mmask16>((1u << count) - 1);
      __m512 x[kColumns];
#pragma GCC unroll 4
      for (int j = 0; j < kColumns; ++j) {
        const __m256i bits = _mm256_maskz_loadu_epi16(mask, b[j] + p);
        if constexpr (kType == HalfType::float16) {
          x[j] = _mm512_maskz_cvtph_ps(mask, bits);
        } else {
          x[j] = _mm512_castsi512_ps(_mm512_maskz_slli_epi32(mask, _mm512_maskz_cvtepu16_epi32(mask, bits), 16));
        }
      }
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m512 y = _mm512_maskz_loadu_ps(mask, dots.a + r * dots.a_stride + p);
#pragma GCC unroll 4
        for (int j = 0; j < kColumns; ++j) sum[r][j] = _mm512_fmadd_ps(x[j], y, sum[r][j]);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < kColumns; ++j) {
        const __m512 all = kTurns == 2 ? _mm512_add_ps(sum[r][j], other[r][j]) : sum[r][j];
        folded[r][first + j] =
            _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, all, 0), _mm512_maskz_extractf32x8_ps(0xff, all, 1));
      }
    }
  }
  for (int r = 0; r < kRows; ++r) add_lanes(folded[r], sums[r]);
}

/// As `dot_halves`, for AVX2 with F16C.
template <HalfType kType, int kRows>
[[gnu::target("avx2,fma,f16c"), gnu::noinline]] void dot_halves_avx2(const HalfDots& dots, float (&sums)[kRows][4]) {
  constexpr int kTurns = kRows == 1 ? 4 : 1, kColumns = kStreams<kRows>;
  __m256 folded[kRows][4];
  const Index end = dots.depth - dots.depth % (8 * kTurns);
#pragma GCC unroll 4
  for (int first = 0; first < 4; first += kColumns) {
    const Half* const* b = dots.b + first;
    __m256 sum[kTurns][kRows][kColumns];
#pragma GCC unroll 4
    for (int turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int j = 0; j < kColumns; ++j) sum[turn][r][j] = _mm256_setzero_ps();
      }
    }
    for (Index p = 0; p < end; p += 8 * kTurns) {
#pragma GCC unroll 4
      for (int turn = 0; turn < kTurns; ++turn) {
        __m256 x[kColumns];
#pragma GCC unroll 4
        for (int j = 0; j < kColumns; ++j) {
          const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b[j] + p + 8 * turn));
          if constexpr (kType == HalfType::float16) {
            x[j] = _mm256_cvtph_ps(bits);
          } else {
            x[j] = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
          }
        }
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          const __m256 y = _mm256_loadu_ps(dots.a + r * dots.a_stride + p + 8 * turn);
#pragma GCC unroll 4
          for (int j = 0; j < kColumns; ++j) sum[turn][r][j] = _mm256_fmadd_ps(x[j], y, sum[turn][r][j]);
        }
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < kColumns; ++j) {
        folded[r][first + j] = kTurns == 4 ? _mm256_add_ps(_mm256_add_ps(sum[0][r][j], sum[1 % kTurns][r][j]),
                                                           _mm256_add_ps(sum[2 % kTurns][r][j], sum[3 % kTurns][r][j]))
                                           : sum[0][r][j];
      }
    }
  }
  HalfDots rest = dots;  // the last numbers, less than those of one step
  rest.a += end, rest.depth -= end;
  for (auto& b : rest.b) b += end;
  dot_halves<kType, kRows>(simd::Baseline{}, rest, sums);
  for (int r = 0; r < kRows; ++r) {
    float whole[4];
    add_lanes(folded[r], whole);
    for (int j = 0; j < 4; ++j) sums[r][j] += whole[j];
  }
}

#endif

/// c (+)= a * b^T in blocks of four columns and up to four rows, whose sums `dots` computes.
template <class Dots>
void multiply_half_blocks(const Operand<float>& a, const HalfRows& b, const BlockOutput<float>& c, const Dots& dots) {
  for (Index j = 0; j < c.columns; j += 4) {
    BlockOutput<float> block{.data = c.data + j,
                             .stride = c.stride,
                             .columns = std::min<Index>(4, c.columns - j),
                             .bias = c.bias != nullptr ? c.bias + j : nullptr,
                             .accumulate = c.accumulate};
    HalfDots some{.a = a.data, .a_stride = a.row_stride, .depth = a.cols, .next = 4 * b.stride};
    // Where c has less than four columns, the last one is computed again in place of those that are missing.
    for (Index k = 0; k < 4; ++k) some.b[k] = b.data + (j + std::min(k, block.columns - 1)) * b.stride;
    Index rows = a.rows;
    const auto step = [&]<int kRows>(std::integral_constant<int, kRows> constant) {
      for (; rows >= kRows; rows -= kRows) {
        float sums[kRows][4];
        dots(constant, some, sums);
        write_part(sums[0], 4, kRows, block);
        some.a += kRows * a.row_stride, block.data += kRows * c.stride;
      }
    };
    step(std::integral_constant<int, 4>{});
    step(std::integral_constant<int, 1>{});
  }
}

}  // namespace detail

}}}  // namespace rapt::RAPT_ABI::kernels
