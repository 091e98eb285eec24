/// \file
/// The settings of a Gemma 2 or a Gemma 3.
#pragma once

#include <cmath>
#include <optional>
#include <string_view>
#include <vector>

#include "rapt/core/sequence_marks.hpp"
#include "rapt/models/llama_config.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a Gemma. Defaults are those of Gemma 2 of 2 billion parameters (Riviere et al. 2024).
struct GemmaConfig {
  Index vocabulary = 256000;
  Index d_model = 2304;
  Index layers = 26;
  Index heads = 8;
  Index key_value_heads = 4;  ///< each serves heads / key_value_heads query heads
  Index head_dim = 256;       ///< columns of each head
  Index d_ff = 9216;
  Activation activation = Activation::gelu_tanh;
  RotaryOptions rotary = {.max_positions = 8192};  ///< the rotary positions of global layers
  std::optional<double> local_theta = {};  ///< theta of local layers, which have no scaling then; unset: as global ones
  double norm_epsilon = 1e-6;
  bool tie_embeddings = true;   ///< one matrix for the embedding and the output projection
  bool attention_bias = false;  ///< of queries, keys, values and the output projection
  bool query_key_norm = false;  ///< queries and keys of each head are normalised before they are rotated (Gemma 3)
  Index query_scalar = 256;     ///< scores are divided by its square root
  double score_cap = 50;        ///< soft cap of the scores; 0: none
  double logit_cap = 30;        ///< soft cap of the logits; 0: none
  /// In local layers a token sees itself and no more than this many before it. Hugging Face's sliding_window counts the
  /// token itself.
  Index window = 4095;
  Index global_every = 2;  ///< every so many layers one is global, which has no window: layer i if this divides i + 1
  float attention_dropout = 0.f;                ///< rate of the attention probabilities
  double init_std = 0.02;                       ///< of all matrices
  std::optional<TokenId> begin_token = 2;       ///< what a text begins with; read in place of an empty prompt
  std::vector<TokenId> end_tokens = {1};        ///< each of them ends a text; none: only the maximum length does
  std::optional<TokenId> pad_token = 0;         ///< id of padding in other programs; there is none here
  std::vector<TokenId> suppressed_tokens = {};  ///< are never generated

  /// Gemma 2 of 2 billion parameters.
  [[nodiscard]] static GemmaConfig gemma2_2b() { return {}; }
  /// Gemma 3 (Kamath et al. 2025), of 1 billion parameters, which reads text alone.
  [[nodiscard]] static GemmaConfig gemma3_1b() {
    return {.vocabulary = 262144,
            .d_model = 1152,
            .heads = 4,
            .key_value_heads = 1,
            .d_ff = 6912,
            .rotary = {.theta = 1000000, .max_positions = 32768},
            .local_theta = 10000,
            .query_key_norm = true,
            .score_cap = 0,
            .logit_cap = 0,
            .window = 511,
            .global_every = 6};
  }

  /// True if block `layer`, from 0, attends without a window.
  [[nodiscard]] bool is_global(Index layer) const { return (layer + 1) % global_every == 0; }
  /// The options of the self-attention of block `layer`, from 0.
  [[nodiscard]] MultiHeadAttentionOptions attention(Index layer) const {
    const bool local = !is_global(layer);
    MultiHeadAttentionOptions options{
        .d_model = d_model,
        .heads = heads,
        .key_value_heads = key_value_heads,
        .head_dim = head_dim,
        .scale = 1 / std::sqrt(static_cast<double>(query_scalar)),
        .soft_cap = score_cap,
        .dropout = attention_dropout,
        .query_bias = attention_bias,
        .key_bias = attention_bias,
        .value_bias = attention_bias,
        .output_bias = attention_bias,
        .positions = rotary,
        .names = {.in_proj_weight = "qkv_proj.weight", .in_proj_bias = "qkv_proj.bias", .out_proj = "o_proj"}};
    if (query_key_norm) options.query_key_norm = QueryKeyNorm{.epsilon = norm_epsilon, .unit_offset = true};
    if (local) options.window = window;
    if (local && local_theta) {
      options.positions = RotaryOptions{.theta = *local_theta, .max_positions = rotary.max_positions};
    }
    return options;
  }
  /// The options of block `layer`, from 0.
  [[nodiscard]] BlockOptions block(Index layer) const {
    return {.attention = attention(layer),
            .feed_forward = FeedForwardKind::gated,
            .d_ff = d_ff,
            .activation = activation,
            .feed_forward_bias = false,
            .norm_kind = NormKind::rms_unit_offset,
            .norm = NormPlacement::sandwich,
            .norm_epsilon = norm_epsilon,
            .dropout = 0.f,
            .names = {.feed_forward = "mlp",
                      .norms = {"input_layernorm", "pre_feedforward_layernorm", ""},
                      .outer_norms = {"post_attention_layernorm", "post_feedforward_layernorm", ""}}};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "gemma";
    require(vocabulary > 0 && d_model > 0 && layers > 0 && d_ff > 0 && head_dim > 0, kWhere,
            "sizes must be positive: vocabulary ", vocabulary, ", d_model ", d_model, ", layers ", layers, ", d_ff ",
            d_ff, ", head_dim ", head_dim);
    require(heads > 0 && key_value_heads > 0 && heads % key_value_heads == 0, kWhere,
            "heads must be a multiple of key_value_heads: heads = ", heads, ", key_value_heads = ", key_value_heads);
    rotary.validate(head_dim);
    require(!local_theta || *local_theta > 1, kWhere, "local_theta must be greater than 1: ", local_theta.value_or(0));
    require(query_scalar > 0, kWhere, "query_scalar must be positive: ", query_scalar);
    detail::require_soft_cap<float>(score_cap, kWhere);
    detail::require_soft_cap<float>(logit_cap, kWhere);
    require(window > 0 && global_every > 0, kWhere, "window and global_every must be positive: ", window, ", ",
            global_every);
    require(attention_dropout >= 0.f && attention_dropout < 1.f, kWhere,
            "attention_dropout must be in [0, 1): ", attention_dropout);
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "gemma";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    detail::visit_grouped_sizes(self, field);
    field("local_theta", self.local_theta);
    field("norm_epsilon", self.norm_epsilon);
    field("tie_embeddings", self.tie_embeddings);
    field("attention_bias", self.attention_bias);
    field("query_key_norm", self.query_key_norm);
    field("query_scalar", self.query_scalar);
    field("score_cap", self.score_cap);
    field("logit_cap", self.logit_cap);
    field("window", self.window);
    field("global_every", self.global_every);
    field("attention_dropout", self.attention_dropout);
    field("init_std", self.init_std);
    detail::visit_text_token_fields(self, field);
  }
};

}}  // namespace rapt::RAPT_ABI
