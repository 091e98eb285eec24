/// \file
/// Training an adapter: the model as a Trainer sees it, whose parameters are the adapter's.
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/autograd/weight_adapter.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/nn/lora.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A model whose adapter is trained: `loss` uses the adapter, and the parameters are the adapter's, under its names,
/// and those of the model whose names match a pattern of `trained`, under theirs (a new head, for example). All other
/// parameters of the model are frozen. Keeps references to both.
template <Module M>
class WithLora {
 public:
  using ScalarType = typename M::ScalarType;

  /// Throws ValueError for a pattern that matches no parameter.
  WithLora(M& model, Lora<ScalarType>& lora, std::vector<std::string> trained = {})
      : model_(&model), lora_(&lora), trained_(std::move(trained)) {
    freeze(model, "*");
    for (const std::string& pattern : trained_) unfreeze(model, pattern);
  }

  template <class B>
  requires requires(const M& m, const B& batch) { m.loss(batch); }
  [[nodiscard]] Variable<ScalarType> loss(const B& batch) const {
    const UseAdapter scope(*lora_);
    return std::as_const(*model_).loss(batch);
  }
  template <class B>
  requires requires(const M& m, const B& batch, const CrossEntropyOptions& options) { m.loss(batch, options); }
  [[nodiscard]] Variable<ScalarType> loss(const B& batch, const CrossEntropyOptions& options) const {
    const UseAdapter scope(*lora_);
    return std::as_const(*model_).loss(batch, options);
  }

  [[nodiscard]] const M& model() const { return *model_; }
  /// The adapter that calls of `loss` use.
  [[nodiscard]] const Lora<ScalarType>& lora() const { return *lora_; }
  [[nodiscard]] const std::vector<std::string>& trained() const { return trained_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    const auto visit_trained = [&](auto& model) {
      for_each_parameter(model, [&](const std::string& name, auto& parameter) {
        for (const std::string& pattern : self.trained_) {
          if (matches_pattern(name, pattern)) return visitor(name, parameter);
        }
      });
    };
    if constexpr (std::is_const_v<Self>) {
      Lora<ScalarType>::visit(std::as_const(*self.lora_), visitor);
      visit_trained(std::as_const(*self.model_));
    } else {
      Lora<ScalarType>::visit(*self.lora_, visitor);
      visit_trained(*self.model_);
    }
  }

 private:
  M* model_;
  Lora<ScalarType>* lora_;
  std::vector<std::string> trained_;
};

}}  // namespace rapt::RAPT_ABI
