/// \file
/// Sines and cosines of a patch's place in its image: the paper's 3.5 in two dimensions.
#pragma once

#include <cmath>

#include "rapt/core/initialisation.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The numbers of a parameter that is kept in files, but not learned: no gradient flows into it, and none are copied.
template <class T>
[[nodiscard]] Variable<T> constant(const Parameter<T>& parameter) {
  return Variable<T>(Tensor<T>::borrowed(parameter.node()->value.data(), parameter.shape(), parameter.node()));
}

}  // namespace detail

/// A row of zeros for the class token, then one for each patch, row by row: sines of its column, cosines, sines of its
/// row, cosines, a quarter of the width each, at frequencies 10000^(-i / quarter)   // [1, rows * cols + 1, D]
template <class T>
[[nodiscard]] Tensor<T> grid_positions(Index rows, Index cols, Index d_model) {
  require(d_model > 0 && d_model % 4 == 0, "grid_positions", "d_model must be a multiple of 4: ", d_model);
  const Index quarter = d_model / 4;
  const Shape shape{1, rows * cols + 1, d_model};
  if (detail::initialises_nothing()) return Tensor<T>::without_elements(shape);
  Tensor<T> table(shape, T(0));
  for (Index p = 0; p < rows * cols; ++p) {
    T* to = table.row(p + 1);
    for (Index i = 0; i < quarter; ++i) {
      const double frequency = std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(quarter));
      const double across = static_cast<double>(p % cols) * frequency, down = static_cast<double>(p / cols) * frequency;
      to[i] = static_cast<T>(std::sin(across));
      to[quarter + i] = static_cast<T>(std::cos(across));
      to[2 * quarter + i] = static_cast<T>(std::sin(down));
      to[3 * quarter + i] = static_cast<T>(std::cos(down));
    }
  }
  return table;
}

}}  // namespace rapt::RAPT_ABI
