/// \file
/// Averages of a model's parameters over training: of its last versions (the paper's 6.1), or a running one.
#pragma once

#include <algorithm>

#include "rapt/kernels/elementwise.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The mean of several versions of one model: mean += (w - mean) / n for the n-th version, in double.
template <class T = float>
class ParameterMean {
 public:
  /// Throws ShapeError for a model with other parameters than the first, before anything is changed.
  template <Module M>
  void add(const M& model) {
    if (count_ > 0) require_same_parameters(model);
    ++count_;
    std::size_t i = 0;
    for_each_parameter(model, [&](const std::string&, const Parameter<T>& parameter) {
      if (count_ == 1) means_.emplace_back(parameter.shape(), 0.0);
      double* mean = means_[i++].data();
      const T* w = parameter.value().data();
      for (Index j = 0; j < parameter.size(); ++j) {
        mean[j] += (static_cast<double>(w[j]) - mean[j]) / static_cast<double>(count_);
      }
    });
  }
  /// Puts the mean into a model of the same parameters. Throws ValueError when nothing was added.
  template <Module M>
  void assign_to(M& model) const {
    require(count_ > 0, "parameter_mean", "no model was added");
    require_same_parameters(model);
    std::size_t i = 0;
    for_each_parameter(model, [&](const std::string&, Parameter<T>& parameter) {
      const double* mean = means_[i++].data();
      T* w = parameter.mutable_value().data();
      for (Index j = 0; j < parameter.size(); ++j) w[j] = static_cast<T>(mean[j]);
    });
  }
  /// How many models were added.
  [[nodiscard]] Index count() const { return count_; }

 private:
  template <Module M>
  void require_same_parameters(const M& model) const {
    std::size_t i = 0;
    for_each_parameter(model, [&](const std::string& name, const Parameter<T>& parameter) {
      require<ShapeError>(i < means_.size() && means_[i].shape() == parameter.shape(), "parameter_mean", name,
                          " has shape ", parameter.shape(), ", which the first model has not");
      ++i;
    });
    require<ShapeError>(i == means_.size(), "parameter_mean", "the model has ", i, " parameters, the first one has ",
                        means_.size());
  }

  std::vector<Tensor<double>> means_;
  Index count_ = 0;
};

/// average += (1 - d) (w - average) after step t, with d = min(decay, (1 + t) / (10 + t)): at first the average follows
/// closely.
///
/// Knows the parameters that the module had at construction, as Adam does.
template <class T = float>
class ExponentialMovingAverage {
 public:
  template <Module M>
  ExponentialMovingAverage(M& model, double decay) : decay_(decay) {
    require(decay > 0 && decay < 1, "moving_average", "the decay must be between 0 and 1: ", decay);
    for_each_parameter(model, [&](const std::string& name, Parameter<T>& parameter) {
      slots_.push_back({name, parameter.node(), parameter.value()});
    });
  }

  /// `step` counts from 1.
  void update(Index step) {
    const auto t = static_cast<double>(step);
    const T rate = static_cast<T>(1 - std::min(decay_, (1 + t) / (10 + t)));
    for (Slot& slot : slots_) {
      kernels::move_towards(slot.average.data(), slot.node->value.data(), rate, slot.average.size());
    }
  }

  /// Puts the average into a model of the same parameters. Throws ShapeError for another, which stays as it is.
  template <Module M>
  void assign_to(M& model) const {
    std::size_t i = 0;
    for_each_parameter(model, [&](const std::string& name, const Parameter<T>& parameter) {
      require<ShapeError>(i < slots_.size() && slots_[i].average.shape() == parameter.shape(), "moving_average", name,
                          " has shape ", parameter.shape(), ", which the averaged model has not");
      ++i;
    });
    require<ShapeError>(i == slots_.size(), "moving_average", "the model has ", i, " parameters, the averaged one has ",
                        slots_.size());
    i = 0;
    for_each_parameter(
        model, [&](const std::string&, Parameter<T>& parameter) { parameter.mutable_value() = slots_[i++].average; });
  }

  /// Everything to save and restore: f(name, average) for each parameter.
  template <class F>
  void for_each_state(const F& f) {
    for (Slot& slot : slots_) f(slot.name, slot.average);
  }

 private:
  struct Slot {
    std::string name;
    std::shared_ptr<Node<T>> node;
    Tensor<T> average;
  };

  double decay_;
  std::vector<Slot> slots_;
};

}}  // namespace rapt::RAPT_ABI
