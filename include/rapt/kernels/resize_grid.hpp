/// \file
/// Resizing a grid whose cells are rows of a matrix, as for learned positions when images have another size.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The number of rows and columns of a grid. Its cells are the rows of a matrix, row by row of the grid.
struct GridSize {
  Index rows = 0, cols = 0;

  [[nodiscard]] Index cells() const { return rows * cols; }
  friend bool operator==(const GridSize&, const GridSize&) = default;
};

namespace detail {

/// The four neighbours of a place on a line and their weights in the interpolation.
struct CubicTaps {
  std::array<Index, 4> at;
  std::array<double, 4> weight;
};

/// The taps of a cubic convolution (Keys 1981) with a = -0.75, as in PyTorch's "bicubic", from a line of `from` points
/// to one of `to` points. Point i lies at the place (i + 1/2) from / to - 1/2 of the source; beyond an end, the last
/// point there is repeated.
[[nodiscard]] inline std::vector<CubicTaps> cubic_taps(Index from, Index to) {
  constexpr double a = -0.75;
  const auto inner = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };        // |x| <= 1
  const auto outer = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };  // 1 < |x| < 2
  std::vector<CubicTaps> taps(to_size(to));
  for (Index i = 0; i < to; ++i) {
    const double x = (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    const double left = std::floor(x), t = x - left;
    CubicTaps& tap = at(taps, i);
    tap.weight = {outer(t + 1), inner(t), inner(1 - t), outer(2 - t)};
    for (Index k = 0; k < 4; ++k) {
      at(tap.at, k) = std::clamp<Index>(static_cast<Index>(left) + k - 1, 0, from - 1);
    }
  }
  return taps;
}

/// Calls f(cell of the result, cell of the source, weight) for each of the sixteen cells of the source that a cell of
/// the result is the weighted sum of.
template <class F>
void for_each_weight(GridSize from, GridSize to, const F& f) {
  const std::vector<CubicTaps> down = cubic_taps(from.rows, to.rows), across = cubic_taps(from.cols, to.cols);
  for (Index y = 0; y < to.rows; ++y) {
    for (Index x = 0; x < to.cols; ++x) {
      const CubicTaps &v = at(down, y), &h = at(across, x);
      for (std::size_t i = 0; i < 4; ++i) {
        for (std::size_t j = 0; j < 4; ++j) {
          f(y * to.cols + x, v.at[i] * from.cols + h.at[j], v.weight[i] * h.weight[j]);
        }
      }
    }
  }
}

}  // namespace detail

/// y += x resized by cubic convolution   // x [h w, D], y [h' w', D]; each thread takes some columns
template <class T>
void resize_grid(TensorView<const T> x, GridSize from, GridSize to, TensorView<T> y) {
  parallel_for(y.cols(), 64, [&](Index begin, Index end) {
    detail::for_each_weight(from, to, [&](Index cell, Index source, double weight) {
      const T *in = x.row(source), factor = static_cast<T>(weight);
      T* out = y.row(cell);
      for (Index j = begin; j < end; ++j) out[j] += factor * in[j];
    });
  });
}

/// dx += the transposed resizing of dy   // dy [h' w', D], dx [h w, D]
template <class T>
void resize_grid_backward(TensorView<const T> dy, GridSize from, GridSize to, TensorView<T> dx) {
  parallel_for(dy.cols(), 64, [&](Index begin, Index end) {
    detail::for_each_weight(from, to, [&](Index cell, Index source, double weight) {
      const T *in = dy.row(cell), factor = static_cast<T>(weight);
      T* out = dx.row(source);
      for (Index j = begin; j < end; ++j) out[j] += factor * in[j];
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
