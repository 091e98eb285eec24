/// \file
/// A graph together with the parameters of the model that it computes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/onnx/graph.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// A graph whose layers find their parameters by the names that the model's `visit` gives them, and whose initializers
/// are named likewise. The model must live until the graph is written.
class ModelGraph : public Graph {
 public:
  /// Throws ValueError for a model whose weights are kept in packed form alone.
  template <Module M>
  ModelGraph(std::string name, const M& model) : Graph(std::move(name)) {
    for_each_parameter(model, [&](const std::string& parameter_name, const Parameter<float>& parameter) {
      require(parameter.value().has_elements(), kWhere, parameter_name,
              " is kept in packed form alone: it has no numbers to write");
      parameters_.emplace(parameter_name, &parameter.value());
    });
  }

  /// True if the model has a parameter of this name.
  [[nodiscard]] bool has(const std::string& name) const { return parameters_.contains(name); }
  /// Throws ValueError for a name that no parameter of the model has.
  [[nodiscard]] const Tensor<float>& tensor(const std::string& name) const {
    const auto found = parameters_.find(name);
    require(found != parameters_.end(), kWhere, "the model has no parameter '", name, "'");
    return *found->second;
  }

  /// The parameter as it is.
  Value weight(const std::string& name) { return parameter(name, tensor(name).view()); }
  /// Rows first .. first + count of a matrix, transposed: the right operand of a product   // [in, count]
  Value transposed_rows(const std::string& name, Index first, Index count) {
    const Tensor<float>& matrix = tensor(name);
    const bool all = first == 0 && count == matrix.rows();
    return parameter(name + (all ? "" : range(first, count)) + ".transposed", matrix.view().middle_rows(first, count),
                     /*transposed=*/true);
  }
  /// Elements first .. first + count of a vector   // [count]
  Value elements(const std::string& name, Index first, Index count) {
    const Tensor<float>& vector = tensor(name);
    if (first == 0 && count == vector.size()) return weight(name);
    return constant(name + range(first, count), {count}, vector.values().subspan(to_size(first), to_size(count)));
  }

  /// Size `axis` of a value   // [1]
  Value size(const Value& value, std::int64_t axis) {
    return apply("Shape", {value}, {{"start", axis}, {"end", axis + 1}});
  }

 private:
  static constexpr std::string_view kWhere = "onnx";

  [[nodiscard]] static std::string range(Index first, Index count) {
    return "[" + std::to_string(first) + ":" + std::to_string(first + count) + "]";
  }

  std::map<std::string, const Tensor<float>*> parameters_;
};

}}}  // namespace rapt::RAPT_ABI::onnx
