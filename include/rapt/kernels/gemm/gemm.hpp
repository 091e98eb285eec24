/// \file
/// Matrix products c (+)= a b (+ bias): the one entry for all of them, which divides the work between threads.
///
/// An overload takes a right operand that is packed already, such as a weight that is used often. The other one takes b
/// where it lies and chooses: a product with few rows reads b directly (few_rows.hpp), one that is much deeper than
/// wide is cut along its depth (deep.hpp), and any other packs b first.
#pragma once

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/deep.hpp"
#include "rapt/kernels/gemm/few_rows.hpp"
#include "rapt/kernels/gemm/packed_operand.hpp"
#include "rapt/kernels/gemm/product_blocks.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

namespace detail {

inline void require_product(Index rows, Index depth, Index b_rows, Index columns, const Shape& c) {
  require<ShapeError>(b_rows == depth && c.rows() == rows && c.cols() == columns, "gemm", "[", rows, ", ", depth,
                      "] times [", b_rows, ", ", columns, "] into ", c);
}

/// True if the depth or c is empty. Then there is nothing to multiply, and c has its final values when this returns.
template <class T>
[[nodiscard]] bool is_trivial_product(Index depth, const TensorView<T>& c, const GemmOptions<T>& options) {
  if (depth > 0) return c.size() == 0;
  for (Index i = 0; i < c.rows(); ++i) {
    for (Index j = 0; j < c.cols(); ++j) {
      c.row(i)[j] = (options.accumulate ? c.row(i)[j] : T(0)) + (options.bias != nullptr ? options.bias[j] : T(0));
    }
  }
  return true;
}

/// The output of a product's cut of the depth at p: the bias is added with the first cut, the others add to what is
/// there.
template <class T>
[[nodiscard]] BlockOutput<T> at_cut(BlockOutput<T> block, Index p) {
  if (p > 0) block.bias = nullptr, block.accumulate = true;
  return block;
}

/// c (+)= a b (+ bias) for operands of the same packing, whose sizes have been checked: rows of a that many right
/// operands are multiplied by are rounded once.
inline void multiply_packed(const PackedRows& a, const PackedOperand<float>& b, const TensorView<float>& c,
                            const GemmOptions<float>& options) {
  for_product_blocks(b.geometry(), c, options,
                     [&](Index i, Index some_rows, Index panel, const BlockOutput<float>& block) {
                       for (Index p = 0; p < b.rows(); p += b.cut_depth()) {
                         multiply_pairs(a.part(i, p, some_rows), b, p, panel, at_cut(block, p));
                       }
                     });
}

}  // namespace detail

/// The columns of a packed operand that are unpacked at a time, for products with many rows.
inline constexpr Index kUnpackedColumns = 256;

/// Calls f(j, columns) with columns j .. of `count` ones of b from number `first` on, unpacked to float32 as the rows
/// of a matrix [up to 256, b.rows()] in turn; b is a PackedOperand<T> or a StoredMatrix.
template <class T, class Matrix, class F>
void for_unpacked_columns(const Matrix& b, Index first, Index count, const F& f) {
  Tensor<T> columns(Shape{std::min(kUnpackedColumns, count), b.rows()});
  for (Index j = 0; j < count; j += kUnpackedColumns) {
    const TensorView<T> some = columns.view().middle_rows(0, std::min(kUnpackedColumns, count - j));
    parallel_for(some.rows(), std::max<Index>(1, 16384 / std::max<Index>(1, b.rows())), [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) b.read_column(first + j + i, some.row(i));
    });
    f(j, some);
  }
}

