/// \file
/// Weights of eight bits, for serving models at a quarter of the memory: the format as a StoredMatrix. quads.hpp has
/// its formula and layout, quad_products.hpp the products.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/product_blocks.hpp"
#include "rapt/kernels/gemm/quad_products.hpp"
#include "rapt/kernels/gemm/quads.hpp"
#include "rapt/kernels/gemm/stored_matrix.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The format of this file. Throws ShapeError for a matrix of more than `kMostQuadDepth` rows.
[[nodiscard]] inline std::shared_ptr<const StoredMatrix> store_int8(const Operand<float>& b);

/// A right operand in panels of 32 columns, which have the whole depth.
class Int8Matrix final : public StoredMatrix {
 public:
  explicit Int8Matrix(const Operand<float>& b) : StoredMatrix(b.rows, b.cols) {
    require<ShapeError>(rows() <= kMostQuadDepth, "packed_operand", "eight bits add up over at most ", kMostQuadDepth,
                        " products, not ", rows());
    if (rows() == 0 || cols() == 0) return;
    const Index panels = (cols() + kQuadColumns - 1) / kQuadColumns;
    data_ = Tensor<Quad>(Shape{panels * kQuadColumns * quads_of(rows())});  // [panels][quads][32]
    scales_ = Tensor<float>(Shape{panels * kQuadColumns});
    shifts_ = Tensor<std::int32_t>(Shape{panels * kQuadColumns});
    parallel_for(panels, std::max<Index>(1, 2048 / rows()), [&](Index first, Index last) {
      for (Index panel = first; panel < last; ++panel) {
        const Index j = panel * kQuadColumns;
        quantize_panel(b.part(0, j, rows(), std::min(kQuadColumns, cols() - j)), data_.data() + j * quads_of(rows()),
                       scales_.data() + j, shifts_.data() + j);
      }
    });
  }

  [[nodiscard]] MatrixFormat format() const override { return store_int8; }
  /// Columns 32 i .. 32 i + 31. The matrix must outlive what it returns.
  [[nodiscard]] QuadPanel panel(Index i) const {
    const Index quads = quads_of(rows()), column = i * kQuadColumns;
    return {.data = data_.data() + column * quads,
            .scales = scales_.data() + column,
            .shifts = shifts_.data() + column,
            .quads = quads};
  }

  void read_column(Index j, float* to) const override {
    const QuadPanel quads = panel(j / kQuadColumns);
    const Index lane = j % kQuadColumns;
    for (Index k = 0; k < rows(); ++k) {
      const Quad bytes = quads.data[k / 4 * kQuadColumns + lane] >> 8 * (k % 4);
      to[k] = static_cast<float>(static_cast<std::int8_t>(bytes & 0xffu)) * quads.scales[lane];
    }
  }

  void multiply(const Operand<float>& a, const TensorView<float>& c, const GemmOptions<float>& options) const override {
    const QuantizedRows left(a);
    const GemmGeometry geometry{.panel_columns = kQuadColumns, .block_rows = 14, .depth = rows()};
    detail::for_product_blocks(
        geometry, c, options, [&](Index i, Index some_rows, Index first, const BlockOutput<float>& part) {
          detail::for_panels(kQuadColumns, first, part, [&](Index at, const BlockOutput<float>& block) {
            multiply_quads(left.part(i, some_rows), panel(at), block);
          });
        });
  }

 private:
  Tensor<Quad> data_;
  Tensor<float> scales_;
  Tensor<std::int32_t> shifts_;
};

/// Keeps a matrix in integers of eight bits.
std::shared_ptr<const StoredMatrix> store_int8(const Operand<float>& b) {
  return std::make_shared<const Int8Matrix>(b);
}

}}}  // namespace rapt::RAPT_ABI::kernels
