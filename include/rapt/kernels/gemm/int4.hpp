/// \file
/// Weights of four bits, for decoding, where the time goes into reading the weights from memory: the format as a
/// StoredMatrix. nibbles.hpp has its formula and layout, nibble_products.hpp the products.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/nibble_products.hpp"
#include "rapt/kernels/gemm/nibbles.hpp"
#include "rapt/kernels/gemm/product_blocks.hpp"
#include "rapt/kernels/gemm/stored_matrix.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The format of this file.
[[nodiscard]] inline std::shared_ptr<const StoredMatrix> store_int4(const Operand<float>& b);

/// A right operand in panels of 32 columns, which have the whole depth.
class Int4Matrix final : public StoredMatrix {
 public:
  explicit Int4Matrix(const Operand<float>& b) : StoredMatrix(b.rows, b.cols) {
    if (rows() == 0 || cols() == 0) return;
    const Index panels = (cols() + kQuadColumns - 1) / kQuadColumns;
    data_ = Tensor<std::uint32_t>(Shape{panels, groups_of(rows()) * kGroupWords});
    factors_ = Tensor<float>(Shape{2, panels * kQuadColumns});  // of scales, then of offsets
    parallel_for(panels, std::max<Index>(1, 2048 / rows()), [&](Index first, Index last) {
      for (Index i = first; i < last; ++i) {
        const Index j = i * kQuadColumns;
        quantize_nibble_panel(b.part(0, j, rows(), std::min(kQuadColumns, cols() - j)), data_.row(i),
                              factors_.row(0) + j, factors_.row(1) + j);
      }
    });
  }

  [[nodiscard]] MatrixFormat format() const override { return store_int4; }
  /// Columns 32 i .. 32 i + 31; those behind the last one are zeros. The matrix must outlive what it returns.
  [[nodiscard]] NibblePanel panel(Index i) const {
    const Index column = i * kQuadColumns, groups = groups_of(rows());
    return {.data = data_.data() + i * groups * kGroupWords,
            .scales = factors_.data() + column,
            .offsets = factors_.data() + factors_.size() / 2 + column,
            .groups = groups};
  }

  void read_column(Index j, float* to) const override {
    read_nibble_column(panel(j / kQuadColumns), j % kQuadColumns, rows(), to);
  }

  void multiply(const Operand<float>& a, const TensorView<float>& c, const GemmOptions<float>& options) const override {
    const QuantizedGroups left(a);
    const GemmGeometry geometry{.panel_columns = kQuadColumns, .block_rows = 14, .depth = rows()};
    detail::for_product_blocks(
        geometry, c, options, [&](Index i, Index some_rows, Index first, const BlockOutput<float>& part) {
          detail::for_panels(kQuadColumns, first, part, [&](Index at, const BlockOutput<float>& block) {
            multiply_nibbles(left.part(i, some_rows), panel(at), block);
          });
        });
  }

 private:
  Tensor<std::uint32_t> data_;  // [panels, groups 144]
  Tensor<float> factors_;       // [2, panels 32]
};

/// Keeps a matrix in integers of four bits.
std::shared_ptr<const StoredMatrix> store_int4(const Operand<float>& b) {
  return std::make_shared<const Int4Matrix>(b);
}

}}}  // namespace rapt::RAPT_ABI::kernels
