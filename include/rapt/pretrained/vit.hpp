/// \file
/// ViT in Hugging Face folders.
#pragma once

#include "rapt/models/vit.hpp"
#include "rapt/pretrained/image_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<VitConfig> {
  static constexpr std::string_view kModelType = "vit", kBasePrefix = "vit.";
  [[nodiscard]] static std::string_view architecture(const VitConfig& config) {
    return config.labels.empty() ? "ViTModel" : "ViTForImageClassification";
  }
  [[nodiscard]] static bool has_head(const VitConfig& config) { return !config.labels.empty(); }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    require(self.pooling == ImagePooling::class_token, "vit",
            "other programs would not pool by the mean: such a model cannot be saved in a Hugging Face folder");
    detail::visit_grid(key, self.grid);
    key("hidden_size", self.d_model);
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    key("intermediate_size", self.d_ff);
    key("hidden_act", self.activation);
    key("hidden_dropout_prob", self.dropout);
    key("attention_probs_dropout_prob", self.attention_dropout);
    key("layer_norm_eps", self.norm_epsilon);
    key("initializer_range", self.init_std);
    key("qkv_bias", self.qkv_bias);
    key("encoder_stride", self.encoder_stride);
    key("pooler_output_size", self.pooler_width);
    key("pooler_act", self.pooler_activation);
    key.labels("id2label", self.labels);
  }

  template <class Contains>
  static void detect_heads(VitConfig& config, const Contains& contains) {
    config.pooler = contains("vit.pooler.dense.weight") || contains("pooler.dense.weight");
    detail::detect_labels(config.labels, contains("classifier.weight"));
  }

  [[nodiscard]] static StoredNames stored_names(const VitConfig&) {
    StoredNames names = detail::encoder_names("vit");
    names.push_back({"pooler.weight", {{"vit.pooler.dense.weight"}}});
    names.push_back({"pooler.bias", {{"vit.pooler.dense.bias"}}});
    return names;
  }
};

}}  // namespace rapt::RAPT_ABI
