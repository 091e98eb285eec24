/// \file
/// The product with a matrix of low rank, added to some columns of a result (LoRA: Hu et al. 2021).
#pragma once

#include "rapt/autograd/pass_gradient.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/gemm/gemm.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Which rows of B are added to which columns of z, and their factor.
struct LowRankOptions {
  /// The factor of what is added.
  double scale = 1;
  Index column = 0;  ///< of z: the first that is added to
  Index row = 0;     ///< of B: the first that is used
  Index count = -1;  ///< how many columns of z and rows of B; -1: all rows of B
};

/// y = z, of which columns column .. column + count have scale (x A^T) B^T added, with rows row .. row + count of B
/// // [N, out] from z [N, out], x [N, in], A [r, in], B [any, r]
template <class T>
[[nodiscard]] Variable<T> add_low_rank(Variable<T> z, const Variable<T>& x, const Variable<T>& a, const Variable<T>& b,
                                       LowRankOptions options = {}) {
  if (options.count < 0) options.count = b.rows();
  const auto [factor, column, row, count] = options;
  require<ShapeError>(z.rows() == x.rows() && x.cols() == a.cols() && a.rows() == b.cols() && column >= 0 && row >= 0 &&
                          column + count <= z.cols() && row + count <= b.rows(),
                      "add_low_rank", "z has shape ", z.shape(), ", x ", x.shape(), ", A ", a.shape(), ", B ",
                      b.shape(), ": columns ", column, " .. ", column + count, " of z, rows ", row, " .. ", row + count,
                      " of B");
  const T scale = static_cast<T>(factor);
  Tensor<T> inner(Shape{x.rows(), a.rows()});  // scale x A^T   // [N, r]
  kernels::gemm(kernels::as_is(x.value()), kernels::transposed(a.value()), inner);
  kernels::scale(inner.data(), scale, inner.size());
  const T* const from = z.value().data();
  Tensor<T> y = z.elements_to_overwrite();
  if (y.data() != from) kernels::copy(from, y.data(), y.size());
  kernels::gemm(kernels::as_is(inner), kernels::transposed(b.value().view().middle_rows(row, count)),
                y.view().columns(column, count), {.accumulate = true});

  // With G the gradient of the columns, U = scale x A^T and V = scale G B:
  //   dz = dy,   dx = V A,   dA = V^T x,   dB = G^T U.
  auto backward = [scale, options, inner = std::move(inner)](Node<T>& out) {
    Node<T>&x_in = out.input(1), &a_in = out.input(2), &b_in = out.input(3);
    const TensorView<const T> g = std::as_const(out.grad).view().columns(options.column, options.count);
    if (b_in.requires_grad) {
      kernels::gemm(kernels::transposed(g), kernels::as_is(inner),
                    b_in.grad_sum().view().middle_rows(options.row, options.count), {.accumulate = true});
    }
    if (x_in.requires_grad || a_in.requires_grad) {
      Tensor<T> v(inner.shape());
      const TensorView<const T> rows = std::as_const(b_in.value).view().middle_rows(options.row, options.count);
      kernels::gemm(kernels::as_is(g), kernels::as_is(rows), v);
      kernels::scale(v.data(), scale, v.size());
      if (a_in.requires_grad) {
        auto [da, accumulate] = a_in.grad_target();
        kernels::gemm(kernels::transposed(v), kernels::as_is(x_in.value), da, {.accumulate = accumulate});
      }
      if (x_in.requires_grad) {
        auto [dx, accumulate] = x_in.grad_target();
        kernels::gemm(kernels::as_is(v), kernels::as_is(a_in.value), dx, {.accumulate = accumulate});
      }
    }
    pass_gradient(std::move(out.grad), out.input(0));
  };
  return overwritable(record("add_low_rank", std::move(y), {z, x, a, b}, std::move(backward)));
}

}}  // namespace rapt::RAPT_ABI
