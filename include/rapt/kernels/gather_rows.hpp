/// \file
/// Rows of a table by their numbers, and the gradient that flows back into them.
#pragma once

#include <cstdint>
#include <span>

#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// y[i] (+)= scale * table[rows[i]]   // [N, D] from [R, D]
template <class T>
void gather_rows(TensorView<const T> table, std::span<const std::int32_t> rows, T scale, T* y,
                 bool accumulate = false) {
  const Index cols = table.cols();
  parallel_for(static_cast<Index>(rows.size()), 64, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const T* row = table.row(rows[static_cast<std::size_t>(i)]);
      for (Index j = 0; j < cols; ++j) y[i * cols + j] = scale * row[j] + (accumulate ? y[i * cols + j] : T(0));
    }
  });
}

/// dtable[rows[i]] += scale * dy[i]. Threads share columns, not rows, so that equal row numbers add up in one order.
template <class T>
void scatter_rows(TensorView<T> dtable, std::span<const std::int32_t> rows, T scale, const T* dy) {
  const Index cols = dtable.cols();
  parallel_for(cols, 64, [&](Index begin, Index end) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      T* row = dtable.row(rows[i]);
      const T* from = dy + static_cast<Index>(i) * cols;
      for (Index j = begin; j < end; ++j) row[j] += scale * from[j];
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
