/// \file
/// Masked autoencoders in Hugging Face folders.
#pragma once

#include <string>

#include "rapt/models/mae.hpp"
#include "rapt/pretrained/image_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<MaeConfig> {
  static constexpr std::string_view kModelType = "vit_mae", kBasePrefix = "vit.";
  [[nodiscard]] static std::string_view architecture(const MaeConfig& config) {
    return config.decoder ? "ViTMAEForPreTraining" : "ViTMAEModel";
  }
  [[nodiscard]] static bool has_head(const MaeConfig& config) { return config.decoder; }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    detail::visit_grid(key, self.grid);
    key("hidden_size", self.d_model);
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    key("intermediate_size", self.d_ff);
    key("decoder_hidden_size", self.decoder_width);
    key("decoder_num_hidden_layers", self.decoder_layers);
    key("decoder_num_attention_heads", self.decoder_heads);
    key("decoder_intermediate_size", self.decoder_d_ff);
    key("hidden_act", self.activation);
    key("hidden_dropout_prob", self.dropout);
    key("attention_probs_dropout_prob", self.attention_dropout);
    key("layer_norm_eps", self.norm_epsilon);
    key("mask_ratio", self.mask_ratio);
    key("norm_pix_loss", self.normalise_pixels);
    key.must_be("qkv_bias", true);
  }

  template <class Contains>
  static void detect_heads(MaeConfig& config, const Contains& contains) {
    config.decoder = contains("decoder.decoder_embed.weight");
    if (!config.decoder || config.decoder_layers < 1) return;
    const std::string last = std::to_string(config.decoder_layers - 1) + ".output.dense.weight";
    require<IoError>(contains("decoder.decoder_layers." + last) || contains("decoder.decoder_encoder.layer." + last),
                     "pretrained", "the folder does not have the ", config.decoder_layers, " layers of the decoder");
  }

  /// The decoder's layers have two names.
  [[nodiscard]] static StoredNames stored_names(const MaeConfig&) {
    StoredNames names = detail::encoder_names("vit");
    detail::add_layer_names(names, "decoder.encoder.layers", "decoder.decoder_layers", "decoder.decoder_encoder.layer");
    for (const std::string kind : {"weight", "bias"}) {
      names.push_back({"decoder.embedding." + kind, {{"decoder.decoder_embed." + kind}}});
      names.push_back({"decoder.encoder.norm." + kind, {{"decoder.decoder_norm." + kind}}});
      names.push_back({"decoder.prediction." + kind, {{"decoder.decoder_pred." + kind}}});
    }
    names.push_back({"decoder.mask_token", {{"decoder.mask_token"}}});
    names.push_back({"decoder.positions", {{"decoder.decoder_pos_embed"}}});
    return names;
  }
};

}}  // namespace rapt::RAPT_ABI
