/// \file
/// Penalties of a critic's gradient with respect to its input, which keep adversarial training stable: R1 (Mescheder et
/// al. 2018, equation 9) and that of WGAN-GP (Gulrajani et al. 2017, equation 3).
///
/// For a critic D with parameters t and inputs x_1 .. x_B, let g_b = dD(x_b)/dx_b and n_b = |g_b|. The penalty is
///
///     P(t) = w / (2 B)  sum over b of (n_b - c)^2                      (R1: c = 0; WGAN-GP: c = 1, w = 2 lambda)
///
/// Its gradient needs the second derivative of D, but only along one direction: with u_b = g_b / n_b held constant,
///
///     dP/dt = w / B  sum over b of (n_b - c)  d/de [dD(x_b + e u_b)/dt]  at e = 0,
///
/// as dn_b/dt = u_b d(g_b)/dt = u_b d^2 D/(dx dt). That derivative along a line is taken by a central difference,
///
///     d/de [dD(x_b + e u_b)/dt]  =  (dD(x_b + h u_b)/dt - dD(x_b - h u_b)/dt) / (2 h)  +  O(h^2),
///
/// which is the gradient of a difference of ordinary scores. So all that is needed is one backward to the inputs for
/// g_b, and one forward and backward of 2 B inputs, with the ops as they are. Double backward would be exact, but asks
/// a backward of every backward on the way: of linear maps, attention with a learned bias, norms, activations. As each
/// of them is fused by hand, that would be as much code again, for a term whose error here is far below the noise of a
/// batch. The error of the difference is h^2 times a sixth of the third derivative along the line, and from rounding
/// about epsilon / h times the ratio of dD/dt to its own derivative. Beside double backward in PyTorch, on the small
/// discriminator of tests/golden/make_transgan.py in float, the largest error relative to the largest gradient was
/// 1e-4, 3e-5, 3e-4 and 3e-3 for steps of 0.001, 0.003, 0.01 and 0.03 (see GradientPenaltyOptions::step).
///
/// A precision below float32 (core/precision.hpp) rounds the factors of products on both sides of x by themselves, and
/// the division by 2 h magnifies that: there, the largest error was 2e-4 in `high` and 0.4 in `medium` with a step of
/// 0.005, and in `medium` 0.14 and 1.4e-2 with steps of 0.01 and 0.03.
#pragma once

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/nn/freeze.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A discriminator's gradient penalty: its weight, its target and the step of the difference.
struct GradientPenaltyOptions {
  double weight = 10;  ///< w
  double target = 0;   ///< c: 0 for R1, 1 for WGAN-GP
  /// The root mean square of the numbers that inputs are moved by: h = step sqrt(numbers of an input). For inputs whose
  /// numbers are of the size of 1, and products in float32 or `high`; in `medium` the penalty's gradient would be wrong
  /// by half, and 0.03 is better.
  double step = 0.005;

  /// Throws ValueError for numbers that make no penalty.
  void validate(std::string_view where) const {
    require(
        std::isfinite(weight) && weight >= 0 && std::isfinite(target) && target >= 0 && std::isfinite(step) && step > 0,
        where, "weight and target of a gradient penalty must not be negative, its step positive: ", weight, ", ",
        target, ", ", step);
  }
};

/// P, a scalar whose gradient with respect to the parameters of `critic` is the one above; `norms`, if not nullptr,
/// receives n_b. The critic gives a score for each row, which must not depend on the others: `critic(x)` is [B, 1] for
/// x [B, numbers of an input]. Dropout is off. Outside of Training and Recording P is a constant. Throws ShapeError
/// unless there is a score for each row.
template <Module M, class T = typename M::ScalarType>
[[nodiscard]] Variable<T> gradient_penalty(const M& critic, const Tensor<T>& x, const GradientPenaltyOptions& options,
                                           std::vector<double>* norms = nullptr) {
  constexpr std::string_view kWhere = "gradient_penalty";
  options.validate(kWhere);
  const Index count = x.rows(), size = x.cols();
  Variable<T> input(Tensor<T>(x), /*requires_grad=*/true);
  {
    const ConstantParameters<T> constant(critic);
    const Recording scope;
    const Variable<T> scores = critic(input);
    require<ShapeError>(count > 0 && scores.size() == count, kWhere, "scores ", scores.shape(), " of inputs ",
                        x.shape());
    backward(sum(scores));
  }
  const Tensor<T>& gradient = input.grad();
  require<ShapeError>(gradient.shape() == x.shape(), kWhere, "the scores do not depend on the inputs, of shape ",
                      x.shape());

  const double h = options.step * std::sqrt(static_cast<double>(size));
  const double weight = options.weight / static_cast<double>(count);
  Tensor<T> moved(Shape{2 * count, size}), factors(Shape{2 * count, 1});
  double penalty = 0;
  if (norms != nullptr) norms->clear();
  for (Index b = 0; b < count; ++b) {
    double squares = 0;
    for (Index j = 0; j < size; ++j) squares += std::pow(static_cast<double>(gradient(b, j)), 2);
    const double norm = std::sqrt(squares), distance = norm - options.target;
    penalty += weight / 2 * distance * distance;
    if (norms != nullptr) norms->push_back(norm);
    // Where there is no gradient, there is no direction to take.
    const double length = norm > 0 ? h / norm : 0, factor = norm > 0 ? weight * distance / (2 * h) : 0;
    for (Index j = 0; j < size; ++j) {
      const double step = length * static_cast<double>(gradient(b, j));
      moved(b, j) = static_cast<T>(static_cast<double>(x(b, j)) + step);
      moved(count + b, j) = static_cast<T>(static_cast<double>(x(b, j)) - step);
    }
    factors.data()[b] = static_cast<T>(factor);
    factors.data()[count + b] = -factors.data()[b];
  }
  if (!is_recording()) return Variable<T>(Tensor<T>(Shape{1}, static_cast<T>(penalty)));
  const Recording scope;
  const Variable<T> scores = critic(Variable<T>(std::move(moved)));
  const Variable<T> difference = sum(multiply(scores, Variable<T>(std::move(factors))));
  // The value of the difference is not P, only its gradient is P's.
  return add(difference,
             Variable<T>(Tensor<T>(Shape{1}, static_cast<T>(penalty - static_cast<double>(difference.item())))));
}

}}  // namespace rapt::RAPT_ABI
