/// \file
/// Whisper in Hugging Face folders.
#pragma once

#include <string>
#include <string_view>

#include "rapt/models/whisper.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<WhisperConfig> {
  static constexpr std::string_view kModelType = "whisper", kArchitecture = "WhisperForConditionalGeneration",
                                    kBasePrefix = "model.";

  /// "scale_embedding" is passed over: transformers does not scale, whatever it says.
  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    key("vocab_size", self.vocabulary);
    key("num_mel_bins", self.bins);
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
    key("max_source_positions", self.encoder_positions);
    key("max_target_positions", self.decoder_positions);
    key("init_std", self.init_std);
    visit_tokens(self, key);
    key("pad_token_id", self.pad_token);
    key.must_be("is_encoder_decoder", true);
    key.must_be("tie_word_embeddings", true);
    key.must_be("apply_spec_augment", false);
    key.must_be("encoder_layerdrop", 0.0);
    key.must_be("decoder_layerdrop", 0.0);
  }
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    visit_tokens(self, key);
    key.unless_absent("pad_token_id", self.pad_token);
    key.list("suppress_tokens", self.suppressed_tokens);
    key.list("begin_suppress_tokens", self.begin_suppressed_tokens);
    key.unless_absent("is_multilingual", self.multilingual);
  }

  [[nodiscard]] static StoredNames stored_names(const WhisperConfig&) {
    StoredNames names{{"encoder_positions.weight", {{"model.encoder.embed_positions.weight"}}},
                      {"decoder_positions.weight", {{"model.decoder.embed_positions.weight"}}},
                      {"embedding.weight", {{"model.decoder.embed_tokens.weight", 0, {"proj_out.weight"}}}}};
    for (const std::string kind : {"weight", "bias"}) {
      names.push_back({"convolution1." + kind, {{"model.encoder.conv1." + kind}}});
      names.push_back({"convolution2." + kind, {{"model.encoder.conv2." + kind}}});
      names.push_back({"encoder.norm." + kind, {{"model.encoder.layer_norm." + kind}}});
      names.push_back({"decoder.norm." + kind, {{"model.decoder.layer_norm." + kind}}});
    }
    add_layers(names, "encoder", /*cross_attention=*/false);
    add_layers(names, "decoder", /*cross_attention=*/true);
    return names;
  }

 private:
  /// The tokens that both config.json and generation_config.json name.
  template <class Self, class Visitor>
  static void visit_tokens(Self& self, const Visitor& key) {
    key("decoder_start_token_id", self.begin_token);
    key("eos_token_id", self.end_tokens);
  }

  static void add_layers(StoredNames& names, const std::string& stack, bool cross_attention) {
    const std::string ours = stack + ".layers.*.", theirs = "model." + stack + ".layers.*.";
    const auto attention = [&](const std::string& part, const std::string& stored) {
      names.push_back({ours + part + ".in_proj_weight",
                       {{theirs + stored + ".q_proj.weight"},
                        {theirs + stored + ".k_proj.weight"},
                        {theirs + stored + ".v_proj.weight"}}});
      names.push_back({ours + part + ".query_bias", {{theirs + stored + ".q_proj.bias"}}});
      names.push_back({ours + part + ".value_bias", {{theirs + stored + ".v_proj.bias"}}});
    };
    attention("self_attn", "self_attn");
    if (cross_attention) attention("multihead_attn", "encoder_attn");
    for (const std::string kind : {"weight", "bias"}) {
      const auto line = [&](const std::string& part, const std::string& stored) {
        names.push_back({ours + part + "." + kind, {{theirs + stored + "." + kind}}});
      };
      line("self_attn.out_proj", "self_attn.out_proj");
      line("norm1", "self_attn_layer_norm");
      if (cross_attention) {
        line("multihead_attn.out_proj", "encoder_attn.out_proj");
        line("norm2", "encoder_attn_layer_norm");
      }
      line(cross_attention ? "norm3" : "norm2", "final_layer_norm");
      line("linear1", "fc1");
      line("linear2", "fc2");
    }
  }
};

}}  // namespace rapt::RAPT_ABI
