/// \file
/// The gradients of a linear map with bias and activation, y = activation(x W^T + b). Where there are many rows, a few
/// hundred at a time pass through all steps while they are in the cache.
#pragma once

#include "rapt/kernels/activation.hpp"
#include "rapt/kernels/gemm/gemm.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The gradients of y = activation(z), z = x W^T + b, given dy:
///   dz = dy activation'(z),   dx = dz W,   dW = dz^T x,   db = column sums of dz.
template <class T>
struct LinearBackward {
  Activation activation = Activation::none;
  const T* y = nullptr;           ///< [N, out], read for activations with `derivative_reads_output`
  const T* derivative = nullptr;  ///< activation'(z) [N, out], read for the other activations
  /// [N, out] holds dy and is replaced by dz. Contiguous, unless the activation is `none`.
  TensorView<T> dz;
  Operand<T> x, weight;                      ///< [N, in], [out, in]
  const PackedOperand<T>* packed = nullptr;  ///< if not null, W^T [in, all outputs] in place of `weight`, without dw
  Index first_output = 0;                    ///< the column of `packed` at which W^T begins
  TensorView<T> dx = {}, dw = {};            ///< [N, in], [out, in]; without memory they are not computed
  bool add_dx = false, add_dw = false;       ///< the gradients are added to dx, dw instead of replacing them
  T* db = nullptr;                           ///< [out], is added to; nullptr: not computed
};

/// Computes the gradients that `g` has memory for.
template <class T>
void linear_backward(const LinearBackward<T>& g) {
  const Index rows = g.dz.rows(), outputs = g.dz.cols();
  const bool wants_dx = g.dx.data() != nullptr, wants_dw = g.dw.data() != nullptr;
  // Rows i .. i + count: dz, then dx and db from it.
  const auto before_dw = [&](Index i, Index count, const auto& weight, T* db) {
    const TensorView<T> dz = g.dz.middle_rows(i, count);
    if (g.derivative != nullptr) {
      multiply(dz.data(), g.derivative + i * outputs, dz.data(), dz.size());
    } else if (g.activation == Activation::relu) {  // the only other activation whose derivative is known from y
      map_backward<T>(Relu{}, g.y + i * outputs, dz.data(), dz.data(), dz.size(), /*accumulate=*/false);
    }
    if (wants_dx && g.packed != nullptr) {
      gemm_transposed(as_is(dz), *g.packed, g.first_output, g.dx.middle_rows(i, count), g.add_dx);
    } else if (wants_dx) {
      gemm(as_is(dz), weight, g.dx.middle_rows(i, count), {.accumulate = g.add_dx});
    }
    if (db != nullptr) add_column_sums<T>(dz, db);
  };
  const Operand<T> dz_transposed = transposed(g.dz);
  // If x is the weight itself, dw may be rows of dx; then dx must be complete before dw is added.
  const bool apart = !wants_dx || g.dw.data() < g.dx.data() || g.dw.data() >= g.dx.data() + g.dx.size();
  if (!wants_dw || !apart || !is_deep_product(dz_transposed, g.x)) {
    before_dw(0, rows, g.weight, g.db);
    if (wants_dw) gemm(dz_transposed, g.x, g.dw, {.accumulate = g.add_dw});
    return;
  }
  const PackedOperand<T> weight = wants_dx ? PackedOperand<T>(g.weight) : PackedOperand<T>();
  Tensor<T> sums(Shape{g.db != nullptr ? depth_parts(outputs, rows, g.x.cols) : 0, outputs}, T(0));
  multiply_deep(dz_transposed, g.x, g.dw, g.add_dw, [&](Index part, Index i, Index count) {
    before_dw(i, count, weight, g.db != nullptr ? sums.row(part) : nullptr);
  });
  if (g.db != nullptr) add_column_sums<T>(sums, g.db);
}

}}}  // namespace rapt::RAPT_ABI::kernels
