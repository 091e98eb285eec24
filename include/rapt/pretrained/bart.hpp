/// \file
/// BART, mBART, Pegasus, M2M100 and the dense models of NLLB in Hugging Face folders.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "rapt/models/bart.hpp"
#include "rapt/pretrained/bart_keys.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<BartConfig> {
  static constexpr std::string_view kModelType = "bart", kBasePrefix = "model.";
  static constexpr auto kModelTypes = names_of<BartFamily>();
  static constexpr bool kHasDefaultTokens = true;
  [[nodiscard]] static std::string_view architecture(const BartConfig& config) {
    switch (config.family) {
      case BartFamily::bart:
        return config.labels.empty() ? "BartForConditionalGeneration" : "BartForSequenceClassification";
      case BartFamily::mbart:
        return config.labels.empty() ? "MBartForConditionalGeneration" : "MBartForSequenceClassification";
      case BartFamily::pegasus:
        return "PegasusForConditionalGeneration";
      case BartFamily::m2m_100:
        break;
    }
    return "M2M100ForConditionalGeneration";
  }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    key("model_type", self.family);
    if constexpr (!std::is_const_v<Self>) apply_defaults(self);
    key("vocab_size", self.vocabulary);
    detail::visit_bart_sizes(self, key);
    detail::visit_bart_tokens(self, key, start_of(self));
    detail::visit_bart_pad_token(self, key);
    if (self.has_learned_positions()) {
      key("classifier_dropout", self.classifier_dropout);
      key.labels("id2label", self.labels);
      key("problem_type", self.problem);
    }
    if constexpr (std::is_const_v<Self>) {  // M2M100 drops layers in training unless it is told not to
      for (const char* rate : {"encoder_layerdrop", "decoder_layerdrop"}) key.constant(rate, 0);
    }
    key.must_be("tie_word_embeddings", true);
    key.must_be("is_encoder_decoder", true);
  }
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    detail::visit_bart_generation_keys(self, key, start_of(self));
  }

  /// A model without the head for tokens has no bias of the output projection.
  template <class Contains>
  static void detect_heads(BartConfig& config, const Contains& contains) {
    config.output_bias = config.family != BartFamily::m2m_100 && contains("final_logits_bias");
    const bool has_classifier = contains("classification_head.out_proj.weight");
    if (has_classifier && config.labels.empty() && config.family == BartFamily::bart) {
      config.labels = {"LABEL_0", "LABEL_1", "LABEL_2"};  // what an absent list means in BART alone
    }
    detail::detect_labels(config.labels, has_classifier);
  }

  [[nodiscard]] static StoredNames stored_names(const BartConfig&) { return detail::bart_names(/*tied_output=*/true); }
  /// The sinusoids, the marks of a version that old folders have, and a bias that neither M2M100 nor a classifier adds.
  [[nodiscard]] static bool is_surplus(const BartConfig& config, std::string_view stored) {
    if (stored.ends_with("coder.version")) return true;
    const bool adds_bias = config.family != BartFamily::m2m_100 && config.labels.empty();
    if (!adds_bias && stored == "final_logits_bias") return true;
    return !config.has_learned_positions() &&
           (stored.ends_with(".embed_positions.weight") || stored.ends_with(".embed_positions.weights"));
  }

 private:
  /// What absent keys mean where they mean something else than in BART.
  static void apply_defaults(BartConfig& config) {
    if (config.family == BartFamily::mbart) config.begin_token = 0;
    if (config.family == BartFamily::pegasus) {
      config.begin_token = 0, config.end_tokens = config.forced_end_tokens = {1}, config.pad_token = 0;
    }
    if (config.family == BartFamily::m2m_100) {
      config.vocabulary = 128112, config.activation = Activation::relu;
      config.attention_dropout = 0.1f, config.scale_embeddings = true;
      config.forced_end_tokens = {};
    }
  }
  /// mBART has no start token of its own and begins with "bos_token_id", which Pegasus does not have.
  [[nodiscard]] static detail::BartStart start_of(const BartConfig& config) {
    detail::BartStart defaults{.start = config.begin_token, .begin = 0};
    if (config.family == BartFamily::mbart) defaults.start.reset();
    if (config.family == BartFamily::pegasus) defaults.begin.reset();
    return defaults;
  }
};

}}  // namespace rapt::RAPT_ABI
