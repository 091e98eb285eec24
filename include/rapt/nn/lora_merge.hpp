/// \file
/// An adapter's products added to the weights of a model.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/gemm/gemm.hpp"
#include "rapt/kernels/normalize.hpp"
#include "rapt/kernels/softmax.hpp"
#include "rapt/nn/lora.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Adds an adapter's products to the weights of a model, which then computes without the adapter what it computed with
/// it, up to rounding, and at its own speed. What `pack_weights` keeps of them is dropped. Keeps the former weights,
/// so that `undo` gives back the same bits; a merge that is to stay lets them go by ending.
template <Module M>
class [[nodiscard]] LoraMerge {
 public:
  using T = typename M::ScalarType;  ///< of the model's numbers, float or double

  /// Merges into the model that `lora` is bound to, or another one of the same parameters, to which this keeps a
  /// reference. Throws, before anything is changed, ValueError that names the parameter for a model that lacks one or
  /// keeps it in packed form alone, ShapeError for one of another shape.
  LoraMerge(M& model, const Lora<T>& lora) : model_(&model) {
    std::map<std::string, Parameter<T>*> weights;
    for_each_linear_weight(model, [&](const std::string& name, Parameter<T>& weight) { weights[name] = &weight; });
    lora.for_each([&](const LoraTarget& target, const Parameter<T>& a, const Parameter<T>&, const Parameter<T>&) {
      const auto found = weights.find(target.parameter);
      require(found != weights.end(), kWhere, "the model has no linear map of the name ", target.parameter);
      const Parameter<T>& weight = *found->second;
      require<ShapeError>(target.row + target.rows <= weight.rows() && a.cols() == weight.cols(), kWhere,
                          target.parameter, " has shape ", weight.shape(), ", the adapter's A ", a.shape(),
                          " is for rows ", target.row, " .. ", target.row + target.rows);
      require_elements(weight, target.parameter, kWhere);
    });
    lora.for_each(
        [&](const LoraTarget& target, const Parameter<T>& a, const Parameter<T>& b, const Parameter<T>& magnitude) {
          Parameter<T>& weight = *weights.at(target.parameter);
          const bool is_first = former_.find(target.parameter) == former_.end();
          if (is_first)
            former_.emplace(target.parameter, std::exchange(weight.mutable_value(), Tensor<T>(weight.value())));
          Tensor<T> scaled = b.value();
          kernels::scale(scaled.data(), static_cast<T>(lora.options().scale()), scaled.size());
          const TensorView<T> rows = weight.mutable_value().view().middle_rows(target.row, target.rows);
          kernels::gemm(kernels::as_is(scaled), kernels::as_is(a.value()), rows, {.accumulate = true});
          if (!magnitude.defined()) return;
          Tensor<T> lengths(Shape{target.rows});
          kernels::normalize_rows<T>(rows, Lora<T>::kShortest, lengths.data(), rows.data());
          kernels::scale_rows(rows.data(), magnitude.value().data(), rows.rows(), rows.cols());
        });
  }
  LoraMerge(const LoraMerge&) = delete;
  LoraMerge& operator=(const LoraMerge&) = delete;
  ~LoraMerge() = default;

  /// Gives the model its former weights back; the second time nothing happens. Of several merges of one model the last
  /// must be undone first: their order is the caller's to keep.
  void undo() {
    for_each_parameter(*model_, [&](const std::string& name, Parameter<T>& parameter) {
      const auto found = former_.find(name);
      if (found != former_.end()) parameter.mutable_value() = std::move(found->second);
    });
    former_.clear();
  }

 private:
  static constexpr std::string_view kWhere = "lora_merge";

  M* model_;
  std::map<std::string, Tensor<T>> former_;
};

}}  // namespace rapt::RAPT_ABI
