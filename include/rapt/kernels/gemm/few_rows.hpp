/// \file
/// Products whose left operand has few rows, as in decoding, where each row is the next token of a sequence. The right
/// operand is then read only once or twice, so that packing it would cost more than the product itself.
#pragma once

#include "rapt/kernels/gemm/block.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// True if `multiply_rows` can read b where it lies: its rows are contiguous and consist of whole vectors at every
/// instruction set.
template <class T>
[[nodiscard]] constexpr bool has_whole_vectors(const Operand<T>& b) {
  return b.col_stride == 1 && b.cols % 16 == 0;
}

/// c[a.rows, c.columns] (+)= a * b, on the calling thread; b must have whole vectors (`has_whole_vectors`).
template <class T>
void multiply_rows(const Operand<T>& a, const Operand<T>& b, const BlockOutput<T>& c) {
  multiply_blocks(a, Panels<T>{.data = b.data, .row_stride = b.row_stride, .next = panel_columns<T>()}, c);
}

namespace detail {

/// c[kRows, up to 4] (+)= a[kRows, depth] * b^T, where b [4, depth] and a have contiguous rows. Each of the 4 kRows dot
/// products is a vector of partial sums, whose lanes are added at the end. Where c has less than four columns, the last
/// one is computed again in place of those that are missing and not written.
template <int kRows, class Isa, class T>
[[gnu::always_inline]] inline void dot_block(Isa, const T* a, Index a_stride, const T* b, Index b_stride, Index depth,
                                             const BlockOutput<T>& c) {
  constexpr int kLanes = simd::kLanes<Isa, T>;
  using V = simd::Native<Isa, T>;
  V sum[kRows][4] = {};
  const T* column[4];
  for (Index j = 0; j < 4; ++j) column[j] = b + std::min(j, c.columns - 1) * b_stride;
  const auto step = [&](auto& totals, Index p) __attribute__((always_inline)) {
    using Part = std::remove_cvref_t<decltype(totals[0][0])>;
    Part x[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) simd::load(x[j], column[j] + p);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      Part y;
      simd::load(y, a + r * a_stride + p);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) totals[r][j] += x[j] * y;
    }
  };
  Index p = 0;  // whole vectors first, then the rest of the depth element by element
  for (; p + kLanes <= depth; p += kLanes) step(sum, p);
  T rest[kRows][4] = {};
  for (; p < depth; ++p) step(rest, p);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) rest[r][j] += simd::sum_lanes<kLanes>(sum[r][j]);
  }
  write_part(rest[0], 4, kRows, c);
}

}  // namespace detail

/// c[a.rows, c.columns] (+)= a * b, on the calling thread, by dot products; rows of a and columns of b must be
/// contiguous. This is y = x W^T for a few tokens x [tokens, in] and a weight W [out, in] that is read where it lies.
template <class T>
[[gnu::noinline]] void multiply_dots(const Operand<T>& a, const Operand<T>& b, BlockOutput<T> c) {
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    for (Index j = 0; j < c.columns; j += 4) {
      BlockOutput<T> block{.data = c.data + j,
                           .stride = c.stride,
                           .columns = std::min<Index>(4, c.columns - j),
                           .bias = c.bias != nullptr ? c.bias + j : nullptr,
                           .accumulate = c.accumulate};
      const T* right = b.data + j * b.col_stride;
      Index i = 0;
      const auto step = [&]<int kRows>(std::integral_constant<int, kRows>) __attribute__((always_inline)) {
        for (; i + kRows <= a.rows; i += kRows, block.data += kRows * c.stride) {
          detail::dot_block<kRows>(isa, a.data + i * a.row_stride, a.row_stride, right, b.col_stride, a.cols, block);
        }
      };
      step(std::integral_constant<int, 4>{});
      step(std::integral_constant<int, 1>{});
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
