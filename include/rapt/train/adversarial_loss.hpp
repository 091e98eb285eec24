/// \file
/// The losses of two models that learn from one another (Goodfellow et al. 2014): of a discriminator, which scores how
/// real inputs look, and of the generator that makes some of them.
#pragma once

#include <string_view>

#include "rapt/autograd/ops/activation.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/sum.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// With r the scores of real inputs and f those of generated ones, means over a batch:
enum class AdversarialLoss {
  logistic,     ///< D: log(1 + e^-r) + log(1 + e^f), G: log(1 + e^-f) (the non-saturating loss of Goodfellow et al.)
  hinge,        ///< D: max(0, 1 - r) + max(0, 1 + f), G: -f (Lim and Ye 2017)
  wasserstein,  ///< D: f - r, G: -f (Arjovsky et al. 2017); D diverges without a gradient penalty
};

namespace detail {

/// The mean of f(factor x) over all elements: log(1 + e^y), max(0, 1 + y) or y, as the loss says.
template <class T>
[[nodiscard]] Variable<T> adversarial_mean(AdversarialLoss loss, const Variable<T>& scores, double factor) {
  require<ShapeError>(scores.size() > 0, "adversarial_loss", "there are no scores: ", scores.shape());
  Variable<T> y = scale(scores, static_cast<T>(factor));
  if (loss == AdversarialLoss::logistic) y = softplus(y);
  if (loss == AdversarialLoss::hinge) y = relu(add(y, Variable<T>(Tensor<T>(y.shape(), T(1)))));
  return scale(sum(y), T(1) / static_cast<T>(scores.size()));
}

}  // namespace detail

/// The discriminator's loss, a scalar, of any number of scores each   // real [B, 1], generated [B', 1]
template <class T>
[[nodiscard]] Variable<T> discriminator_loss(AdversarialLoss loss, const Variable<T>& real,
                                             const Variable<T>& generated) {
  return add(detail::adversarial_mean(loss, real, -1), detail::adversarial_mean(loss, generated, 1));
}

/// The generator's loss, a scalar   // generated [B, 1]
template <class T>
[[nodiscard]] Variable<T> generator_loss(AdversarialLoss loss, const Variable<T>& generated) {
  return detail::adversarial_mean(loss == AdversarialLoss::hinge ? AdversarialLoss::wasserstein : loss, generated, -1);
}

}}  // namespace rapt::RAPT_ABI
