/// \file
/// Marian in Hugging Face folders: the OPUS-MT models.
#pragma once

#include <string_view>
#include <type_traits>

#include "rapt/models/marian.hpp"
#include "rapt/pretrained/bart_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<MarianConfig> {
  static constexpr std::string_view kModelType = "marian", kArchitecture = "MarianMTModel", kBasePrefix = "model.";
  static constexpr bool kHasDefaultTokens = true;

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    key("vocab_size", self.vocabulary);
    key("decoder_vocab_size", self.target_vocabulary);
    detail::visit_bart_sizes(self, key);
    key("share_encoder_decoder_embeddings", self.tie_embeddings);
    key("tie_word_embeddings", self.tie_output);
    detail::visit_bart_tokens(self, key, {.start = self.begin_token, .begin = {}});
    detail::visit_bart_pad_token(self, key);
    key.must_be("is_encoder_decoder", true);
    key.must_be("normalize_before", false);  // of the time when Marian was a kind of BART
    key.must_be("normalize_embedding", false);
    key.must_be("add_final_layer_norm", false);
  }
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    detail::visit_bart_generation_keys(self, key, {.start = self.begin_token, .begin = {}});
    if constexpr (std::is_const_v<Self>) {
      if (self.suppresses_padding()) key.constant("bad_words_ids", {{*self.pad_token}});
    }
  }

  /// A model without its head has no bias of the output projection.
  template <class Contains>
  static void detect_heads(MarianConfig& config, const Contains& contains) {
    config.output_bias = contains("final_logits_bias");
  }

  [[nodiscard]] static StoredNames stored_names(const MarianConfig& config) {
    return detail::bart_names(config.tie_output);
  }
  /// The sinusoids.
  [[nodiscard]] static bool is_surplus(const MarianConfig&, std::string_view stored) {
    return stored.ends_with(".embed_positions.weight");
  }
};

}}  // namespace rapt::RAPT_ABI
