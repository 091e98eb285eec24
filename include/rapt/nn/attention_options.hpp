/// \file
/// The options of multi-head attention (attention.hpp), and what one call of it is told of positions.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "rapt/autograd/ops/attention_options.hpp"
#include "rapt/core/error.hpp"
#include "rapt/nn/rotary.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A learned bias of the scores from a table [rows, H]: the row of a pair of positions is told by its number (BEiT) or
/// by the number of its offset (T5), which calls bring; relative_position_bias.hpp computes these numbers. In the op it
/// is a TableBias.
struct RelativePositionBias {
  Index rows = 0;  ///< of a table that the layer has of its own, zeros at first; 0: calls bring the table
};

/// Encodings of distances that are projected like keys, and two vectors u, w that stand for the query's own content and
/// position: scores (q_i + u) k_j + (q_i + w) r_(i - j) (Transformer-XL). Causal. In the op they are a DistanceBias.
struct RelativePositionEncoding {
  bool own_biases = true;  ///< the layer has u and w of its own; false: calls bring those that layers share
};

/// Each head's queries and keys are divided by their root mean square and multiplied by a learned vector [d_k], one for
/// all queries and one for all keys (Henry et al. 2020; Qwen3, Gemma 3).
struct QueryKeyNorm {
  double epsilon = 1e-6;     ///< added to the mean square before its root is taken
  bool unit_offset = false;  ///< multiplied by 1 + the vector, which begins at 0 in place of 1
};

/// How attention knows positions; std::monostate: not at all, they are in the input if anywhere.
using AttentionPositions = std::variant<std::monostate, RotaryOptions, RelativePositionBias, RelativePositionEncoding>;

/// What the parameters are called in files. The texts must live as long as the layer, as literals do.
struct AttentionNames {
  std::string_view in_proj_weight = "in_proj_weight";  ///< the projections of queries, keys and values
  std::string_view in_proj_bias = "in_proj_bias";      ///< their biases, where all three have one
  std::string_view out_proj = "out_proj";              ///< the layer of W^O: its weight is out_proj.weight
};

/// The sizes and the kind of a multi-head attention. Defaults are the paper's base model.
struct MultiHeadAttentionOptions {
  Index d_model = 512;
  Index heads = 8;            ///< H, of queries
  Index key_value_heads = 0;  ///< K, which divides H: query head h reads keys and values h / (H / K); 0: H
  Index head_dim = 0;         ///< d_k, columns of queries and keys in each head; 0: d_model / heads
  Index value_head_dim = 0;   ///< d_v, columns of values in each head; 0: d_k
  double scale = 0;           ///< factor of the scores; 0: 1 / sqrt(d_k)
  double soft_cap = 0;        ///< scaled scores s become soft_cap tanh(s / soft_cap) before masks (Gemma 2); 0: no cap
  std::optional<Index> window = {};  ///< a token attends only to keys at most so many positions away; unset: no limit
  float dropout = 0.f;               ///< rate of the dropout of the attention probabilities
  /// Biases of the projections. If queries, keys and values all have one, the three are one parameter.
  bool query_bias = true, key_bias = true, value_bias = true, output_bias = true;
  std::optional<QueryKeyNorm> query_key_norm = {};  ///< of queries and keys before they are rotated; unset: none
  AttentionPositions positions = {};                ///< how scores know positions; {}: not at all
  AttentionNames names = {};                        ///< what the parameters are called in files
};

/// What the positions need to know of a call; fields that the layer's kind of positions does not read stay empty.
template <class T>
struct PositionInputs {
  // Of a RelativePositionBias, see TableBias.
  Variable<T> table = {};                      ///< [R, H]; added to the layer's own table, if it has one
  std::span<const std::int32_t> numbers = {};  ///< rows of the table by pair or, if `zero` is set, by offset
  std::optional<Index> zero = {};              ///< the place of offset 0 among `numbers`
  // Of a RelativePositionEncoding, see DistanceBias.
  Variable<T> distances = {};      ///< [P, D], row p encodes distance p, the last row all beyond
  Variable<T> content_bias = {};   ///< u [H, d_k] that layers share
  Variable<T> position_bias = {};  ///< w [H, d_k] that layers share
};

namespace detail {

/// The options with their defaults put in.
[[nodiscard]] inline MultiHeadAttentionOptions with_defaults(MultiHeadAttentionOptions options) {
  if (options.key_value_heads == 0) options.key_value_heads = options.heads;
  if (options.head_dim == 0) options.head_dim = options.d_model / options.heads;
  if (options.value_head_dim == 0) options.value_head_dim = options.head_dim;
  if (options.scale == 0) options.scale = 1 / std::sqrt(static_cast<double>(options.head_dim));
  return options;
}

/// The options with their defaults put in. Throws ValueError `[where] ...` for options that do not fit.
template <class T>
[[nodiscard]] MultiHeadAttentionOptions completed(const MultiHeadAttentionOptions& options, std::string_view where) {
  const Index key_value_heads = options.key_value_heads == 0 ? options.heads : options.key_value_heads;
  require(options.heads > 0 && key_value_heads > 0 && options.heads % key_value_heads == 0, where,
          "heads must be a multiple of key_value_heads: heads = ", options.heads,
          ", key_value_heads = ", key_value_heads);
  require(
      options.d_model > 0 && options.head_dim >= 0 && (options.head_dim > 0 || options.d_model % options.heads == 0),
      where, "d_model must be a multiple of heads, unless head_dim is given: d_model = ", options.d_model,
      ", heads = ", options.heads, ", head_dim = ", options.head_dim);
  require(options.value_head_dim >= 0, where,
          "value_head_dim must not be negative (0: as the keys'): ", options.value_head_dim);
  require(options.window.value_or(0) >= 0, where, "window must not be negative: ", options.window.value_or(0));
  require(std::isfinite(options.scale), where, "scale must be finite: ", options.scale);
  require_soft_cap<T>(options.soft_cap, where);
  require(options.dropout >= 0.f && options.dropout < 1.f, where, "dropout must be in [0, 1): ", options.dropout);
  return with_defaults(options);
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
