/// \file
/// Binary cross-entropy on logits: of labels that do not exclude one another.
#pragma once

#include <algorithm>
#include <cmath>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = mean over all elements of -(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), a scalar, in nats; no gradient
/// flows into the target, whose elements are probabilities. As torch.nn.functional.binary_cross_entropy_with_logits.
template <class T>
[[nodiscard]] Variable<T> binary_cross_entropy(const Variable<T>& x, Tensor<T> target) {
  require<ShapeError>(x.shape() == target.shape() && x.size() > 0, "binary_cross_entropy", "x has shape ", x.shape(),
                      ", the target ", target.shape());
  const T* logits = x.value().data();
  double sum = 0;
  for (Index i = 0; i < x.size(); ++i) {
    T& t = target.data()[i];
    require(t >= T(0) && t <= T(1), "binary_cross_entropy", "the target must be in [0, 1]: ", t, " at position ", i);
    const double logit = static_cast<double>(logits[i]), small = std::exp(-std::abs(logit));
    sum += std::max(logit, 0.0) - logit * static_cast<double>(t) + std::log1p(small);
    t = static_cast<T>((logit >= 0 ? 1 : small) / (1 + small) - static_cast<double>(t));  // sigmoid(x) - t
  }
  Tensor<T> y(Shape{1}, static_cast<T>(sum / static_cast<double>(target.size())));
  return record("binary_cross_entropy", std::move(y), {x}, [difference = std::move(target)](Node<T>& out) {
    const T factor = *out.grad.data() / static_cast<T>(difference.size());  // dx = (sigmoid(x) - t) / n dy
    kernels::add_scaled(out.input(0).grad_sum().data(), difference.data(), factor, difference.size());
  });
}

}}  // namespace rapt::RAPT_ABI
