/// \file
/// Operands of the lower precisions: float32 numbers rounded to bfloat16, which is the upper half of a float32.
///
/// Two consecutive depths stand side by side in a pair of 32 bits, the layout that matrix units read: left operands are
/// rows of pairs, right operands panels of 32 columns of pairs. Both layouts are the same for AVX-512's dot products,
/// AMX tiles, NEON and the portable reference.
///
/// Precision `medium` keeps r(x), which is x rounded to nearest, ties to even. Precision `high` keeps a second plane
/// with the residual l(x) = r(x - r(x)) and computes a b as the three products r(a) r(b) + r(a) l(b) + l(a) r(b); the
/// fourth, l(a) l(b), is too small to matter.
#pragma once

#include <bit>
#include <cstdint>

#include "rapt/kernels/gemm/block.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Two bfloat16; the lower half has the lower depth.
using Pair = std::uint32_t;

/// The depth is padded with zeros to a multiple of this many pairs, as an AMX tile is 16 rows of 16 pairs.
inline constexpr Index kPairBlock = 16;
/// The number of columns of a panel of pairs.
inline constexpr Index kPairColumns = 32;
/// The greatest depth, in pairs, of one pass over a panel. A panel of this depth fills a first-level cache of 32 KiB.
inline constexpr Index kPairDepth = 256;

/// The number of pairs that a depth takes with its padding.
[[nodiscard]] constexpr Index pairs_of(Index depth) { return detail::round_up(depth, 2 * kPairBlock) / 2; }

/// A left operand: rows of pairs [rows][stride]. The residuals of precision `high` lie `plane` pairs behind; 0 means
/// that there are none. Memory up to the next multiple of 32 rows must be readable; its content does not matter.
struct PairRows {
  const Pair* data = nullptr;  ///< [rows][stride], of the rounded numbers
  Index rows = 0, stride = 0, plane = 0;
};

/// A panel of a right operand [pairs][32], and its residuals as in PairRows.
struct PairPanel {
  const Pair* data = nullptr;  ///< [pairs][32], of the rounded numbers
  Index pairs = 0, plane = 0;  ///< the padded depth in pairs, and where the residuals are; 0: there are none
};

