/// \file
/// The keys and names that several decoders without an encoder have in Hugging Face's files.
#pragma once

#include <optional>
#include <string>

#include "rapt/core/token_batch.hpp"
#include "rapt/pretrained/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The keys of config.json that GPT-2 and ImageGPT share.
template <class Self, class Visitor>
void visit_gpt2_keys(Self& self, const Visitor& key) {
  key("n_positions", self.positions);
  key("n_embd", self.d_model);
  key("n_layer", self.layers);
  key("n_head", self.heads);
  key("n_inner", self.d_ff);
  key("activation_function", self.activation);
  key("embd_pdrop", self.embedding_dropout);
  key("resid_pdrop", self.dropout);
  key("attn_pdrop", self.attention_dropout);
  key("layer_norm_epsilon", self.norm_epsilon);
  key("scale_attn_weights", self.scale_attention);
  key("scale_attn_by_inverse_layer_idx", self.scale_attention_by_layer);
}

/// What tokens mean that a config.json does not name, before it is read. A token that the model's vocabulary does not
/// have is none: transformers would wait for it in vain.
template <class Config>
void set_default_text_tokens(Config& config, std::optional<TokenId> begin, std::optional<TokenId> end) {
  const auto exists = [&](std::optional<TokenId> token) { return token && *token < config.vocabulary; };
  config.begin_token = exists(begin) ? begin : std::nullopt;
  config.end_tokens.clear();
  if (exists(end)) config.end_tokens.push_back(*end);
}

/// The tokens of a language model that both config.json and generation_config.json name. An absent key means the
/// model's default in the first (`kHasDefaultTokens`), and none in the second.
template <class Self, class Visitor>
void visit_text_tokens(Self& self, const Visitor& key) {
  key("bos_token_id", self.begin_token);
  key("eos_token_id", self.end_tokens);
}

/// The same, and those that generation_config.json alone may name.
template <class Self, class Visitor>
void visit_text_generation_keys(Self& self, const Visitor& key) {
  visit_text_tokens(self, key);
  key.unless_absent("pad_token_id", self.pad_token);
  key.list("suppress_tokens", self.suppressed_tokens);
}

/// Llama's, where queries, keys and values have matrices of their own, of so many rows, and so have the gates and the
/// values of the inner layer.
inline void add_separate_projections(StoredNames& names, Index query_rows, Index key_rows) {
  const std::string attention = "model.layers.*.self_attn.", network = "model.layers.*.mlp.";
  for (const std::string kind : {".weight", ".bias"}) {
    names.push_back({"layers.*.self_attn.qkv_proj" + kind,
                     {{attention + "q_proj" + kind, query_rows},
                      {attention + "k_proj" + kind, key_rows},
                      {attention + "v_proj" + kind, key_rows}}});
    names.push_back(
        {"layers.*.mlp.gate_up_proj" + kind, {{network + "gate_proj" + kind}, {network + "up_proj" + kind}}});
  }
}

}}}  // namespace rapt::RAPT_ABI::detail
