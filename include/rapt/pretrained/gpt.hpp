/// \file
/// GPT-2 in Hugging Face folders.
#pragma once

#include "rapt/models/gpt.hpp"
#include "rapt/pretrained/decoder_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<GptConfig> {
  static constexpr std::string_view kModelType = "gpt2", kArchitecture = "GPT2LMHeadModel",
                                    kBasePrefix = "transformer.";
  static constexpr bool kHasDefaultTokens = true;

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    key("vocab_size", self.vocabulary);
    detail::visit_gpt2_keys(self, key);
    key("tie_word_embeddings", self.tie_embeddings);
    detail::visit_text_tokens(self, key, 50256, 50256);
    key("pad_token_id", self.pad_token);
    key.must_be("add_cross_attention", false);
  }
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    detail::visit_text_generation_keys(self, key);
  }

  /// GPT-2 keeps its matrices as [in, out].
  [[nodiscard]] static StoredNames stored_names(const GptConfig&) {
    return {{"embedding.weight", {{"transformer.wte.weight"}}},
            {"positions.weight", {{"transformer.wpe.weight"}}},
            {"layers.*.norm1.weight", {{"transformer.h.*.ln_1.weight"}}},
            {"layers.*.norm1.bias", {{"transformer.h.*.ln_1.bias"}}},
            {"layers.*.self_attn.in_proj_weight", {{"transformer.h.*.attn.c_attn.weight"}}, true},
            {"layers.*.self_attn.in_proj_bias", {{"transformer.h.*.attn.c_attn.bias"}}},
            {"layers.*.self_attn.out_proj.weight", {{"transformer.h.*.attn.c_proj.weight"}}, true},
            {"layers.*.self_attn.out_proj.bias", {{"transformer.h.*.attn.c_proj.bias"}}},
            {"layers.*.norm2.weight", {{"transformer.h.*.ln_2.weight"}}},
            {"layers.*.norm2.bias", {{"transformer.h.*.ln_2.bias"}}},
            {"layers.*.linear1.weight", {{"transformer.h.*.mlp.c_fc.weight"}}, true},
            {"layers.*.linear1.bias", {{"transformer.h.*.mlp.c_fc.bias"}}},
            {"layers.*.linear2.weight", {{"transformer.h.*.mlp.c_proj.weight"}}, true},
            {"layers.*.linear2.bias", {{"transformer.h.*.mlp.c_proj.bias"}}},
            {"norm.weight", {{"transformer.ln_f.weight"}}},
            {"norm.bias", {{"transformer.ln_f.bias"}}},
            {"output.weight", {{"lm_head.weight"}}}};
  }
  /// Causal masks, and the embedding once more as the tied projection.
  [[nodiscard]] static bool is_surplus(const GptConfig& config, std::string_view stored) {
    return stored.ends_with(".attn.bias") || stored.ends_with(".attn.masked_bias") ||
           (config.tie_embeddings && stored == "lm_head.weight");
  }
};

}}  // namespace rapt::RAPT_ABI
