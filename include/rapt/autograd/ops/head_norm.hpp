/// \file
/// Root mean square normalisation of each head's queries and keys as an op.
#pragma once

#include <string_view>
#include <utility>

#include "rapt/autograd/ops/rms_norm.hpp"
#include "rapt/kernels/head_norm.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How many heads stand side by side in x = [queries | keys | other columns], and how they are normalised.
struct HeadNormOptions {
  /// The numbers of heads of queries and of keys, and the columns of each.
  Index query_heads = 1, key_heads = 1, head_dim = 0;
  /// What is added to the mean square before its square root is taken.
  double epsilon = 1e-6;
  bool unit_offset = false;  ///< the factors are 1 + gamma
};

/// x with each head of d_k columns divided by its root mean square and multiplied by gamma, of which queries and keys
/// have one each; other columns pass through   // [N, ..]; query_gamma, key_gamma [d_k]
/// An x that is moved in gives its memory to the result where no gradients are recorded.
template <class T>
[[nodiscard]] Variable<T> normalise_heads(Variable<T> x, const Variable<T>& query_gamma, const Variable<T>& key_gamma,
                                          const HeadNormOptions& options) {
  constexpr std::string_view kWhere = "normalise_heads";
  const Index d_k = options.head_dim, heads = options.query_heads + options.key_heads;
  require<ShapeError>(options.query_heads >= 0 && options.key_heads >= 0 && d_k > 0 && heads * d_k <= x.cols() &&
                          query_gamma.size() == d_k && key_gamma.size() == d_k,
                      kWhere, options.query_heads, " and ", options.key_heads, " heads of ", d_k,
                      " columns, x has shape ", x.shape(), ", the gammas ", query_gamma.shape(), " and ",
                      key_gamma.shape());
  const auto problem = [options](const Tensor<T>& value, const T* query_gain, const T* key_gain) {
    return kernels::HeadNorm<T>{.rows = value.rows(),
                                .cols = value.cols(),
                                .query_heads = options.query_heads,
                                .key_heads = options.key_heads,
                                .head_dim = options.head_dim,
                                .query_gamma = query_gain,
                                .key_gamma = key_gain,
                                .epsilon = static_cast<T>(options.epsilon)};
  };
  const detail::NormGain<T> query_gain(query_gamma.value(), options.unit_offset),
      key_gain(key_gamma.value(), options.unit_offset);
  Tensor<T> rstd(Shape{x.rows(), heads});
  const T* from = x.value().data();
  const auto p = problem(x.value(), query_gain.data(), key_gain.data());
  Tensor<T> y = will_record<T>({x, query_gamma, key_gamma}) ? Tensor<T>(x.shape()) : x.elements_to_overwrite();
  kernels::normalise_heads<T>(p, from, y.data(), rstd.data());
  return overwritable(record(
      "normalise_heads", std::move(y), {x, query_gamma, key_gamma},
      [problem, options, rstd = std::move(rstd)](Node<T>& out) {
        Node<T>&in = out.input(0), &query_in = out.input(1), &key_in = out.input(2);
        const detail::NormGain<T> query(query_in.value, options.unit_offset), key(key_in.value, options.unit_offset);
        Tensor<T> dgamma(Shape{2, options.head_dim}, T(0));
        kernels::normalise_heads_backward<T>(problem(in.value, query.data(), key.data()), in.value.data(), rstd.data(),
                                             out.grad.data(), dgamma);
        for (Index k = 0; k < 2; ++k) {
          T* const sum = detail::gradient_sum(k == 0 ? query_in : key_in);
          if (sum != nullptr) kernels::add_scaled(sum, dgamma.row(k), T(1), options.head_dim);
        }
        if (!in.requires_grad) return;
        if (in.grad.empty()) {
          in.grad = std::move(out.grad);
        } else {
          kernels::add_scaled(in.grad.data(), out.grad.data(), T(1), out.grad.size());
        }
      }));
}

}}  // namespace rapt::RAPT_ABI
