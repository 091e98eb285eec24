/// \file
/// Multi-head attention (nn/attention.hpp) as ONNX operators, with any option of MultiHeadAttentionOptions.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/nn/attention.hpp"
#include "rapt/onnx/layers.hpp"
#include "rapt/onnx/positions.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// Keys and values of all tokens that queries may attend to.
struct KeysValues {
  Value keys = {}, values = {};  ///< [B, K, T, d_k], rotated where positions are rotary, and [B, K, T, d_v]
};

/// What layers that score by distance (RelativePositionEncoding) share.
struct DistanceInputs {
  Value encodings = {};      ///< of the distances T - 1 .. 0   // [1, T, D]
  Value content_bias = {};   ///< u [H, d_k] of layers that have none of their own
  Value position_bias = {};  ///< w [H, d_k] of such layers
};

/// What one call of self-attention brings.
struct SelfAttentionInputs {
  Value bias = {};                ///< added to scores, [B, 1, L, T] or what broadcasts to it; undefined: nothing
  RotaryAngles rotary = {};       ///< of the queries' positions, if the layer's are rotary
  DistanceInputs distances = {};  ///< if the layer scores by distance
  KeysValues past = {};           ///< of the tokens before; undefined: none
  Value source = {};  ///< what keys and values are made of, the rows before x and x itself [B, T, D]; undefined: x
};

/// What self-attention gives.
struct SelfAttention {
  Value output;        ///< [B, L, D]
  KeysValues present;  ///< of the tokens before and of these, the next call's past
};

/// Multi-head attention of the parameters `name`.<...>, whose operators it adds to a graph.
class AttentionLayer {
 public:
  AttentionLayer(ModelGraph& graph, std::string name, const MultiHeadAttentionOptions& options)
      : graph_(graph), name_(std::move(name)), options_(rapt::detail::with_defaults(options)) {}

  /// Self-attention of x [B, L, D].
  [[nodiscard]] SelfAttention operator()(const Value& x, const SelfAttentionInputs& inputs) const {
    std::vector<Value> parts = project(x, 0, inputs.source.is_defined() ? 1 : 3);
    if (inputs.source.is_defined()) {
      for (const Value& part : project(inputs.source, 1, 2)) parts.push_back(part);
    }
    Value queries = heads(parts[0], options_.heads), keys = heads(parts[1], options_.key_value_heads),
          values = heads(parts[2], options_.key_value_heads);
    if (const auto& norm = options_.query_key_norm) {
      queries = rms_norm(graph_, queries, name_ + ".q_norm.weight", norm->epsilon, norm->unit_offset);
      keys = rms_norm(graph_, keys, name_ + ".k_norm.weight", norm->epsilon, norm->unit_offset);
    }
    if (const auto* const rotary = std::get_if<RotaryOptions>(&options_.positions)) {
      queries = rotate(graph_, queries, inputs.rotary, *rotary, options_.head_dim);
      keys = rotate(graph_, keys, inputs.rotary, *rotary, options_.head_dim);
    }
    if (inputs.past.keys.is_defined()) {
      keys = graph_.apply("Concat", {inputs.past.keys, keys}, {{"axis", std::int64_t{2}}});
      values = graph_.apply("Concat", {inputs.past.values, values}, {{"axis", std::int64_t{2}}});
    }
    if (!std::holds_alternative<RelativePositionEncoding>(options_.positions)) {
      return {attend(queries, {keys, values}, inputs.bias), {keys, values}};
    }
    const auto with = [&](const char* own, const Value& shared) {  // [B, H, L, d_k]
      const Value vectors = graph_.has(name_ + own) ? graph_.weight(name_ + own) : shared;
      return graph_.apply("Add", {queries, graph_.apply("Unsqueeze", {vectors, graph_.integers({1})})});
    };
    const Value by_distance = distance_scores(with(".position_bias", inputs.distances.position_bias),
                                              inputs.distances.encodings, graph_.size(x, 1));
    return {attend(with(".content_bias", inputs.distances.content_bias), {keys, values}, inputs.bias, by_distance),
            {keys, values}};
  }

  /// Keys and values of an encoder's output [B, S, D].
  [[nodiscard]] KeysValues keys_values(const Value& encoder_output) const {
    const std::vector<Value> parts = project(encoder_output, 1, 2);
    return {heads(parts[0], options_.key_value_heads), heads(parts[1], options_.key_value_heads)};
  }
  /// Attention of x [B, L, D] to an encoder's output   // [B, L, D]
  [[nodiscard]] Value cross(const Value& x, const KeysValues& encoder, const Value& bias) const {
    return attend(heads(project(x, 0, 1).front(), options_.heads), encoder, bias);
  }