/// c (+)= a b (+ bias): `gemm(as_is(x), transposed(weight), y, {.bias = b})` is y = x W^T + b.
///
/// c is cut into blocks by its size alone, and each block is computed by one thread in a fixed order of additions, so
/// that the result is the same bits on any number of threads. Throws ShapeError unless the sizes agree, and ValueError
/// if b was packed at another instruction set.
template <class T>
void gemm(const Operand<T>& a, const PackedOperand<T>& b, TensorView<std::type_identity_t<T>> c,
          const GemmOptions<std::type_identity_t<T>>& options = {}) {
  const Index depth = a.cols, columns = c.cols();
  detail::require_product(a.rows, depth, b.rows(), columns, c.shape());
  require<ShapeError>(options.first_column % kColumnStep == 0 && options.first_column + columns <= b.cols(), "gemm",
                      "columns ", options.first_column, " .. ", options.first_column + columns,
                      " of a packed operand [", b.rows(), ", ", b.cols(), "]");
  require(b.stored() != nullptr || b.geometry() == gemm_geometry<T>(b.packing().unit), "gemm",
          "the operand was packed for another instruction set");
  if (detail::is_trivial_product(depth, c, options)) return;
  if constexpr (std::is_same_v<T, float>) {
    if (b.stored() != nullptr) return b.stored()->multiply(a, c, options);
  }
  if constexpr (std::is_same_v<T, float>) {
    if (const Index planes = b.packing().planes; planes > 0) {
      return detail::multiply_packed(PackedRows(a, planes), b, c, options);
    }
  }
  // Rows (or columns) of a that lie 2 KiB or more apart are copied together where they are read often enough to repay
  // it.
  const bool scattered = std::max(a.row_stride, a.col_stride) * Index{sizeof(T)} >= 2048;
  const auto by_panels = [&](Index i, Index some_rows, Index panel, const BlockOutput<T>& block) {
    Tensor<T> buffer;
    if (scattered && block.columns >= 4 * b.geometry().panel_columns) {
      buffer = Tensor<T>(Shape{compact_size(a.part(i, 0, some_rows, b.cut_depth()))});
    }
    for (Index p = 0; p < depth; p += b.cut_depth()) {
      Operand<T> some = a.part(i, p, some_rows, b.depth_at(p));
      if (!buffer.empty()) some = compact(some, buffer.data());
      multiply_panels(some, b.panels_at(p, panel), detail::at_cut(block, p));
    }
  };
  detail::for_product_blocks(b.geometry(), c, options, by_panels);
}

/// True if products of T are computed on a matrix unit at the precision in force.
template <class T>
[[nodiscard]] bool is_lowered() {
  return std::is_same_v<T, float> && matrix_unit(precision()) != MatrixUnit::none;
}

/// True if a b is computed by parts of its depth, with `multiply_deep`.
template <class T>
[[nodiscard]] bool is_deep_product(const Operand<T>& a, const Operand<T>& b) {
  return !is_lowered<T>() && depth_parts(a.rows, a.cols, b.cols) > 1;
}

/// As above, with a right operand that is not packed.
template <class T>
void gemm(const Operand<T>& a, const Operand<T>& b, TensorView<std::type_identity_t<T>> c,
          const GemmOptions<std::type_identity_t<T>>& options = {}) {
  detail::require_product(a.rows, a.cols, b.rows, b.cols, c.shape());
  if (options.bias == nullptr && is_deep_product(a, b)) {
    return multiply_deep(a, b, c, options.accumulate, [](Index, Index, Index) {});
  }
  const bool dots = a.col_stride == 1 && b.row_stride == 1 && a.rows <= 8;
  if (is_lowered<T>() || (!dots && !(has_whole_vectors(b) && a.rows <= 32))) {
    return gemm(a, PackedOperand<T>(b), c, options);
  }
  if (detail::is_trivial_product(a.cols, c, options)) return;
  const Index grain = detail::round_up(std::max<Index>(1, 65536 / (a.rows * a.cols)), 32);
  parallel_for(b.cols, grain, [&](Index begin, Index end) {
    const BlockOutput<T> out{.data = c.data() + begin,
                             .stride = c.stride(),
                             .columns = end - begin,
                             .bias = options.bias != nullptr ? options.bias + begin : nullptr,
                             .accumulate = options.accumulate};
    const Operand<T> right = b.part(0, begin, b.rows, end - begin);
    dots ? multiply_dots(a, right, out) : multiply_rows(a, right, out);
  });
}

/// c (+)= a b^T with as many columns of b as a has, from number `first` on: dx = dy W for a weight that is kept packed
/// as W^T. The columns are unpacked to float32, with the rounding of the format.
template <class T>
void gemm_transposed(const Operand<T>& a, const PackedOperand<T>& b, Index first, TensorView<std::type_identity_t<T>> c,
                     bool accumulate = false) {
  detail::require_product(a.rows, a.cols, a.cols, b.rows(), c.shape());
  require<ShapeError>(first >= 0 && first + a.cols <= b.cols(), "gemm", "columns ", first, " .. ", first + a.cols,
                      " of a packed operand [", b.rows(), ", ", b.cols(), "]");
  if (detail::is_trivial_product(a.cols, c, GemmOptions<T>{.accumulate = accumulate})) return;
  for_unpacked_columns<T>(b, first, a.cols, [&](Index j, const TensorView<T>& columns) {
    gemm(a.part(0, j, a.rows, columns.rows()), as_is(columns), c, {.accumulate = accumulate || j > 0});
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
