/// \file
/// DeiT in Hugging Face folders: the keys of a ViT, and a second token with a head of its own.
#pragma once

#include "rapt/models/deit.hpp"
#include "rapt/pretrained/image_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"
#include "rapt/pretrained/vit.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<DeitConfig> {
  static constexpr std::string_view kModelType = "deit", kBasePrefix = "deit.";
  [[nodiscard]] static std::string_view architecture(const DeitConfig& config) {
    if (config.labels.empty()) return "DeiTModel";
    return config.distillation_head ? "DeiTForImageClassificationWithTeacher" : "DeiTForImageClassification";
  }
  [[nodiscard]] static bool has_head(const DeitConfig& config) { return !config.labels.empty(); }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    PretrainedFormat<VitConfig>::visit_keys(self, key);
  }

  template <class Contains>
  static void detect_heads(DeitConfig& config, const Contains& contains) {
    config.pooler = contains("deit.pooler.dense.weight") || contains("pooler.dense.weight");
    config.distillation_head = contains("distillation_classifier.weight");
    detail::detect_labels(config.labels, contains("classifier.weight") || contains("cls_classifier.weight"));
  }

  [[nodiscard]] static StoredNames stored_names(const DeitConfig& config) {
    const std::string head = config.distillation_head ? "cls_classifier." : "classifier.";
    StoredNames names = detail::encoder_names("deit");
    names.push_back({"distillation_token", {{"deit.embeddings.distillation_token"}}});
    names.push_back({"pooler.weight", {{"deit.pooler.dense.weight"}}});
    names.push_back({"pooler.bias", {{"deit.pooler.dense.bias"}}});
    names.push_back({"classifier.weight", {{head + "weight"}}});
    names.push_back({"classifier.bias", {{head + "bias"}}});
    return names;
  }
};

}}  // namespace rapt::RAPT_ABI
