/// \file
/// Neighbouring rows of sequences side by side: what a convolution along a sequence multiplies with its weight.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/unfold_rows.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Where the windows of sequences are. Throws ValueError for a window that `RowWindow::validate` refuses.
[[nodiscard]] inline RowSplits window_splits(const RowSplits& splits, const RowWindow& window) {
  window.validate("unfold_rows");
  RowSplits windows;
  for (Index s = 0; s < splits.sequences(); ++s) windows.push_back(window.count(splits.length(s)));
  return windows;
}

/// y[window t, c width + k] = x[t stride + k dilation - padding, c] of each sequence, 0 outside of it
///   // [N', C width] from x [N, C]; `window_splits` tells where each sequence's windows are
/// Throws as it does, and ShapeError for splits of another number of rows than x has.
template <class T>
[[nodiscard]] Variable<T> unfold_rows(const Variable<T>& x, const RowSplits& splits, const RowWindow& window) {
  require<ShapeError>(x.rows() == splits.rows(), "unfold_rows", "x has shape ", x.shape(), ", row splits end at ",
                      splits.rows());
  const RowSplits windows = window_splits(splits, window);
  Tensor<T> y(Shape{windows.rows(), x.cols() * window.width});
  kernels::unfold_rows<T>(x.value(), splits, windows, window, y);
  return overwritable(record("unfold_rows", std::move(y), {x}, [splits, windows, window](Node<T>& out) {
    kernels::fold_rows<T>(out.grad, splits, windows, window, out.input(0).grad_sum());
  }));
}

}}  // namespace rapt::RAPT_ABI
