/// \file
/// Attention rollout (Abnar and Zuidema 2020): through all layers, how much of each token goes into each.
#pragma once

#include <span>
#include <string_view>

#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Of a layer, A is the mean of its heads' probabilities, which the residual connection passes by: (A + I) / 2. The
/// product of the layers, the last one first, says what part each token of the input has in each of the output: rows
/// sum to 1   // [B, L, L] from a tensor [B, H, L, L] for each layer, of sequences of equal length
/// Throws ShapeError for other shapes, and if there is no layer.
template <class T>
[[nodiscard]] Tensor<T> attention_rollout(std::span<const Tensor<T>> layers) {
  constexpr std::string_view kWhere = "attention_rollout";
  require<ShapeError>(!layers.empty(), kWhere, "there is no layer");
  const Shape& shape = layers[0].shape();
  require<ShapeError>(shape.rank() == 4 && shape[1] > 0 && shape[2] == shape[3], kWhere,
                      "weights must be [B, H, L, L], got ", shape);
  const Index sequences = shape[0], heads = shape[1], length = shape[2];
  Tensor<T> result(Shape{sequences, length, length}, T(0));
  for (Index b = 0; b < sequences; ++b) {
    RowMajorMatrix<T> rollout = RowMajorMatrix<T>::Identity(length, length);
    for (const Tensor<T>& layer : layers) {
      require<ShapeError>(layer.shape() == shape, kWhere, "layers of shapes ", shape, " and ", layer.shape());
      RowMajorMatrix<T> mixing = RowMajorMatrix<T>::Zero(length, length);
      for (Index h = 0; h < heads; ++h) {
        mixing += layer.view().middle_rows((b * heads + h) * length, length).matrix();
      }
      mixing *= T(0.5) / static_cast<T>(heads);
      mixing.diagonal().array() += T(0.5);
      rollout = (mixing * rollout).eval();
    }
    result.view().middle_rows(b * length, length).matrix() = rollout;
  }
  return result;
}

}}  // namespace rapt::RAPT_ABI
