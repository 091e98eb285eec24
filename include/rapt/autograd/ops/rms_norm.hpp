/// \file
/// Root mean square normalisation as an op.
#pragma once

#include "rapt/autograd/ops/add_norm.hpp"
#include "rapt/kernels/rms_norm.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = x / sqrt(mean(x^2) + epsilon) * gamma, row by row   // [N, D]; gamma [D]
template <class T>
[[nodiscard]] Variable<T> rms_norm(const Variable<T>& x, const Variable<T>& gamma,
                                   std::type_identity_t<T> epsilon = T(1e-6)) {
  require<ShapeError>(gamma.size() == x.cols(), "rms_norm", "x has shape ", x.shape(), ", gamma ", gamma.shape());
  Tensor<T> y(x.shape()), rstd(Shape{x.rows()});
  kernels::rms_norm<T>({x.rows(), x.cols(), x.value().data(), gamma.value().data(), epsilon}, y.data(), rstd.data());
  return record("rms_norm", std::move(y), {x, gamma}, [epsilon, rstd = std::move(rstd)](Node<T>& out) {
    Node<T>&x_in = out.input(0), &gamma_in = out.input(1);
    kernels::rms_norm_backward<T>(
        {x_in.value.rows(), x_in.value.cols(), x_in.value.data(), gamma_in.value.data(), epsilon}, rstd.data(),
        out.grad.data(), detail::gradient_rows(x_in), detail::gradient_sum(gamma_in));
  });
}

}}  // namespace rapt::RAPT_ABI
