/// \file
/// Sums of gradients in a fixed binary tree, so that the result does not depend on who adds.
///
/// The gradients g_0 .. g_{n-1} of n micro-batches, n a power of two, are added as ((g_0 + g_1) + (g_2 + g_3)) + ....
/// A process that has computed an aligned block of them can add that block by itself; processes then go on with the
/// same tree over their blocks. A gradient may be absent, as of a parameter that no target reached: absent + g = g.
#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "rapt/autograd/variable.hpp"
#include "rapt/core/index.hpp"
#include "rapt/kernels/bfloat16_arrays.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The numbers of the operands and results in the sum over micro-batches, and of gradients that travel between
/// processes.
enum class GradientExchange {
  float32,  ///< the model's own: float, or double for a model in double
  /// Every operand and every sum of the tree is rounded to bfloat16, whoever computes it. Gradients take half the bytes
  /// in messages; parameters, if the optimizer's state is divided, travel as they are.
  bfloat16,
};

/// One addition of the tree: sum += gradient, rounded as `exchange` says   // both have `count` elements
template <class T>
void add_gradient(T* sum, const T* gradient, Index count, GradientExchange exchange) {
  if constexpr (std::same_as<T, float>) {
    if (exchange == GradientExchange::bfloat16) return kernels::add_rounded(sum, gradient, count);
  }
  kernels::add(sum, gradient, sum, count);
}

/// Adds the gradients of one micro-batch after the other, keeping one sum for each level of the tree that is still
/// waiting for its right half (as the digits of a binary counter).
template <class T>
class GradientTree {
 public:
  /// Of the parameters with these nodes. `micro_batches` must be a power of two.
  GradientTree(std::vector<std::shared_ptr<Node<T>>> nodes, Index micro_batches, GradientExchange exchange)
      : nodes_(std::move(nodes)), exchange_(exchange) {
    for (Index width = 1; width < micro_batches; width *= 2) waiting_.emplace_back(nodes_.size());
  }

  /// Takes the gradients that backward has left for micro-batch i. They must be given in order, from i = 0 on, which
  /// begins a new sum. After the last one the parameters' gradients are the sums.
  void take(Index i) {
    for (std::size_t n = 0; n < nodes_.size(); ++n) take(i, n);
  }
  /// The same for parameter n alone. Each must be taken once for each micro-batch.
  void take(Index i, std::size_t n) {
    Tensor<T>& gradient = nodes_[n]->grad;
    if constexpr (std::same_as<T, float>) {
      if (exchange_ == GradientExchange::bfloat16) kernels::round_to_bfloat16(gradient.data(), gradient.size());
    }
    std::size_t level = 0;
    for (; level < waiting_.size() && (i >> level & 1) != 0; ++level) {
      Tensor<T> left = std::move(waiting_[level][n]);
      if (left.empty()) continue;
      if (!gradient.empty()) add_gradient(left.data(), std::as_const(gradient).data(), left.size(), exchange_);
      gradient = std::move(left);
    }
    if (level < waiting_.size()) waiting_[level][n] = std::move(gradient);
  }

 private:
  std::vector<std::shared_ptr<Node<T>>> nodes_;
  std::vector<std::vector<Tensor<T>>> waiting_;  // [level][parameter], left halves of 2^level micro-batches
  GradientExchange exchange_;
};

}}  // namespace rapt::RAPT_ABI
