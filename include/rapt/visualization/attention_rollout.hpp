/// \file
/// Attention rollout (Abnar and Zuidema 2020): how much each input token contributes to each output token of all layers
/// together.
#pragma once

#include <span>
#include <string_view>

#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A layer mixes its tokens by (A + I) / 2, where A is the mean of its heads' attention probabilities and the identity
/// stands for the residual connection. The rollout is the product of these matrices, that of the last layer on the
/// left; its element (i, j) is the contribution of input token j to output token i, and its rows sum to 1   // [B, L,
/// L] `layers` has a tensor [B, H, L, L] for each layer; all sequences have the length L. Throws ShapeError for other
/// shapes and if there is no layer.
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