namespace detail {

/// As many pairs, and as many floats, as a register of the instruction set holds.
template <class Isa>
using Pairs = simd::Native<Isa, Pair>;
template <class Isa>
using Floats = simd::Native<Isa, float>;

/// True for instruction sets beside which a processor may have a unit that multiplies pairs.
template <class Isa>
inline constexpr bool kPacksPairs = std::is_same_v<Isa, simd::Avx512> || std::is_same_v<Isa, simd::Neon>;

/// Rounds each lane of x to bfloat16, to nearest, ties to even; the result is in the upper half of each lane of `bits`.
/// NaN stays NaN. F and U are vectors of equally many float and 32-bit unsigned numbers.
template <class F, class U>
[[gnu::always_inline]] inline void round_to_bfloat16(const F& x, U& bits) {
  const U raw = (U)x;
  const U rounded = raw + (((raw >> 16) & 1u) + 0x7fffu);
  bits = (x == x ? rounded : (raw | 0x400000u)) & 0xffff0000u;
}

/// pairs <- the bfloat16 in the upper halves of a's lanes, then of b's, which are consecutive depths.
template <class P>
[[gnu::always_inline]] inline void join_depths(const P& a, const P& b, P& pairs) {
  constexpr std::size_t kCount = 2 * sizeof(P) / sizeof(Pair);
  using Halves = simd::Vector<std::uint16_t, static_cast<int>(kCount)>;
  [&]<std::size_t... kI>(std::index_sequence<kI...>) __attribute__((always_inline)) {
    pairs = (P)__builtin_shufflevector((Halves)a, (Halves)b, static_cast<int>(2 * kI + 1)...);
  }
  (std::make_index_sequence<kCount>{});
}

/// Rounds a square of `lanes` indices (rows of a left or columns of a right operand) x 2 lanes depths to lanes x lanes
/// pairs, where `lanes` is the number of floats that a register holds.
///
/// Element (index i, depth p) is read from from[i * line + p], or from[i + p * line] with kAcross. The pairs are
/// written as lines that are `to_stride` apart: one line for each index, or for each pair of depths with kByDepth.
/// Residuals are written `plane` pairs behind; with plane = 0 there are none.
template <bool kAcross, bool kByDepth, class Isa>
[[gnu::always_inline]] inline void pack_square(Isa, const float* from, Index line, Pair* to, Index to_stride,
                                               Index plane) {
  constexpr int kLanes = simd::kLanes<Isa, float>;
  for (Index rest = 0; rest <= plane; rest += std::max<Index>(plane, 1)) {
    const auto round_line = [&](int i, Pairs<Isa>& pairs) __attribute__((always_inline)) {
      Floats<Isa> low, high;  // with kAcross two depths of all indices, else the two halves of the depths of one index
      simd::load(low, from + (kAcross ? 2 * i : i) * line);
      simd::load(high, kAcross ? from + (2 * i + 1) * line : from + i * line + kLanes);
      Pairs<Isa> a, b;
      round_to_bfloat16(low, a);
      round_to_bfloat16(high, b);
      if (rest > 0) {
        low -= (Floats<Isa>)a;
        high -= (Floats<Isa>)b;
        round_to_bfloat16(low, a);
        round_to_bfloat16(high, b);
      }
      if constexpr (kAcross) {
        pairs = (a >> 16) | b;
      } else {
        join_depths(a, b, pairs);
      }
    };
    if constexpr (kAcross == kByDepth) {  // No transposition: a line is written as soon as it is rounded.
#pragma GCC unroll 1
      for (int i = 0; i < kLanes; ++i) {
        Pairs<Isa> pairs;
        round_line(i, pairs);
        simd::store(to + rest + i * to_stride, pairs);
      }
    } else {
      Pairs<Isa> square[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) round_line(i, square[i]);
      simd::transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) simd::store(to + rest + i * to_stride, square[i]);
    }
  }
}

/// Packs 16 indices x 32 depths, which are one square of pack_square for AVX-512 and 4 x 4 for NEON.
template <bool kAcross, bool kByDepth, class Isa>
[[gnu::always_inline]] inline void pack_squares_of_16(Isa isa, const float* from, Index line, Pair* to, Index to_stride,
                                                      Index plane) {
  constexpr Index kLanes = simd::kLanes<Isa, float>;
  for (Index i = 0; i < 16; i += kLanes) {
    for (Index p = 0; p < 16; p += kLanes) {
      pack_square<kAcross, kByDepth>(isa, from + (kAcross ? i + 2 * p * line : i * line + 2 * p), line,
                                     to + (kByDepth ? p * to_stride + i : i * to_stride + p), to_stride, plane);
    }
  }
}

/// As pack_squares_of_16, element by element. It serves instruction sets that have no matrix unit, where only tests
/// pack pairs.
template <bool kAcross, bool kByDepth>
[[gnu::noinline]] void pack_square_slowly(const float* from, Index line, Pair* to, Index to_stride, Index plane) {
  const auto round = [](float x) {
    const auto raw = std::bit_cast<Pair>(x);
    return (x == x ? raw + ((raw >> 16 & 1u) + 0x7fffu) : raw | 0x400000u) & 0xffff0000u;
  };
  for (Index i = 0; i < 16; ++i) {
    for (Index p = 0; p < 16; ++p) {
      const float low = from[kAcross ? i + 2 * p * line : i * line + 2 * p];
      const float high = from[kAcross ? i + (2 * p + 1) * line : i * line + 2 * p + 1];
      Pair* out = to + (kByDepth ? p * to_stride + i : i * to_stride + p);
      *out = round(low) >> 16 | round(high);
      if (plane > 0) {
        const float rest_low = low - std::bit_cast<float>(round(low));
        const float rest_high = high - std::bit_cast<float>(round(high));
        out[plane] = round(rest_low) >> 16 | round(rest_high);
      }
    }
  }
}

