/// \file
/// Products with stored matrices whose columns lie one behind the other, as the rows of a weight [out, in] do in files.
#pragma once

#include <algorithm>

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/gemm.hpp"
#include "rapt/kernels/gemm/packed_operand.hpp"
#include "rapt/kernels/gemm/stored_matrix.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels { namespace detail {

/// c (+)= a b (+ bias). Up to eight contiguous rows of a go through multiply_few(j, block) on all threads, which
/// multiplies them by the columns of b from number j on that `block` has columns of, read where they lie. For more rows
/// the columns are unpacked to float32 first, and the product has the precision in force. Neither the depth nor c is
/// empty.
template <class F>
void multiply_stored_columns(const StoredMatrix& b, const Operand<float>& a, const TensorView<float>& c,
                             const GemmOptions<float>& options, const F& multiply_few) {
  const auto bias_at = [&](Index j) { return options.bias != nullptr ? options.bias + j : nullptr; };
  if (a.rows > 8 || a.col_stride != 1) {
    const auto by_columns = [&](const auto& multiply) {
      for_unpacked_columns<float>(b, options.first_column, c.cols(), [&](Index j, const TensorView<float>& some) {
        multiply(transposed(some), c.columns(j, some.rows()),
                 GemmOptions<float>{.accumulate = options.accumulate, .bias = bias_at(j)});
      });
    };
    if (const Packing packing = packing_in_force(); packing.planes > 0) {
      const PackedRows left(a, packing.planes);
      return by_columns([&](const Operand<float>& right, const TensorView<float>& some, const auto& some_options) {
        multiply_packed(left, PackedOperand<float>(right, packing), some, some_options);
      });
    }
    return by_columns([&](const Operand<float>& right, const TensorView<float>& some, const auto& some_options) {
      gemm(a, right, some, some_options);
    });
  }
  const Index grain = round_up(std::max<Index>(1, 65536 / (a.rows * a.cols)), 32);
  parallel_for(c.cols(), grain, [&](Index begin, Index end) {
    multiply_few(options.first_column + begin, BlockOutput<float>{.data = c.data() + begin,
                                                                  .stride = c.stride(),
                                                                  .columns = end - begin,
                                                                  .bias = bias_at(begin),
                                                                  .accumulate = options.accumulate});
  });
}

}}}}  // namespace rapt::RAPT_ABI::kernels::detail
