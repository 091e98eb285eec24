/// \file
/// The keys that several decoders without an encoder have in Hugging Face's files.
#pragma once

#include "rapt/version.hpp"

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

/// The same, and those that generation_config.json alone may name.
template <class Self, class Visitor>
void visit_text_generation_keys(Self& self, const Visitor& key) {
  visit_text_tokens(self, key);
  key.unless_absent("pad_token_id", self.pad_token);
  key.list("suppress_tokens", self.suppressed_tokens);
}

}}}  // namespace rapt::RAPT_ABI::detail
