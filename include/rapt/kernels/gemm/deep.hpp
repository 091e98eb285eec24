/// \file
/// Products that are much deeper than wide, such as the gradient of a weight, dW [out, in] = dz^T [out, tokens] times
/// x [tokens, in]. Each task takes a part of the depth and computes a whole c of its own, so that both operands are
/// read only once; the sums of all parts are added at the end.
#pragma once

#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/gemm/block.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The number of parts that the depth is divided into, which depends on sizes alone; 1 if the product is not deep
/// enough.
[[nodiscard]] constexpr Index depth_parts(Index rows, Index depth, Index columns) {
  const Index parts = std::min<Index>(16, depth / (4 * detail::kPanelDepth));
  // Writing and reading the sums of all parts must cost less than reading the operands, and a few rows do not repay
  // packing.
  return parts >= 4 && rows > 32 && 2 * parts * rows * columns <= depth * (rows + columns) ? parts : 1;
}

/// c (+)= a b. Each part of the depth is summed on its own, and the sums are added to c in their order. Before a thread
/// reads rows p .. p + count of b, it calls `before(part, p, count)`: what is read or written there is still in
/// the cache for the product.
template <class T, class F>
void multiply_deep(const Operand<T>& a, const Operand<T>& b, TensorView<T> c, bool accumulate, const F& before) {
  const Index depth = a.cols, columns = c.cols(), parts = depth_parts(a.rows, depth, columns);
  const Index part_depth = (depth + parts - 1) / parts;
  const Index cuts = (part_depth + detail::kPanelDepth - 1) / detail::kPanelDepth;
  const Index cut_depth = (part_depth + cuts - 1) / cuts;
  Tensor<T> sums(Shape{parts - 1, a.rows * columns});  // of all parts but the first, which is written to c
  parallel_parts(parts, [&](Index part) {
    const Index begin = part * part_depth, end = std::min(depth, begin + part_depth);
    BlockOutput<T> block{.data = c.data(), .stride = c.stride(), .columns = columns, .accumulate = accumulate};
    if (part > 0) block = {.data = sums.row(part - 1), .stride = columns, .columns = columns};
    Tensor<T> packed(Shape{packed_size(cut_depth, columns)});
    for (Index p = begin; p < end; p += cut_depth) {
      const Index count = std::min(cut_depth, end - p);
      before(part, p, count);
      pack_panels(b.part(p, 0, count, columns), packed.data());
      multiply_panels(a.part(0, p, a.rows, count), packed.data(), block);
      block.accumulate = true;
    }
  });
  parallel_for(a.rows, std::max<Index>(1, 16384 / columns), [&](Index begin, Index end) {
    for (Index part = 1; part < parts; ++part) {
      for (Index i = begin; i < end; ++i) add_scaled(c.row(i), sums.row(part - 1) + i * columns, T(1), columns);
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
