/// \file
/// Columns of a linear map's result multiplied by learned lengths (DoRA: Liu et al. 2024).
#pragma once

#include <algorithm>
#include <utility>

#include "rapt/autograd/pass_gradient.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Where the first of the rescaled columns stands.
struct RescaledColumns {
  Index column = 0;  ///< in z
  Index row = 0;     ///< in the magnitudes
  Index bias = 0;    ///< in the bias
};

/// y = z, of which each column j of as many as there are lengths is rescaled around its bias:
///   y_ij = (m_j / l_j) (z_ij - b_j) + b_j   // y and z [N, out], lengths l [count]
/// with elements of the magnitudes m [any] and of the bias b [any] (undefined: 0). The lengths are constants.
template <class T>
[[nodiscard]] Variable<T> rescale_columns(Variable<T> z, const Variable<T>& magnitudes, const Variable<T>& bias,
                                          Tensor<T> lengths, const RescaledColumns& first) {
  const Index count = lengths.size();
  require<ShapeError>(first.column >= 0 && first.column + count <= z.cols() && first.row >= 0 &&
                          first.row + count <= magnitudes.size() && first.bias >= 0 &&
                          (!bias.defined() || first.bias + count <= bias.size()),
                      "rescale_columns", count, " columns from ", first.column, " on of z ", z.shape(),
                      ", magnitudes from ", first.row, " on of ", magnitudes.shape(), ", biases from ", first.bias,
                      " on of ", bias.defined() ? bias.shape() : Shape{});
  Tensor<T> biases(Shape{count}, T(0)), factors(Shape{count});  // b_j, m_j / l_j
  if (bias.defined()) std::copy_n(bias.value().data() + first.bias, count, biases.data());
  for (Index j = 0; j < count; ++j) {
    factors.data()[j] = magnitudes.value().data()[first.row + j] / lengths.data()[j];
  }
  const T* const from = z.value().data();
  const bool keeps_z = will_record<T>({z, magnitudes, bias});  // which backward reads
  Tensor<T> y = keeps_z ? Tensor<T>(z.shape()) : z.elements_to_overwrite();
  if (y.data() != from) kernels::copy(from, y.data(), y.size());
  const Index grain = std::max<Index>(1, kernels::kElementGrain / std::max<Index>(1, count));
  parallel_for(y.rows(), grain, [&](Index begin, Index end) {
    const T *const b = biases.data(), *const by = factors.data();
    for (Index i = begin; i < end; ++i) {
      T* const row = y.row(i) + first.column;
      for (Index j = 0; j < count; ++j) row[j] = by[j] * (row[j] - b[j]) + b[j];
    }
  });

  // With G the gradient of y's columns and f_j = m_j / l_j:
  //   dz_ij = f_j G_ij,   dm_j = sum over i of G_ij (z_ij - b_j) / l_j,   db_j = (1 - f_j) sum over i of G_ij.
  auto backward = [first, count, grain, lengths = std::move(lengths), biases = std::move(biases),
                   factors = std::move(factors)](Node<T>& out) {
    Node<T>&z_in = out.input(0), &m_in = out.input(1);
    Node<T>* const bias_in = out.inputs[2].get();
    const bool wants_bias = bias_in != nullptr && bias_in->requires_grad;
    T* const dm = m_in.requires_grad ? m_in.grad_sum().data() + first.row : nullptr;
    T* const db = wants_bias ? bias_in->grad_sum().data() + first.bias : nullptr;
    parallel_for(count, 64, [&](Index begin, Index end) {  // threads take columns, rows are added in order
      for (Index i = 0; i < out.grad.rows(); ++i) {
        const T *const g = out.grad.row(i) + first.column, *const was = z_in.value.row(i) + first.column;
        for (Index j = begin; j < end; ++j) {
          if (dm != nullptr) dm[j] += g[j] * (was[j] - biases.data()[j]) / lengths.data()[j];
          if (db != nullptr) db[j] += (T(1) - factors.data()[j]) * g[j];
        }
      }
    });
    if (!z_in.requires_grad) return;
    parallel_for(out.grad.rows(), grain, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        T* const g = out.grad.row(i) + first.column;
        for (Index j = 0; j < count; ++j) g[j] *= factors.data()[j];
      }
    });
    pass_gradient(std::move(out.grad), z_in);
  };
  return overwritable(record("rescale_columns", std::move(y), {z, magnitudes, bias}, std::move(backward)));
}

}}  // namespace rapt::RAPT_ABI
