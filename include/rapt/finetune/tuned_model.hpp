/// \file
/// TunedModel: the parameters and the loss of a model of whatever family, so that the training loop is compiled once
/// for each kind of batch and not for each family.
#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A model as a Trainer sees it. Keeps a reference to it. Parameters have the model's names and order.
template <class Batch>
class TunedModel {
 public:
  using ScalarType = float;

  template <Module M>
  requires(!std::same_as<M, TunedModel>) explicit TunedModel(M& model)
      : loss_([&model](const Batch& batch, const CrossEntropyOptions& options) {
          if constexpr (requires { std::as_const(model).loss(batch, options); }) {
            return std::as_const(model).loss(batch, options);
          } else {
            return std::as_const(model).loss(batch);
          }
        }) {
    for_each_parameter(model, [&](const std::string& name, Parameter<float>& parameter) {
      parameters_.emplace_back(name, &parameter);
    });
  }

  /// The loss of a batch, as the model computes it.
  [[nodiscard]] Variable<float> loss(const Batch& batch, const CrossEntropyOptions& options = {}) const {
    return loss_(batch, options);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    for (const auto& [name, parameter] : self.parameters_) {
      if constexpr (std::is_const_v<Self>) {
        visitor(name, std::as_const(*parameter));
      } else {
        visitor(name, *parameter);
      }
    }
  }

 private:
  std::function<Variable<float>(const Batch&, const CrossEntropyOptions&)> loss_;
  std::vector<std::pair<std::string, Parameter<float>*>> parameters_;
};

}}  // namespace rapt::RAPT_ABI
