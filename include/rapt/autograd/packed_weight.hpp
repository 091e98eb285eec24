/// \file
/// A weight kept in the order that products read, for inference.
#pragma once

#include <atomic>
#include <memory>
#include <string_view>
#include <utility>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/kernels/gemm/packed_operand.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The transpose of a weight [out, in] as a packed right operand: made at the first product, and once more for each
/// other precision or instruction set that it is then used in; all are kept until the weight changes. May be used from
/// many threads, which neither wait nor count references, except while the weight is written to.
template <class T>
class PackedWeight {
 public:
  PackedWeight() = default;
  PackedWeight(const PackedWeight&) = delete;
  PackedWeight& operator=(const PackedWeight&) = delete;
  ~PackedWeight() { drop(); }

  /// Whether products should keep the packed form; off at first.
  [[nodiscard]] bool is_kept() const { return kept_; }
  /// The format that is kept; null: that of the precision in force.
  [[nodiscard]] kernels::MatrixFormat format() const { return format_; }
  /// Chooses whether products keep the packed form and in which format; drops the one that there is.
  void keep(bool kept, kernels::MatrixFormat wanted = nullptr) {
    drop();
    kept_ = kept;
    format_ = wanted;
  }
  /// Keeps a form that is there already, whose format does not depend on the precision.
  void keep(kernels::PackedOperand<T> operand) {
    keep(true, operand.format());
    newest_.store(new Form{std::move(operand)}, std::memory_order_release);
  }
  /// Forgets the packed forms: the weight has changed.
  void drop() {
    if (newest_.load(std::memory_order_relaxed) == nullptr) return;
    std::unique_ptr<const Form> form(newest_.exchange(nullptr, std::memory_order_acq_rel));
    while (form != nullptr) form.reset(form->older);
  }

  /// Of the weight's present value, precision and instruction set; valid until the weight changes. Throws ValueError
  /// for a weight without elements whose packed form is of another precision or instruction set, or was lost when the
  /// model was copied.
  [[nodiscard]] const kernels::PackedOperand<T>& of(const Tensor<T>& weight) const {
    const Form* form = current(newest_.load(std::memory_order_acquire));
    return form != nullptr ? form->operand : pack(weight);
  }

 private:
  struct Form {
    kernels::PackedOperand<T> operand;
    const Form* older = nullptr;  // owned
  };

  [[nodiscard]] static const Form* current(const Form* form) {
    while (form != nullptr && !form->operand.is_current()) form = form->older;
    return form;
  }

  [[nodiscard]] const kernels::PackedOperand<T>& pack(const Tensor<T>& weight) const {
    require(weight.has_elements(), "packed_weight", "a weight of shape ", weight.shape(),
            " was kept in packed form alone, which does not fit the precision and instruction set in force or was "
            "not copied with the model");
    auto form = std::make_unique<Form>(Form{kernels::PackedOperand<T>(kernels::transposed(weight), format_)});
    form->older = newest_.load(std::memory_order_acquire);
    do {
      if (const Form* faster = current(form->older)) return faster->operand;  // another thread's, made meanwhile
    } while (!newest_.compare_exchange_weak(form->older, form.get(), std::memory_order_acq_rel));
    return form.release()->operand;
  }

  bool kept_ = false;
  kernels::MatrixFormat format_ = nullptr;
  mutable std::atomic<const Form*> newest_{nullptr};
};

/// The leaf of a parameter: a node that may keep its value in packed form, too.
template <class T>
class ParameterNode final : public Node<T> {
 public:
  [[nodiscard]] PackedWeight<T>* packed() override { return &packed_; }

 private:
  PackedWeight<T> packed_;
};

/// True if products with this weight should use its packed form.
template <class T>
[[nodiscard]] bool is_kept_packed(const Variable<T>& weight) {
  const PackedWeight<T>* packed = weight.node()->packed();
  return packed != nullptr && packed->is_kept();
}

/// The packed form of a parameter, as of `PackedWeight::of`. Throws ValueError for a variable that is no parameter.
template <class T>
[[nodiscard]] const kernels::PackedOperand<T>& packed_operand(Node<T>& weight) {
  const PackedWeight<T>* packed = weight.packed();
  require(packed != nullptr, "packed_weight", "only a parameter has a packed form: the shape is ",
          weight.value.shape());
  return packed->of(weight.value);
}
template <class T>
[[nodiscard]] const kernels::PackedOperand<T>& packed_operand(const Variable<T>& weight) {
  return packed_operand(*weight.node());
}

/// Throws ValueError if the weight would be trained but is kept in packed form alone.
template <class T>
void require_trainable(const Variable<T>& weight, std::string_view where) {
  require(weight.value().has_elements() || !is_recording() || !weight.requires_grad(), where, "a weight of shape ",
          weight.shape(), " is kept in packed form alone: it cannot be trained");
}

}}  // namespace rapt::RAPT_ABI
