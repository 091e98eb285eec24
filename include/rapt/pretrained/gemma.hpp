/// \file
/// Gemma 2, and Gemma 3 for text alone, in Hugging Face folders.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rapt/models/gemma.hpp"
#include "rapt/pretrained/decoder_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"
#include "rapt/pretrained/rotary_keys.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<GemmaConfig> {
  static constexpr std::string_view kModelType = "gemma2", kGemma3 = "gemma3_text", kBasePrefix = "model.";
  static constexpr bool kHasDefaultTokens = true;
  static constexpr auto kModelTypes = std::to_array({kModelType, kGemma3});
  [[nodiscard]] static std::string_view architecture(const GemmaConfig& config) {
    return config.query_key_norm ? "Gemma3ForCausalLM" : "Gemma2ForCausalLM";
  }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    constexpr bool kReads = !std::is_const_v<Self>;
    std::string type(self.query_key_norm ? kGemma3 : kModelType);
    key("model_type", type);
    const bool gemma3 = type == kGemma3;
    if constexpr (kReads) {
      if (gemma3) apply_defaults_of_gemma3(self);
    } else {
      require_model(self);
    }
    key("vocab_size", self.vocabulary);
    key("hidden_size", self.d_model);
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    key("num_key_value_heads", self.key_value_heads);
    key("head_dim", self.head_dim);
    key("intermediate_size", self.d_ff);
    key("hidden_activation", self.activation);
    if constexpr (!kReads) {  // of the function's names Gemma's
      if (self.activation == Activation::gelu_tanh) key.constant("hidden_activation", "gelu_pytorch_tanh");
    }
    key("rms_norm_eps", self.norm_epsilon);
    key("tie_word_embeddings", self.tie_embeddings);
    key("attention_bias", self.attention_bias);
    key("attention_dropout", self.attention_dropout);
    key("initializer_range", self.init_std);
    detail::visit_text_tokens(self, key, 2, 1);
    key("pad_token_id", self.pad_token);
    if constexpr (!kReads) {  // without the key it would be 0
      if (!self.pad_token) key.constant("pad_token_id", nullptr);
    }
    key("query_pre_attn_scalar", self.query_scalar);
    if (!gemma3) visit_cap(self.score_cap, "attn_logit_softcapping", key);  // Gemma 3 of transformers does not read it
    visit_cap(self.logit_cap, "final_logit_softcapping", key);
    if constexpr (kReads) key.must_be("use_bidirectional_attention", false);
    Index width = self.window + 1;
    key("sliding_window", width);
    if constexpr (kReads) self.window = width > 1 ? width - 1 : 0;  // below 2 it is not valid
    visit_layers(self, key, gemma3);
    key("max_position_embeddings", self.rotary.max_positions);
    key("rope_theta", self.rotary.theta);
    if (gemma3) key("rope_local_base_freq", self.local_theta);
    key.object("rope_scaling", [&](const auto& inner) { detail::visit_rotary_keys(self.rotary, inner); });
    if constexpr (kReads) {
      if (gemma3 && !self.local_theta) self.local_theta = kLocalTheta;
      key.object("rope_parameters", [&](const auto& inner) { read_rotary_parameters(self, inner, gemma3); });
    }
  }
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    detail::visit_text_generation_keys(self, key);
  }

  [[nodiscard]] static StoredNames stored_names(const GemmaConfig& config) {
    StoredNames names{{"embed_tokens.weight", {{"model.embed_tokens.weight"}}},
                      {"norm.weight", {{"model.norm.weight"}}}};
    for (const std::string part :
         {"self_attn.o_proj.weight", "self_attn.o_proj.bias", "self_attn.q_norm.weight", "self_attn.k_norm.weight",
          "mlp.down_proj.weight", "input_layernorm.weight", "post_attention_layernorm.weight",
          "pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"}) {
      names.push_back({"layers.*." + part, {{"model.layers.*." + part}}});
    }
    detail::add_separate_projections(names, config.heads * config.head_dim, config.key_value_heads * config.head_dim);
    return names;
  }
  /// The embedding once more as the tied projection.
  [[nodiscard]] static bool is_surplus(const GemmaConfig& config, std::string_view stored) {
    return config.tie_embeddings && stored == "lm_head.weight";
  }

 private:
  static constexpr std::string_view kLocal = "sliding_attention", kGlobal = "full_attention";
  static constexpr double kLocalTheta = 10000;

  /// What absent keys mean where they mean something else than in Gemma 2.
  static void apply_defaults_of_gemma3(GemmaConfig& config) {
    config.query_key_norm = true;
    config.vocabulary = 262208, config.rotary.max_positions = 131072, config.rotary.theta = 1000000;
    config.score_cap = config.logit_cap = 0, config.global_every = 6;
  }
  /// Throws ValueError unless Gemma 2 or Gemma 3 has these settings together.
  static void require_model(const GemmaConfig& config) {
    require(config.d_model % config.heads == 0 && config.rotary.layout == RotaryLayout::halves &&
                config.rotary.rotated_ratio == 1 && config.query_key_norm == config.local_theta.has_value() &&
                !(config.query_key_norm && config.score_cap > 0),
            "gemma", "Hugging Face has no model with these settings together: d_model ", config.d_model, ", heads ",
            config.heads, ", rotated_ratio ", config.rotary.rotated_ratio, ", query_key_norm ", config.query_key_norm,
            ", local_theta ", config.local_theta.value_or(0), ", score_cap ", config.score_cap);
  }

  /// An absent cap is the model's own, null is none.
  template <class Value, class Visitor>
  static void visit_cap(Value& cap, const char* name, const Visitor& key) {
    if constexpr (std::is_const_v<Value>) {
      key.constant(name, cap > 0 ? nlohmann::ordered_json(cap) : nlohmann::ordered_json());
    } else {
      std::optional<double> value(cap);
      key(name, value);
      cap = value.value_or(0);
    }
  }

  /// Which layers are global: a list of kinds, or their period alone, as Gemma 3's older folders have it.
  template <class Self, class Visitor>
  static void visit_layers(Self& self, const Visitor& key, bool gemma3) {
    if (gemma3) key("sliding_window_pattern", self.global_every);
    if constexpr (std::is_const_v<Self>) {
      key.list("layer_types", kinds_of_layers(self));
    } else {
      std::vector<std::string> found;
      key("layer_types", found);
      if (found.empty()) return;
      const bool fits = std::ssize(found) == self.layers;
      if (fits && self.global_every > 0 && found == kinds_of_layers(self)) return;
      const auto first = std::find(found.begin(), found.end(), kGlobal);
      self.global_every = (first - found.begin()) + 1;  // longer than the list where all are local
      if (!fits || found != kinds_of_layers(self)) {
        key.must_be("layer_types", "a list of all layers in which every so many one is full_attention");  // throws
      }
    }
  }
  [[nodiscard]] static std::vector<std::string> kinds_of_layers(const GemmaConfig& config) {
    std::vector<std::string> kinds;
    for (Index i = 0; i < config.layers; ++i) kinds.emplace_back(config.is_global(i) ? kGlobal : kLocal);
    return kinds;
  }

  /// Where transformers 5 writes the settings of rotary positions: for each kind of layers in Gemma 3.
  template <class Visitor>
  static void read_rotary_parameters(GemmaConfig& config, const Visitor& key, bool gemma3) {
    const auto read_global = [&](const auto& inner) {
      inner("rope_theta", config.rotary.theta);
      detail::visit_rotary_keys(config.rotary, inner);
    };
    if (!gemma3) return read_global(key);
    key.object("full_attention", read_global);
    key.object("sliding_attention", [&](const auto& inner) {
      inner("rope_theta", config.local_theta);
      inner.must_be("rope_type", "default");
    });
  }
};

}}  // namespace rapt::RAPT_ABI
