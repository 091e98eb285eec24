/// \file
/// The loop of all optimizers: a formula applied to every element of a parameter, its gradient and its state.
#pragma once

#include <array>
#include <cstddef>

#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// One parameter of an optimizer. All arrays have `count` elements.
template <class T, std::size_t states>
struct ParameterUpdate {
  T* weight;                          ///< is updated
  const T* gradient;                  ///< of the loss by the weight
  T gradient_factor = 1;              ///< multiplies the gradient before the formula sees it
  std::array<T*, states> state = {};  ///< nullptr: the formula is given zeros, and what it writes is lost
  Index count = 0;
};

/// formula(weight, gradient, state[]) for vectors of elements: it changes the weights and the states in place. It must
/// be always inlined.
template <class T, std::size_t states, class Formula>
void update_parameter(const ParameterUpdate<T, states>& p, const Formula& formula) {
  for_each_lane<T>(
      p.count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> weight, gradient, state[states + 1]{};
        simd::load(weight, p.weight + i);
        simd::load(gradient, p.gradient + i);
        gradient *= p.gradient_factor;
#pragma GCC unroll 4
        for (std::size_t k = 0; k < states; ++k) {
          if (p.state[k] != nullptr) simd::load(state[k], p.state[k] + i);
        }
        formula(weight, gradient, state);
        simd::store(p.weight + i, weight);
#pragma GCC unroll 4
        for (std::size_t k = 0; k < states; ++k) {
          if (p.state[k] != nullptr) simd::store(p.state[k] + i, state[k]);
        }
      });
}

}}}  // namespace rapt::RAPT_ABI::kernels