/// `indices` x `depth` numbers of which consecutive lines are `line` apart.
struct SquareSource {
  const float* data;
  Index line;
  Index indices;
  Index depth;
};
/// Where squares of pairs go: lines of a square are `stride` pairs apart, the square of the next 16 indices stands
/// `next_index` pairs further on, that of the next 32 depths `next_depth`, and the rests of the rounding `plane` pairs
/// behind the rounded numbers (0: they are not kept).
struct SquareDestination {
  Pair* data;
  Index stride;
  Index next_index;
  Index next_depth;
  Index plane;
};

/// Packs the squares of a source, which is padded with zeros to whole squares.
template <bool kAcross, bool kByDepth, class Isa>
[[gnu::always_inline]] inline void pack_squares(Isa isa, const SquareSource& source, const SquareDestination& to) {
  const Index line = source.line, indices = source.indices, depth = source.depth;
  Pair* out_of_index = to.data;
  for (Index i = 0; i < indices; i += 16, out_of_index += to.next_index) {
    Pair* out = out_of_index;
    for (Index p = 0; p < depth; p += 32, out += to.next_depth) {
      const float* square = source.data + (kAcross ? i + p * line : i * line + p);
      const Index some = std::min<Index>(16, indices - i), deep = std::min<Index>(32, depth - p);
      Index square_line = line;
      float padded[512];  // 16 lines of 32 elements, or with kAcross 32 lines of 16
      if (some < 16 || deep < 32) {
        const Index lines = kAcross ? deep : some, length = kAcross ? some : deep;
        square_line = kAcross ? 16 : 32;
        std::fill_n(padded, 512, 0.f);
        for (Index l = 0; l < lines; ++l) std::copy_n(square + l * line, length, padded + l * square_line);
        square = padded;
      }
      if constexpr (kPacksPairs<Isa>) {
        pack_squares_of_16<kAcross, kByDepth>(isa, square, square_line, out, to.stride, to.plane);
      } else {
        pack_square_slowly<kAcross, kByDepth>(square, square_line, out, to.stride, to.plane);
      }
    }
  }
}

/// Rounds `depth` consecutive numbers, a multiple of 32, to pairs; their residuals are written `plane` pairs behind,
/// and with plane = 0 there are none.
template <class Isa>
[[gnu::always_inline]] inline void pack_line(Isa, const float* from, Index depth, Pair* to, Index plane) {
  constexpr Index kLanes = simd::kLanes<Isa, float>;
  for (Index p = 0; p < depth; p += 2 * kLanes, to += kLanes) {
    Floats<Isa> low, high;
    simd::load(low, from + p);
    simd::load(high, from + p + kLanes);
    Pairs<Isa> a, b, pairs;
    round_to_bfloat16(low, a);
    round_to_bfloat16(high, b);
    join_depths(a, b, pairs);
    simd::store(to, pairs);
    if (plane == 0) continue;
    low -= (Floats<Isa>)a;
    high -= (Floats<Isa>)b;
    round_to_bfloat16(low, a);
    round_to_bfloat16(high, b);
    join_depths(a, b, pairs);
    simd::store(to + plane, pairs);
  }
}

