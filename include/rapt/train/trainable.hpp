/// \file
/// What can be trained: models with a loss for the batches, losses of one's own, models that carry tensors from step to
/// step.
#pragma once

#include <concepts>
#include <map>
#include <string>
#include <type_traits>
#include <utility>

#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A model that has a loss for batches of this type, with or without options of the cross-entropy.
template <class M, class B>
concept Trainable = requires(M& model, const B& batch) {
  model.loss(batch);
}
|| requires(M& model, const B& batch, const CrossEntropyOptions& options) { model.loss(batch, options); };

/// A model whose `loss(batch)` is a function of one's own, `f(batch)` or `f(batch, CrossEntropyOptions)`: for a model
/// whose own loss takes other arguments. Parameters, their names and the scalar type are the model's. Keeps a reference
/// to the model.
template <Module M, class F>
class WithLoss {
 public:
  using ScalarType = typename M::ScalarType;

  WithLoss(M& model, F f) : model_(&model), f_(std::move(f)) {}

  template <class B>
  requires std::invocable<const F&, const B&>
  [[nodiscard]] Variable<ScalarType> loss(const B& batch) const { return f_(batch); }
  template <class B>
  requires std::invocable<const F&, const B&, const CrossEntropyOptions&>
  [[nodiscard]] Variable<ScalarType> loss(const B& batch, const CrossEntropyOptions& options) const {
    return f_(batch, options);
  }

  /// What the model carries beside its parameters, if it carries anything (see CarriesTensors).
  [[nodiscard]] auto carried() const requires requires(const M& m) { m.carried(); }
  { return std::as_const(*model_).carried(); }
  /// Sets what the model carries, see `carried`.
  template <class Tensors>
  void set_carried(Tensors tensors) requires requires(M& m) {
    m.set_carried(std::move(tensors));
  }
  { model_->set_carried(std::move(tensors)); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    if constexpr (std::is_const_v<Self>) {
      M::visit(std::as_const(*self.model_), visitor);
    } else {
      M::visit(*self.model_, visitor);
    }
  }

 private:
  M* model_;
  F f_;
};

/// Tensors by name.
template <class T>
using NamedTensors = std::map<std::string, Tensor<T>>;

/// A model that carries tensors from step to step beside its parameters, as a Transformer-XL does what it has read:
/// they are part of a checkpoint, under "carried." and their name. `set_carried` throws, and changes nothing, for
/// tensors that do not fit the model.
template <class M>
concept CarriesTensors = requires(M& model, const M& constant, NamedTensors<typename M::ScalarType> tensors) {
  { constant.carried() } -> std::same_as<NamedTensors<typename M::ScalarType>>;
  model.set_carried(std::move(tensors));
};

}}  // namespace rapt::RAPT_ABI
