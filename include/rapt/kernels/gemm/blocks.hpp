/// \file
/// Products with weights in quantised blocks as GGUF files have them (llama.cpp, ggml-common.h), read where they lie.
///
/// Each column of a right operand is a sequence of blocks, as each row of a weight [out, in] is in a file. A number of
/// a block is w = scale q + offset, where q is an integer and groups of numbers of the block share scale and offset. A
/// product with a few rows of float32 makes float32 numbers of a group in registers and adds up their products; one
/// with more rows unpacks columns first. Nothing but the blocks is kept.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/gemm/half.hpp"
#include "rapt/kernels/gemm/stored_columns.hpp"
#include "rapt/kernels/gemm/stored_matrix.hpp"
#include "rapt/kernels/simd.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

namespace detail {

[[gnu::always_inline]] inline float half_of_block(const std::uint8_t* at) {
  Half bits;
  std::memcpy(&bits, at, sizeof bits);
  simd::Vector<float, 1> value;
  load_halves<HalfType::float16, 1>(value, &bits);
  return value[0];
}

/// q <- kWidth bytes from `at` on, as signed or unsigned integers.
template <class Byte, int kWidth>
[[gnu::always_inline]] inline void load_bytes(simd::Vector<std::int32_t, kWidth>& q, const std::uint8_t* at) {
  simd::Vector<Byte, kWidth> bytes;
  simd::load(bytes, reinterpret_cast<const Byte*>(at));
  // In two steps, for each of which the compiler knows an instruction.
  using Middle = std::conditional_t<std::is_signed_v<Byte>, std::int16_t, std::uint16_t>;
  const auto middle = __builtin_convertvector(bytes, simd::Vector<Middle, kWidth>);
  q = __builtin_convertvector(middle, simd::Vector<std::int32_t, kWidth>);
}

}  // namespace detail

/// The types of blocks. Each has kElements numbers in kBytes bytes, in groups of kGroup numbers; `factors` gives the
/// scale and the offset of group g of a block, and `integers` the integers q of kWidth numbers from number k of the
/// group on, where kWidth divides 16 and k.
///
/// Q8_0: w = d q.
struct BlocksQ8_0 {
  static constexpr Index kElements = 32, kBytes = 34, kGroup = 32;
  [[gnu::always_inline]] static void factors(const std::uint8_t* block, Index, float& scale, float& offset) {
    scale = detail::half_of_block(block), offset = 0;
  }
  template <int kWidth>
  [[gnu::always_inline]] static void integers(const std::uint8_t* block, Index, Index k,
                                              simd::Vector<std::int32_t, kWidth>& q) {
    detail::load_bytes<std::int8_t, kWidth>(q, block + 2 + k);
  }
};

/// Q4_0: w = d (q - 8), and Q4_1: w = d q + m. The first 16 numbers are the low halves of bytes. The members kElements,
/// kBytes, kGroup, `factors` and `integers` are those that BlocksQ8_0 explains.
template <bool kHasMinimum>
struct BlocksQ4 {
  static constexpr Index kHead = kHasMinimum ? 4 : 2;  ///< the bytes before the numbers: d, and m of Q4_1
  static constexpr Index kElements = 32, kBytes = kHead + 16, kGroup = 32;
  [[gnu::always_inline]] static void factors(const std::uint8_t* block, Index, float& scale, float& offset) {
    scale = detail::half_of_block(block);
    offset = kHasMinimum ? detail::half_of_block(block + 2) : -8 * scale;
  }
  template <int kWidth>
  [[gnu::always_inline]] static void integers(const std::uint8_t* block, Index, Index k,
                                              simd::Vector<std::int32_t, kWidth>& q) {
    detail::load_bytes<std::uint8_t, kWidth>(q, block + kHead + k % 16);
    q = q >> (k < 16 ? 0 : 4) & 15;
  }
};
/// Q4_0: 4 bits a weight and one scale a block.
using BlocksQ4_0 = BlocksQ4<false>;
/// Q4_1: 4 bits a weight, one scale and one minimum a block.
using BlocksQ4_1 = BlocksQ4<true>;

