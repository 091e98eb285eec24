/// \file
/// The settings of a Llama, a Mistral or a Qwen2, and their keys in config.json.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rapt/core/sequence_marks.hpp"
#include "rapt/nn/gated_feed_forward.hpp"
#include "rapt/nn/grouped_query_attention.hpp"
#include "rapt/nn/rotary.hpp"

namespace rapt { inline namespace RAPT_ABI {

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
  RotaryOptions rotary = {};
  double norm_epsilon = 1e-6;
  bool tie_embeddings = false;         ///< one matrix for the embedding and the output projection
  bool attention_bias = false;         ///< of queries, keys and values (Qwen2)
  bool attention_output_bias = false;  ///< Hugging Face's Llama has both or none
  bool mlp_bias = false;
  /// If > 0: a token sees itself and no more than this many before it. Hugging Face's sliding_window counts the token
  /// itself.
  Index window = 0;
  float attention_dropout = 0.f;                ///< of the attention weights
  double init_std = 0.02;                       ///< of all matrices
  std::optional<TokenId> begin_token = {};      ///< what a text may begin with; read in place of an empty prompt
  std::vector<TokenId> end_tokens = {};         ///< each of them ends a text; none: only the maximum length does
  std::optional<TokenId> pad_token = {};        ///< what other programs fill up with; there is no padding here
  std::vector<TokenId> suppressed_tokens = {};  ///< are never generated

  [[nodiscard]] static LlamaConfig llama_7b() { return {}; }
  [[nodiscard]] static LlamaConfig llama2_7b() { return {.rotary = {.max_positions = 4096}, .norm_epsilon = 1e-5}; }
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

  [[nodiscard]] Index columns_of_head() const { return head_dim.value_or(d_model / heads); }
  [[nodiscard]] GroupedQueryAttentionOptions attention() const {
    return {.d_model = d_model,
            .heads = heads,
            .key_value_heads = key_value_heads.value_or(heads),
            .head_dim = columns_of_head(),
            .dropout = attention_dropout,
            .bias = attention_bias,
            .output_bias = attention_output_bias,
            .window = window};
  }
  [[nodiscard]] GatedFeedForwardOptions feed_forward() const {
    return {.d_model = d_model, .d_ff = d_ff, .activation = activation, .bias = mlp_bias};
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
    require(window >= 0, kWhere, "window must not be negative: ", window);
    require(attention_dropout >= 0.f && attention_dropout < 1.f, kWhere,
            "attention_dropout must be in [0, 1): ", attention_dropout);
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "rms_norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
  }

