/// \file
/// Root mean square normalisation as an op.
#pragma once

#include <utility>

#include "rapt/autograd/ops/add_norm.hpp"
#include "rapt/kernels/rms_norm.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The factors that a norm multiplies its normalised rows by: gamma, or 1 + gamma as Gemma's norms have it.
template <class T>
class NormGain {
 public:
  /// gamma [D] must outlive it.
  NormGain(const Tensor<T>& gamma, bool unit_offset) : gamma_(&gamma) {
    if (!unit_offset) return;
    shifted_ = Tensor<T>(gamma.shape());
    for (Index j = 0; j < gamma.size(); ++j) shifted_.data()[j] = T(1) + gamma.data()[j];
    gamma_ = &shifted_;
  }
  NormGain(const NormGain&) = delete;
  NormGain& operator=(const NormGain&) = delete;

  [[nodiscard]] const T* data() const { return std::as_const(*gamma_).data(); }

 private:
  Tensor<T> shifted_;  // empty without the offset
  const Tensor<T>* gamma_;
};

}  // namespace detail

/// y = x / sqrt(mean(x^2) + epsilon) * gamma, row by row   // [N, D]; gamma [D]
/// `unit_offset`: times 1 + gamma.
template <class T>
[[nodiscard]] Variable<T> rms_norm(const Variable<T>& x, const Variable<T>& gamma,
                                   std::type_identity_t<T> epsilon = T(1e-6), bool unit_offset = false) {
  require<ShapeError>(gamma.size() == x.cols(), "rms_norm", "x has shape ", x.shape(), ", gamma ", gamma.shape());
  Tensor<T> y(x.shape()), rstd(Shape{x.rows()});
  const detail::NormGain<T> gain(gamma.value(), unit_offset);
  kernels::rms_norm<T>({x.rows(), x.cols(), x.value().data(), gain.data(), epsilon}, y.data(), rstd.data());
  return record("rms_norm", std::move(y), {x, gamma}, [epsilon, unit_offset, rstd = std::move(rstd)](Node<T>& out) {
    Node<T>&x_in = out.input(0), &gamma_in = out.input(1);
    const detail::NormGain<T> factors(gamma_in.value, unit_offset);
    kernels::rms_norm_backward<T>({x_in.value.rows(), x_in.value.cols(), x_in.value.data(), factors.data(), epsilon},
                                  rstd.data(), out.grad.data(), detail::gradient_rows(x_in),
                                  detail::gradient_sum(gamma_in));
  });
}

}}  // namespace rapt::RAPT_ABI