/// Q4_K: w = (d s) q - (m t) with integers s and t of 6 bits for each group. Those of groups 0 to 3 are the low bits of
/// bytes 0 to 3 and 4 to 7; those of groups 4 to 7 the halves of bytes 8 to 11, below the high bits of the former
/// bytes. The members kElements, kBytes, kGroup, `factors` and `integers` are those that BlocksQ8_0 explains.
struct BlocksQ4_K {
  static constexpr Index kElements = 256, kBytes = 144, kGroup = 32;
  [[gnu::always_inline]] static void factors(const std::uint8_t* block, Index g, float& scale, float& offset) {
    const std::uint8_t* const bytes = block + 4 + g % 4;
    const int s = g < 4 ? bytes[0] & 63 : (bytes[8] & 15) | bytes[0] >> 6 << 4;
    const int t = g < 4 ? bytes[4] & 63 : bytes[8] >> 4 | bytes[4] >> 6 << 4;
    scale = detail::half_of_block(block) * static_cast<float>(s);
    offset = -detail::half_of_block(block + 2) * static_cast<float>(t);
  }
  template <int kWidth>
  [[gnu::always_inline]] static void integers(const std::uint8_t* block, Index g, Index k,
                                              simd::Vector<std::int32_t, kWidth>& q) {
    detail::load_bytes<std::uint8_t, kWidth>(q, block + 16 + g / 2 * 32 + k);
    q = q >> static_cast<int>(g % 2 * 4) & 15;
  }
};

/// Q6_K: w = (d s) (q - 32) with an integer s of eight bits for each group. The numbers are two halves of four rows of
/// 32: byte i of a half's 64 has the low bits of rows 0 and 2 (or 1 and 3), byte i of its 32 the high bits of all rows.
/// The members kElements, kBytes, kGroup, `factors` and `integers` are those that BlocksQ8_0 explains.
struct BlocksQ6_K {
  static constexpr Index kElements = 256, kBytes = 210, kGroup = 16;
  [[gnu::always_inline]] static void factors(const std::uint8_t* block, Index g, float& scale, float& offset) {
    scale = detail::half_of_block(block + 208) * static_cast<float>(static_cast<std::int8_t>(block[192 + g]));
    offset = -32 * scale;
  }
  template <int kWidth>
  [[gnu::always_inline]] static void integers(const std::uint8_t* block, Index g, Index k,
                                              simd::Vector<std::int32_t, kWidth>& q) {
    const Index half = g / 8, row = g % 8 / 2, column = g % 2 * 16 + k;
    simd::Vector<std::int32_t, kWidth> high;
    detail::load_bytes<std::uint8_t, kWidth>(q, block + half * 64 + row % 2 * 32 + column);
    detail::load_bytes<std::uint8_t, kWidth>(high, block + 128 + half * 32 + column);
    q = (q >> static_cast<int>(row / 2 * 4) & 15) | (high >> static_cast<int>(row * 2) & 3) << 4;
  }
};

