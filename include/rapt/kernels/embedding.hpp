/// \file
/// Gathers rows of a table by their numbers, as an embedding does, and adds gradients back to these rows.
#pragma once

#include <span>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// y[i] (+)= scale * table[ids[i]]   // [N, D] from [V, D]
template <class T>
void gather_rows(TensorView<const T> table, std::span<const TokenId> ids, T scale, T* y, bool accumulate = false) {
  const Index cols = table.cols();
  parallel_for(std::ssize(ids), 64, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const T* row = table.row(at(ids, i));
      for (Index j = 0; j < cols; ++j) y[i * cols + j] = scale * row[j] + (accumulate ? y[i * cols + j] : T(0));
    }
  });
}

/// dtable[ids[i]] += scale * dy[i]   // dtable [V, D], dy [N, D]
/// Each thread takes some columns of all rows, so that gradients of equal ids are added in the order of i.
template <class T>
void scatter_rows(TensorView<T> dtable, std::span<const TokenId> ids, T scale, const T* dy) {
  const Index cols = dtable.cols();
  parallel_for(cols, 64, [&](Index begin, Index end) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      T* row = dtable.row(ids[i]);
      const T* from = dy + static_cast<Index>(i) * cols;
      for (Index j = begin; j < end; ++j) row[j] += scale * from[j];
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
