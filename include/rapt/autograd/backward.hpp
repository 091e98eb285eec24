/// \file
/// backward: reverse-mode differentiation over the recorded graph.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "rapt/autograd/finite_check.hpp"
#include "rapt/autograd/variable.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The name of the op that stands in a graph for all that backward computes again (recompute.hpp).
inline constexpr std::string_view kRecompute = "recompute";

/// True if no input of the op takes a gradient any more: parameters may have been frozen since it was recorded. False
/// for an op whose inputs an earlier backward has released.
template <class T>
[[nodiscard]] bool has_only_frozen_inputs(const Node<T>& node) {
  bool any = false;
  for (const auto& input : node.inputs) {
    if (input != nullptr && input->requires_grad) return false;
    any = any || input != nullptr;
  }
  return any;
}

/// The leaves that take gradients, each with the op that adds to its gradient last: of those that read the leaf the
/// first in `order`, in which backward goes from the last op to the first.
template <class T>
[[nodiscard]] std::vector<std::pair<const Node<T>*, Node<T>*>> last_uses(
    const std::vector<std::shared_ptr<Node<T>>>& order) {
  std::vector<std::pair<const Node<T>*, Node<T>*>> uses;
  std::unordered_set<const Node<T>*> seen;
  for (const auto& op : order) {
    for (const auto& input : op->inputs) {
      if (input == nullptr || !input->name.empty() || !input->requires_grad) continue;
      if (seen.insert(input.get()).second) uses.emplace_back(op.get(), input.get());
    }
  }
  return uses;
}

/// Adds the gradients of what `root` was computed from, of which the gradient is known, to those of the leaves, and
/// consumes the graph. Nodes of `ends` receive gradients as leaves do: what they were computed from is another's. For
/// `finished` see `backward`.
template <class T>
void run_backward(const std::shared_ptr<Node<T>>& root, std::span<const std::shared_ptr<Node<T>>> ends = {},
                  const std::function<void(Node<T>&)>& finished = {}) {
  std::vector<std::shared_ptr<Node<T>>> order{root};
  std::unordered_set<const Node<T>*> seen{root.get()};
  for (const auto& end : ends) seen.insert(end.get());
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t j = 0; j < Node<T>::kMaxInputs; ++j) {
      const auto input = order[i]->inputs[j];
      if (input && input->requires_grad && seen.insert(input.get()).second) order.push_back(input);
    }
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a->order < b->order; });
  const bool tells =
      finished && std::none_of(order.begin(), order.end(), [](const auto& node) { return node->name == kRecompute; });
  std::vector<std::pair<const Node<T>*, Node<T>*>> uses;
  if (tells) uses = last_uses(order);
  while (!order.empty()) {
    const std::shared_ptr<Node<T>> node = std::move(order.back());
    order.pop_back();
    if (node->name.empty()) continue;  // a leaf keeps its gradient
    if (!node->grad.empty() && !has_only_frozen_inputs(*node)) node->backward();
    if (checks_finite()) require_finite_gradients(*node);
    for (; !uses.empty() && uses.back().first == node.get(); uses.pop_back()) finished(*uses.back().second);
    node->release();
    node->grad = Tensor<T>();
  }
}

}  // namespace detail

/// Adds d(loss)/d(leaf) to the gradient of every leaf that requires one. Gradients of several calls add up, until an
/// optimizer's step (or `clear_grad`) empties them.
///
/// `loss` must be a scalar; `upstream` is d(objective)/d(loss), e.g. 1 / k when k batches are accumulated. The graph is
/// consumed: buffers are freed as soon as backward has passed them. Throws ShapeError for a loss that is no scalar, and
/// ValueError for one that was not recorded or whose graph an earlier call has consumed.
///
/// If `finished` is given, `finished(leaf)` is called as soon as this backward has nothing more to add to the gradient
/// of a leaf that ops had as an input, while it goes on with others. It is never called if the loss has parts that
/// backward computes again (RecomputeActivations): which leaves these add to is not known before they do.
template <class T>
void backward(const Variable<T>& loss, std::type_identity_t<T> upstream = 1,
              const std::type_identity_t<std::function<void(Node<T>&)>>& finished = {}) {
  require<ShapeError>(loss.size() == 1, "backward", "the loss must be a scalar, its shape is ", loss.shape());
  require(loss.requires_grad(), "backward",
          "the loss was not recorded: compute it inside a Training scope, from a parameter that is not frozen");

  loss.node()->grad_sum().data()[0] += upstream;
  detail::run_backward<T>(loss.node(), {}, finished);
}

}}  // namespace rapt::RAPT_ABI
