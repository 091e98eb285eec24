/// \file
/// Transformer-XL in Hugging Face folders.
#pragma once

#include <deque>
#include <set>
#include <type_traits>

#include "rapt/models/transformer_xl.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<TransformerXlConfig> {
  static constexpr std::string_view kModelType = "transfo-xl", kArchitecture = "TransfoXLLMHeadModel",
                                    kBasePrefix = "transformer.";

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    key("vocab_size", self.vocabulary);
    key("div_val", self.div_val);
    key("d_model", self.d_model);
    key("d_embed", self.d_embed);
    key("n_head", self.heads);
    key("d_head", self.head_dim);
    key("d_inner", self.d_ff);
    key("n_layer", self.layers);
    key("mem_len", self.memory_length);
    key("clamp_len", self.clamp_length);
    key("same_length", self.same_length);
    key("pre_lnorm", self.pre_norm);
    key("untie_r", self.own_biases);
    key("tie_word_embeddings", self.tie_embeddings);
    key("dropout", self.dropout);
    key("dropatt", self.attention_dropout);
    key("layer_norm_epsilon", self.norm_epsilon);
    key("init_std", self.init_std);
    key("proj_init_std", self.projection_init_std);
    visit_generation_keys(self, key);
    key.must_be("attn_type", 0);
    key("proj_share_all_but_first", self.tie_projections);
    if constexpr (std::is_const_v<Self>) {
      const std::vector<bool> shared = self.softmax().tie_projections;
      // Of a single cluster the default need not be said.
      if (shared.size() > 1 || shared[0]) key("tie_projs", std::deque<bool>(shared.begin(), shared.end()));
      key("cutoffs", std::set<Index>(self.cutoffs.begin(), self.cutoffs.end()));  // written as a list of any length
    } else {
      key("tie_projs", self.shared_projections);
      key("cutoffs", self.cutoffs);
    }
  }
  /// The tokens, which generation_config.json may name, too.
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    key("eos_token_id", self.end_token);
  }

  /// Completes what config.json does not say: models of Hugging Face begin with a cache of zeros.
  template <class Contains>
  static void detect_heads(TransformerXlConfig& config, const Contains&) {
    config.begins_with_zeros = true;
  }

  [[nodiscard]] static StoredNames stored_names(const TransformerXlConfig&) {
    return {{"embedding.weights.*", {{"transformer.word_emb.emb_layers.*.weight"}}},
            {"embedding.projections.*", {{"transformer.word_emb.emb_projs.*"}}},
            {"content_bias", {{"transformer.r_w_bias"}}},
            {"position_bias", {{"transformer.r_r_bias"}}},
            {"layers.*.attention.in_proj_weight", {{"transformer.layers.*.dec_attn.qkv_net.weight"}}},
            {"layers.*.attention.position_proj.weight", {{"transformer.layers.*.dec_attn.r_net.weight"}}},
            {"layers.*.attention.out_proj.weight", {{"transformer.layers.*.dec_attn.o_net.weight"}}},
            {"layers.*.attention.content_bias", {{"transformer.layers.*.dec_attn.r_w_bias"}}},
            {"layers.*.attention.position_bias", {{"transformer.layers.*.dec_attn.r_r_bias"}}},
            {"layers.*.norm1.weight", {{"transformer.layers.*.dec_attn.layer_norm.weight"}}},
            {"layers.*.norm1.bias", {{"transformer.layers.*.dec_attn.layer_norm.bias"}}},
            {"layers.*.linear1.weight", {{"transformer.layers.*.pos_ff.CoreNet.0.weight"}}},
            {"layers.*.linear1.bias", {{"transformer.layers.*.pos_ff.CoreNet.0.bias"}}},
            {"layers.*.linear2.weight", {{"transformer.layers.*.pos_ff.CoreNet.3.weight"}}},
            {"layers.*.linear2.bias", {{"transformer.layers.*.pos_ff.CoreNet.3.bias"}}},
            {"layers.*.norm2.weight", {{"transformer.layers.*.pos_ff.layer_norm.weight"}}},
            {"layers.*.norm2.bias", {{"transformer.layers.*.pos_ff.layer_norm.bias"}}},
            {"output.cluster_weight", {{"crit.cluster_weight"}}},
            {"output.cluster_bias", {{"crit.cluster_bias"}}},
            {"output.weights.*", {{"crit.out_layers.*.weight"}}},
            {"output.biases.*", {{"crit.out_layers.*.bias"}}},
            {"output.projections.*", {{"crit.out_projs.*"}}}};
  }
  /// Frequencies of the sinusoids, and what is tied or shared once more.
  [[nodiscard]] static bool is_surplus(const TransformerXlConfig& config, std::string_view stored) {
    return stored == "transformer.pos_emb.inv_freq" || stored == "pos_emb.inv_freq" ||
           (config.tie_embeddings && stored.starts_with("crit.out_layers.") && stored.ends_with(".weight")) ||
           stored.starts_with("crit.out_projs.") ||
           (!config.own_biases && (stored.ends_with(".dec_attn.r_w_bias") || stored.ends_with(".dec_attn.r_r_bias")));
  }
};

}}  // namespace rapt::RAPT_ABI
