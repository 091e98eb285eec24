/// \file
/// Residual sums and layer normalisation, with the dropout of the sublayer's output (the paper's 5.4) inside.
#pragma once

#include "rapt/autograd/pass_gradient.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/kernels/layer_norm.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

template <class T>
void require_norm_shapes(std::string_view where, const Variable<T>& x, const Variable<T>& gamma,
                         const Variable<T>& beta) {
  require<ShapeError>(gamma.size() == x.cols() && beta.size() == x.cols(), where, "x has shape ", x.shape(), ", gamma ",
                      gamma.shape(), ", beta ", beta.shape());
}

/// The gradient of an input, for a kernel that writes or adds to it.
template <class T>
[[nodiscard]] kernels::GradientRows<T> gradient_rows(Node<T>& input) {
  if (!input.requires_grad) return {};
  const auto [gradient, accumulate] = input.grad_target();
  return {gradient.data(), accumulate};
}
template <class T>
[[nodiscard]] T* gradient_sum(Node<T>& input) {
  return input.requires_grad ? input.grad_sum().data() : nullptr;
}

/// What backward needs of a norm beside its input or y: the sum h (empty: not needed), each row's statistics.
template <class T>
struct NormSaved {
  Tensor<T> h, mean, rstd;
};

}  // namespace detail

/// y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, row by row   // [N, D]; gamma, beta [D]
template <class T>
[[nodiscard]] Variable<T> layer_norm(const Variable<T>& x, const Variable<T>& gamma, const Variable<T>& beta,
                                     std::type_identity_t<T> epsilon = T(1e-5)) {
  detail::require_norm_shapes("layer_norm", x, gamma, beta);
  Tensor<T> y(x.shape());
  detail::NormSaved<T> saved{{}, Tensor<T>(Shape{x.rows()}), Tensor<T>(Shape{x.rows()})};
  kernels::add_norm<T>(
      {x.rows(), x.cols(), x.value().data(), nullptr, {}, gamma.value().data(), beta.value().data(), epsilon}, nullptr,
      y.data(), saved.mean.data(), saved.rstd.data());
  return record("layer_norm", std::move(y), {x, gamma, beta}, [epsilon, saved = std::move(saved)](Node<T>& out) {
    Node<T>&x_in = out.input(0), &gamma_in = out.input(1), &beta_in = out.input(2);
    kernels::add_norm_backward<T>({x_in.value.rows(),
                                   x_in.value.cols(),
                                   nullptr,
                                   nullptr,
                                   {},
                                   gamma_in.value.data(),
                                   beta_in.value.data(),
                                   epsilon},
                                  {x_in.value.data(), saved.mean.data(), saved.rstd.data(), nullptr}, out.grad.data(),
                                  detail::gradient_rows(x_in), {}, detail::gradient_sum(gamma_in),
                                  detail::gradient_sum(beta_in));
  });
}

/// y = LayerNorm(x + Dropout(sublayer)), the paper's section 3.1   // all [N, D]
/// A sublayer's output that is moved in gives its memory to y. Backward reads the normalised rows off y, unless gamma
/// is too close to 0 for that.
template <class T>
[[nodiscard]] Variable<T> add_norm(const Variable<T>& x, Variable<T> sublayer, const Variable<T>& gamma,
                                   const Variable<T>& beta, float dropout_rate = 0.f,
                                   std::type_identity_t<T> epsilon = T(1e-5)) {
  detail::require_norm_shapes("add_norm", x, gamma, beta);
  require<ShapeError>(x.shape() == sublayer.shape(), "add_norm", "x has shape ", x.shape(), ", the sublayer ",
                      sublayer.shape());
  const kernels::Dropout drop = next_dropout(dropout_rate);
  const bool keeps_h = !kernels::norm_is_invertible(gamma.value().data(), beta.value().data(), x.cols());
  const T* addend = sublayer.value().data();
  Tensor<T> y = sublayer.elements_to_overwrite();
  detail::NormSaved<T> saved{keeps_h ? Tensor<T>(x.shape()) : Tensor<T>(), Tensor<T>(Shape{x.rows()}),
                             Tensor<T>(Shape{x.rows()})};
  kernels::add_norm<T>(
      {x.rows(), x.cols(), x.value().data(), addend, drop, gamma.value().data(), beta.value().data(), epsilon},
      saved.h.data(), y.data(), saved.mean.data(), saved.rstd.data());
  return record(
      "add_norm", std::move(y), {x, sublayer, gamma, beta}, [drop, epsilon, saved = std::move(saved)](Node<T>& out) {
        Node<T>&x_in = out.input(0), &sublayer_in = out.input(1), &gamma_in = out.input(2), &beta_in = out.input(3);
        const auto dx = detail::gradient_rows(x_in);  // of a variable that is both, the second adds
        const auto dsublayer = detail::gradient_rows(sublayer_in);
        kernels::add_norm_backward<T>({x_in.value.rows(), x_in.value.cols(), nullptr, nullptr, drop,
                                       gamma_in.value.data(), beta_in.value.data(), epsilon},
                                      {saved.h.data(), saved.mean.data(), saved.rstd.data(), out.value.data()},
                                      out.grad.data(), dx, dsublayer, detail::gradient_sum(gamma_in),
                                      detail::gradient_sum(beta_in));
      });
}

/// y = x + Dropout(sublayer): the residual sum of pre-norm layers   // all [N, D]
template <class T>
[[nodiscard]] Variable<T> residual_add(const Variable<T>& x, Variable<T> sublayer, float dropout_rate = 0.f) {
  require<ShapeError>(x.shape() == sublayer.shape(), "residual_add", "x has shape ", x.shape(), ", the sublayer ",
                      sublayer.shape());
  const kernels::Dropout drop = next_dropout(dropout_rate);
  const T* addend = sublayer.value().data();
  Tensor<T> y = sublayer.elements_to_overwrite();
  kernels::residual_add<T>({x.rows(), x.cols(), x.value().data(), addend, drop, nullptr, nullptr, T(0)}, y.data());
  return record("residual_add", std::move(y), {x, sublayer}, [drop](Node<T>& out) {  // dx = dy, dsublayer = dy factors
    Node<T>&x_in = out.input(0), &sublayer_in = out.input(1);
    if (!drop.active()) {
      pass_gradient(out.grad, sublayer_in);
    } else if (sublayer_in.requires_grad) {
      auto [d_sublayer, accumulate] = sublayer_in.grad_target();
      kernels::apply_dropout(drop, out.grad.data(), d_sublayer.data(), out.grad.rows(), out.grad.cols(), accumulate);
    }
    pass_gradient(std::move(out.grad), x_in);
  });
}

}}  // namespace rapt::RAPT_ABI
