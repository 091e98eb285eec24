/// \file
/// What the graphs of text encoders share: their inputs, and their heads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rapt/models/encoder_heads.hpp"
#include "rapt/onnx/export_options.hpp"
#include "rapt/onnx/layers.hpp"
#include "rapt/onnx/positions.hpp"
#include "rapt/onnx/stack.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// The inputs of a text encoder.
struct TextInputs {
  Value ids;             ///< input_ids [B, L]
  Value attention_mask;  ///< [B, L], 1 for tokens and 0 for padding
  Value positions;       ///< 0 .. L - 1   // [1, L]
  Places places;         ///< of L queries among as many keys

  /// The call of a stack in which each token attends to all that are no padding.
  [[nodiscard]] StackCall encoder_call() const {
    return {.places = places, .attention_mask = attention_mask, .positions = positions};
  }
};

/// `batch`: what B is called.
[[nodiscard]] inline TextInputs text_inputs(ModelGraph& graph, const char* batch = kBatch) {
  TextInputs inputs{.ids = graph.input("input_ids", ElementType::int64, {batch, kLength}),
                    .attention_mask = graph.input("attention_mask", ElementType::int64, {batch, kLength}),
                    .positions = {},
                    .places = {}};
  const Value length = graph.size(inputs.ids, 1);
  inputs.places = {.queries = length, .keys = length, .past = graph.integers({0})};
  inputs.positions = graph.apply("Unsqueeze", {range(graph, graph.integers({0}), length), graph.integers({0})});
  return inputs;
}

/// LayerNorm(activation(x W^T + b))   // [.., E] from [.., D]
inline Value hidden_transform(ModelGraph& graph, const Value& x, const std::string& name,
                              const HiddenTransformOptions& options) {
  return norm(graph, linear(graph, x, name + ".dense", options.activation), name + ".norm", NormKind::layer,
              options.norm_epsilon);
}

/// The mean of the hidden states of tokens, without those of padding   // [B, D] from [B, L, D] and the mask [B, L]
inline Value mean_of_tokens(ModelGraph& graph, const Value& hidden, const Value& attention_mask) {
  const Value weights = as_real_column(graph, attention_mask);  // [B, L, 1]
  const Attribute no_axis = {"keepdims", std::int64_t{0}};
  const Value sum = graph.apply("ReduceSum", {graph.apply("Mul", {hidden, weights}), graph.integers({1})}, {no_axis});
  return graph.apply("Div", {sum, graph.apply("ReduceSum", {weights, graph.integers({1})}, {no_axis})});
}

/// Makes scores [B, L, 2] of the places where answers begin and end two results [B, L].
inline void output_places(ModelGraph& graph, const Value& scores) {
  const std::vector<Value> columns = graph.apply("Split", std::vector<Value>{scores}, 2,
                                                 {{"axis", std::int64_t{-1}}, {"num_outputs", std::int64_t{2}}});
  constexpr const char* kNames[] = {"start_logits", "end_logits"};
  for (std::size_t i = 0; i < 2; ++i) {
    graph.output(graph.apply("Squeeze", {columns[i], graph.integers({-1})}), kNames[i], ElementType::float32,
                 {kBatch, kLength});
  }
}

}}}  // namespace rapt::RAPT_ABI::onnx