 private:
  /// `count` of queries (0), keys (1) and values (2), from `first` on, in one product   // each [B, L, columns]
  [[nodiscard]] std::vector<Value> project(const Value& x, Index first, Index count) const {
    const Index columns[] = {options_.heads * options_.head_dim, options_.key_value_heads * options_.head_dim,
                             options_.key_value_heads * options_.value_head_dim};
    const std::string bias = name_ + "." + std::string(options_.names.in_proj_bias);
    constexpr const char* kBiases[] = {".query_bias", ".key_bias", ".value_bias"};
    Index begin = 0, width = 0;
    std::vector<std::int64_t> sizes;
    for (Index i = 0; i < first + count; ++i) {
      if (i < first) begin += columns[i];
      if (i >= first) width += columns[i], sizes.push_back(columns[i]);
    }
    const std::string weight = name_ + "." + std::string(options_.names.in_proj_weight);
    Value all = graph_.apply("MatMul", {x, graph_.transposed_rows(weight, begin, width)});
    if (graph_.has(bias)) all = graph_.apply("Add", {all, graph_.elements(bias, begin, width)});
    if (count == 1) return {with_bias(all, kBiases[first])};
    std::vector<Value> parts =
        graph_.apply("Split", {all, graph_.integers(sizes)}, count, {{"axis", std::int64_t{-1}}});
    for (Index i = 0; i < count; ++i) at(parts, i) = with_bias(at(parts, i), kBiases[first + i]);
    return parts;
  }
  /// x plus a bias of one projection alone, if the layer has it.
  [[nodiscard]] Value with_bias(const Value& x, const char* name) const {
    return graph_.has(name_ + name) ? graph_.apply("Add", {x, graph_.weight(name_ + name)}) : x;
  }
  /// [B, count, L, d] from [B, L, count * d]
  [[nodiscard]] Value heads(const Value& x, Index count) const {
    const Value split = graph_.apply("Reshape", {x, graph_.integers({0, 0, count, -1})});
    return graph_.apply("Transpose", {split}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}});
  }
  /// Each head of keys or values so many times as query heads read it   // [B, H, T, d] from [B, K, T, d]
  [[nodiscard]] Value repeated(const Value& x, Index columns) const {
    const Index groups = options_.heads / options_.key_value_heads;
    if (groups == 1) return x;
    const Value apart = graph_.apply("Unsqueeze", {x, graph_.integers({2})});
    const Value copies = graph_.apply("Expand", {apart, graph_.integers({1, 1, groups, 1, 1})});
    return graph_.apply("Reshape", {copies, graph_.integers({0, options_.heads, -1, columns})});
  }

  /// scale * q_i r_(M + i - j) for query i behind M of the T keys j, with the projected encodings r of the distances
  /// T - 1 .. 0; scores of keys behind the query, which it may not attend to, mean nothing
  ///   // [B, H, L, T] from queries [B, H, L, d_k], encodings [1, T, D] and L [1]
  [[nodiscard]] Value distance_scores(const Value& queries, const Value& encodings, const Value& length) const {
    const Value projected = heads(linear(graph_, encodings, name_ + ".position_proj"), options_.heads);
    const Value all =
        graph_.apply("MatMul", {scaled(queries), transposed(projected)});  // key j in column L - 1 - i + j
    // With one more column in front, the numbers but the first L are rows of T again, in each of which key j is in
    // column j (the paper's appendix B).
    const Value zero = graph_.integers({0}), one = graph_.integers({1}), last = graph_.integers({3});
    const Attribute columns = {"axis", std::int64_t{3}}, sizes = {"axis", std::int64_t{0}};
    const Value wider = graph_.apply("Concat", {graph_.apply("Slice", {all, zero, one, last}), all}, {columns});
    const Value by_length = graph_.apply("Concat", {graph_.integers({0, 0, -1}), length}, {sizes});
    const Value rows = graph_.apply("Reshape", {wider, by_length});  // [B, H, T + 1, L]
    const Value end = graph_.integers({std::numeric_limits<std::int64_t>::max()});
    const Value shifted = graph_.apply("Slice", {rows, one, end, graph_.integers({2})});
    return graph_.apply(
        "Reshape",
        {shifted, graph_.apply("Concat", {graph_.integers({0, 0}), length, graph_.integers({-1})}, {sizes})});
  }

  [[nodiscard]] Value scaled(const Value& queries) const {
    return options_.scale == 1 ? queries : graph_.apply("Mul", {queries, graph_.number(options_.scale)});
  }
  /// [B, H, d, T] from [B, H, T, d]
  [[nodiscard]] Value transposed(const Value& keys) const {
    return graph_.apply("Transpose", {keys}, {{"perm", std::vector<std::int64_t>{0, 1, 3, 2}}});
  }

  /// The heads, concatenated, times W^O   // [B, L, D] from queries [B, H, L, d_k]
  /// `by_distance` [B, H, L, T], if defined, is added to the scores before the soft cap, `bias` behind it.
  [[nodiscard]] Value attend(const Value& queries, const KeysValues& source, const Value& bias,
                             const Value& by_distance = {}) const {
    const Value keys = transposed(repeated(source.keys, options_.head_dim));
    Value scores = graph_.apply("MatMul", {scaled(queries), keys});  // [B, H, L, T]
    if (by_distance.is_defined()) scores = graph_.apply("Add", {scores, by_distance});
    if (options_.soft_cap > 0) {
      const Value cap = graph_.number(options_.soft_cap);
      scores = graph_.apply("Mul", {graph_.apply("Tanh", {graph_.apply("Div", {scores, cap})}), cap});
    }
    if (bias.is_defined()) scores = graph_.apply("Add", {scores, bias});
    const Value probabilities = graph_.apply("Softmax", {scores}, {{"axis", std::int64_t{-1}}});
    const Value output = graph_.apply("MatMul", {probabilities, repeated(source.values, options_.value_head_dim)});
    const Value by_token = graph_.apply("Transpose", {output}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}});
    const Value joined =
        graph_.apply("Reshape", {by_token, graph_.integers({0, 0, options_.heads * options_.value_head_dim})});
    return linear(graph_, joined, name_ + "." + std::string(options_.names.out_proj));
  }

  ModelGraph& graph_;
  std::string name_;
  MultiHeadAttentionOptions options_;
};

}}}  // namespace rapt::RAPT_ABI::onnx
