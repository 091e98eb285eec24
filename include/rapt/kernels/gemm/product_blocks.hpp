/// \file
/// How a matrix product is divided between threads, and a thread's part between panels.
#pragma once

#include <algorithm>

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/operand.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The sizes of the pieces that a product is cut into.
struct GemmGeometry {
  Index panel_columns = 0;  ///< columns of a panel of the right operand
  Index block_rows = 0;     ///< a thread is given 8 times as many rows of c at once, or those that are left
  Index depth = 0;          ///< the greatest depth of one pass over a panel
  friend bool operator==(const GemmGeometry&, const GemmGeometry&) = default;
};

namespace detail {

/// Calls multiply(i, rows, panel, block) for blocks of c on all threads: `rows` rows from row i on, and the panels of
/// the right operand from number `panel` on that `block` has columns of. The blocks follow from the sizes alone.
///
/// There are about 16 blocks or more, so that threads that finish early find another one: eight register blocks of rows
/// each, and columns are divided only where there are few rows.
template <class T, class F>
void for_product_blocks(const GemmGeometry& geometry, const TensorView<T>& c, const GemmOptions<T>& options,
                        const F& multiply) {
  const Index rows = c.rows(), columns = c.cols();
  const Index width = geometry.panel_columns, block_rows = 8 * geometry.block_rows;
  const Index skipped = options.first_column / width, panels = (columns + width - 1) / width;
  const Index row_blocks = (rows + block_rows - 1) / block_rows;
  const Index column_blocks = std::min(panels, (16 + row_blocks - 1) / row_blocks);
  const Index block_panels = (panels + column_blocks - 1) / column_blocks;
  parallel_parts(row_blocks * column_blocks, [&](Index part) {
    const Index i = part / column_blocks * block_rows, first_panel = part % column_blocks * block_panels;
    if (first_panel >= panels) return;
    const Index some_rows = std::min(block_rows, rows - i), j = first_panel * width;
    multiply(i, some_rows, skipped + first_panel,
             BlockOutput<T>{.data = c.row(i) + j,
                            .stride = c.stride(),
                            .columns = std::min(block_panels * width, columns - j),
                            .bias = options.bias != nullptr ? options.bias + j : nullptr,
                            .accumulate = options.accumulate});
  });
}

/// f(panel, block) for the panels of `width` columns from number `first` on that c has columns of, each with its part
/// of c.
template <class F>
void for_panels(Index width, Index first, BlockOutput<float> c, const F& f) {
  for (Index panel = first; c.columns > 0; ++panel) {
    BlockOutput<float> block = c;
    block.columns = std::min(width, c.columns);
    f(panel, block);
    c.columns -= width;
    c.data += width;
    if (c.bias != nullptr) c.bias += width;
  }
}

}  // namespace detail

}}}  // namespace rapt::RAPT_ABI::kernels
