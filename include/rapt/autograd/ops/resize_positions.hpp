/// \file
/// Learned positions of patches for images of another size.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/resize_grid.hpp"

namespace rapt { inline namespace RAPT_ABI {

using kernels::GridSize;

/// The first `extras` rows as they are, then the grid, resized by cubic convolution (PyTorch's "bicubic", corners not
/// aligned, no antialiasing)   // [E + h' w', D] from [E + h w, D]
template <class T>
[[nodiscard]] Variable<T> resize_positions(const Variable<T>& positions, Index extras, GridSize from, GridSize to) {
  constexpr std::string_view kWhere = "resize_positions";
  require(from.rows > 0 && from.cols > 0 && to.rows > 0 && to.cols > 0 && extras >= 0, kWhere,
          "sizes must be positive: from ", from.rows, " x ", from.cols, " to ", to.rows, " x ", to.cols);
  require<ShapeError>(positions.rows() == extras + from.cells(), kWhere, "positions of shape ", positions.shape(),
                      ", wanted are ", extras, " and ", from.rows, " x ", from.cols);
  const Index cols = positions.cols();
  Tensor<T> y(Shape{extras + to.cells(), cols}, T(0));
  const TensorView<const T> x = positions.value();
  std::copy_n(x.data(), extras * cols, y.data());
  kernels::resize_grid<T>(x.middle_rows(extras, from.cells()), from, to, y.view().middle_rows(extras, to.cells()));
  return overwritable(record("resize_positions", std::move(y), {positions}, [extras, from, to](Node<T>& out) {
    const TensorView<T> dx = out.input(0).grad_sum();
    const TensorView<const T> dy = out.grad;
    kernels::add_scaled(dx.data(), dy.data(), T(1), extras * dy.cols());
    kernels::resize_grid_backward<T>(dy.middle_rows(extras, to.cells()), from, to,
                                     dx.middle_rows(extras, from.cells()));
  }));
}

}}  // namespace rapt::RAPT_ABI
