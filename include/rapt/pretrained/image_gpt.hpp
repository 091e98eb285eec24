/// \file
/// ImageGPT in Hugging Face folders.
#pragma once

#include "rapt/models/image_gpt.hpp"
#include "rapt/pretrained/decoder_keys.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<ImageGptConfig> {
  static constexpr std::string_view kModelType = "imagegpt", kBasePrefix = "transformer.";
  [[nodiscard]] static std::string_view architecture(const ImageGptConfig& config) {
    if (!config.labels.empty()) return "ImageGPTForImageClassification";
    return config.pixel_head ? "ImageGPTForCausalImageModeling" : "ImageGPTModel";
  }
  [[nodiscard]] static bool has_head(const ImageGptConfig& config) {
    return config.pixel_head || !config.labels.empty();
  }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    Index tokens = self.vocabulary();
    key("vocab_size", tokens);
    if constexpr (!std::is_const_v<Self>) self.clusters = tokens - 1;
    detail::visit_gpt2_keys(self, key);
    key("initializer_range", self.init_std);
    key.labels("id2label", self.labels);
    key.must_be("add_cross_attention", false);
    key.must_be("tie_word_embeddings", false);
  }

  template <class Contains>
  static void detect_heads(ImageGptConfig& config, const Contains& contains) {
    config.pixel_head = contains("lm_head.weight");
    detail::detect_labels(config.labels, contains("score.weight"));
  }

  /// GPT-2's names, as far as there are such parameters.
  [[nodiscard]] static StoredNames stored_names(const ImageGptConfig&) {
    StoredNames names = PretrainedFormat<GptConfig>::stored_names({});
    names.push_back({"classifier.weight", {{"score.weight"}}});
    return names;
  }
  /// Causal masks.
  [[nodiscard]] static bool is_surplus(const ImageGptConfig&, std::string_view stored) {
    return stored.ends_with(".attn.bias") || stored.ends_with(".attn.masked_bias");
  }
};

}}  // namespace rapt::RAPT_ABI
