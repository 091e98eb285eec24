/// \file
/// BEiT in Hugging Face folders.
#pragma once

#include "rapt/models/beit.hpp"
#include "rapt/pretrained/image_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<BeitConfig> {
  static constexpr std::string_view kModelType = "beit", kBasePrefix = "beit.";
  [[nodiscard]] static std::string_view architecture(const BeitConfig& config) {
    if (!config.labels.empty()) return "BeitForImageClassification";
    return config.masked_patch_head ? "BeitForMaskedImageModeling" : "BeitModel";
  }
  [[nodiscard]] static bool has_head(const BeitConfig& config) {
    return config.masked_patch_head || !config.labels.empty();
  }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    detail::visit_grid(key, self.grid);
    key("vocab_size", self.visual_tokens);
    key("hidden_size", self.d_model);
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    key("intermediate_size", self.d_ff);
    key("hidden_act", self.activation);
    key("hidden_dropout_prob", self.dropout);
    key("attention_probs_dropout_prob", self.attention_dropout);
    key("drop_path_rate", self.drop_path);
    key("layer_norm_eps", self.norm_epsilon);
    key("initializer_range", self.init_std);
    key("layer_scale_init_value", self.layer_scale);
    key("use_mask_token", self.mask_token);
    key("use_absolute_position_embeddings", self.positions);
    key("use_relative_position_bias", self.relative_positions);
    key("use_shared_relative_position_bias", self.shared_relative_positions);
    key("use_mean_pooling", self.mean_pooling);
    key.labels("id2label", self.labels);
  }

  template <class Contains>
  static void detect_heads(BeitConfig& config, const Contains& contains) {
    config.pooler =
        !config.mean_pooling || contains("beit.pooler.layernorm.weight") || contains("pooler.layernorm.weight");
    config.masked_patch_head = contains("lm_head.weight");
    detail::detect_labels(config.labels, contains("classifier.weight"));
  }

  /// Of a model with the masked-patch head and without mean pooling, transformers 5.23 exchanges the two norms
  /// `beit.layernorm` and `layernorm` when it loads a file, even one that it wrote itself.
  [[nodiscard]] static StoredNames stored_names(const BeitConfig&) {
    StoredNames names{
        {"class_token", {{"beit.embeddings.cls_token"}}},
        {"mask_token", {{"beit.embeddings.mask_token"}}},
        {"patch_embedding.weight", {{"beit.embeddings.patch_embeddings.projection.weight"}}},
        {"patch_embedding.bias", {{"beit.embeddings.patch_embeddings.projection.bias"}}},
        {"positions", {{"beit.embeddings.position_embeddings"}}},
        {"position_bias.table", {{"beit.encoder.relative_position_bias.relative_position_bias_table"}}},
        {"layers.*.self_attn.query_bias", {{"beit.encoder.layer.*.attention.attention.query.bias"}}},
        {"layers.*.self_attn.value_bias", {{"beit.encoder.layer.*.attention.attention.value.bias"}}},
        {"layers.*.self_attn.position_bias.table",
         {{"beit.encoder.layer.*.attention.attention.relative_position_bias.relative_position_bias_table"}}},
        {"layers.*.scale1", {{"beit.encoder.layer.*.lambda_1"}}},
        {"layers.*.scale2", {{"beit.encoder.layer.*.lambda_2"}}},
        {"norm.weight", {{"beit.layernorm.weight"}}},
        {"norm.bias", {{"beit.layernorm.bias"}}},
        {"pooler_norm.weight", {{"beit.pooler.layernorm.weight"}}},
        {"pooler_norm.bias", {{"beit.pooler.layernorm.bias"}}},
        {"masked_patch.norm.weight", {{"layernorm.weight"}}},
        {"masked_patch.norm.bias", {{"layernorm.bias"}}},
        {"masked_patch.projection.weight", {{"lm_head.weight"}}},
        {"masked_patch.projection.bias", {{"lm_head.bias"}}},
    };
    detail::add_layer_names(names, "layers", "beit.encoder.layer");
    return names;
  }
  /// The numbers of the pairs of patches.
  [[nodiscard]] static bool is_surplus(const BeitConfig&, std::string_view stored) {
    return stored.ends_with("relative_position_bias.relative_position_index");
  }
};

}}  // namespace rapt::RAPT_ABI