namespace detail {

/// Vectors of at most 16 numbers, the smallest group.
template <class Isa>
inline constexpr int kBlockLanes = std::min(16, simd::kLanes<Isa, float>);

/// f(w, k, turn) with vectors w of all numbers of a column's blocks, which begin at number k of the column; `turn` is
/// 0 and 1 in turns, and a constant of the compiler.
template <class Blocks, class Isa, class F>
[[gnu::always_inline]] inline void for_block_numbers(Isa, const std::uint8_t* column, Index blocks, const F& f) {
  constexpr int kWidth = kBlockLanes<Isa>, kSteps = 32 / kWidth;
  for (Index b = 0; b < blocks; ++b, column += Blocks::kBytes) {
    for (Index first = 0; first < Blocks::kElements; first += 32) {
      float scale = 0, offset = 0;
      [&]<std::size_t... kStep>(std::index_sequence<kStep...>) __attribute__((always_inline)) {
        const auto step = [&](auto turn, Index k) __attribute__((always_inline)) {
          const Index g = (first + k) / Blocks::kGroup;
          if (k % Blocks::kGroup == 0) Blocks::factors(column, g, scale, offset);
          simd::Vector<std::int32_t, kWidth> q;
          Blocks::template integers<kWidth>(column, g, k % Blocks::kGroup, q);
          const simd::Vector<float, kWidth> w =
              __builtin_convertvector(q, simd::Vector<float, kWidth>) * scale + offset;
          f(w, b * Blocks::kElements + first + k, turn);
        };
        (step(std::integral_constant<int, kStep % 2>{}, Index{kStep} * kWidth), ...);
      }
      (std::make_index_sequence<kSteps>{});
    }
  }
}

/// sums[r] = the product of row r of a, which has contiguous rows, and a column of blocks. Two sums of vectors for each
/// row take turns, so that an addition need not wait for the one before it.
template <class Blocks, int kRows, class Isa>
[[gnu::always_inline]] inline void dot_blocks(Isa isa, const float* a, Index a_stride, const std::uint8_t* column,
                                              Index blocks, float* sums) {
  constexpr int kWidth = kBlockLanes<Isa>;
  simd::Vector<float, kWidth> sum[kRows][2] = {};
  for_block_numbers<Blocks>(
      isa, column, blocks, [&](const auto& w, Index k, auto turn) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          simd::Vector<float, kWidth> x;
          simd::load(x, a + r * a_stride + k);
          sum[r][turn()] += w * x;
        }
      });
  for (int r = 0; r < kRows; ++r) {
    sums[r] = simd::sum_lanes<kWidth>(simd::Vector<float, kWidth>(sum[r][0] + sum[r][1]));
  }
}

}  // namespace detail

/// A right operand in blocks of a type, in memory that may be borrowed, such as a mapped file.
template <class Blocks>
class BlockMatrix final : public StoredMatrix {
 public:
  /// `columns` [cols, bytes of a column's blocks]. Throws ShapeError unless a column consists of whole blocks.
  explicit BlockMatrix(Tensor<std::uint8_t> columns)
      : StoredMatrix(columns.cols() / Blocks::kBytes * Blocks::kElements, columns.rows()),
        columns_(std::move(columns)) {
    require<ShapeError>(columns_.cols() % Blocks::kBytes == 0, "block_matrix", "columns of ", columns_.cols(),
                        " bytes are not whole blocks of ", Blocks::kBytes);
  }

  /// Null: other numbers are kept in the precision in force, as blocks are only read.
  [[nodiscard]] MatrixFormat format() const override { return nullptr; }

  void read_column(Index j, float* to) const override {
    const std::uint8_t* const column = columns_.row(j);
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      const auto store = [&](const auto& w, Index k, auto) __attribute__((always_inline)) { simd::store(to + k, w); };
      detail::for_block_numbers<Blocks>(isa, column, blocks(), store);
    });
  }

  void multiply(const Operand<float>& a, const TensorView<float>& c, const GemmOptions<float>& options) const override {
    detail::multiply_stored_columns(*this, a, c, options, [&](Index first, const BlockOutput<float>& out) {
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index j = 0; j < out.columns; ++j) {
          float sums[8];  // at most eight rows
          Index i = 0;
          const auto step = [&]<int kRows>(std::integral_constant<int, kRows>) __attribute__((always_inline)) {
            for (; i + kRows <= a.rows; i += kRows) {
              detail::dot_blocks<Blocks, kRows>(isa, a.data + i * a.row_stride, a.row_stride, columns_.row(first + j),
                                                blocks(), sums + i);
            }
          };
          step(std::integral_constant<int, 4>{});
          step(std::integral_constant<int, 1>{});
          detail::write_part(sums, 1, a.rows,
                             BlockOutput<float>{.data = out.data + j,
                                                .stride = out.stride,
                                                .columns = 1,
                                                .bias = out.bias != nullptr ? out.bias + j : nullptr,
                                                .accumulate = out.accumulate});
        }
      });
    });
  }

 private:
  [[nodiscard]] Index blocks() const { return columns_.cols() / Blocks::kBytes; }

  Tensor<std::uint8_t> columns_;  // [cols, bytes]
};

}}}  // namespace rapt::RAPT_ABI::kernels
