/// \file
/// A stack of blocks (nn/stack.hpp, nn/block.hpp, nn/add_norm.hpp) as ONNX operators. As a model is an embedding,
/// stacks of blocks of some options, and heads, this exports the greater part of every model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/nn/block.hpp"
#include "rapt/onnx/attention.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// What a stack is, as its constructor is told.
struct StackDescription {
  std::string name = {};  ///< what stands before "layers" in the names of parameters: empty, or "encoder."
  Index blocks = 0;       ///< how many blocks there are, each with parameters of its own
  std::function<BlockOptions(Index)> options_of = {};  ///< of block i
  bool final_norm = false;                             ///< a norm of the first block's kind stands behind the last
  Index layers_each = 1;                               ///< how many layers in a row share the parameters of a block
};

/// What one call of a stack brings beside its input.
struct StackCall {
  Places places = {};             ///< of the queries and keys of self-attention
  Value attention_mask = {};      ///< [B, T] of self-attention, 1 for tokens and 0 for padding; undefined: no padding
  bool causal = false;            ///< true: a token attends to none behind it
  Value positions = {};           ///< [B, L] or [1, L], for rotary positions
  Value bias_table = {};          ///< [R, H] of a RelativePositionBias that layers share
  Value bias_numbers = {};        ///< [L, T] rows of tables of biases
  DistanceInputs distances = {};  ///< for layers that score by distance
  std::vector<KeysValues> past = {};     ///< of each layer; empty: nothing was read before
  std::vector<Value> segments = {};      ///< what each layer read before, [B, M, D]; empty: nothing
  std::vector<KeysValues> encoder = {};  ///< keys and values of the encoder's output for each layer's cross-attention
  Value encoder_mask = {};               ///< [B, S] of the encoder's output
};

/// The hidden states [B, L, D], and what the next call may need of each layer.
struct StackResult {
  Value hidden;
  std::vector<KeysValues> present;  ///< of each layer, the next call's `past`
  std::vector<Value> read;          ///< with `segments`: those and the layer's input, [B, T, D]
};

/// The cross-attention of the block whose parameters begin with `prefix`.
[[nodiscard]] inline AttentionLayer cross_attention_layer(ModelGraph& graph, const std::string& prefix,
                                                          const BlockOptions& options) {
  return {graph, prefix + std::string(options.names.cross_attention),
          rapt::detail::cross_attention_options(options.attention)};
}

/// Exports one call of a stack. Masks, angles and biases that layers share are computed once.
class StackExport {
 public:
  StackExport(ModelGraph& graph, const StackDescription& stack, const StackCall& call)
      : graph_(graph), stack_(stack), call_(call) {
    if (call.encoder_mask.is_defined()) {
      cross_bias_ = mask_bias(graph, {}, {.attention_mask = call.encoder_mask});
    }
  }

  /// [B, L, D] from x [B, L, D]
  [[nodiscard]] StackResult operator()(Value x) {
    StackResult result;
    for (Index layer = 0; layer < stack_.blocks * stack_.layers_each; ++layer) {
      const Index block = layer / stack_.layers_each;
      x = run_block(std::move(x), layer, stack_.name + "layers." + std::to_string(block) + ".",
                    stack_.options_of(block), result);
    }
    const BlockOptions first = stack_.options_of(0);
    if (stack_.final_norm) x = norm(graph_, x, stack_.name + "norm", first.norm_kind, first.norm_epsilon);
    result.hidden = std::move(x);
    return result;
  }

 private:
  /// The names of one sublayer's norms and of its layer scale.
  struct SublayerNames {
    std::string norm, outer_norm, scale;
  };

  Value run_block(Value x, Index layer, const std::string& prefix, const BlockOptions& options, StackResult& result) {
    const BlockNames& names = options.names;
    const auto sublayer_names = [&](Index sublayer) {
      return SublayerNames{prefix + std::string(at(names.norms, sublayer)),
                           prefix + std::string(at(names.outer_norms, sublayer)),
                           prefix + "scale" + std::to_string(sublayer + 1)};
    };
    const std::string attention_name = prefix + std::string(names.self_attention);
    const NormKind first_norm = options.attention_norm_kind.value_or(options.norm_kind);
    Value source;
    if (!call_.segments.empty()) {
      source = graph_.apply("Concat", {at(call_.segments, layer), x}, {{"axis", std::int64_t{1}}});
      result.read.push_back(source);
      if (options.norm != NormPlacement::post) {
        source = norm(graph_, source, sublayer_names(0).norm, first_norm, options.norm_epsilon);
      }
    }
    x = add_norm(x, sublayer_names(0), first_norm, options, [&](const Value& n) {
      const SelfAttentionInputs inputs{.bias = bias(attention_name, options.attention),
                                       .rotary = rotary(options.attention),
                                       .distances = call_.distances,
                                       .past = call_.past.empty() ? KeysValues{} : at(call_.past, layer),
                                       .source = source};
      SelfAttention attended = AttentionLayer(graph_, attention_name, options.attention)(n, inputs);
      result.present.push_back(std::move(attended.present));
      return attended.output;
    });
    if (options.cross_attention) {
      x = add_norm(x, sublayer_names(1), options.norm_kind, options, [&](const Value& n) {
        return cross_attention_layer(graph_, prefix, options).cross(n, at(call_.encoder, layer), cross_bias_);
      });
    }
    const Index last = options.cross_attention ? 2 : 1;
    return add_norm(x, sublayer_names(last), options.norm_kind, options, [&](const Value& n) {
      const std::string network(names.feed_forward);
      return feed_forward(graph_, n, network.empty() ? prefix : prefix + network + ".", options);
    });
  }

