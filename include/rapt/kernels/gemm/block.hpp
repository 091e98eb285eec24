/// \file
/// The innermost part of a matrix product c = a b, on one thread.
///
/// The product is cut into register blocks: a few rows of a times one or a few vectors of columns of b, whose sums stay
/// in vector registers for a whole pass over the depth (Goto and van de Geijn 2008, "Anatomy of high-performance matrix
/// multiplication"). In each step of the depth, the block loads kVectors vectors from a row of b, broadcasts one
/// element of each of its kRows rows of a, and makes kRows * kVectors fused multiply-adds; more rows mean fewer loads
/// for each of them.
///
/// The left operand is read where it lies, with any strides, as only single elements of it are needed. The right one is
/// packed first: its columns are divided into panels as wide as a register block, and each panel is stored as
/// [depth][width], so that the inner loop reads memory from one end to the other. Panels are also cut along the depth,
/// so that the panel in use stays in the first-level cache while all rows of a pass over it.
#pragma once

#include <algorithm>

#include "rapt/kernels/gemm/operand.hpp"
#include "rapt/kernels/simd.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

namespace detail {

/// The number of columns of a panel, and the greatest depth of one pass: 256 rows of two AVX-512 vectors are 32 KiB,
/// which leave half of a 64 KiB first-level cache to the other operands.
template <class Isa, class T>
inline constexpr Index kPanelColumns = Isa::kGemmColumns* simd::kLanes<Isa, T>;
inline constexpr Index kPanelDepth = 256;

[[nodiscard]] constexpr Index round_up(Index value, Index multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Packs b, whose rows are contiguous, into panels. Each row of b is read once and its vectors are distributed over the
/// panels; columns behind the last one of b are zeros. The row four further on is prefetched, as b's rows may lie too
/// far apart for the processor's own prefetcher.
template <class Isa, class T>
[[gnu::always_inline]] inline void pack_rows(Isa, const Operand<T>& b, T* out) {
  constexpr Index kWidth = kPanelColumns<Isa, T>, kLanes = simd::kLanes<Isa, T>;
  using V = simd::Native<Isa, T>;
  const Index depth = b.rows, whole = b.cols / kWidth * kWidth;
  for (Index p = 0; p < depth; ++p, out += kWidth) {
    const T* from = b.data + p * b.row_stride;
    for (Index j = 0; j < whole; j += kWidth) {
#pragma GCC unroll 4
      for (int k = 0; k < Isa::kGemmColumns; ++k) {
        const T* part = from + j + k * kLanes;
        __builtin_prefetch(part + 4 * b.row_stride);
        V v;
        simd::load(v, part);
        simd::store(out + j * depth + k * kLanes, v);
      }
    }
    if (whole == b.cols) continue;
    // The last panel is not full: whole vectors first, then the vector with the last columns, then zeros.
    for (Index k = 0; k < kWidth; k += kLanes) {
      V v{};
      if (whole + k + kLanes <= b.cols) {
        simd::load(v, from + whole + k);
      } else {
        for (Index j = whole + k; j < b.cols; ++j) v[j - whole - k] = from[j];
      }
      simd::store(out + whole * depth + k, v);
    }
  }
}

/// Packs the first kPanelColumns columns of b, whose columns are contiguous, into one panel [b.rows][kPanelColumns];
/// columns behind the last one of b are zeros. Squares of lanes x lanes elements are transposed in registers; the
/// elements that fill no square are copied one by one.
template <class Isa, class T>
[[gnu::always_inline]] inline void pack_columns(Isa, const Operand<T>& b, T* out) {
  constexpr Index kWidth = kPanelColumns<Isa, T>;
  constexpr int kLanes = simd::kLanes<Isa, T>;
  using V = simd::Native<Isa, T>;
  const Index depth = b.rows, full = std::min(b.cols, kWidth);
  const Index squares = full / kLanes * kLanes, deep = depth / kLanes * kLanes;
  for (Index p = 0; p < deep; p += kLanes) {
    for (Index j = 0; j < squares; j += kLanes) {
      V square[kLanes];
#pragma GCC unroll 16
      for (int q = 0; q < kLanes; ++q) simd::load(square[q], b.data + p + (j + q) * b.col_stride);
      simd::transpose(square);
#pragma GCC unroll 16
      for (int q = 0; q < kLanes; ++q) simd::store(out + (p + q) * kWidth + j, square[q]);
    }
  }
  if (full < kWidth) {  // zeros from the last whole square on; columns that exist are written over them below
    for (Index p = 0; p < depth; ++p) {
      for (Index j = squares; j < kWidth; j += kLanes) simd::store(out + p * kWidth + j, V{});
    }
  }
  for (Index j = 0; j < full; ++j) {  // below the squares, and in the columns beside them
    for (Index p = j < squares ? deep : 0; p < depth; ++p) out[p * kWidth + j] = b.data[p + j * b.col_stride];
  }
}

/// Writes the first c.columns of each row of sums to c, with the bias and what is there already, as c says.
template <class T>
[[gnu::noinline]] void write_part(const T* sums, Index stride, Index rows, const BlockOutput<T>& c) {
  for (Index r = 0; r < rows; ++r) {
    for (Index j = 0; j < c.columns; ++j) {
      T value = sums[r * stride + j];
      if (c.bias != nullptr) value += c.bias[j];
      if (c.accumulate) value += c.data[r * c.stride + j];
      c.data[r * c.stride + j] = value;
    }
  }
}

/// c[kRows, kVectors * lanes] (+)= a[kRows, depth] * panel[depth, kVectors * lanes] (+ bias), with all sums in
/// registers.
template <int kRows, int kVectors, class Isa, class T>
[[gnu::always_inline]] inline void register_block(Isa, const T* a, Index row_stride, Index col_stride, const T* panel,
                                                  Index panel_stride, Index depth, const BlockOutput<T>& c) {
  constexpr int kWidth = simd::kLanes<Isa, T>;
  using V = simd::Native<Isa, T>;
  V sum[kRows][kVectors] = {};
  // Each step of the depth prefetches one cache line of the part of a that is needed next. Where a's rows are
  // contiguous, these are the same columns of the kRows rows below; where its columns are contiguous, the columns of
  // the next cut of the depth. Only the largest blocks, which AVX-512 has, do this.
  const bool by_rows = col_stride == 1;
  const T* ahead = a + (by_rows ? kRows * row_stride : depth * col_stride);
  const Index ahead_step = by_rows ? row_stride : col_stride;
  const Index ahead_jump = by_rows ? 64 / Index{sizeof(T)} - kRows * row_stride : 0;
  int lines_left = kRows;
  if constexpr (kRows > 6) {  // The part of c that will be written is prefetched, too.
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) __builtin_prefetch(c.data + r * c.stride + j * kWidth, 1);
    }
  }
  for (Index p = 0; p < depth; ++p, a += col_stride, panel += panel_stride) {
    if constexpr (kRows > 6) {
      __builtin_prefetch(ahead);
      ahead += ahead_step;
      if (--lines_left == 0) lines_left = kRows, ahead += ahead_jump;
    }
    // The step itself: one row of the panel, and the outer product of a's column with it.
    V b[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) simd::load(b[j], panel + j * kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const T x = a[r * row_stride];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sum[r][j] += x * b[j];
    }
  }
  if (c.columns >= kVectors * kWidth) {  // whole vectors of c
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      V bias{};
      if (c.bias != nullptr) simd::load(bias, c.bias + j * kWidth);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        T* to = c.data + r * c.stride + j * kWidth;
        V value = sum[r][j] + bias;
        if (c.accumulate) {
          V old;
          simd::load(old, to);
          value += old;
        }
        simd::store(to, value);
      }
    }
  } else {  // c ends inside the block: the sums go through memory, element by element
    T tile[kRows * kVectors * kWidth];
    __builtin_memcpy(tile, sum, sizeof tile);
    write_part(tile, kVectors * kWidth, kRows, c);
  }
}

