/// \file
/// BERT, RoBERTa, XLM-R, DistilBERT, ELECTRA and ALBERT in Hugging Face folders.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rapt/models/bert.hpp"
#include "rapt/pretrained/bert_names.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<BertConfig> {
  static constexpr std::string_view kModelType = "bert";
  static constexpr auto kModelTypes = names_of<BertFamily>();
  [[nodiscard]] static std::string_view base_prefix(const BertConfig& config) {
    return detail::bert_modules(config.family).base;
  }
  [[nodiscard]] static std::string architecture(const BertConfig& config) {
    return std::string(detail::bert_modules(config.family).classes) + std::string(task(config));
  }
  [[nodiscard]] static bool has_head(const BertConfig& config) { return task(config) != "Model"; }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    key("model_type", self.family);
    if constexpr (std::is_const_v<Self>) {
      require_model(self);
    } else {
      apply_defaults(self);
    }
    key("vocab_size", self.vocabulary);
    if (self.is_roberta()) {
      key.unless_absent("pad_token_id", self.padding_token);
    } else {
      key("pad_token_id", self.padding_token);
    }
    Index rows = self.positions + self.first_position();
    key("max_position_embeddings", rows);
    if constexpr (!std::is_const_v<Self>) self.positions = rows - self.first_position();
    if (self.family == BertFamily::distilbert) {
      visit_keys_of_distilbert(self, key);
    } else {
      visit_keys_of_bert(self, key);
    }
    key.must_be("tie_word_embeddings", true);
    key.labels("id2label", self.labels);
    key("problem_type", self.problem);
    if constexpr (!std::is_const_v<Self>) {  // the tensors do not tell it, where old folders have a pooler that is idle
      std::vector<std::string> classes;
      key("architectures", classes);
      self.token_labels = std::any_of(classes.begin(), classes.end(),
                                      [](const std::string& name) { return name.ends_with("ForTokenClassification"); });
    }
  }

  template <class Contains>
  static void detect_heads(BertConfig& config, const Contains& contains) {
    const detail::BertModules modules = detail::bert_modules(config.family);
    const auto has = [&](std::string_view module) {
      return !module.empty() && contains(std::string(module) + ".weight");
    };
    config.masked_language_head = has(modules.masked_dense);
    config.next_sentence_head = has(modules.next_sentence);
    config.replaced_token_head =
        config.family == BertFamily::electra && has("discriminator_predictions.dense_prediction");
    detail::detect_labels(config.labels, has(modules.label_output) || has("classifier"));
    const bool has_labels = !config.labels.empty();
    config.pooler = has(detail::bert_pooler(modules, has_labels)) ||
                    (has(modules.pooler) && (modules.label_pooler.empty() || !has_labels));
    config.question_head = has("qa_outputs") && config.labels.empty() && !config.masked_language_head &&
                           !config.next_sentence_head && !config.replaced_token_head;
  }

  [[nodiscard]] static StoredNames stored_names(const BertConfig& config) { return detail::bert_names(config); }
  /// The numbers of the positions, and the pooler of a RoBERTa whose head for labels has one of its own.
  [[nodiscard]] static bool is_surplus(const BertConfig& config, std::string_view stored) {
    return stored.ends_with("embeddings.position_ids") ||
           (config.is_roberta() && !config.labels.empty() && stored.starts_with("roberta.pooler."));
  }

 private:
  /// What follows the family in the name of the class.
  [[nodiscard]] static std::string_view task(const BertConfig& config) {
    if (!config.labels.empty()) return config.labels_tokens() ? "ForTokenClassification" : "ForSequenceClassification";
    if (config.question_head) return "ForQuestionAnswering";
    if (config.replaced_token_head) return "ForPreTraining";
    if (!config.masked_language_head) return config.next_sentence_head ? "ForNextSentencePrediction" : "Model";
    return config.next_sentence_head ? "ForPreTraining" : "ForMaskedLM";
  }

  template <class Self, class Visitor>
  static void visit_keys_of_bert(Self& self, const Visitor& key) {
    const bool albert = self.family == BertFamily::albert, electra = self.family == BertFamily::electra;
    key("type_vocab_size", self.token_types);
    key("hidden_size", self.d_model);
    if (albert || electra) {
      Index width = self.width_of_embeddings();
      key("embedding_size", width);
      if constexpr (!std::is_const_v<Self>) {
        self.embedding_width.reset();
        if (albert || width != self.d_model) self.embedding_width = width;
      }
    }
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    key("intermediate_size", self.d_ff);
    key("hidden_act", self.activation);
    key("hidden_dropout_prob", self.dropout);
    key("attention_probs_dropout_prob", self.attention_dropout);
    key("layer_norm_eps", self.norm_epsilon);
    if (albert) {
      key("num_hidden_groups", self.layer_groups);
      if constexpr (!std::is_const_v<Self>) {
        key.expect(self.layer_groups > 0, "num_hidden_groups", self.layer_groups, "a positive number");
      }
      key.must_be("inner_group_num", 1);
      visit_classifier_dropout(self, "classifier_dropout_prob", key);
    } else {
      key("classifier_dropout", self.classifier_dropout);
    }
    key.must_be("position_embedding_type", "absolute");
    if (albert) return;
    key.must_be("is_decoder", false);
    key.must_be("add_cross_attention", false);
  }
  template <class Self, class Visitor>
  static void visit_keys_of_distilbert(Self& self, const Visitor& key) {
    key("dim", self.d_model);
    key("n_layers", self.layers);
    key("n_heads", self.heads);
    key("hidden_dim", self.d_ff);
    key("activation", self.activation);
    key("dropout", self.dropout);
    key("attention_dropout", self.attention_dropout);
    visit_classifier_dropout(self, "seq_classif_dropout", key);
    key("qa_dropout", self.question_dropout);
  }

  /// Of families where an absent key does not mean `dropout`: it is written even if it is unset.
  template <class Self, class Visitor>
  static void visit_classifier_dropout(Self& self, const char* name, const Visitor& key) {
    if constexpr (std::is_const_v<Self>) {
      key(name, self.classifier_dropout.value_or(self.dropout));
    } else {
      key(name, self.classifier_dropout);
    }
  }

  /// What absent keys mean where they mean something else than in BERT.
  static void apply_defaults(BertConfig& config) {
    switch (config.family) {
      case BertFamily::bert:
        return;
      case BertFamily::roberta:
      case BertFamily::xlm_roberta:
        if (config.family == BertFamily::roberta) config.vocabulary = 50265;
        config.padding_token = 1;
        config.positions = 510;
        return;
      case BertFamily::distilbert:
        config.layers = 6, config.token_types = 0, config.classifier_dropout = 0.2f, config.question_dropout = 0.1f;
        return;
      case BertFamily::electra:
        config.d_model = 256, config.embedding_width = 128, config.heads = 4, config.d_ff = 1024;
        return;
      case BertFamily::albert:
        config.vocabulary = 30000, config.d_model = 4096, config.embedding_width = 128, config.heads = 64;
        config.d_ff = 16384, config.layer_groups = 1, config.activation = Activation::gelu_tanh;
        config.dropout = config.attention_dropout = 0.f, config.classifier_dropout = 0.1f;
        return;
    }
  }
  /// Throws ValueError unless transformers has these settings together.
  static void require_model(const BertConfig& config) {
    const bool albert = config.family == BertFamily::albert, distilbert = config.family == BertFamily::distilbert;
    const bool electra = config.family == BertFamily::electra;
    const bool has_pooler = !electra && !distilbert;
    // ELECTRA has a projection only between different widths, and its generator's head is no discriminator's.
    require(albert == (config.layer_groups > 0) && (albert || electra || !config.embedding_width) &&
                (!electra || config.embedding_width != config.d_model) &&
                !(config.masked_language_head && config.replaced_token_head) && (!albert || config.embedding_width) &&
                (distilbert == (config.token_types == 0)) && (!distilbert || config.norm_epsilon == 1e-12) &&
                (distilbert || config.question_dropout == 0.f) &&
                (has_pooler || !config.pooler || !config.labels.empty()) &&
                (!albert || !config.next_sentence_head || config.masked_language_head),
            "bert", "Hugging Face has no model with these settings together: family ", name_of(config.family),
            ", d_model ", config.d_model, ", embedding_width ", config.embedding_width.value_or(0),
            " (0: unset), layer_groups ", config.layer_groups, ", token_types ", config.token_types, ", norm_epsilon ",
            config.norm_epsilon, ", question_dropout ", config.question_dropout, ", pooler ", config.pooler,
            ", masked_language_head ", config.masked_language_head, ", next_sentence_head ", config.next_sentence_head,
            ", replaced_token_head ", config.replaced_token_head);
  }
};

}}  // namespace rapt::RAPT_ABI
