/// \file
/// Gradient clipping by global norm (Pascanu et al. 2013).
#pragma once

#include <algorithm>
#include <cmath>

#include "rapt/kernels/elementwise.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Euclidean norm of all gradients of a module together, those of frozen parameters left out; the same bits on any
/// number of threads.
template <Module M>
[[nodiscard]] double gradient_norm(const M& module) {
  double squares = 0;
  for_each_parameter(module, [&](const std::string&, const auto& parameter) {
    if (!parameter.requires_grad()) return;
    squares += kernels::sum_of(parameter.grad().data(), parameter.grad().size(), [](double g) { return g * g; });
  });
  return std::sqrt(squares);
}

/// The factor that brings a norm down to at most max_norm: min(1, max_norm / (norm + 1e-6)). For an optimizer's `step`,
/// so that clipping needs no pass over the gradients.
[[nodiscard]] inline double clip_factor(double norm, double max_norm) {
  require(max_norm > 0, "clip", "max_norm must be positive: ", max_norm);
  require(std::isfinite(norm), "clip", "the norm of the gradients is ", norm);
  return std::min(1.0, max_norm / (norm + 1e-6));
}

}}  // namespace rapt::RAPT_ABI
