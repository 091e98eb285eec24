/// \file
/// Llama, Mistral, Qwen2, Qwen3 and Phi-3 in Hugging Face folders.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "rapt/models/llama.hpp"
#include "rapt/pretrained/decoder_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"
#include "rapt/pretrained/rotary_keys.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<LlamaConfig> {
  static constexpr std::string_view kModelType = "llama", kBasePrefix = "model.";
  static constexpr bool kHasDefaultTokens = true;
  static constexpr auto kModelTypes = std::to_array<std::string_view>({"llama", "mistral", "qwen2", "qwen3", "phi3"});
  /// Which of these models has these settings.
  [[nodiscard]] static std::string model_type(const LlamaConfig& config) {
    if (config.fused_projections) return "phi3";
    if (config.query_key_norm) return "qwen3";
    if (config.window) return "mistral";
    return config.attention_bias && !config.attention_output_bias ? "qwen2" : "llama";
  }
  [[nodiscard]] static std::string_view architecture(const LlamaConfig& config) {
    const std::string type = model_type(config);
    if (type == "phi3") return "Phi3ForCausalLM";
    if (type == "qwen3") return "Qwen3ForCausalLM";
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
    } else {  // an absent key means `heads` in Llama and Phi-3 alone
      const bool may_be_absent = type == "llama" || type == "phi3";
      key("num_key_value_heads", may_be_absent ? self.key_value_heads : self.key_value_heads.value_or(self.heads));
    }
    if constexpr (kReads) {
      key("head_dim", self.head_dim);
    } else {  // an absent key means 128 in Qwen3
      key("head_dim", type == "qwen3" ? std::optional(self.columns_of_head()) : self.head_dim);
    }
    key("intermediate_size", self.d_ff);
    key("hidden_act", self.activation);
    key("rms_norm_eps", self.norm_epsilon);
    key("tie_word_embeddings", self.tie_embeddings);
    key("attention_dropout", self.attention_dropout);
    key("initializer_range", self.init_std);
    if (type.starts_with("qwen")) {
      detail::visit_text_tokens(self, key);
    } else {
      detail::visit_text_tokens(self, key, 1, type == "phi3" ? 32000 : 2);
    }
    key("pad_token_id", self.pad_token);
    if constexpr (!kReads) {  // without the key transformers would pad with 32000, which the vocabulary may not have
      if (type == "phi3" && !self.pad_token) key.constant("pad_token_id", nullptr);
    }
    if (type == "llama" || type == "qwen3") key("attention_bias", self.attention_bias);
    if (type == "llama") key("mlp_bias", self.mlp_bias);
    if constexpr (kReads) {
      self.attention_output_bias = self.attention_bias;
      if (type == "qwen2") self.attention_bias = true;
    }
    if (type == "mistral" || (type == "phi3" && (kReads || self.window))) {
      std::optional<Index> width;
      if (kReads && type == "mistral") width = 4096;  // what an absent key means
      if (!kReads && self.window) width = *self.window + 1;
      key("sliding_window", width);
      if constexpr (kReads) {
        if (width) self.window = *width > 1 ? *width - 1 : -1;  // below 2 it would mean all: not valid
      }
    }
    if (type == "qwen2" || type == "qwen3") key.must_be("use_sliding_window", false);
    if (type == "phi3") {
      key.must_be("embd_pdrop", 0.0);
      key.must_be("resid_pdrop", 0.0);
    }
    key("max_position_embeddings", self.rotary.max_positions);
    key("rope_theta", self.rotary.theta);
    if (type == "phi3") {
      key("partial_rotary_factor", self.rotary.rotated_ratio);
      Index original = kReads ? 4096 : self.rotary.original_length();  // an absent key means 4096
      key("original_max_position_embeddings", original);
      if constexpr (kReads) self.rotary.original_positions = original;
    }
    key.object("rope_scaling",
               [&](const auto& inner) { detail::visit_rotary_keys(self.rotary, inner, type == "phi3"); });
    if constexpr (kReads) {  // transformers 5 writes them here
      key.object("rope_parameters", [&](const auto& inner) {
        inner("rope_theta", self.rotary.theta);
        if (type == "phi3") inner("partial_rotary_factor", self.rotary.rotated_ratio);
        detail::visit_rotary_keys(self.rotary, inner, type == "phi3");
      });
    }
  }
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    detail::visit_text_generation_keys(self, key);
  }

  /// Queries, keys and values have matrices of their own, and so have the gates and the values of the inner layer,
  /// unless they are fused.
  [[nodiscard]] static StoredNames stored_names(const LlamaConfig& config) {
    StoredNames names{
        {"embed_tokens.weight", {{"model.embed_tokens.weight"}}},
        {"layers.*.self_attn.o_proj.weight", {{"model.layers.*.self_attn.o_proj.weight"}}},
        {"layers.*.self_attn.o_proj.bias", {{"model.layers.*.self_attn.o_proj.bias"}}},
        {"layers.*.mlp.down_proj.weight", {{"model.layers.*.mlp.down_proj.weight"}}},
        {"layers.*.mlp.down_proj.bias", {{"model.layers.*.mlp.down_proj.bias"}}},
        {"layers.*.input_layernorm.weight", {{"model.layers.*.input_layernorm.weight"}}},
        {"layers.*.post_attention_layernorm.weight", {{"model.layers.*.post_attention_layernorm.weight"}}},
        {"norm.weight", {{"model.norm.weight"}}}};
    for (const std::string norm : {"q_norm", "k_norm"}) {
      names.push_back({"layers.*.self_attn." + norm + ".weight", {{"model.layers.*.self_attn." + norm + ".weight"}}});
    }
    if (config.fused_projections) {
      for (const std::string fused : {"self_attn.qkv_proj", "mlp.gate_up_proj"}) {
        names.push_back({"layers.*." + fused + ".weight", {{"model.layers.*." + fused + ".weight"}}});
      }
    } else {
      detail::add_separate_projections(names, config.heads * config.columns_of_head(),
                                       config.key_value_heads.value_or(config.heads) * config.columns_of_head());
    }
    return names;
  }
  /// Frequencies of the rotary positions, and the embedding once more as the tied projection.
  [[nodiscard]] static bool is_surplus(const LlamaConfig& config, std::string_view stored) {
    return stored.ends_with(".rotary_emb.inv_freq") || (config.tie_embeddings && stored == "lm_head.weight");
  }

 private:
  /// Throws ValueError unless one of these models has these settings together.
  static void require_model_type(const LlamaConfig& config) {
    const std::string type = model_type(config);
    const bool phi3 = type == "phi3", qwen3 = type == "qwen3",
               longrope = config.rotary.scaling == RotaryScaling::longrope;
    const bool biases = type == "qwen2"            ? !config.attention_output_bias
                        : type == "llama" || qwen3 ? config.attention_output_bias == config.attention_bias
                                                   : !config.attention_bias && !config.attention_output_bias;
    const bool rotary =
        config.rotary.layout == RotaryLayout::halves && (phi3 ? longrope || config.rotary.scaling == RotaryScaling::none
                                                              : !longrope && config.rotary.rotated_ratio == 1);
    require(biases && rotary && (type == "llama" || !config.mlp_bias) && !(phi3 && config.query_key_norm) &&
                !(qwen3 && config.window) && ((type != "llama" && !phi3) || config.d_model % config.heads == 0) &&
                !(phi3 && config.head_dim && *config.head_dim != config.d_model / config.heads),
            "llama", "Hugging Face has no model with these settings together: window ", config.window.value_or(0),
            ", attention_bias ", config.attention_bias, ", attention_output_bias ", config.attention_output_bias,
            ", mlp_bias ", config.mlp_bias, ", query_key_norm ", config.query_key_norm, ", fused_projections ",
            config.fused_projections, ", d_model ", config.d_model, ", heads ", config.heads, ", head_dim ",
            config.columns_of_head(), ", rotated_ratio ", config.rotary.rotated_ratio, ", rotary scaling ",
            to_string(config.rotary.scaling));
  }
  /// What absent keys mean where they mean something else than in Llama.
  static void apply_defaults_of(std::string_view type, LlamaConfig& config) {
    if (type == "mistral") config.key_value_heads = 8, config.d_ff = 14336, config.rotary.max_positions = 131072;
    if (type == "phi3") {
      config.fused_projections = true;
      config.vocabulary = 32064, config.d_model = 3072, config.d_ff = 8192, config.norm_epsilon = 1e-5;
      config.rotary.max_positions = 4096;
    }
    if (type == "qwen3") config.query_key_norm = true, config.head_dim = 128;
    if (type == "qwen2" || type == "qwen3") {
      config.key_value_heads = 32, config.d_ff = 22016, config.rotary.max_positions = 32768, config.vocabulary = 151936;
    }
  }
};

}}  // namespace rapt::RAPT_ABI
