/// \file
/// The keys and names that BART, Marian and the models made like them have in Hugging Face's files.
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/pretrained/encoder_decoder_keys.hpp"
#include "rapt/pretrained/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The keys of config.json for the sizes of the stacks, the activation, dropout and positions.
template <class Self, class Visitor>
void visit_bart_sizes(Self& self, const Visitor& key) {
  visit_stack_keys(self, key);
  key("scale_embedding", self.scale_embeddings);
  key("max_position_embeddings", self.positions);
}

/// The defaults that config.json has for the token which the decoder reads first.
struct BartStart {
  std::optional<TokenId> start;  ///< of "decoder_start_token_id"
  std::optional<TokenId> begin;  ///< of "bos_token_id", which counts where there is no start
};

/// The tokens that both config.json and generation_config.json name.
template <class Self, class Visitor>
void visit_bart_tokens(Self& self, const Visitor& key, const BartStart& defaults) {
  if constexpr (!std::is_const_v<Self>) {
    auto [start, begin] = defaults;
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

/// The padding token of config.json. Without the key transformers would pad with its default.
template <class Self, class Visitor>
void visit_bart_pad_token(Self& self, const Visitor& key) {
  key("pad_token_id", self.pad_token);
  if constexpr (std::is_const_v<Self>) {
    if (!self.pad_token) key.constant("pad_token_id", -1);
  }
}

/// The tokens of `visit_bart_tokens`, and those that generation_config.json alone may name.
template <class Self, class Visitor>
void visit_bart_generation_keys(Self& self, const Visitor& key, const BartStart& defaults) {
  visit_bart_tokens(self, key, defaults);
  key.unless_absent("pad_token_id", self.pad_token);
  key("forced_bos_token_id", self.forced_begin_token);
  key.list("suppress_tokens", self.suppressed_tokens);
}

/// Adds the names of a stack's blocks, and of what stands before and behind them.
inline void add_bart_stack(StoredNames& names, const NamedStack& stack) {
  add_stack_names(names, stack);
  const std::string side = stack.cross_attention ? "target" : "source", theirs = "model." + stack.name;
  for (const std::string kind : {".weight", ".bias"}) {
    names.push_back({side + "_embedding_norm" + kind, {{theirs + ".layernorm_embedding" + kind}}});
  }
  names.push_back({side + "_positions.weight", {{theirs + ".embed_positions.weight"}}});
}

/// The names of all parameters. A folder has tied matrices once or several times; `tied_output`: the output projection
/// is one of them.
[[nodiscard]] inline StoredNames bart_names(bool tied_output) {
  std::vector<std::string> tied;
  if (tied_output) tied.push_back("lm_head.weight");
  StoredNames names{{"embedding.weight",
                     {{"model.shared.weight",
                       0,
                       {"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"}}}},
                    {"source_embedding.weight", {{"model.encoder.embed_tokens.weight"}}},
                    {"target_embedding.weight", {{"model.decoder.embed_tokens.weight", 0, tied}}},
                    {"output.weight", {{"lm_head.weight"}}},
                    {"output.bias", {{"final_logits_bias"}}, /*transposed=*/false, /*as_row=*/true}};
  add_bart_stack(names, {.name = "encoder"});
  add_bart_stack(names, {.name = "decoder", .cross_attention = true});
  return names;
}

}}}  // namespace rapt::RAPT_ABI::detail
