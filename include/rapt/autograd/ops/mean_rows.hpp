/// \file
/// The mean of each sequence's rows: one vector for a sentence.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_s = mean of x_i over the rows i of sequence s   // [B, D] from [N, D]; of an empty sequence zeros
template <class T>
[[nodiscard]] Variable<T> mean_rows(const Variable<T>& x, const RowSplits& splits) {
  require<ShapeError>(x.shape().rank() == 2 && x.rows() == splits.rows(), "mean_rows", "x has shape ", x.shape(),
                      ", row splits end at ", splits.rows());
  const Index cols = x.cols();
  Tensor<T> y(Shape{splits.sequences(), cols}, T(0));
  const T* from = x.value().data();
  parallel_for(splits.sequences(), 1, [&](Index begin, Index end) {
    for (Index s = begin; s < end; ++s) {
      T* sum = y.row(s);
      for (Index i = splits.begin(s); i < splits.end(s); ++i) {
        for (Index j = 0; j < cols; ++j) sum[j] += from[i * cols + j];
      }
      const T share = T(1) / static_cast<T>(std::max<Index>(splits.length(s), 1));
      for (Index j = 0; j < cols; ++j) sum[j] *= share;
    }
  });
  RowSplits kept;
  if (will_record<T>({x})) kept = splits;
  return overwritable(record("mean_rows", std::move(y), {x}, [kept = std::move(kept)](Node<T>& out) {
    T* dx = out.input(0).grad_sum().data();  // dx_i += dy_s / length of s
    const Index width = out.grad.cols();
    parallel_for(kept.sequences(), 1, [&](Index begin, Index end) {
      for (Index s = begin; s < end; ++s) {
        const T* dy = out.grad.row(s);
        const T share = T(1) / static_cast<T>(std::max<Index>(kept.length(s), 1));
        for (Index i = kept.begin(s); i < kept.end(s); ++i) {
          for (Index j = 0; j < width; ++j) dx[i * width + j] += share * dy[j];
        }
      }
    });
  }));
}

}}  // namespace rapt::RAPT_ABI
