/// \file
/// Variable: a tensor that remembers how it was computed, while gradients are being recorded.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <tuple>
#include <utility>

#include "rapt/core/memory.hpp"
#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <class T>
class PackedWeight;

/// A node of the graph: the value of a parameter, an input or an op's result, and the gradient that gathers in it.
/// Nodes come from the memory pool; ops derive from this through `record`.
template <class T>
class Node {
 public:
  /// The most inputs that an op can have.
  static constexpr std::size_t kMaxInputs = 8;

  Tensor<T> value;
  /// d loss / d value; empty until something flows in.
  Tensor<T> grad;
  /// True if `backward` computes a gradient for this node.
  bool requires_grad = false;
  /// Whether the op's own backward reads `value`: if not, and nobody else holds it, the next op may write over it.
  bool backward_needs_value = true;
  /// Whether the op's backward reads the value of its first input.
  bool backward_reads_input = true;
  /// The op's name; empty for leaves.
  std::string_view name;
  /// Rises with creation, so that descending order visits every result before its inputs.
  std::uint64_t order = 0;
  /// The nodes that the value was computed from; null behind the last one.
  std::array<std::shared_ptr<Node>, kMaxInputs> inputs;

  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  // Not inlined, as every op derives a class from this one.
  [[gnu::noinline]] virtual ~Node() = default;

  /// Adds this node's gradient, through the op, to the gradients of its inputs.
  virtual void backward() {}
  /// Frees what only backward needs.
  virtual void release() {
    for (auto& input : inputs) input.reset();
  }

  /// The packed form of a parameter, in the order that products read (see packed_weight.hpp). Other nodes have none:
  /// nullptr.
  [[nodiscard]] virtual PackedWeight<T>* packed() { return nullptr; }

  [[nodiscard]] Node& input(std::size_t i) const { return *inputs[i]; }

  /// The gradient to add to: zeros at first.
  [[nodiscard]] Tensor<T>& grad_sum() {
    if (grad.empty()) grad = Tensor<T>(value.shape(), T(0));
    return grad;
  }
  /// The gradient for a kernel that can overwrite: {tensor, whether it must add}.
  [[nodiscard]] std::pair<Tensor<T>&, bool> grad_target() {
    const bool accumulate = !grad.empty();
    if (!accumulate) grad = Tensor<T>(value.shape());
    return {grad, accumulate};
  }
};

/// A handle on a node. Copies share the node; `Parameter` is the one that copies values.
template <class T>
class Variable {
 public:
  using ScalarType = T;

  Variable() = default;
  /// A leaf: an input, or with requires_grad something to find the gradient of.
  explicit Variable(Tensor<T> value, bool requires_grad = false)
      : node_(std::allocate_shared<Node<T>>(detail::PoolAllocator<Node<T>>{})) {
    node_->value = std::move(value);
    node_->requires_grad = requires_grad;
  }
  explicit Variable(std::shared_ptr<Node<T>> node) : node_(std::move(node)) {}
  Variable(const Variable&) = default;
  Variable(Variable&&) noexcept = default;
  Variable& operator=(const Variable&) = default;
  Variable& operator=(Variable&&) noexcept = default;
  // Not inlined: the code that gives up a node would stand at hundreds of places of a program.
  [[gnu::noinline]] ~Variable() = default;

  /// False for a variable that was made without a value.
  [[nodiscard]] bool defined() const { return node_ != nullptr; }
  /// The elements.
  [[nodiscard]] const Tensor<T>& value() const { return node_->value; }
  [[nodiscard]] const Shape& shape() const { return node_->value.shape(); }
  [[nodiscard]] Index size() const { return node_->value.size(); }
  [[nodiscard]] Index rows() const { return node_->value.rows(); }
  [[nodiscard]] Index cols() const { return node_->value.cols(); }
  /// The single element of a scalar; throws ShapeError for anything larger.
  [[nodiscard]] T item() const {
    require<ShapeError>(size() == 1, "item", "one element expected, the shape is ", shape());
    return *node_->value.data();
  }

  /// True if `backward` computes a gradient for this variable.
  [[nodiscard]] bool requires_grad() const { return node_->requires_grad; }
  /// The gradient that `backward` left, or an empty tensor.
  [[nodiscard]] const Tensor<T>& grad() const { return node_->grad; }
  /// Drops the gradient; `grad()` is then an empty tensor.
  void clear_grad() { node_->grad = Tensor<T>(); }

  [[nodiscard]] const std::shared_ptr<Node<T>>& node() const { return node_; }

  /// For an op that was handed the only handle: the value's elements to write over, or new ones where somebody still
  /// reads the old ones. Of the value only the shape remains.
  [[nodiscard]] Tensor<T> elements_to_overwrite() {
    const bool free = node_.use_count() == 1 && !node_->backward_needs_value;
    return free ? node_->value.take_elements() : Tensor<T>(shape());
  }

 protected:
  std::shared_ptr<Node<T>> node_;
};

/// For a caller that gives x away once y was computed from it, as the op's first input: frees the elements of x's value
/// if nobody else holds x and neither op's backward reads them. Of the value only the shape remains.
template <class T>
void free_unread_value(const Variable<T>& x, const Variable<T>& y) {
  Node<T>& node = *x.node();
  const bool read = node.backward_needs_value || y.node()->backward_reads_input;
  const bool only_y_holds_it = y.node()->inputs[0] == x.node() && x.node().use_count() == 2;
  if (!read && only_y_holds_it) std::ignore = node.value.take_elements();
}

}}  // namespace rapt::RAPT_ABI
