/// \file
/// Marian in Hugging Face folders: the OPUS-MT models.
#pragma once

#include <optional>
#include <string>
#include <type_traits>

#include "rapt/models/marian.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<MarianConfig> {
  static constexpr std::string_view kModelType = "marian", kArchitecture = "MarianMTModel", kBasePrefix = "model.";

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    key("vocab_size", self.vocabulary);
    key("decoder_vocab_size", self.target_vocabulary);
    key("d_model", self.d_model);
    key("encoder_layers", self.encoder_layers);
    key("decoder_layers", self.decoder_layers);
    key("encoder_attention_heads", self.encoder_heads);
    key("decoder_attention_heads", self.decoder_heads);
    key("encoder_ffn_dim", self.encoder_d_ff);
    key("decoder_ffn_dim", self.decoder_d_ff);
    key("activation_function", self.activation);
    key("dropout", self.dropout);
    key("attention_dropout", self.attention_dropout);
    key("activation_dropout", self.activation_dropout);
    key("scale_embedding", self.scale_embeddings);
    key("max_position_embeddings", self.positions);
    key("share_encoder_decoder_embeddings", self.tie_embeddings);
    key("tie_word_embeddings", self.tie_output);
    visit_token_keys(self, key);
    key("pad_token_id", self.pad_token);
    if constexpr (std::is_const_v<Self>) {  // without the key transformers would pad with 58100
      if (!self.pad_token) key.constant("pad_token_id", -1);
    }
    key.must_be("is_encoder_decoder", true);
    key.must_be("normalize_before", false);  // of the time when Marian was a kind of BART
    key.must_be("normalize_embedding", false);
    key.must_be("add_final_layer_norm", false);
  }
  /// The tokens that both config.json and generation_config.json name.
  template <class Self, class Visitor>
  static void visit_token_keys(Self& self, const Visitor& key) {
    if constexpr (!std::is_const_v<Self>) {
      std::optional<TokenId> begin, start;
      key("bos_token_id", begin);
      key("decoder_start_token_id", start);
      if (!start) start = begin;  // as Hugging Face's generate does
      if (start) self.begin_token = *start;
    } else {
      key("decoder_start_token_id", self.begin_token);
    }
    key("eos_token_id", self.end_tokens);
    key("forced_eos_token_id", self.forced_end_tokens);
  }
  /// The tokens of config.json, and those that generation_config.json alone may name.
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    visit_token_keys(self, key);
    key.unless_absent("pad_token_id", self.pad_token);
    key("forced_bos_token_id", self.forced_begin_token);
    key.list("suppress_tokens", self.suppressed_tokens);
    if constexpr (std::is_const_v<Self>) {
      if (self.suppresses_padding()) key.constant("bad_words_ids", {{*self.pad_token}});
    }
  }

  /// A model without its head has no bias of the output projection.
  template <class Contains>
  static void detect_heads(MarianConfig& config, const Contains& contains) {
    config.output_bias = contains("final_logits_bias");
  }

  /// A folder has tied matrices once or several times.
  [[nodiscard]] static StoredNames stored_names(const MarianConfig& config) {
    std::vector<std::string> tied;
    if (config.tie_output) tied.push_back("lm_head.weight");
    return {
        {"embedding.weight",
         {{"model.shared.weight",
           0,
           {"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"}}}},
        {"source_embedding.weight", {{"model.encoder.embed_tokens.weight"}}},
        {"target_embedding.weight", {{"model.decoder.embed_tokens.weight", 0, tied}}},
        {"output.weight", {{"lm_head.weight"}}},
        {"output.bias", {{"final_logits_bias"}}, /*transposed=*/false, /*as_row=*/true},
        {"encoder.layers.*.self_attn.in_proj_weight",
         {{"model.encoder.layers.*.self_attn.q_proj.weight"},
          {"model.encoder.layers.*.self_attn.k_proj.weight"},
          {"model.encoder.layers.*.self_attn.v_proj.weight"}}},
        {"encoder.layers.*.self_attn.in_proj_bias",
         {{"model.encoder.layers.*.self_attn.q_proj.bias"},
          {"model.encoder.layers.*.self_attn.k_proj.bias"},
          {"model.encoder.layers.*.self_attn.v_proj.bias"}}},
        {"encoder.layers.*.self_attn.out_proj.weight", {{"model.encoder.layers.*.self_attn.out_proj.weight"}}},
        {"encoder.layers.*.self_attn.out_proj.bias", {{"model.encoder.layers.*.self_attn.out_proj.bias"}}},
        {"encoder.layers.*.linear1.weight", {{"model.encoder.layers.*.fc1.weight"}}},
        {"encoder.layers.*.linear1.bias", {{"model.encoder.layers.*.fc1.bias"}}},
        {"encoder.layers.*.linear2.weight", {{"model.encoder.layers.*.fc2.weight"}}},
        {"encoder.layers.*.linear2.bias", {{"model.encoder.layers.*.fc2.bias"}}},
        {"encoder.layers.*.norm1.weight", {{"model.encoder.layers.*.self_attn_layer_norm.weight"}}},
        {"encoder.layers.*.norm1.bias", {{"model.encoder.layers.*.self_attn_layer_norm.bias"}}},
        {"encoder.layers.*.norm2.weight", {{"model.encoder.layers.*.final_layer_norm.weight"}}},
        {"encoder.layers.*.norm2.bias", {{"model.encoder.layers.*.final_layer_norm.bias"}}},
        {"decoder.layers.*.self_attn.in_proj_weight",
         {{"model.decoder.layers.*.self_attn.q_proj.weight"},
          {"model.decoder.layers.*.self_attn.k_proj.weight"},
          {"model.decoder.layers.*.self_attn.v_proj.weight"}}},
        {"decoder.layers.*.self_attn.in_proj_bias",
         {{"model.decoder.layers.*.self_attn.q_proj.bias"},
          {"model.decoder.layers.*.self_attn.k_proj.bias"},
          {"model.decoder.layers.*.self_attn.v_proj.bias"}}},
        {"decoder.layers.*.self_attn.out_proj.weight", {{"model.decoder.layers.*.self_attn.out_proj.weight"}}},
        {"decoder.layers.*.self_attn.out_proj.bias", {{"model.decoder.layers.*.self_attn.out_proj.bias"}}},
        {"decoder.layers.*.multihead_attn.in_proj_weight",
         {{"model.decoder.layers.*.encoder_attn.q_proj.weight"},
          {"model.decoder.layers.*.encoder_attn.k_proj.weight"},
          {"model.decoder.layers.*.encoder_attn.v_proj.weight"}}},
        {"decoder.layers.*.multihead_attn.in_proj_bias",
         {{"model.decoder.layers.*.encoder_attn.q_proj.bias"},
          {"model.decoder.layers.*.encoder_attn.k_proj.bias"},
          {"model.decoder.layers.*.encoder_attn.v_proj.bias"}}},
        {"decoder.layers.*.multihead_attn.out_proj.weight", {{"model.decoder.layers.*.encoder_attn.out_proj.weight"}}},
        {"decoder.layers.*.multihead_attn.out_proj.bias", {{"model.decoder.layers.*.encoder_attn.out_proj.bias"}}},
        {"decoder.layers.*.linear1.weight", {{"model.decoder.layers.*.fc1.weight"}}},
        {"decoder.layers.*.linear1.bias", {{"model.decoder.layers.*.fc1.bias"}}},
        {"decoder.layers.*.linear2.weight", {{"model.decoder.layers.*.fc2.weight"}}},
        {"decoder.layers.*.linear2.bias", {{"model.decoder.layers.*.fc2.bias"}}},
        {"decoder.layers.*.norm1.weight", {{"model.decoder.layers.*.self_attn_layer_norm.weight"}}},
        {"decoder.layers.*.norm1.bias", {{"model.decoder.layers.*.self_attn_layer_norm.bias"}}},
        {"decoder.layers.*.norm2.weight", {{"model.decoder.layers.*.encoder_attn_layer_norm.weight"}}},
        {"decoder.layers.*.norm2.bias", {{"model.decoder.layers.*.encoder_attn_layer_norm.bias"}}},
        {"decoder.layers.*.norm3.weight", {{"model.decoder.layers.*.final_layer_norm.weight"}}},
        {"decoder.layers.*.norm3.bias", {{"model.decoder.layers.*.final_layer_norm.bias"}}}};
  }
  /// The sinusoids.
  [[nodiscard]] static bool is_surplus(const MarianConfig&, std::string_view stored) {
    return stored.ends_with(".embed_positions.weight");
  }
};

}}  // namespace rapt::RAPT_ABI
