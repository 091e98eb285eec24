/// \file
/// The settings of a Llama, a Mistral, a Qwen2, a Qwen3 or a Phi-3.
#pragma once

#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rapt/core/sequence_marks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace kernels {

[[nodiscard]] constexpr auto named_values(RotaryLayout) {
  return std::to_array<NamedValue<RotaryLayout>>(
      {{"halves", RotaryLayout::halves}, {"interleaved", RotaryLayout::interleaved}});
}

}  // namespace kernels

[[nodiscard]] constexpr auto named_values(RotaryScaling) {
  return std::to_array<NamedValue<RotaryScaling>>({{"none", RotaryScaling::none},
                                                   {"linear", RotaryScaling::linear},
                                                   {"dynamic", RotaryScaling::dynamic},
                                                   {"llama3", RotaryScaling::llama3},
                                                   {"yarn", RotaryScaling::yarn},
                                                   {"longrope", RotaryScaling::longrope}});
}

namespace detail {

template <class Rotary, class Visitor>
void visit_rotary_fields(Rotary& rotary, const Visitor& field) {
  field("rotary_theta", rotary.theta);
  field("rotary_rotated_ratio", rotary.rotated_ratio);
  field("rotary_max_positions", rotary.max_positions);
  field("rotary_layout", rotary.layout);
  field("rotary_scaling", rotary.scaling);
  field("rotary_factor", rotary.factor);
  field("rotary_original_positions", rotary.original_positions);
  field("rotary_low_factor", rotary.low_factor);
  field("rotary_high_factor", rotary.high_factor);
  field("rotary_beta_slow", rotary.beta_slow);
  field("rotary_beta_fast", rotary.beta_fast);
  field("rotary_truncate", rotary.truncate);
  field("rotary_attention_factor", rotary.attention_factor);
  field("rotary_mscale", rotary.mscale);
  field("rotary_mscale_all", rotary.mscale_all);
  field("rotary_short_factors", rotary.short_factors);
  field("rotary_long_factors", rotary.long_factors);
}

/// The sizes, the activation and the rotary positions of models with fewer heads of keys and values than of queries.
template <class Config, class Visitor>
void visit_grouped_sizes(Config& config, const Visitor& field) {
  field("vocabulary", config.vocabulary);
  field("d_model", config.d_model);
  field("layers", config.layers);
  field("heads", config.heads);
  field("key_value_heads", config.key_value_heads);
  field("head_dim", config.head_dim);
  field("d_ff", config.d_ff);
  field("activation", config.activation);
  visit_rotary_fields(config.rotary, field);
}

}  // namespace detail

/// Everything that makes a Llama. Defaults are those of the first one, of 7 billion parameters.
struct LlamaConfig {
  Index vocabulary = 32000;
  Index d_model = 4096;
  Index layers = 32;
  Index heads = 32;
  std::optional<Index> key_value_heads = {};  ///< unset: heads
  std::optional<Index> head_dim = {};         ///< unset: d_model / heads
  Index d_ff = 11008;
  Activation activation = Activation::silu;
  RotaryOptions rotary = {};  ///< the rotary positions
  double norm_epsilon = 1e-6;
  bool tie_embeddings = false;         ///< one matrix for the embedding and the output projection
  bool attention_bias = false;         ///< of queries, keys and values (Qwen2)
  bool attention_output_bias = false;  ///< Hugging Face's Llama and Qwen3 have both or none
  bool mlp_bias = false;               ///< of the three matrices of the feed-forward networks
  bool query_key_norm = false;         ///< queries and keys of each head are normalised before they are rotated (Qwen3)
  /// Folders hold queries, keys and values as one matrix, and gates and values of the inner layer as another, as
  /// Hugging Face's Phi-3. The model is the same.
  bool fused_projections = false;
  /// A token sees itself and no more than so many before it, one at least; unset: no limit. Hugging Face's
  /// sliding_window counts the token itself.
  std::optional<Index> window = {};
  float attention_dropout = 0.f;                ///< rate of the attention probabilities
  double init_std = 0.02;                       ///< of all matrices
  std::optional<TokenId> begin_token = {};      ///< what a text may begin with; read in place of an empty prompt
  std::vector<TokenId> end_tokens = {};         ///< each of them ends a text; none: only the maximum length does
  std::optional<TokenId> pad_token = {};        ///< id of padding in other programs; there is none here
  std::vector<TokenId> suppressed_tokens = {};  ///< are never generated

