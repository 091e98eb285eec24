/// \file
/// AArch64's instructions on bytes and bfloat16 that the compiler's portable vectors cannot name, and the register
/// block that two of them share.
///
/// Instructions are written as assembly, because clang before version 16 offers the functions of arm_neon.h for them
/// only to programs that are compiled for such processors as a whole. They must be inlined into a function with the
/// target attribute that permits them.
#pragma once

#include "rapt/kernels/gemm/block.hpp"

#if defined(__aarch64__)

/// Attributes of functions that use dot products of bytes, products of bytes and products of bfloat16.
#if defined(__clang__)
#define RAPT_TARGET_DOT_PRODUCT gnu::target("dotprod")
#define RAPT_TARGET_MATRIX_PRODUCT gnu::target("bf16,i8mm")
#else
#define RAPT_TARGET_DOT_PRODUCT gnu::target("arch=armv8.2-a+dotprod")
#define RAPT_TARGET_MATRIX_PRODUCT gnu::target("arch=armv8.2-a+bf16+i8mm")
#endif

namespace rapt { inline namespace RAPT_ABI { namespace kernels { namespace detail {

using Words4 = simd::Vector<std::uint32_t, 4>;
using Integers4 = simd::Vector<std::int32_t, 4>;
using Floats4 = simd::Vector<float, 4>;

/// sum[i] += the dot product of the four signed bytes of b[i] with those of a[kLane] (SDOT).
template <int kLane>
[[gnu::always_inline]] inline void add_byte_dots(Integers4& sum, const Words4& b, const Words4& a) {
  asm("sdot %0.4s, %1.16b, %2.4b[%c3]" : "+w"(sum) : "w"(b), "w"(a), "i"(kLane));
}

/// A product of 2 x 4 by 4 x 2 bfloat16 (BFMMLA). The lower half of `a` is a row of the left factor, the upper half the
/// next row; the halves of `b` are columns of the right one; `sum` is [row][column].
struct Bfloat16Tile {
  using Sums = Floats4;
  static constexpr std::uint32_t kFlip = 0;
  [[gnu::always_inline]] static void add(Sums& sum, const Words4& a, const Words4& b) {
    asm("bfmmla %0.4s, %1.8h, %2.8h" : "+w"(sum) : "w"(a), "w"(b));
  }
};

/// As Bfloat16Tile, of 2 x 8 by 8 x 2 signed bytes (SMMLA). The left factor is stored as q + 128; flipping the highest
/// bit of each byte makes it the signed q.
struct ByteTile {
  using Sums = Integers4;
  static constexpr std::uint32_t kFlip = 0x80808080u;
  [[gnu::always_inline]] static void add(Sums& sum, const Words4& a, const Words4& b) {
    asm("smmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
  }
};

/// values <- four unsigned bytes.
[[gnu::always_inline]] inline void load_bytes(const std::uint8_t* from, Floats4& values) {
  std::uint32_t word;
  __builtin_memcpy(&word, from, sizeof word);
  const auto bytes = (simd::Vector<std::uint8_t, 16>)Words4{word};
  const simd::Vector<std::uint8_t, 16> no_bytes{};
  const auto wide = (simd::Vector<std::uint16_t, 8>)__builtin_shufflevector(bytes, no_bytes, 0, 16, 1, 17, 2, 18, 3, 19,
                                                                            4, 20, 5, 21, 6, 22, 7, 23);
  const simd::Vector<std::uint16_t, 8> none{};
  const auto words = (Words4)__builtin_shufflevector(wide, none, 0, 8, 1, 9, 2, 10, 3, 11);
  values = __builtin_convertvector(words, Floats4);
}

/// The operands of a register block of tiles: words of 32 bits, which are two bfloat16 or four bytes of consecutive
/// depths. A left row is contiguous, `stride` words from the next one; the right panel is [words][32 columns].
/// Residuals of precision `high` lie `left_plane` and `right_plane` words behind.
struct TileOperands {
  const std::uint32_t *left = nullptr, *right = nullptr;
  Index stride = 0, words = 0, left_plane = 0, right_plane = 0;
};

/// columns[0 .. 3] <- eight columns of the panel, two in each vector, of the depths of two consecutive words. If only
/// one word is left, the second one is 0.
[[gnu::always_inline]] inline void load_column_tiles(const std::uint32_t* from, bool has_second, Words4 (&columns)[4]) {
#pragma GCC unroll 2
  for (int part = 0; part < 2; ++part) {
    Words4 first, second{};
    simd::load(first, from + 4 * part);
    if (has_second) simd::load(second, from + 32 + 4 * part);
    columns[2 * part] = __builtin_shufflevector(first, second, 0, 4, 1, 5);
    columns[2 * part + 1] = __builtin_shufflevector(first, second, 2, 6, 3, 7);
  }
}

/// rows <- two words of a row in the lower half, and of the next row in the upper half.
[[gnu::always_inline]] inline void load_row_tile(const std::uint32_t* from, Index stride, std::uint32_t flip,
                                                 Words4& rows) {
  std::uint64_t first, second;
  __builtin_memcpy(&first, from, sizeof first);
  __builtin_memcpy(&second, from + stride, sizeof second);
  rows = (Words4)simd::Vector<std::uint64_t, 2>{first, second} ^ flip;
}

/// sums[kRowPairs][4] <- the products of 2 kRowPairs rows with eight columns, as tiles [2 rows][2 columns]. With
/// kResidual they are the sums of the three products of precision `high`.
template <class Tile, int kRowPairs, bool kResidual>
[[gnu::noinline, RAPT_TARGET_MATRIX_PRODUCT]] void multiply_tiles(const TileOperands& operands,
                                                                  typename Tile::Sums (&result)[kRowPairs][4]) {
  typename Tile::Sums sums[kRowPairs][4] = {};
  const std::uint32_t *left = operands.left, *right = operands.right;
  const auto step = [&](bool has_second) __attribute__((always_inline)) {
    Words4 b[4], b_rest[4];
    load_column_tiles(right, has_second, b);
    if constexpr (kResidual) load_column_tiles(right + operands.right_plane, has_second, b_rest);
#pragma GCC unroll 8
    for (int r = 0; r < kRowPairs; ++r) {
      const std::uint32_t* row = left + 2 * r * operands.stride;
      Words4 a;
      load_row_tile(row, operands.stride, Tile::kFlip, a);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        if constexpr (kResidual) Tile::add(sums[r][j], a, b_rest[j]);
        Tile::add(sums[r][j], a, b[j]);
      }
      if constexpr (kResidual) {
        load_row_tile(row + operands.left_plane, operands.stride, Tile::kFlip, a);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) Tile::add(sums[r][j], a, b[j]);
      }
    }
    left += 2, right += 2 * 32;
  };
  for (Index p = operands.words / 2; p > 0; --p) step(true);
  if (operands.words % 2 != 0) step(false);
#pragma GCC unroll 8
  for (int r = 0; r < kRowPairs; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) result[r][j] = sums[r][j];
  }
}

/// Row `row` (0 or 1) of four columns, from the tiles of columns 0, 1 and of columns 2, 3.
template <class V>
[[gnu::always_inline]] inline void tile_row(const V& first, const V& second, int row, V& values) {
  values = row == 0 ? __builtin_shufflevector(first, second, 0, 1, 4, 5)
                    : __builtin_shufflevector(first, second, 2, 3, 6, 7);
}

/// Writes four columns of row r, from number j on, as c says; columns that c does not have are left out.
[[gnu::always_inline]] inline void write_four(const Floats4& values, const BlockOutput<float>& c, Index r, Index j) {
  float* to = c.data + r * c.stride + j;
  if (j + 4 <= c.columns) {
    Floats4 bias{}, old{};
    if (c.bias != nullptr) simd::load(bias, c.bias + j);
    if (c.accumulate) simd::load(old, to);
    simd::store(to, Floats4(values + bias + old));
    return;
  }
  for (Index lane = 0; j + lane < c.columns; ++lane) {
    to[lane] = values[lane] + (c.bias != nullptr ? c.bias[j + lane] : 0.f) + (c.accumulate ? to[lane] : 0.f);
  }
}

/// Calls block(constant, first, rows) for blocks that cover `rows` rows: the constant is the number of row pairs of the
/// block. An odd last row is a block of its own, of one pair.
template <int kMostPairs, class F>
void for_row_pairs(Index rows, const F& block) {
  for (Index i = 0; i < rows;) {
    const Index pairs = (rows - i) / 2;
    const auto call = [&]<int kRowPairs>(std::integral_constant<int, kRowPairs> constant) {
      block(constant, i, std::min<Index>(2 * kRowPairs, rows - i));
      i += 2 * kRowPairs;
    };
    if (kMostPairs > 4 && pairs >= kMostPairs) {
      call(std::integral_constant<int, kMostPairs>{});
    } else if (pairs >= 4) {
      call(std::integral_constant<int, 4>{});
    } else if (pairs >= 2) {
      call(std::integral_constant<int, 2>{});
    } else {
      call(std::integral_constant<int, 1>{});
    }
  }
}

}}}}  // namespace rapt::RAPT_ABI::kernels::detail

#endif
