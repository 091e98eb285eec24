/// \file
/// ParameterSnapshot: the values of a model's parameters at one moment of training.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Copies of the values of a model's parameters, which can change places with the model's.
template <class T>
class ParameterSnapshot {
 public:
  ParameterSnapshot() = default;
  template <Module M>
  explicit ParameterSnapshot(const M& model) {
    for_each_parameter(
        model, [&](const std::string&, const Parameter<T>& parameter) { values_.push_back(parameter.value()); });
  }

  [[nodiscard]] bool empty() const { return values_.empty(); }

  /// The model's parameters get these values, and this object theirs. Nothing is copied. The model must be the one of
  /// the constructor, or have the same parameters. Frozen ones that are kept in packed form alone stay as they are.
  template <Module M>
  void swap_with(M& model) {
    std::size_t i = 0;
    for_each_parameter(model, [&](const std::string& name, Parameter<T>& parameter) {
      require<ShapeError>(i < values_.size() && values_[i].shape() == parameter.shape(), "parameter_snapshot", name,
                          " has shape ", parameter.shape(), ", which the snapshot has not");
      ++i;
    });
    i = 0;
    for_each_parameter(model, [&](const std::string&, Parameter<T>& parameter) {
      Tensor<T>& value = values_[i++];
      if (!value.has_elements() && !parameter.value().has_elements()) return;
      std::swap(parameter.mutable_value(), value);
      parameter.clear_grad();
    });
  }

 private:
  std::vector<Tensor<T>> values_;
};

}}  // namespace rapt::RAPT_ABI
