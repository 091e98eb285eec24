/// \file
/// CLIP in Hugging Face folders.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "rapt/models/clip.hpp"
#include "rapt/pretrained/image_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<ClipConfig> {
  static constexpr std::string_view kModelType = "clip", kArchitecture = "CLIPModel", kBasePrefix = "";

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    const auto text = [&](const auto& inner) { visit_text(self.text, inner); };
    const auto vision = [&](const auto& inner) { visit_vision(self.vision, inner); };
    key.object("text_config", text);
    key.object("vision_config", vision);
    if constexpr (!std::is_const_v<Self>) {  // older folders have the settings a second time, which hold then
      key.object("text_config_dict", text);
      key.object("vision_config_dict", vision);
    }
    key("projection_dim", self.embedding);
    key("logit_scale_init_value", self.logit_scale);
  }

  [[nodiscard]] static StoredNames stored_names(const ClipConfig&) {
    StoredNames names{{"text.embedding.weight", {{"text_model.embeddings.token_embedding.weight"}}},
                      {"text.positions.weight", {{"text_model.embeddings.position_embedding.weight"}}},
                      {"vision.class_token", {{"vision_model.embeddings.class_embedding"}}},
                      {"vision.patch_embedding.weight", {{"vision_model.embeddings.patch_embedding.weight"}}},
                      {"vision.positions.weight", {{"vision_model.embeddings.position_embedding.weight"}}},
                      {"image_projection.weight", {{"visual_projection.weight"}}},
                      {"logit_scale", {{"logit_scale"}}, /*transposed=*/false, /*as_row=*/false, /*as_scalar=*/true}};
    for (const std::string kind : {"weight", "bias"}) {
      names.push_back({"text.encoder.norm." + kind, {{"text_model.final_layer_norm." + kind}}});
      names.push_back({"vision.pre_norm." + kind, {{"vision_model.pre_layrnorm." + kind}}});
      names.push_back({"vision.post_norm." + kind, {{"vision_model.post_layernorm." + kind}}});
    }
    add_layers(names, "text.encoder.layers.*.", "text_model.encoder.layers.*.");
    add_layers(names, "vision.encoder.layers.*.", "vision_model.encoder.layers.*.");
    return names;
  }
  /// The numbers of the positions.
  [[nodiscard]] static bool is_surplus(const ClipConfig&, std::string_view stored) {
    return stored.ends_with("embeddings.position_ids");
  }

 private:
  template <class Self, class Visitor>
  static void visit_text(Self& self, const Visitor& key) {
    key("vocab_size", self.vocabulary);
    key("max_position_embeddings", self.positions);
    visit_encoder(self, key);
    key("bos_token_id", self.begin_token);
    key("pad_token_id", self.pad_token);
    visit_end_token(self, key);
  }
  template <class Self, class Visitor>
  static void visit_vision(Self& self, const Visitor& key) {
    const PatchGrid& grid = self.grid;
    require(!std::is_const_v<Self> || (grid.image.height == grid.image.width && grid.patch_height == grid.patch_width),
            "pretrained", "other programs have CLIP for square images and patches alone: images of ",
            to_string(grid.image), ", patches of ", grid.patch_height, " x ", grid.patch_width);
    detail::visit_grid(key, self.grid);
    visit_encoder(self, key);
  }
  template <class Self, class Visitor>
  static void visit_encoder(Self& self, const Visitor& key) {
    key("hidden_size", self.d_model);
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    key("intermediate_size", self.d_ff);
    key("hidden_act", self.activation);
    key("attention_dropout", self.attention_dropout);
    key("layer_norm_eps", self.norm_epsilon);
  }

  /// In transformers the token 2, which older folders name by mistake, stands for the one with the largest id.
  template <class Self, class Visitor>
  static void visit_end_token(Self& self, const Visitor& key) {
    constexpr TokenId kLargestId = 2;
    if constexpr (std::is_const_v<Self>) {
      require(self.end_token != kLargestId, "pretrained",
              "\"eos_token_id\": other programs would take the end token 2 for the token with the largest id");
      key("eos_token_id", self.end_token.value_or(kLargestId));
    } else {
      key.unless_absent("eos_token_id", self.end_token);
      if (self.end_token == kLargestId) self.end_token.reset();
    }
  }

  static void add_layers(StoredNames& names, const std::string& ours, const std::string& theirs) {
    for (const std::string kind : {"weight", "bias"}) {
      names.push_back({ours + "self_attn.in_proj_" + kind,
                       {{theirs + "self_attn.q_proj." + kind},
                        {theirs + "self_attn.k_proj." + kind},
                        {theirs + "self_attn.v_proj." + kind}}});
      names.push_back({ours + "self_attn.out_proj." + kind, {{theirs + "self_attn.out_proj." + kind}}});
      names.push_back({ours + "norm1." + kind, {{theirs + "layer_norm1." + kind}}});
      names.push_back({ours + "norm2." + kind, {{theirs + "layer_norm2." + kind}}});
      names.push_back({ours + "linear1." + kind, {{theirs + "mlp.fc1." + kind}}});
      names.push_back({ours + "linear2." + kind, {{theirs + "mlp.fc2." + kind}}});
    }
  }
};

}}  // namespace rapt::RAPT_ABI
