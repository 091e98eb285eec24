/// \file
/// Matrix products: the one entry, spread over the thread pool.
#pragma once

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/block.hpp"

namespace rapt::inline RAPT_ABI::kernels {

/// How a product is written.
template <class T>
struct GemmOptions {
  bool accumulate = false;  ///< c += a b instead of c = a b
  const T* bias = nullptr;  ///< [columns of c], added to every row
};

/// A right operand in the order that the inner loop reads, packed by all threads: once, for any number of products.
template <class T>
class PackedOperand {
 public:
  explicit PackedOperand(const Operand<T>& b)
      : rows_(b.rows),
        cols_(b.cols),
        geometry_(gemm_geometry<T>()),
        panels_((cols_ + geometry_.panel_columns - 1) / geometry_.panel_columns) {
    if (rows_ == 0 || cols_ == 0) return;
    const Index cuts = (rows_ + detail::kPanelDepth - 1) / detail::kPanelDepth, width = geometry_.panel_columns;
    cut_depth_ = (rows_ + cuts - 1) / cuts;
    data_ = Tensor<T>(Shape{panels_ * width, rows_});  // [cuts][panels][cut_depth][width]
    parallel_for(panels_, std::max<Index>(1, 16384 / (width * rows_)), [&](Index first, Index last) {
      for (Index p = 0; p < rows_; p += cut_depth_) {
        const Index j = first * width;
        pack_panels(b.part(p, j, depth_at(p), std::min(cols_, last * width) - j), panels_at(p, first));
      }
    });
  }

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }
  [[nodiscard]] Index panels() const { return panels_; }
  [[nodiscard]] const GemmGeometry& geometry() const { return geometry_; }
  [[nodiscard]] Index cut_depth() const { return cut_depth_; }
  /// Depth of the cut that starts at row p.
  [[nodiscard]] Index depth_at(Index p) const { return std::min(cut_depth_, rows_ - p); }
  [[nodiscard]] const T* panels_at(Index p, Index panel) const {
    return data_.data() + (p * panels_ + panel * depth_at(p)) * geometry_.panel_columns;
  }

 private:
  [[nodiscard]] T* panels_at(Index p, Index panel) {
    return data_.data() + (p * panels_ + panel * depth_at(p)) * geometry_.panel_columns;
  }

  Index rows_, cols_;
  GemmGeometry geometry_;
  Index panels_, cut_depth_ = 1;
  Tensor<T> data_;
};

/// c (+)= a b (+ bias): `gemm(as_is(x), transposed(weight), y, {.bias = b})` is y = x W^T + b.
///
/// Blocks of c are computed independently, each in one fixed order of additions, so the bits do not depend on the
/// number of threads. Throws ShapeError unless the sizes agree.
template <class T>
void gemm(const Operand<T>& a, const PackedOperand<T>& b, TensorView<std::type_identity_t<T>> c,
          const GemmOptions<std::type_identity_t<T>>& options = {}) {
  const Index rows = a.rows, depth = a.cols, columns = b.cols();
  require<ShapeError>(b.rows() == depth && c.rows() == rows && c.cols() == columns, "gemm", "[", rows, ", ", depth,
                      "] times [", b.rows(), ", ", columns, "] into ", c.shape());
  require(b.geometry() == gemm_geometry<T>(), "gemm", "the operand was packed for another instruction set");
  if (depth == 0) {
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < columns; ++j) {
        c.row(i)[j] = (options.accumulate ? c.row(i)[j] : T(0)) + (options.bias != nullptr ? options.bias[j] : T(0));
      }
    }
  }
  if (rows == 0 || columns == 0 || depth == 0) return;

  const Index width = b.geometry().panel_columns, block_rows = 8 * b.geometry().block_rows;
  const Index row_blocks = (rows + block_rows - 1) / block_rows;
  const Index column_blocks = std::min(b.panels(), (16 + row_blocks - 1) / row_blocks);
  const Index block_panels = (b.panels() + column_blocks - 1) / column_blocks;
  parallel_parts(row_blocks * column_blocks, [&](Index part) {
    const Index i = part / column_blocks * block_rows, first_panel = part % column_blocks * block_panels;
    if (first_panel >= b.panels()) return;
    const Index some_rows = std::min(block_rows, rows - i);
    const Index j = first_panel * width, some_columns = std::min(block_panels * width, columns - j);
    for (Index p = 0; p < depth; p += b.cut_depth()) {
      multiply_panels(a.part(i, p, some_rows, b.depth_at(p)), b.panels_at(p, first_panel),
                      BlockOutput<T>{.data = c.row(i) + j,
                                     .stride = c.stride(),
                                     .columns = some_columns,
                                     .bias = p == 0 && options.bias != nullptr ? options.bias + j : nullptr,
                                     .accumulate = options.accumulate || p > 0});
    }
  });
}

template <class T>
void gemm(const Operand<T>& a, const Operand<T>& b, TensorView<std::type_identity_t<T>> c,
          const GemmOptions<std::type_identity_t<T>>& options = {}) {
  gemm(a, PackedOperand<T>(b), c, options);
}

}  // namespace rapt::inline RAPT_ABI::kernels
