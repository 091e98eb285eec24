/// \file
/// The keys and names that BART, Marian and Whisper have alike in Hugging Face's files.
#pragma once

#include <string>

#include "rapt/pretrained/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The keys of config.json for the sizes of the two stacks, the activation and dropout.
template <class Self, class Visitor>
void visit_stack_keys(Self& self, const Visitor& key) {
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
}

/// One of a model's two stacks.
struct NamedStack {
  std::string name;              ///< "encoder" or "decoder"
  bool cross_attention = false;  ///< the blocks have it
  bool key_bias = true;          ///< keys have a bias as queries and values do
};

/// Adds the names of a stack's blocks, `model.<stack>.layers.*`, and of the norm behind them.
inline void add_stack_names(StoredNames& names, const NamedStack& stack) {
  const std::string ours = stack.name + ".layers.*.", theirs = "model." + stack.name + ".layers.*.";
  const auto both = [&](const std::string& name, const std::string& stored) {
    for (const std::string kind : {".weight", ".bias"}) names.push_back({name + kind, {{stored + kind}}});
  };
  const auto attention = [&](const std::string& part, const std::string& stored) {
    const std::string name = ours + part, q = theirs + stored + ".q_proj.", k = theirs + stored + ".k_proj.",
                      v = theirs + stored + ".v_proj.";
    names.push_back({name + ".in_proj_weight", {{q + "weight"}, {k + "weight"}, {v + "weight"}}});
    if (stack.key_bias) {
      names.push_back({name + ".in_proj_bias", {{q + "bias"}, {k + "bias"}, {v + "bias"}}});
    } else {
      names.push_back({name + ".query_bias", {{q + "bias"}}});
      names.push_back({name + ".value_bias", {{v + "bias"}}});
    }
    both(name + ".out_proj", theirs + stored + ".out_proj");
  };
  attention("self_attn", "self_attn");
  both(ours + "norm1", theirs + "self_attn_layer_norm");
  if (stack.cross_attention) {
    attention("multihead_attn", "encoder_attn");
    both(ours + "norm2", theirs + "encoder_attn_layer_norm");
  }
  both(ours + "linear1", theirs + "fc1");
  both(ours + "linear2", theirs + "fc2");
  both(ours + (stack.cross_attention ? "norm3" : "norm2"), theirs + "final_layer_norm");
  both(stack.name + ".norm", "model." + stack.name + ".layer_norm");
}

}}}  // namespace rapt::RAPT_ABI::detail