/// All rows of a times one panel: register blocks of the most rows as long as they fit, then smaller ones for the rest.
template <int kVectors, class Isa, class T>
[[gnu::always_inline]] inline void block_rows(Isa isa, const Operand<T>& a, const T* panel, Index panel_stride,
                                              BlockOutput<T> c) {
  Index i = 0;
  const auto step = [&]<int kRows>(std::integral_constant<int, kRows>) __attribute__((always_inline)) {
    for (; i + kRows <= a.rows; i += kRows, c.data += kRows * c.stride) {
      register_block<kRows, kVectors>(isa, a.data + i * a.row_stride, a.row_stride, a.col_stride, panel, panel_stride,
                                      a.cols, c);
    }
  };
  step(std::integral_constant<int, Isa::kGemmRows>{});
  if constexpr (Isa::kGemmRows > 6) step(std::integral_constant<int, 6>{});
  if constexpr (Isa::kGemmRows > 4) step(std::integral_constant<int, 2>{});
  step(std::integral_constant<int, 1>{});
}

}  // namespace detail

/// The number of elements of a packed [depth, columns] operand. It is enough for every instruction set, as 32 columns
/// are a multiple of the width of each one's panels.
[[nodiscard]] constexpr Index packed_size(Index depth, Index columns) { return depth * detail::round_up(columns, 32); }

