/// \file
/// Products with few rows on the left, as decoding makes them: the right operand is read once or twice, so packing it
/// would cost more than the product.
#pragma once

#include "rapt/kernels/gemm/block.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Whether `multiply_rows` takes a right operand as it lies: rows of whole vectors at every instruction set.
template <class T>
[[nodiscard]] constexpr bool has_whole_vectors(const Operand<T>& b) {
  return b.col_stride == 1 && b.cols % 16 == 0;
}

/// c[a.rows, c.columns] (+)= a * b, on the calling thread, for b whose rows are contiguous and `has_whole_vectors`.
template <class T>
void multiply_rows(const Operand<T>& a, const Operand<T>& b, const BlockOutput<T>& c) {
  multiply_blocks(a, Panels<T>{b.data, b.row_stride, panel_columns<T>()}, c);
}

namespace detail {

/// c[kRows, 4] (+)= a[kRows, depth] * (b[4, depth])^T, rows contiguous: four sums per row, each over lanes. Columns of
/// b behind the last, at j >= c.columns, repeat it.
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
  Index p = 0;
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

/// c[a.rows, c.columns] (+)= a * b, on the calling thread, for contiguous rows of a and contiguous columns of b:
/// y = x W^T of a few tokens, with W [out, in] as it lies.
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