  /// What Hugging Face calls these models and their settings, in config.json. The three differ in what they leave open.
  static constexpr std::string_view kModelType = "llama", kBasePrefix = "model.";
  [[nodiscard]] static bool is_model_type(std::string_view type) {
    return type == "llama" || type == "mistral" || type == "qwen2";
  }
  [[nodiscard]] std::string model_type() const {
    if (window > 0) return "mistral";
    return attention_bias && !attention_output_bias ? "qwen2" : "llama";
  }
  [[nodiscard]] std::string_view architecture() const {
    const std::string type = model_type();
    return type == "llama" ? "LlamaForCausalLM" : type == "mistral" ? "MistralForCausalLM" : "Qwen2ForCausalLM";
  }
  /// Throws ValueError unless one of the three has these settings together.
  void require_model_type() const {
    const std::string type = model_type();
    require((type == "llama" || !mlp_bias) && attention_output_bias == (type == "llama" && attention_bias) &&
                (type != "mistral" || !attention_bias) && (type != "llama" || d_model % heads == 0) &&
                rotary.layout == RotaryLayout::halves && rotary.rotated_ratio == 1,
            "llama", "Hugging Face has no model with these settings together: window ", window, ", attention_bias ",
            attention_bias, ", attention_output_bias ", attention_output_bias, ", mlp_bias ", mlp_bias, ", d_model ",
            d_model, ", heads ", heads, ", rotated_ratio ", rotary.rotated_ratio);
  }
  /// What absent keys mean where it is not what they mean in Llama.
  void apply_defaults_of(std::string_view type) {
    if (type == "mistral") key_value_heads = 8, d_ff = 14336, rotary.max_positions = 131072;
    if (type == "qwen2") key_value_heads = 32, d_ff = 22016, rotary.max_positions = 32768, vocabulary = 151936;
  }
  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    constexpr bool kReads = !std::is_const_v<Self>;
    if constexpr (!kReads) self.require_model_type();
    std::string type = self.model_type();
    key("model_type", type);
    if constexpr (kReads) self.apply_defaults_of(type);
    key("vocab_size", self.vocabulary);
    key("hidden_size", self.d_model);
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    if constexpr (kReads) {
      key("num_key_value_heads", self.key_value_heads);
    } else {  // an absent key means `heads` in Llama alone
      const bool may_be_absent = type == "llama";
      key("num_key_value_heads", may_be_absent ? self.key_value_heads : self.key_value_heads.value_or(self.heads));
    }
    key("head_dim", self.head_dim);
    key("intermediate_size", self.d_ff);
    key("hidden_act", self.activation);
    key("rms_norm_eps", self.norm_epsilon);
    key("tie_word_embeddings", self.tie_embeddings);
    key("attention_dropout", self.attention_dropout);
    key("initializer_range", self.init_std);
    visit_token_keys(self, key);
    key("pad_token_id", self.pad_token);
    if (type == "llama") {
      key("attention_bias", self.attention_bias);
      key("mlp_bias", self.mlp_bias);
    }
    if constexpr (kReads) {
      self.attention_output_bias = self.attention_bias;
      if (type == "qwen2") self.attention_bias = true;
    }
    if (type == "mistral") {
      std::optional<Index> width = kReads ? 4096 : self.window + 1;  // an absent key means 4096
      key("sliding_window", width);
      if constexpr (kReads) {
        if (width) self.window = *width > 1 ? *width - 1 : -1;  // below 2 it would mean all: not valid
      }
    }
    if (type == "qwen2") key.must_be("use_sliding_window", false);
    key("max_position_embeddings", self.rotary.max_positions);
    key("rope_theta", self.rotary.theta);
    key.object("rope_scaling", [&](const auto& inner) { visit_rotary_keys(self.rotary, inner); });
    if constexpr (kReads) {  // transformers 5 writes them here
      key.object("rope_parameters", [&](const auto& inner) {
        inner("rope_theta", self.rotary.theta);
        visit_rotary_keys(self.rotary, inner);
      });
    }
  }
  /// The tokens that are keys of config.json and of generation_config.json, and those of the latter alone.
  template <class Self, class Visitor>
  static void visit_token_keys(Self& self, const Visitor& key) {
    key("bos_token_id", self.begin_token);
    key("eos_token_id", self.end_tokens);
  }
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    visit_token_keys(self, key);
    key.unless_absent("pad_token_id", self.pad_token);
    key.list("suppress_tokens", self.suppressed_tokens);
  }

 private:
  /// Those of `rotary` that its scaling uses; nothing without scaling.
  template <class Options, class Visitor>
  static void visit_rotary_keys(Options& rotary, const Visitor& key) {
    constexpr bool kReads = !std::is_const_v<Options>;
    std::string kind = rotary.scaling == RotaryScaling::none ? "default" : to_string(rotary.scaling);
    if constexpr (kReads) {
      key("type", kind);  // its older name
      key("rope_type", kind);
      rotary.scaling = RotaryScaling::none;
      for (const RotaryScaling scaling :
           {RotaryScaling::linear, RotaryScaling::dynamic, RotaryScaling::llama3, RotaryScaling::yarn}) {
        if (kind == to_string(scaling)) rotary.scaling = scaling;
      }
      if (rotary.scaling == RotaryScaling::none) key.must_be("type", "default"), key.must_be("rope_type", "default");
      if (rotary.scaling == RotaryScaling::none) return;
    } else {
      if (rotary.scaling == RotaryScaling::none) return;
      key("rope_type", kind);
    }
    key("factor", rotary.factor);
    const bool llama3 = rotary.scaling == RotaryScaling::llama3, yarn = rotary.scaling == RotaryScaling::yarn;
    if (llama3 || yarn) {
      Index original = rotary.original_positions > 0 ? rotary.original_positions : rotary.max_positions;
      key("original_max_position_embeddings", original);
      if constexpr (kReads) rotary.original_positions = original;
    }
    if (llama3) {
      key("low_freq_factor", rotary.low_factor);
      key("high_freq_factor", rotary.high_factor);
    }
    if (!yarn) return;
    key("beta_slow", rotary.beta_slow);
    key("beta_fast", rotary.beta_fast);
    key("truncate", rotary.truncate);
    if (kReads || rotary.attention_factor) key("attention_factor", rotary.attention_factor);
    if (kReads || rotary.mscale != 0) key("mscale", rotary.mscale);
    if (kReads || rotary.mscale_all != 0) key("mscale_all_dim", rotary.mscale_all);
  }
};

}}  // namespace rapt::RAPT_ABI