  /// The "Add & Norm" box around a sublayer.
  template <class Sublayer>
  Value add_norm(const Value& x, const SublayerNames& names, NormKind kind, const BlockOptions& options,
                 const Sublayer& sublayer) {
    const bool post = options.norm == NormPlacement::post;
    Value y = sublayer(post ? x : norm(graph_, x, names.norm, kind, options.norm_epsilon));
    if (options.norm == NormPlacement::sandwich) y = norm(graph_, y, names.outer_norm, kind, options.norm_epsilon);
    if (options.layer_scale > 0) y = graph_.apply("Mul", {y, graph_.weight(names.scale)});
    const Value sum = graph_.apply("Add", {x, y});
    return post ? norm(graph_, sum, names.norm, kind, options.norm_epsilon) : sum;
  }

  /// What is added to the scores of a layer's self-attention: the mask, and its biases of positions.
  Value bias(const std::string& name, const MultiHeadAttentionOptions& options) {
    const Value mask = mask_of(options.window);
    const auto* const positions = std::get_if<RelativePositionBias>(&options.positions);
    if (positions == nullptr) return mask;
    if (positions->rows == 0) {
      for (const auto& [window, shared] : shared_biases_) {
        if (window == options.window) return shared;
      }
    }
    Value table = call_.bias_table;
    if (positions->rows > 0) {
      const Value own = graph_.weight(name + ".position_bias.table");
      table = table.is_defined() ? graph_.apply("Add", {table, own}) : own;
    }
    const Value rows = graph_.apply("Gather", {table, call_.bias_numbers});  // [L, T, H]
    const Value by_head = graph_.apply("Transpose", {rows}, {{"perm", std::vector<std::int64_t>{2, 0, 1}}});
    const Value all = mask.is_defined() ? graph_.apply("Add", {by_head, mask}) : by_head;
    if (positions->rows == 0) shared_biases_.emplace_back(options.window, all);
    return all;
  }
  Value mask_of(std::optional<Index> window) {
    for (const auto& [known, mask] : masks_) {
      if (known == window) return mask;
    }
    masks_.emplace_back(window,
                        mask_bias(graph_, call_.places,
                                  {.attention_mask = call_.attention_mask, .causal = call_.causal, .window = window}));
    return masks_.back().second;
  }
  RotaryAngles rotary(const MultiHeadAttentionOptions& attention) {
    const auto* const wanted = std::get_if<RotaryOptions>(&attention.positions);
    if (wanted == nullptr) return {};
    for (const auto& [known, angles] : angles_) {
      if (known == *wanted) return angles;
    }
    const Index head_dim = rapt::detail::with_defaults(attention).head_dim;
    angles_.emplace_back(*wanted, rotary_angles(graph_, *wanted, head_dim, call_.positions, call_.attention_mask));
    return angles_.back().second;
  }

  ModelGraph& graph_;
  const StackDescription& stack_;
  const StackCall& call_;
  Value cross_bias_;
  std::vector<std::pair<std::optional<Index>, Value>> masks_;          // by window
  std::vector<std::pair<std::optional<Index>, Value>> shared_biases_;  // by window, with the masks
  std::vector<std::pair<RotaryOptions, RotaryAngles>> angles_;
};

/// One call of a stack   // [B, L, D] from x [B, L, D]
inline StackResult run_stack(ModelGraph& graph, const StackDescription& stack, const StackCall& call, const Value& x) {
  return StackExport(graph, stack, call)(x);
}

/// Keys and values of an encoder's output [B, S, D] for the cross-attention of each layer of a decoder.
inline std::vector<KeysValues> encoder_keys_values(ModelGraph& graph, const StackDescription& stack,
                                                   const Value& encoder_output) {
  std::vector<KeysValues> all;
  for (Index layer = 0; layer < stack.blocks; ++layer) {
    const std::string prefix = stack.name + "layers." + std::to_string(layer) + ".";
    all.push_back(cross_attention_layer(graph, prefix, stack.options_of(layer)).keys_values(encoder_output));
  }
  return all;
}

}}}  // namespace rapt::RAPT_ABI::onnx