/// As pack_squares<false, false>, but one line after the other: memory is read and written in its order.
template <class Isa>
[[gnu::always_inline]] inline void pack_lines(Isa isa, const SquareSource& source, const SquareDestination& to) {
  const Index whole = source.depth / 32 * 32;
  for (Index i = 0; i < round_up(source.indices, 16); ++i) {
    Pair* const out = to.data + i * to.stride;
    if (i >= source.indices) {
      std::fill_n(out, pairs_of(source.depth), Pair{0});
      if (to.plane != 0) std::fill_n(out + to.plane, pairs_of(source.depth), Pair{0});
      continue;
    }
    const float* const from = source.data + i * source.line;
    pack_line(isa, from, whole, out, to.plane);
    if (whole == source.depth) continue;
    float padded[32] = {};
    std::copy_n(from + whole, source.depth - whole, padded);
    pack_line(isa, padded, 32, out + whole / 2, to.plane);
  }
}

}  // namespace detail

/// Rounds a left operand to rows of pairs that are `stride` pairs apart. The number of rows is padded to a multiple of
/// 16, the depth to pairs_of(a.cols) pairs.
inline void pack_pair_rows(const Operand<float>& a, Pair* to, Index stride, Index plane) {
  const bool by_row = a.col_stride == 1;
  const detail::SquareSource source{
      .data = a.data, .line = by_row ? a.row_stride : a.col_stride, .indices = a.rows, .depth = a.cols};
  const detail::SquareDestination pairs{
      .data = to, .stride = stride, .next_index = 16 * stride, .next_depth = kPairBlock, .plane = plane};
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    if (!by_row) {
      detail::pack_squares<true, false>(isa, source, pairs);
    } else if constexpr (detail::kPacksPairs<decltype(isa)>) {
      detail::pack_lines(isa, source, pairs);
    } else {
      detail::pack_squares<false, false>(isa, source, pairs);
    }
  });
}

/// Rounds up to 32 columns of a right operand to a panel [pairs_of(b.rows)][32].
inline void pack_pair_panel(const Operand<float>& b, Pair* to, Index plane) {
  if (b.cols <= 16) {  // The second half of the panel has no columns and becomes zeros.
    for (Index p = 0; p < pairs_of(b.rows); ++p) {
      std::fill_n(to + p * kPairColumns + 16, 16, Pair{0});
      if (plane != 0) std::fill_n(to + plane + p * kPairColumns + 16, 16, Pair{0});
    }
  }
  const bool by_row = b.col_stride == 1;
  const detail::SquareSource source{
      .data = b.data, .line = by_row ? b.row_stride : b.col_stride, .indices = b.cols, .depth = b.rows};
  const detail::SquareDestination pairs{
      .data = to, .stride = kPairColumns, .next_index = 16, .next_depth = kPairBlock * kPairColumns, .plane = plane};
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    if (by_row) {
      detail::pack_squares<true, true>(isa, source, pairs);
    } else {
      detail::pack_squares<false, true>(isa, source, pairs);
    }
  });
}

/// c (+)= a * panel for c.columns <= 32 columns, in plain C++: the reference that tests compare the matrix units with.
inline void multiply_pairs_portable(const PairRows& a, const PairPanel& panel, const BlockOutput<float>& c) {
  const auto value = [](Pair pair, int half) {
    return std::bit_cast<float>(half == 0 ? pair << 16 : pair & 0xffff0000u);
  };
  for (Index i = 0; i < a.rows; ++i) {
    const Pair* row = a.data + i * a.stride;
    for (Index j = 0; j < c.columns; ++j) {
      float sum = 0;
      for (Index p = 0; p < panel.pairs; ++p) {
        const Pair* right = panel.data + p * kPairColumns + j;
        for (const int half : {0, 1}) {
          const float x = value(row[p], half), y = value(*right, half);
          if (a.plane != 0) {
            sum += x * value(right[panel.plane], half);
            sum += value(row[p + a.plane], half) * y;
          }
          sum += x * y;
        }
      }
      float& out = c.data[i * c.stride + j];
      out = sum + (c.bias != nullptr ? c.bias[j] : 0.f) + (c.accumulate ? out : 0.f);
    }
  }
}

}}}  // namespace rapt::RAPT_ABI::kernels
