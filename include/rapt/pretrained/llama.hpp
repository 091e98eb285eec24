/// \file
/// Llama, Mistral and Qwen2 in Hugging Face folders.
#pragma once

#include <optional>
#include <string>
#include <type_traits>

#include "rapt/models/llama.hpp"
#include "rapt/pretrained/decoder_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<LlamaConfig> {
  static constexpr std::string_view kModelType = "llama", kBasePrefix = "model.";
  [[nodiscard]] static bool is_model_type(std::string_view type) {
    return type == "llama" || type == "mistral" || type == "qwen2";
  }
  /// Which of the three models has these settings.
  [[nodiscard]] static std::string model_type(const LlamaConfig& config) {
    if (config.window) return "mistral";
    return config.attention_bias && !config.attention_output_bias ? "qwen2" : "llama";
  }
  [[nodiscard]] static std::string_view architecture(const LlamaConfig& config) {
    const std::string type = model_type(config);
    return type == "llama" ? "LlamaForCausalLM" : type == "mistral" ? "MistralForCausalLM" : "Qwen2ForCausalLM";
  }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    constexpr bool kReads = !std::is_const_v<Self>;
    if constexpr (!kReads) require_model_type(self);
    std::string type = model_type(self);
    key("model_type", type);
    if constexpr (kReads) apply_defaults_of(type, self);
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
    detail::visit_text_tokens(self, key);
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
      std::optional<Index> width;
      if (kReads) width = 4096;  // an absent key means 4096
      if (!kReads && self.window) width = *self.window + 1;
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
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    detail::visit_text_generation_keys(self, key);
  }

  /// Queries, keys and values have matrices of their own, and so have the gates and the values of the inner layer.
  [[nodiscard]] static StoredNames stored_names(const LlamaConfig& config) {
    const Index q = config.heads * config.columns_of_head();
    const Index k = config.key_value_heads.value_or(config.heads) * config.columns_of_head();
    StoredNames names{
        {"embed_tokens.weight", {{"model.embed_tokens.weight"}}},
        {"layers.*.self_attn.o_proj.weight", {{"model.layers.*.self_attn.o_proj.weight"}}},
        {"layers.*.self_attn.o_proj.bias", {{"model.layers.*.self_attn.o_proj.bias"}}},
        {"layers.*.mlp.down_proj.weight", {{"model.layers.*.mlp.down_proj.weight"}}},
        {"layers.*.mlp.down_proj.bias", {{"model.layers.*.mlp.down_proj.bias"}}},
        {"layers.*.input_layernorm.weight", {{"model.layers.*.input_layernorm.weight"}}},
        {"layers.*.post_attention_layernorm.weight", {{"model.layers.*.post_attention_layernorm.weight"}}},
        {"norm.weight", {{"model.norm.weight"}}}};
    names.push_back({"layers.*.self_attn.qkv_proj.weight",
                     {{"model.layers.*.self_attn.q_proj.weight", q},
                      {"model.layers.*.self_attn.k_proj.weight", k},
                      {"model.layers.*.self_attn.v_proj.weight", k}}});
    names.push_back({"layers.*.self_attn.qkv_proj.bias",
                     {{"model.layers.*.self_attn.q_proj.bias", q},
                      {"model.layers.*.self_attn.k_proj.bias", k},
                      {"model.layers.*.self_attn.v_proj.bias", k}}});
    names.push_back({"layers.*.mlp.gate_up_proj.weight",
                     {{"model.layers.*.mlp.gate_proj.weight"}, {"model.layers.*.mlp.up_proj.weight"}}});
    names.push_back({"layers.*.mlp.gate_up_proj.bias",
                     {{"model.layers.*.mlp.gate_proj.bias"}, {"model.layers.*.mlp.up_proj.bias"}}});
    return names;
  }
  /// Frequencies of the rotary positions, and the embedding once more as the tied projection.
  [[nodiscard]] static bool is_surplus(const LlamaConfig& config, std::string_view stored) {
    return stored.ends_with(".rotary_emb.inv_freq") || (config.tie_embeddings && stored == "lm_head.weight");
  }

 private:
  /// Throws ValueError unless one of the three models has these settings together.
  static void require_model_type(const LlamaConfig& config) {
    const std::string type = model_type(config);
    require((type == "llama" || !config.mlp_bias) &&
                config.attention_output_bias == (type == "llama" && config.attention_bias) &&
                (type != "mistral" || !config.attention_bias) &&
                (type != "llama" || config.d_model % config.heads == 0) &&
                config.rotary.layout == RotaryLayout::halves && config.rotary.rotated_ratio == 1,
            "llama", "Hugging Face has no model with these settings together: window ", config.window.value_or(0),
            ", attention_bias ", config.attention_bias, ", attention_output_bias ", config.attention_output_bias,
            ", mlp_bias ", config.mlp_bias, ", d_model ", config.d_model, ", heads ", config.heads, ", rotated_ratio ",
            config.rotary.rotated_ratio);
  }
  /// What absent keys mean where they mean something else than in Llama.
  static void apply_defaults_of(std::string_view type, LlamaConfig& config) {
    if (type == "mistral") config.key_value_heads = 8, config.d_ff = 14336, config.rotary.max_positions = 131072;
    if (type == "qwen2") {
      config.key_value_heads = 32, config.d_ff = 22016, config.rotary.max_positions = 32768, config.vocabulary = 151936;
    }
  }
  /// The keys that the scaling of `rotary` uses; without scaling there are none.
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
