/// \file
/// record: how an op enters the graph. An op is a function that computes its value with a kernel and hands it over
/// together with its inputs and what to do in backward:
///
///     template <class T>
///     Variable<T> square(const Variable<T>& x) {
///       Tensor<T> y(x.shape());
///       kernels::multiply(x.value().data(), x.value().data(), y.data(), y.size());
///       return record("square", std::move(y), {x}, [](Node<T>& out) {             // dx = 2 x dy
///         Node<T>& in = out.input(0);
///         ...add to in.grad_sum()...
///       });
///     }
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "rapt/autograd/finite_check.hpp"
#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/variable.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// `{x, weight, bias}`, without deciding T.
template <class T>
using Inputs = std::type_identity_t<std::initializer_list<std::reference_wrapper<const Variable<T>>>>;

template <class T, class Backward>
class OpNode final : public Node<T> {
 public:
  explicit OpNode(Backward&& backward) : backward_(std::move(backward)) {}
  void backward() override {
    require(backward_.has_value(), "backward", "an earlier backward has consumed the graph (at the op '", this->name,
            "'): compute the loss again");
    (*backward_)(*this);
  }
  void release() override {
    backward_.reset();
    Node<T>::release();
  }

 private:
  std::optional<Backward> backward_;
};

template <class T>
[[gnu::cold, gnu::noinline]] void check_value(std::string_view name, const Tensor<T>& value, Inputs<T> inputs) {
  std::array<const Node<T>*, Node<T>::kMaxInputs> nodes{};
  std::size_t count = 0;
  for (const Variable<T>& input : inputs) {
    if (count < nodes.size()) nodes[count++] = input.node().get();
  }
  require_finite_value<T>(value, name, std::span(nodes).first(count));
}

/// Rises with every node of the program: a result's number is above those of its inputs, whatever thread made them.
inline std::uint64_t next_node_order() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

/// Makes a node of an op's value and inputs: what `record` does whatever the op.
template <class T>
[[nodiscard, gnu::noinline]] Variable<T> enter_graph(std::shared_ptr<Node<T>> node, std::string_view name,
                                                     Tensor<T>&& value, Inputs<T> inputs) {
  node->value = std::move(value);
  node->requires_grad = true;
  node->name = name;
  node->order = next_node_order();
  require(inputs.size() <= Node<T>::kMaxInputs, name, "at most ", Node<T>::kMaxInputs, " inputs: ", inputs.size());
  std::size_t i = 0;
  for (const Variable<T>& input : inputs) node->inputs[i++] = input.node();
  return Variable<T>(std::move(node));
}

}  // namespace detail

/// Whether an op on these inputs will be recorded, i.e. whether it must keep what its backward needs.
template <class T>
[[nodiscard]] bool will_record(detail::Inputs<T> inputs) {
  if (!is_recording()) return false;
  for (const Variable<T>& input : inputs) {
    if (input.defined() && input.requires_grad()) return true;
  }
  return false;
}

/// The op's result. When gradients are recorded and an input needs one, `backward(node)` will be called with
/// `node.grad` complete; it adds to the gradients of those `node.input(i)` that have `requires_grad`. An undefined
/// Variable among the inputs (an absent bias) leaves `node.inputs[i]` null.
template <class T, class Backward>
[[nodiscard]] Variable<T> record(std::string_view name, Tensor<T> value, detail::Inputs<T> inputs, Backward backward) {
  if (detail::checks_finite()) detail::check_value<T>(name, value, inputs);
  if (!will_record<T>(inputs)) return Variable<T>(std::move(value));
  using Op = detail::OpNode<T, Backward>;
  auto node = std::allocate_shared<Op>(detail::PoolAllocator<Op>{}, std::move(backward));
  return detail::enter_graph<T>(std::move(node), name, std::move(value), inputs);
}

/// The result of an op that is never recorded, such as one of a decoding step; its value is checked as that of others.
template <class T>
[[nodiscard]] Variable<T> unrecorded(std::string_view name, Tensor<T> value) {
  if (detail::checks_finite()) detail::check_value<T>(name, value, {});
  return Variable<T>(std::move(value));
}

/// `record`'s result of an op whose backward does not read the op's own value: the next op may write over it.
template <class T>
[[nodiscard]] Variable<T> overwritable(Variable<T> result) {
  result.node()->backward_needs_value = false;
  return result;
}

}}  // namespace rapt::RAPT_ABI
