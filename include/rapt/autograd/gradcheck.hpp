/// \file
/// gradcheck: a gradient against central differences, for rapt's ops and for yours.
#pragma once

#include <cmath>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/core/rng.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How far inputs are moved for the differences, and what else f is computed with.
struct GradcheckOptions {
  double step = 1e-5;      ///< h of (f(x + h) - f(x - h)) / 2h
  std::uint64_t seed = 1;  ///< of the upstream gradient, and of dropout when there is any
  bool training = false;   ///< compute f in a Training scope (the same dropout at every evaluation)
};

/// What gradcheck has found: the largest error of a gradient, and where it is.
struct GradcheckResult {
  /// Largest |analytic - numeric| over all elements of all inputs, relative to the largest magnitude of either in the
  /// same input.
  double worst_relative_error = 0;
  /// The input with the largest error, counted from 0.
  std::size_t worst_input = 0;
  /// The element of that input, counted row by row from 0.
  Index worst_element = 0;
  double analytic = 0, numeric = 0;  ///< at the worst element
};

/// Differentiates sum(f(inputs) * u), u random and fixed, with respect to every element of every input. `f` takes a
/// `const std::vector<Variable<double>>&` and returns a Variable<double> of any shape.
template <class F>
[[nodiscard]] GradcheckResult gradcheck(const F& f, const std::vector<Tensor<double>>& inputs,
                                        const GradcheckOptions& options = {}) {
  Tensor<double> weights;
  const auto objective = [&](const std::vector<Variable<double>>& variables) {
    Rng rng(options.seed);
    Variable<double> output;
    if (options.training) {
      const Training scope(rng);
      output = f(variables);
    } else {
      output = f(variables);
    }
    if (weights.empty()) {
      weights = Tensor<double>(output.shape());
      Rng(options.seed + 1).fill_uniform(weights.values(), 0.5, 1.5);
    }
    return sum(multiply(output, Variable<double>(weights)));
  };

  std::vector<Variable<double>> variables;
  for (const auto& input : inputs) variables.emplace_back(input, true);
  {
    const Recording scope;
    backward(objective(variables));
  }
  GradcheckResult result;
  const Inference scope;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Tensor<double> numeric(inputs[i].shape()), analytic(inputs[i].shape(), 0.0);
    if (!variables[i].grad().empty()) analytic = variables[i].grad();
    double largest = 1e-12;
    for (Index j = 0; j < inputs[i].size(); ++j) {
      double difference = 0;
      for (const double sign : {1.0, -1.0}) {
        Tensor<double> moved = inputs[i];
        moved.data()[j] += sign * options.step;
        auto others = variables;
        others[i] = Variable<double>(std::move(moved));
        difference += sign * objective(others).item();
      }
      numeric.data()[j] = difference / (2 * options.step);
      largest = std::max({largest, std::abs(numeric.data()[j]), std::abs(analytic.data()[j])});
    }
    for (Index j = 0; j < inputs[i].size(); ++j) {
      const double error = std::abs(analytic.data()[j] - numeric.data()[j]) / largest;
      if (!(error <= result.worst_relative_error)) {  // a NaN is the worst of all
        result = {error, i, j, analytic.data()[j], numeric.data()[j]};
      }
    }
  }
  return result;
}

}}  // namespace rapt::RAPT_ABI
