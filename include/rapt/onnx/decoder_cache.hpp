/// \file
/// Keys and values as inputs and results of a graph, so that a text can be decoded token by token.
#pragma once

#include <string>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/onnx/export_options.hpp"
#include "rapt/onnx/stack.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// Inputs `<prefix><layer>.<part>key` and `..value` [B, K, length, d] for each layer of a stack; `part` is empty, or
/// "decoder." or "encoder." where both have keys and values.
[[nodiscard]] inline std::vector<KeysValues> past_inputs(ModelGraph& graph, const StackDescription& stack,
                                                         const std::string& prefix, const std::string& part,
                                                         const std::string& length) {
  std::vector<KeysValues> past;
  for (Index layer = 0; layer < stack.blocks; ++layer) {
    const MultiHeadAttentionOptions attention = rapt::detail::with_defaults(stack.options_of(layer).attention);
    const std::string name = prefix + std::to_string(layer) + "." + part;
    const auto declare = [&](const char* kind, Index columns) {
      return graph.input(name + kind, ElementType::float32, {kBatch, attention.key_value_heads, length, columns});
    };
    const Value keys = declare("key", attention.head_dim);
    past.push_back({keys, declare("value", attention.value_head_dim)});
  }
  return past;
}

/// Results `present.<layer>.<part>key` and `..value` [B, K, length, d] for each layer of a stack.
inline void output_present(ModelGraph& graph, const StackDescription& stack, const std::vector<KeysValues>& present,
                           const std::string& part, const std::string& length) {
  for (Index layer = 0; layer < stack.blocks; ++layer) {
    const MultiHeadAttentionOptions attention = rapt::detail::with_defaults(stack.options_of(layer).attention);
    const std::string name = "present." + std::to_string(layer) + "." + part;
    graph.output(at(present, layer).keys, name + "key", ElementType::float32,
                 {kBatch, attention.key_value_heads, length, attention.head_dim});
    graph.output(at(present, layer).values, name + "value", ElementType::float32,
                 {kBatch, attention.key_value_heads, length, attention.value_head_dim});
  }
}

}}}  // namespace rapt::RAPT_ABI::onnx