  /// Llama (Touvron et al. 2023), of 7 billion parameters.
  [[nodiscard]] static LlamaConfig llama_7b() { return {}; }
  /// Llama 2 of 7 billion parameters (Touvron et al. 2023), the same shape for texts of 4096 tokens.
  [[nodiscard]] static LlamaConfig llama2_7b() { return {.rotary = {.max_positions = 4096}, .norm_epsilon = 1e-5}; }
  /// Llama 3.1 (Dubey et al. 2024), of 8 billion parameters, for texts of 131,072 tokens.
  [[nodiscard]] static LlamaConfig llama31_8b() {
    return {.vocabulary = 128256,
            .key_value_heads = 8,
            .d_ff = 14336,
            .rotary = {.theta = 500000,
                       .max_positions = 131072,
                       .scaling = RotaryScaling::llama3,
                       .factor = 8,
                       .original_positions = 8192},
            .norm_epsilon = 1e-5};
  }
  /// TinyLlama (Zhang et al. 2024), of 1.1 billion parameters.
  [[nodiscard]] static LlamaConfig tiny_llama() {
    return {.d_model = 2048, .layers = 22, .key_value_heads = 4, .d_ff = 5632, .norm_epsilon = 1e-5};
  }
  /// Mistral 7B (Jiang et al. 2023).
  [[nodiscard]] static LlamaConfig mistral_7b() {
    return {
        .key_value_heads = 8, .d_ff = 14336, .rotary = {.max_positions = 32768}, .norm_epsilon = 1e-5, .window = 4095};
  }

  /// Qwen3 (Yang et al. 2025), of 0.6 billion parameters.
  [[nodiscard]] static LlamaConfig qwen3_600m() {
    return {.vocabulary = 151936,
            .d_model = 1024,
            .layers = 28,
            .heads = 16,
            .key_value_heads = 8,
            .head_dim = 128,
            .d_ff = 3072,
            .rotary = {.theta = 1000000, .max_positions = 40960},
            .tie_embeddings = true,
            .query_key_norm = true};
  }
  /// Phi-3 mini for 4096 tokens (Abdin et al. 2024), of 3.8 billion parameters.
  [[nodiscard]] static LlamaConfig phi3_mini() {
    return {.vocabulary = 32064,
            .d_model = 3072,
            .d_ff = 8192,
            .rotary = {.max_positions = 4096},
            .norm_epsilon = 1e-5,
            .fused_projections = true,
            .window = 2046};
  }

  /// The width of a head: `head_dim`, or d_model / heads.
  [[nodiscard]] Index columns_of_head() const { return head_dim.value_or(d_model / heads); }
  /// The options of the self-attention of every block.
  [[nodiscard]] MultiHeadAttentionOptions attention() const {
    return {.d_model = d_model,
            .heads = heads,
            .key_value_heads = key_value_heads.value_or(heads),
            .head_dim = columns_of_head(),
            .window = window,
            .dropout = attention_dropout,
            .query_bias = attention_bias,
            .key_bias = attention_bias,
            .value_bias = attention_bias,
            .output_bias = attention_output_bias,
            .query_key_norm = query_key_norm ? std::optional(QueryKeyNorm{.epsilon = norm_epsilon}) : std::nullopt,
            .positions = rotary,
            .names = {.in_proj_weight = "qkv_proj.weight", .in_proj_bias = "qkv_proj.bias", .out_proj = "o_proj"}};
  }
  /// The options of every block.
  [[nodiscard]] BlockOptions layer() const {
    return {.attention = attention(),
            .feed_forward = FeedForwardKind::gated,
            .d_ff = d_ff,
            .activation = activation,
            .feed_forward_bias = mlp_bias,
            .norm_kind = NormKind::rms,
            .norm = NormPlacement::pre,
            .norm_epsilon = norm_epsilon,
            .dropout = 0.f,
            .names = {.feed_forward = "mlp", .norms = {"input_layernorm", "post_attention_layernorm", ""}}};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "llama";
    require(vocabulary > 0 && d_model > 0 && layers > 0 && d_ff > 0, kWhere, "sizes must be positive: vocabulary ",
            vocabulary, ", d_model ", d_model, ", layers ", layers, ", d_ff ", d_ff);
    const Index groups = key_value_heads.value_or(heads);
    require(heads > 0 && groups > 0 && heads % groups == 0, kWhere,
            "heads must be a multiple of key_value_heads: heads = ", heads, ", key_value_heads = ", groups);
    require(head_dim ? *head_dim > 0 : d_model % heads == 0, kWhere,
            "d_model must be a multiple of heads, unless head_dim is given: d_model = ", d_model, ", heads = ", heads,
            ", head_dim = ", head_dim.value_or(0));
    rotary.validate(columns_of_head());
    require(window.value_or(1) > 0, kWhere, "window must be positive: ", window.value_or(0));
    require(attention_dropout >= 0.f && attention_dropout < 1.f, kWhere,
            "attention_dropout must be in [0, 1): ", attention_dropout);
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "llama";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    detail::visit_grouped_sizes(self, field);
    field("norm_epsilon", self.norm_epsilon);
    field("tie_embeddings", self.tie_embeddings);
    field("attention_bias", self.attention_bias);
    field("attention_output_bias", self.attention_output_bias);
    field("mlp_bias", self.mlp_bias);
    field("query_key_norm", self.query_key_norm);
    field("fused_projections", self.fused_projections);
    Index width = self.window.value_or(0);  // files say 0 for no limit
    field("window", width);
    if constexpr (!std::is_const_v<Self>) self.window = width != 0 ? std::optional(width) : std::nullopt;
    field("attention_dropout", self.attention_dropout);
    field("init_std", self.init_std);
    detail::visit_text_token_fields(self, field);
  }
};

}}  // namespace rapt::RAPT_ABI
