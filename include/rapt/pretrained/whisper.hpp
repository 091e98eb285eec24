/// \file
/// Whisper in Hugging Face folders.
#pragma once

#include <string>
#include <string_view>

#include "rapt/models/whisper.hpp"
#include "rapt/pretrained/encoder_decoder_keys.hpp"
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
    detail::visit_stack_keys(self, key);
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
    }
    detail::add_stack_names(names, {.name = "encoder", .key_bias = false});
    detail::add_stack_names(names, {.name = "decoder", .cross_attention = true, .key_bias = false});
    return names;
  }

 private:
  /// The tokens that both config.json and generation_config.json name.
  template <class Self, class Visitor>
  static void visit_tokens(Self& self, const Visitor& key) {
    key("decoder_start_token_id", self.begin_token);
    key("eos_token_id", self.end_tokens);
  }
};

}}  // namespace rapt::RAPT_ABI
