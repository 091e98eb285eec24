/// \file
/// The operands and the result of a matrix product: views of memory with any strides.
#pragma once

#include <type_traits>

#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// A matrix operand, of which element (i, j) is data[i * row_stride + j * col_stride]. One of the strides is 1.
template <class T>
struct Operand {
  const T* data = nullptr;
  Index rows = 0, cols = 0;
  Index row_stride = 0, col_stride = 1;

  /// The submatrix [some_rows, some_cols] whose first element is (i, j).
  [[nodiscard]] Operand part(Index i, Index j, Index some_rows, Index some_cols) const {
    return {.data = data + i * row_stride + j * col_stride,
            .rows = some_rows,
            .cols = some_cols,
            .row_stride = row_stride,
            .col_stride = col_stride};
  }
};

/// The matrix of a view as an operand   // [rows, cols]
template <class View>
[[nodiscard]] auto as_is(const View& view) {
  using T = std::remove_cvref_t<decltype(*view.data())>;
  const TensorView<const T> m = view;
  return Operand<T>{.data = m.data(), .rows = m.rows(), .cols = m.cols(), .row_stride = m.stride(), .col_stride = 1};
}
/// The transposed matrix of a view as an operand; no element is moved   // [cols, rows]
template <class View>
[[nodiscard]] auto transposed(const View& view) {
  using T = std::remove_cvref_t<decltype(*view.data())>;
  const TensorView<const T> m = view;
  return Operand<T>{.data = m.data(), .rows = m.cols(), .cols = m.rows(), .row_stride = 1, .col_stride = m.stride()};
}

/// The part of c that a product is written to, and how the product is combined with what is there.
template <class T>
struct BlockOutput {
  T* data = nullptr;        ///< the first element of the part
  Index stride = 0;         ///< elements from a row of c to the next
  Index columns = 0;        ///< of the part; its rows are those of the left operand
  const T* bias = nullptr;  ///< if not null, added to every row; bias[0] belongs to the first column of this part
  bool accumulate = false;  ///< the product is added to c instead of replacing it
};

/// A product may use the columns of a packed operand from any multiple of this number on.
inline constexpr Index kColumnStep = 32;

/// How a product is combined with what is in c.
template <class T>
struct GemmOptions {
  bool accumulate = false;  ///< c += a b instead of c = a b
  const T* bias = nullptr;  ///< if not null, [columns of c] numbers that are added to every row
  Index first_column = 0;   ///< the column of a packed operand that is c's first one: a multiple of kColumnStep
};

}}}  // namespace rapt::RAPT_ABI::kernels
