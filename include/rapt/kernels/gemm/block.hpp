/// \file
/// The inside of a matrix product, on one thread: register blocks over packed columns.
///
/// The left operand is read where it lies, by broadcasts (any strides); the right one is packed into panels of a few
/// vectors' width, [depth][width], so that the inner loop streams it. Panels are cut in depth so that one fits the
/// first-level cache.
#pragma once

#include <algorithm>

#include "rapt/core/tensor.hpp"
#include "rapt/kernels/simd.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// A matrix operand: element (i, j) at data[i * row_stride + j * col_stride]; one of the strides is 1.
template <class T>
struct Operand {
  const T* data = nullptr;
  Index rows = 0, cols = 0;
  Index row_stride = 0, col_stride = 1;

  /// What lies to the right of and below element (i, j), cut to a size.
  [[nodiscard]] Operand part(Index i, Index j, Index some_rows, Index some_cols) const {
    return {data + i * row_stride + j * col_stride, some_rows, some_cols, row_stride, col_stride};
  }
};

/// The matrix of a view as it stands, [rows, cols].
template <class View>
[[nodiscard]] auto as_is(const View& view) {
  using T = std::remove_cvref_t<decltype(*view.data())>;
  const TensorView<const T> m = view;
  return Operand<T>{m.data(), m.rows(), m.cols(), m.stride(), 1};
}
/// Its transpose, [cols, rows], without moving anything.
template <class View>
[[nodiscard]] auto transposed(const View& view) {
  using T = std::remove_cvref_t<decltype(*view.data())>;
  const TensorView<const T> m = view;
  return Operand<T>{m.data(), m.cols(), m.rows(), 1, m.stride()};
}

/// Where a product goes: columns from here on, and how it joins what is there.
template <class T>
struct BlockOutput {
  T* data = nullptr;
  Index stride = 0;
  Index columns = 0;
  const T* bias = nullptr;  ///< added to every row; already at this column
  bool accumulate = false;  ///< c += instead of c =
};

namespace detail {

/// Columns of a panel, and the depth that keeps it in half of a 64 KiB first-level cache.
template <class Isa, class T>
inline constexpr Index kPanelColumns = Isa::kGemmColumns* simd::kLanes<Isa, T>;
inline constexpr Index kPanelDepth = 256;

[[nodiscard]] constexpr Index round_up(Index value, Index multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Panels of b, whose rows are contiguous, row by row, with zeros behind the last column; what comes four rows later is
/// fetched.
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

/// One panel of b, whose columns are contiguous: the first kPanelColumns of them, [b.rows][kPanelColumns], with zeros
/// behind the last. Squares of lanes x lanes turn in registers, what remains goes element by element.
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
  if (full < kWidth) {
    for (Index p = 0; p < depth; ++p) {
      for (Index j = squares; j < kWidth; j += kLanes) simd::store(out + p * kWidth + j, V{});
    }
  }
  for (Index j = 0; j < full; ++j) {
    for (Index p = j < squares ? deep : 0; p < depth; ++p) out[p * kWidth + j] = b.data[p + j * b.col_stride];
  }
}

/// Joins the first c.columns of each row of sums with what is in c.
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

/// c[kRows, kVectors] (+)= a[kRows, depth] * panel[depth, ...] (+ bias), all sums in registers.
template <int kRows, int kVectors, class Isa, class T>
[[gnu::always_inline]] inline void register_block(Isa, const T* a, Index row_stride, Index col_stride, const T* panel,
                                                  Index panel_stride, Index depth, const BlockOutput<T>& c) {
  constexpr int kWidth = simd::kLanes<Isa, T>;
  using V = simd::Native<Isa, T>;
  V sum[kRows][kVectors] = {};
  // Of what comes next a line a step is fetched: of rows, those below; of columns, those behind this cut.
  const bool by_rows = col_stride == 1;
  const T* ahead = a + (by_rows ? kRows * row_stride : depth * col_stride);
  const Index ahead_step = by_rows ? row_stride : col_stride;
  const Index ahead_turn = by_rows ? 64 / Index{sizeof(T)} - kRows * row_stride : 0;
  int lines_left = kRows;
  if constexpr (kRows > 6) {  // and what will be written
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
      if (--lines_left == 0) lines_left = kRows, ahead += ahead_turn;
    }
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
  if (c.columns >= kVectors * kWidth) {
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
  } else {
    T tile[kRows * kVectors * kWidth];
    __builtin_memcpy(tile, sum, sizeof tile);
    write_part(tile, kVectors * kWidth, kRows, c);
  }
}

/// Rows of one panel: the largest register block first, then smaller ones.
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

/// Elements that the packed form of a [depth, columns] operand takes, at any instruction set.
[[nodiscard]] constexpr Index packed_size(Index depth, Index columns) { return depth * detail::round_up(columns, 32); }

/// Packs b into panels, one behind the other.
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

/// A copy of a block whose lines lie close together, [compact_size]: lines that are a multiple of 4 KiB apart share one
/// cache set, and a register block reads more of them at once than a set holds.
template <class T>
[[nodiscard]] Operand<T> compact(const Operand<T>& a, T* to) {
  const bool by_rows = a.col_stride == 1;
  const Index lines = by_rows ? a.rows : a.cols, length = by_rows ? a.cols : a.rows;
  const Index line = detail::round_up(length, 16) + 16, old_line = by_rows ? a.row_stride : a.col_stride;
  for (Index i = 0; i < lines; ++i) std::copy_n(a.data + i * old_line, length, to + i * line);
  return by_rows ? Operand<T>{to, a.rows, a.cols, line, 1} : Operand<T>{to, a.rows, a.cols, 1, line};
}
template <class T>
[[nodiscard]] constexpr Index compact_size(const Operand<T>& a) {
  const bool by_rows = a.col_stride == 1;
  return (by_rows ? a.rows : a.cols) * (detail::round_up(by_rows ? a.cols : a.rows, 16) + 16);
}

/// Panels of a right operand: where they begin, and how far apart their rows and they themselves lie.
template <class T>
struct Panels {
  const T* data = nullptr;
  Index row_stride = 0, next = 0;
};

/// c[a.rows, c.columns] (+)= a * panels, on the calling thread.
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

/// Columns of a panel at the instruction set in force.
template <class T>
[[nodiscard]] Index panel_columns() {
  Index columns = 0;
  simd::with_simd([&](auto isa) __attribute__((always_inline)) { columns = detail::kPanelColumns<decltype(isa), T>; });
  return columns;
}

/// The same for what pack_panels wrote, of which the first a.cols rows are used; `packed_depth` is how many it has (-1:
/// just those).
template <class T>
void multiply_panels(const Operand<T>& a, const T* panels, const BlockOutput<T>& c, Index packed_depth = -1) {
  const Index width = panel_columns<T>();
  multiply_blocks(a, Panels<T>{panels, width, (packed_depth < 0 ? a.cols : packed_depth) * width}, c);
}

}}}  // namespace rapt::RAPT_ABI::kernels
