/// \file
/// Residual sums with layer scale (Touvron et al. 2021) and stochastic depth (Huang et al. 2016).
#pragma once

#include <vector>

#include "rapt/autograd/pass_gradient.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/kernels/scaled_residual.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Of each sequence 0 with probability `rate`, else 1 / (1 - rate): whether it passes through a sublayer at all. Empty
/// (1 for all) outside of Training and for rate 0.
template <class T>
[[nodiscard]] std::vector<T> drop_path_factors(Index sequences, float rate) {
  const kernels::Dropout drop = next_dropout(rate);
  if (!drop.active()) return {};
  const auto threshold = static_cast<std::uint32_t>(static_cast<double>(rate) * 0x1p32);
  std::vector<T> factors;
  for (Index i = 0; i < sequences; ++i) {
    const bool kept = drop.stream.block(static_cast<std::uint64_t>(i))[0] >= threshold;
    factors.push_back(kept ? T(1) / (T(1) - static_cast<T>(rate)) : T(0));
  }
  return factors;
}

/// y_ij = x_ij + scale_j factor_i sublayer_ij   // [N, D]; scale [D], undefined: 1 everywhere
/// `factors`: one for each sequence, all of them of one length; empty: 1 everywhere.
template <class T>
[[nodiscard]] Variable<T> scaled_residual(const Variable<T>& x, const Variable<T>& sublayer, const Variable<T>& scale,
                                          std::vector<T> factors = {}) {
  constexpr std::string_view kWhere = "scaled_residual";
  require<ShapeError>(x.shape() == sublayer.shape(), kWhere, "x has shape ", x.shape(), ", the sublayer ",
                      sublayer.shape());
  require<ShapeError>(!scale.defined() || scale.size() == x.cols(), kWhere, "x has shape ", x.shape(), ", the scale ",
                      scale.defined() ? scale.shape() : Shape{});
  require<ShapeError>(factors.empty() || x.rows() % static_cast<Index>(factors.size()) == 0, kWhere, factors.size(),
                      " factors of sequences, x has shape ", x.shape());
  Tensor<T> y(x.shape());
  const T* columns = scale.defined() ? scale.value().data() : nullptr;
  kernels::scaled_residual<T>(x.value(), sublayer.value().data(), {columns, factors}, y.data());
  return overwritable(
      record("scaled_residual", std::move(y), {x, sublayer, scale}, [factors = std::move(factors)](Node<T>& out) {
        Node<T>&x_in = out.input(0), &sublayer_in = out.input(1);
        Node<T>* scale_in = out.inputs[2].get();
        const kernels::ResidualScale<T> by{scale_in != nullptr ? scale_in->value.data() : nullptr, factors};
        if (sublayer_in.requires_grad) {  // dsublayer = scale factor dy
          auto [d_sublayer, accumulate] = sublayer_in.grad_target();
          kernels::scaled_residual_backward<T>(out.grad, by, d_sublayer.data(), accumulate);
        }
        if (scale_in != nullptr && scale_in->requires_grad) {  // dscale = column sums of factor dy sublayer
          kernels::add_scale_gradient<T>(out.grad, sublayer_in.value.data(), by, scale_in->grad_sum().data());
        }
        pass_gradient(std::move(out.grad), x_in);  // dx = dy
      }));
}

}}  // namespace rapt::RAPT_ABI
