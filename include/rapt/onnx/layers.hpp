/// \file
/// The layers of nn/ as ONNX operators: linear maps, activations, norms, feed-forward networks, embeddings. `name` is
/// what the layer is called in the model; activations are [B, L, D] with padding, as runtimes pass them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/nn/block.hpp"
#include "rapt/onnx/model_graph.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// activation(x), element by element
inline Value activate(ModelGraph& graph, const Value& x, Activation activation) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return graph.apply("Relu", {x});
    case Activation::gelu:
      return graph.apply("Gelu", {x});
    case Activation::gelu_tanh:
      return graph.apply("Gelu", {x}, {{"approximate", std::string("tanh")}});
    case Activation::quick_gelu:
      return graph.apply("Mul", {x, graph.apply("Sigmoid", {graph.apply("Mul", {x, graph.number(1.702)})})});
    case Activation::silu:
      return graph.apply("Mul", {x, graph.apply("Sigmoid", {x})});
    case Activation::tanh:
      return graph.apply("Tanh", {x});
    case Activation::sigmoid:
      return graph.apply("Sigmoid", {x});
  }
  fail("onnx", "the activation ", to_string(activation), " cannot be exported");
}

/// activation(x W^T + b) with `name`.weight and, if there is one, `name`.bias   // [.., out] from [.., in]
inline Value linear(ModelGraph& graph, const Value& x, const std::string& name,
                    Activation activation = Activation::none) {
  const std::string weight = name + ".weight", bias = name + ".bias";
  Value y = graph.apply("MatMul", {x, graph.transposed_rows(weight, 0, graph.tensor(weight).rows())});
  if (graph.has(bias)) y = graph.apply("Add", {y, graph.weight(bias)});
  return activate(graph, y, activation);
}

/// Logits x W^T + b, whose matrix may be an embedding that the graph holds as it is, too; an undefined bias is left out
/// // [.., V]
inline Value output_projection(ModelGraph& graph, const Value& x, const std::string& weight, const Value& bias = {}) {
  const Value transposed =
      graph.apply("Transpose", {graph.weight(weight)}, {{"perm", std::vector<std::int64_t>{1, 0}}});
  const Value scores = graph.apply("MatMul", {x, transposed});
  return bias.is_defined() ? graph.apply("Add", {scores, bias}) : scores;
}

/// x / sqrt(mean(x^2) + epsilon) * weight along the last axis; with `unit_offset` times 1 + weight
inline Value rms_norm(ModelGraph& graph, const Value& x, const std::string& weight, double epsilon, bool unit_offset) {
  const Value squares = graph.apply("ReduceMean", {graph.apply("Mul", {x, x}), graph.integers({-1})});
  const Value root = graph.apply("Sqrt", {graph.apply("Add", {squares, graph.number(epsilon)})});
  Value gain;
  if (unit_offset) {
    std::vector<float> factors(graph.tensor(weight).values().begin(), graph.tensor(weight).values().end());
    for (float& factor : factors) factor += 1;
    gain = graph.constant(weight + "+1", {std::ssize(factors)}, std::span<const float>(factors));
  } else {
    gain = graph.weight(weight);
  }
  return graph.apply("Mul", {graph.apply("Div", {x, root}), gain});
}

/// A norm of any kind along the last axis.
inline Value norm(ModelGraph& graph, const Value& x, const std::string& name, NormKind kind, double epsilon) {
  if (kind == NormKind::none) return x;
  if (kind == NormKind::rms || kind == NormKind::rms_unit_offset) {
    return rms_norm(graph, x, name + ".weight", epsilon, kind == NormKind::rms_unit_offset);
  }
  const Attribute settings = {"epsilon", static_cast<float>(epsilon)};
  const Value gain = graph.weight(name + ".weight");
  if (!graph.has(name + ".bias")) return graph.apply("LayerNormalization", {x, gain}, {settings});
  return graph.apply("LayerNormalization", {x, gain, graph.weight(name + ".bias")}, {settings});
}

/// The feed-forward network of a block, whose maps are named below `prefix`, which ends with a dot.
inline Value feed_forward(ModelGraph& graph, const Value& x, const std::string& prefix, const BlockOptions& options) {
  if (options.feed_forward == FeedForwardKind::plain) {
    return linear(graph, linear(graph, x, prefix + "linear1", options.activation), prefix + "linear2");
  }
  const std::vector<Value> halves = graph.apply("Split", {linear(graph, x, prefix + "gate_up_proj")}, 2,
                                                {{"axis", std::int64_t{-1}}, {"num_outputs", std::int64_t{2}}});
  const Value gated = graph.apply("Mul", {activate(graph, halves[0], options.activation), halves[1]});
  return linear(graph, gated, prefix + "down_proj");
}

/// The rows of a table [V, D] for ids [B, L], times `scale`   // [B, L, D]
inline Value embedding(ModelGraph& graph, const Value& ids, const std::string& weight, double scale = 1) {
  const Value rows = graph.apply("Gather", {graph.weight(weight), ids});
  return scale == 1 ? rows : graph.apply("Mul", {rows, graph.number(scale)});
}

/// The hidden state of the first token   // [B, D] from [B, L, D]
inline Value first_token(ModelGraph& graph, const Value& hidden) {
  return graph.apply("Gather", {hidden, graph.integer(0)}, {{"axis", std::int64_t{1}}});
}

}}}  // namespace rapt::RAPT_ABI::onnx
