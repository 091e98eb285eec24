/// \file
/// BERT in Hugging Face folders.
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "rapt/models/bert.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<BertConfig> {
  static constexpr std::string_view kModelType = "bert", kBasePrefix = "bert.";
  [[nodiscard]] static std::string_view architecture(const BertConfig& config) {
    if (!config.labels.empty()) {
      return config.labels_tokens() ? "BertForTokenClassification" : "BertForSequenceClassification";
    }
    if (config.question_head) return "BertForQuestionAnswering";
    if (!config.masked_language_head) {
      return config.next_sentence_head ? "BertForNextSentencePrediction" : "BertModel";
    }
    return config.next_sentence_head ? "BertForPreTraining" : "BertForMaskedLM";
  }
  [[nodiscard]] static bool has_head(const BertConfig& config) { return architecture(config) != "BertModel"; }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    key("vocab_size", self.vocabulary);
    key("max_position_embeddings", self.positions);
    key("type_vocab_size", self.token_types);
    key("hidden_size", self.d_model);
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    key("intermediate_size", self.d_ff);
    key("hidden_act", self.activation);
    key("hidden_dropout_prob", self.dropout);
    key("attention_probs_dropout_prob", self.attention_dropout);
    key("classifier_dropout", self.classifier_dropout);
    key("layer_norm_eps", self.norm_epsilon);
    key("pad_token_id", self.padding_token);
    key.labels("id2label", self.labels);
    key("problem_type", self.problem);
    if constexpr (!std::is_const_v<Self>) {  // the tensors do not tell it, where old folders have a pooler that is idle
      std::vector<std::string> classes;
      key("architectures", classes);
      self.token_labels = std::any_of(classes.begin(), classes.end(),
                                      [](const std::string& name) { return name.ends_with("ForTokenClassification"); });
    }
    key.must_be("position_embedding_type", "absolute");
    key.must_be("is_decoder", false);
    key.must_be("add_cross_attention", false);
    key.must_be("tie_word_embeddings", true);
  }

  template <class Contains>
  static void detect_heads(BertConfig& config, const Contains& contains) {
    config.pooler = contains("bert.pooler.dense.weight") || contains("pooler.dense.weight");
    config.masked_language_head = contains("cls.predictions.transform.dense.weight");
    config.next_sentence_head = contains("cls.seq_relationship.weight");
    detail::detect_labels(config.labels, contains("classifier.weight"));
    config.question_head = contains("qa_outputs.weight") && config.labels.empty() && !config.masked_language_head &&
                           !config.next_sentence_head;
  }

  /// Norms may have the names of the paper's own code, and the tied projection may be there once more.
  [[nodiscard]] static StoredNames stored_names(const BertConfig&) {
    return {{"embedding.weight", {{"bert.embeddings.word_embeddings.weight", 0, {"cls.predictions.decoder.weight"}}}},
            {"positions.weight", {{"bert.embeddings.position_embeddings.weight"}}},
            {"token_types.weight", {{"bert.embeddings.token_type_embeddings.weight"}}},
            {"norm.weight", {{"bert.embeddings.LayerNorm.weight", 0, {"bert.embeddings.LayerNorm.gamma"}}}},
            {"norm.bias", {{"bert.embeddings.LayerNorm.bias", 0, {"bert.embeddings.LayerNorm.beta"}}}},
            {"encoder.layers.*.self_attn.in_proj_weight",
             {{"bert.encoder.layer.*.attention.self.query.weight"},
              {"bert.encoder.layer.*.attention.self.key.weight"},
              {"bert.encoder.layer.*.attention.self.value.weight"}}},
            {"encoder.layers.*.self_attn.in_proj_bias",
             {{"bert.encoder.layer.*.attention.self.query.bias"},
              {"bert.encoder.layer.*.attention.self.key.bias"},
              {"bert.encoder.layer.*.attention.self.value.bias"}}},
            {"encoder.layers.*.self_attn.out_proj.weight", {{"bert.encoder.layer.*.attention.output.dense.weight"}}},
            {"encoder.layers.*.self_attn.out_proj.bias", {{"bert.encoder.layer.*.attention.output.dense.bias"}}},
            {"encoder.layers.*.norm1.weight",
             {{"bert.encoder.layer.*.attention.output.LayerNorm.weight",
               0,
               {"bert.encoder.layer.*.attention.output.LayerNorm.gamma"}}}},
            {"encoder.layers.*.norm1.bias",
             {{"bert.encoder.layer.*.attention.output.LayerNorm.bias",
               0,
               {"bert.encoder.layer.*.attention.output.LayerNorm.beta"}}}},
            {"encoder.layers.*.linear1.weight", {{"bert.encoder.layer.*.intermediate.dense.weight"}}},
            {"encoder.layers.*.linear1.bias", {{"bert.encoder.layer.*.intermediate.dense.bias"}}},
            {"encoder.layers.*.linear2.weight", {{"bert.encoder.layer.*.output.dense.weight"}}},
            {"encoder.layers.*.linear2.bias", {{"bert.encoder.layer.*.output.dense.bias"}}},
            {"encoder.layers.*.norm2.weight",
             {{"bert.encoder.layer.*.output.LayerNorm.weight", 0, {"bert.encoder.layer.*.output.LayerNorm.gamma"}}}},
            {"encoder.layers.*.norm2.bias",
             {{"bert.encoder.layer.*.output.LayerNorm.bias", 0, {"bert.encoder.layer.*.output.LayerNorm.beta"}}}},
            {"pooler.weight", {{"bert.pooler.dense.weight"}}},
            {"pooler.bias", {{"bert.pooler.dense.bias"}}},
            {"masked_language.dense.weight", {{"cls.predictions.transform.dense.weight"}}},
            {"masked_language.dense.bias", {{"cls.predictions.transform.dense.bias"}}},
            {"masked_language.norm.weight",
             {{"cls.predictions.transform.LayerNorm.weight", 0, {"cls.predictions.transform.LayerNorm.gamma"}}}},
            {"masked_language.norm.bias",
             {{"cls.predictions.transform.LayerNorm.bias", 0, {"cls.predictions.transform.LayerNorm.beta"}}}},
            {"masked_language.bias", {{"cls.predictions.bias", 0, {"cls.predictions.decoder.bias"}}}},
            {"next_sentence.weight", {{"cls.seq_relationship.weight"}}},
            {"next_sentence.bias", {{"cls.seq_relationship.bias"}}},
            {"question.weight", {{"qa_outputs.weight"}}},
            {"question.bias", {{"qa_outputs.bias"}}}};
  }
  /// The numbers of the positions.
  [[nodiscard]] static bool is_surplus(const BertConfig&, std::string_view stored) {
    return stored.ends_with("embeddings.position_ids");
  }
};

}}  // namespace rapt::RAPT_ABI
