/// \file
/// T5 in Hugging Face folders: T5, T5 1.1, Flan-T5, and mT5, which is T5 1.1 with a vocabulary of many languages.
#pragma once

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rapt/models/t5.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<T5Config> {
  static constexpr std::string_view kModelType = "t5", kMt5 = "mt5", kArchitecture = "T5ForConditionalGeneration",
                                    kBasePrefix = "";
  static constexpr bool kHasDefaultTokens = true;
  /// An mT5 is written as the T5 that it is.
  static constexpr auto kModelTypes = std::to_array({kModelType, kMt5});

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    std::string type(kModelType);
    key("model_type", type);
    const bool mt5 = type == kMt5;
    if constexpr (!std::is_const_v<Self>) {
      if (mt5) apply_defaults_of_mt5(self);
    }
    key("vocab_size", self.vocabulary);
    key("d_model", self.d_model);
    key("d_kv", self.head_dim);
    key("d_ff", self.d_ff);
    key("num_layers", self.encoder_layers);
    visit_decoder_layers(self, key);
    key("num_heads", self.heads);
    key("relative_attention_num_buckets", self.position_buckets);
    key("relative_attention_max_distance", self.max_position_distance);
    key("dropout_rate", self.dropout);
    key("layer_norm_epsilon", self.norm_epsilon);
    key("initializer_factor", self.init_factor);
    visit_feed_forward(self, key, mt5 ? "gated-gelu" : "relu");
    if (!mt5) visit_output(self, key);
    if constexpr (!std::is_const_v<Self>) {
      if (!mt5) self.begin_token.reset();  // T5 has no default of the key, mT5 has 0
    }
    visit_token_keys(self, key);
    key("pad_token_id", self.pad_token);
    if constexpr (std::is_const_v<Self>) {  // without the key transformers would pad with 0
      if (!self.pad_token) key.constant("pad_token_id", -1);
    } else {
      begin_with_padding(self);
    }
    key.must_be("is_encoder_decoder", true);
  }
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    visit_token_keys(self, key);
    key.unless_absent("pad_token_id", self.pad_token);
    if constexpr (!std::is_const_v<Self>) begin_with_padding(self);
  }

  /// Folders of transformers 5 call the matrices tied even where they hold two; the scale tells them apart.
  template <class Contains>
  static void detect_heads(T5Config& config, const Contains& contains) {
    config.tie_embeddings = config.scale_output || !contains("lm_head.weight");
  }

  [[nodiscard]] static StoredNames stored_names(const T5Config& config) {
    std::vector<std::string> copies{"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"};
    if (config.tie_embeddings) copies.push_back("lm_head.weight");
    StoredNames names{
        {"embedding.weight", {{"shared.weight", 0, copies}}},
        {"encoder_position_bias", {{"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"}}},
        {"decoder_position_bias", {{"decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"}}},
        {"encoder.norm.weight", {{"encoder.final_layer_norm.weight"}}},
        {"decoder.norm.weight", {{"decoder.final_layer_norm.weight"}}},
        {"output.weight", {{"lm_head.weight"}}}};
    add_blocks(names, config, "encoder", /*cross_attention=*/false);
    add_blocks(names, config, "decoder", /*cross_attention=*/true);
    return names;
  }
  /// Older folders have a table of biases for cross-attention, which is not used.
  [[nodiscard]] static bool is_surplus(const T5Config&, std::string_view stored) {
    return stored == "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";
  }

 private:
  /// What absent keys mean where they mean something else than in T5. The output is never scaled, whatever the keys
  /// say.
  static void apply_defaults_of_mt5(T5Config& config) {
    config.vocabulary = 250112, config.d_ff = 1024, config.encoder_layers = 8, config.heads = 6;
    config.scale_output = false;
  }

  /// The keys of tokens that both config.json and generation_config.json have.
  template <class Self, class Visitor>
  static void visit_token_keys(Self& self, const Visitor& key) {
    key("decoder_start_token_id", self.begin_token);
    key("eos_token_id", self.end_tokens);
  }
  /// A T5 that no file names a first token for begins with its padding token, as T5 was trained.
  static void begin_with_padding(T5Config& config) {
    if (!config.begin_token) config.begin_token = config.pad_token;
  }

  /// An absent number of decoder layers is that of the encoder's.
  template <class Self, class Visitor>
  static void visit_decoder_layers(Self& self, const Visitor& key) {
    if constexpr (std::is_const_v<Self>) {
      key("num_decoder_layers", self.decoder_layers);
    } else {
      std::optional<Index> layers;
      key("num_decoder_layers", layers);
      self.decoder_layers = layers.value_or(self.encoder_layers);
    }
  }

  /// "relu", or "gated-" and the activation, of which "gelu" is its approximation with tanh. `absent`: what an absent
  /// key means.
  template <class Self, class Visitor>
  static void visit_feed_forward(Self& self, const Visitor& key, std::string_view absent) {
    constexpr std::string_view kGated = "gated-";
    if constexpr (std::is_const_v<Self>) {
      require(!self.gated || self.activation != Activation::gelu, "pretrained",
              "\"feed_forward_proj\": Hugging Face has no name for a T5 that is gated with the exact GELU");
      std::string name(self.gated && self.activation == Activation::gelu_tanh ? "gelu" : "");
      for (const detail::ActivationName& known : detail::kActivationNames) {
        if (name.empty() && known.activation == self.activation) name = known.name;
      }
      if (self.gated) name.insert(0, kGated);
      key("feed_forward_proj", name);
    } else {
      std::string name(absent);
      key("feed_forward_proj", name);
      self.gated = name.starts_with(kGated);
      if (self.gated) name.erase(0, kGated.size());
      if (self.gated && name == "gelu") name = "gelu_new";
      const auto* const found = std::find_if(std::begin(detail::kActivationNames), std::end(detail::kActivationNames),
                                             [&](const detail::ActivationName& known) { return known.name == name; });
      if (found == std::end(detail::kActivationNames)) return key.must_be("feed_forward_proj", "relu");  // which throws
      self.activation = found->activation;
    }
  }

  /// "tie_word_embeddings" says whether the output is scaled, too, unless a folder of transformers 5 says it apart.
  template <class Self, class Visitor>
  static void visit_output(Self& self, const Visitor& key) {
    key("tie_word_embeddings", self.scale_output);
    if constexpr (std::is_const_v<Self>) {
      require(self.tie_embeddings || !self.scale_output, "pretrained",
              "Hugging Face has no T5 whose scaled output goes to a matrix of its own: scale_output is true, "
              "tie_embeddings false");
    } else {
      key("scale_decoder_outputs", self.scale_output);
    }
  }

  static void add_blocks(StoredNames& names, const T5Config& config, const std::string& stack, bool cross_attention) {
    const auto layer = [&](int number) { return stack + ".block.*.layer." + std::to_string(number) + "."; };
    const std::string ours = stack + ".layers.*.";
    const auto attention = [&](const std::string& part, const std::string& theirs) {
      names.push_back(
          {ours + part + ".in_proj_weight", {{theirs + ".q.weight"}, {theirs + ".k.weight"}, {theirs + ".v.weight"}}});
      names.push_back({ours + part + ".out_proj.weight", {{theirs + ".o.weight"}}});
    };
    attention("self_attn", layer(0) + "SelfAttention");
    names.push_back({ours + "norm1.weight", {{layer(0) + "layer_norm.weight"}}});
    if (cross_attention) {
      attention("multihead_attn", layer(1) + "EncDecAttention");
      names.push_back({ours + "norm2.weight", {{layer(1) + "layer_norm.weight"}}});
    }
    const int last = cross_attention ? 2 : 1;
    names.push_back({ours + "norm" + std::to_string(last + 1) + ".weight", {{layer(last) + "layer_norm.weight"}}});
    const std::string dense = layer(last) + "DenseReluDense.";
    if (config.gated) {
      names.push_back({ours + "gate_up_proj.weight", {{dense + "wi_0.weight"}, {dense + "wi_1.weight"}}});
      names.push_back({ours + "down_proj.weight", {{dense + "wo.weight"}}});
    } else {
      names.push_back({ours + "linear1.weight", {{dense + "wi.weight"}}});
      names.push_back({ours + "linear2.weight", {{dense + "wo.weight"}}});
    }
  }
};

}}  // namespace rapt::RAPT_ABI
