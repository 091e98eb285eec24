/// \file
/// Residual sums and layer normalisation, with the dropout of the sublayer's output (the paper's 5.4) inside.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/layer_norm.hpp"

namespace rapt::inline RAPT_ABI {

namespace detail {

template <class T>
void require_norm_shapes(std::string_view where, const Variable<T>& x, const Variable<T>& gamma,
                         const Variable<T>& beta) {
  require<ShapeError>(gamma.size() == x.cols() && beta.size() == x.cols(), where, "x has shape ", x.shape(), ", gamma ",
                      gamma.shape(), ", beta ", beta.shape());
}

/// What backward needs of a norm: the normalised sum's input (empty: x itself) and each row's statistics.
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
    const auto grad_of = [](Node<T>& n) { return n.requires_grad ? n.grad_sum().data() : nullptr; };
    kernels::add_norm_backward<T>({x_in.value.rows(),
                                   x_in.value.cols(),
                                   nullptr,
                                   nullptr,
                                   {},
                                   gamma_in.value.data(),
                                   beta_in.value.data(),
                                   epsilon},
                                  x_in.value.data(), saved.mean.data(), saved.rstd.data(), out.grad.data(),
                                  grad_of(x_in), nullptr, grad_of(gamma_in), grad_of(beta_in));
  });
}

/// y = LayerNorm(x + Dropout(sublayer)), the paper's section 3.1   // all [N, D]
template <class T>
[[nodiscard]] Variable<T> add_norm(const Variable<T>& x, const Variable<T>& sublayer, const Variable<T>& gamma,
                                   const Variable<T>& beta, float dropout_rate = 0.f,
                                   std::type_identity_t<T> epsilon = T(1e-5)) {
  detail::require_norm_shapes("add_norm", x, gamma, beta);
  require<ShapeError>(x.shape() == sublayer.shape(), "add_norm", "x has shape ", x.shape(), ", the sublayer ",
                      sublayer.shape());
  const kernels::Dropout drop = next_dropout(dropout_rate);
  Tensor<T> y(x.shape());
  detail::NormSaved<T> saved{Tensor<T>(x.shape()), Tensor<T>(Shape{x.rows()}), Tensor<T>(Shape{x.rows()})};
  kernels::add_norm<T>({x.rows(), x.cols(), x.value().data(), sublayer.value().data(), drop, gamma.value().data(),
                        beta.value().data(), epsilon},
                       saved.h.data(), y.data(), saved.mean.data(), saved.rstd.data());
  return record(
      "add_norm", std::move(y), {x, sublayer, gamma, beta}, [drop, epsilon, saved = std::move(saved)](Node<T>& out) {
        Node<T>&x_in = out.input(0), &sublayer_in = out.input(1), &gamma_in = out.input(2), &beta_in = out.input(3);
        const auto grad_of = [](Node<T>& n) { return n.requires_grad ? n.grad_sum().data() : nullptr; };
        kernels::add_norm_backward<T>({x_in.value.rows(), x_in.value.cols(), nullptr, nullptr, drop,
                                       gamma_in.value.data(), beta_in.value.data(), epsilon},
                                      saved.h.data(), saved.mean.data(), saved.rstd.data(), out.grad.data(),
                                      grad_of(x_in), grad_of(sublayer_in), grad_of(gamma_in), grad_of(beta_in));
      });
}

/// y = x + Dropout(sublayer): the residual sum of pre-norm layers   // all [N, D]
template <class T>
[[nodiscard]] Variable<T> residual_add(const Variable<T>& x, const Variable<T>& sublayer, float dropout_rate = 0.f) {
  require<ShapeError>(x.shape() == sublayer.shape(), "residual_add", "x has shape ", x.shape(), ", the sublayer ",
                      sublayer.shape());
  const kernels::Dropout drop = next_dropout(dropout_rate);
  Tensor<T> y(x.shape());
  kernels::residual_add<T>(
      {x.rows(), x.cols(), x.value().data(), sublayer.value().data(), drop, nullptr, nullptr, T(0)}, y.data());
  return record("residual_add", std::move(y), {x, sublayer}, [drop](Node<T>& out) {  // dx = dy, dsublayer = dy factors
    Node<T>&x_in = out.input(0), &sublayer_in = out.input(1);
    if (x_in.requires_grad) kernels::add_scaled(x_in.grad_sum().data(), out.grad.data(), T(1), out.grad.size());
    if (!sublayer_in.requires_grad) return;
    if (drop.active()) {
      auto [d_sublayer, accumulate] = sublayer_in.grad_target();
      kernels::apply_dropout(drop, out.grad.data(), d_sublayer.data(), out.grad.rows(), out.grad.cols(), accumulate);
    } else {
      kernels::add_scaled(sublayer_in.grad_sum().data(), out.grad.data(), T(1), out.grad.size());
    }
  });
}

}  // namespace rapt::inline RAPT_ABI
