/// \file
/// The keys and names that several decoders without an encoder have in Hugging Face's files.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>

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

/// The tokens of a language model that both config.json and generation_config.json name.
template <class Self, class Visitor>
void visit_text_tokens(Self& self, const Visitor& key) {
  key("bos_token_id", self.begin_token);
  key("eos_token_id", self.end_tokens);
}

/// The same in config.json, of a format with `kHasDefaultTokens`: what absent keys mean there, unless the vocabulary
/// does not have the token. Where a model has no such token, the key is null.
template <class Self, class Visitor>
void visit_text_tokens(Self& self, const Visitor& key, TokenId begin, TokenId end) {
  const bool has_begin = begin < self.vocabulary, has_end = end < self.vocabulary;
  if constexpr (!std::is_const_v<Self>) {
    self.begin_token.reset();
    if (has_begin) self.begin_token = begin;
    self.end_tokens.assign(std::size_t{has_end}, end);
  }
  visit_text_tokens(self, key);
  if constexpr (std::is_const_v<Self>) {
    if (has_begin && !self.begin_token) key.constant("bos_token_id", nullptr);
    if (has_end && self.end_tokens.empty()) key.constant("eos_token_id", nullptr);
  }
}

/// The same in generation_config.json, and those that it alone may name.
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
