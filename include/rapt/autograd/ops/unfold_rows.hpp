/// \file
/// Neighbouring rows of sequences side by side: what a convolution along a sequence multiplies with its weight.
#pragma once

#include <string_view>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/unfold_rows.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Where the windows of sequences are.
[[nodiscard]] inline RowSplits window_splits(const RowSplits& splits, const RowWindow& window) {
  RowSplits windows;
  for (Index s = 0; s < splits.sequences(); ++s) windows.push_back(window.count(splits.length(s)));
  return windows;
}

/// y[window t, c width + k] = x[t stride + k dilation - padding, c] of each sequence, 0 outside of it
///   // [N', C width] from x [N, C]; `window_splits` tells where each sequence's windows are
template <class T>
[[nodiscard]] Variable<T> unfold_rows(const Variable<T>& x, const RowSplits& splits, const RowWindow& window) {
  constexpr std::string_view kWhere = "unfold_rows";
  require(window.width > 0 && window.stride > 0 && window.padding >= 0 && window.dilation > 0, kWhere,
          "width, stride and dilation must be positive, padding not negative: width ", window.width, ", stride ",
          window.stride, ", padding ", window.padding, ", dilation ", window.dilation);
  require<ShapeError>(x.rows() == splits.rows(), kWhere, "x has shape ", x.shape(), ", row splits end at ",
                      splits.rows());
  const RowSplits windows = window_splits(splits, window);
  Tensor<T> y(Shape{windows.rows(), x.cols() * window.width});
  kernels::unfold_rows<T>(x.value(), splits, windows, window, y);
  return overwritable(record("unfold_rows", std::move(y), {x}, [splits, windows, window](Node<T>& out) {
    kernels::fold_rows<T>(out.grad, splits, windows, window, out.input(0).grad_sum());
  }));
}

}}  // namespace rapt::RAPT_ABI