/// Packs b into panels, which are stored one after the other: `out` holds packed_size(b.rows, b.cols) elements.
template <class T>
[[gnu::noinline]] void pack_panels(const Operand<T>& b, T* out) {
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    constexpr Index kWidth = detail::kPanelColumns<decltype(isa), T>;
    static_assert(32 % kWidth == 0);
    if (b.col_stride == 1) return detail::pack_rows(isa, b, out);
    for (Index j = 0; j < b.cols; j += kWidth) {
      detail::pack_columns(isa, b.part(0, j, b.rows, b.cols - j), out + j * b.rows);
    }
  });
}

/// Copies a block of a to `to` [compact_size(a)] so that its rows (or columns, whichever are contiguous) lie close
/// together. Rows that are a multiple of 4 KiB apart share one set of the first-level cache, and a register block reads
/// more rows at a time than a set has ways; in the copy, consecutive rows are an uneven number of cache lines apart.
template <class T>
[[nodiscard]] Operand<T> compact(const Operand<T>& a, T* to) {
  const bool by_rows = a.col_stride == 1;
  const Index lines = by_rows ? a.rows : a.cols, length = by_rows ? a.cols : a.rows;
  const Index line = detail::round_up(length, 16) + 16, old_line = by_rows ? a.row_stride : a.col_stride;
  for (Index i = 0; i < lines; ++i) std::copy_n(a.data + i * old_line, length, to + i * line);
  return {
      .data = to, .rows = a.rows, .cols = a.cols, .row_stride = by_rows ? line : 1, .col_stride = by_rows ? 1 : line};
}
/// The number of values that a compact copy of `a` takes, with its padding.
template <class T>
[[nodiscard]] constexpr Index compact_size(const Operand<T>& a) {
  const bool by_rows = a.col_stride == 1;
  return (by_rows ? a.rows : a.cols) * (detail::round_up(by_rows ? a.cols : a.rows, 16) + 16);
}

/// The panels of a right operand [depth, columns], each of which has panel_columns<T>() of its columns.
template <class T>
struct Panels {
  const T* data = nullptr;         ///< the first panel
  Index row_stride = 0, next = 0;  ///< numbers from a row of a panel to the next, and from a panel to the next
};

/// c[a.rows, c.columns] (+)= a * panels, on the calling thread. A last panel of which at most half is used takes
/// register blocks of half the width.
template <class T>
[[gnu::noinline]] void multiply_blocks(const Operand<T>& a, Panels<T> panels, BlockOutput<T> c) {
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    using Isa = decltype(isa);
    constexpr Index kWidth = detail::kPanelColumns<Isa, T>;
    for (; c.columns > 0; c.columns -= kWidth, panels.data += panels.next) {
      if (c.columns > kWidth / 2) {
        detail::block_rows<Isa::kGemmColumns>(isa, a, panels.data, panels.row_stride, c);
      } else {
        detail::block_rows<Isa::kGemmColumns / 2>(isa, a, panels.data, panels.row_stride, c);
      }
      c.data += kWidth;
      if (c.bias != nullptr) c.bias += kWidth;
    }
  });
}

/// The number of columns of a panel at the instruction set in force.
template <class T>
[[nodiscard]] Index panel_columns() {
  Index columns = 0;
  simd::with_simd([&](auto isa) __attribute__((always_inline)) { columns = detail::kPanelColumns<decltype(isa), T>; });
  return columns;
}

/// As multiply_blocks, with panels that pack_panels wrote. `packed_depth` is the depth that they were packed with, of
/// which the first a.cols rows are used; -1 means a.cols.
template <class T>
void multiply_panels(const Operand<T>& a, const T* panels, const BlockOutput<T>& c, Index packed_depth = -1) {
  const Index width = panel_columns<T>();
  const Index depth = packed_depth < 0 ? a.cols : packed_depth;
  multiply_blocks(a, Panels<T>{.data = panels, .row_stride = width, .next = depth * width}, c);
}

}}}  // namespace rapt::RAPT_ABI::kernels
