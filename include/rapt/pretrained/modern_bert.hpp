/// \file
/// ModernBERT in Hugging Face folders.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rapt/models/modern_bert.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <>
struct PretrainedFormat<ModernBertConfig> {
  static constexpr std::string_view kModelType = "modernbert", kBasePrefix = "model.";
  [[nodiscard]] static std::string_view architecture(const ModernBertConfig& config) {
    if (config.masked_language_head) return "ModernBertForMaskedLM";
    if (config.question_head) return "ModernBertForQuestionAnswering";
    if (config.labels.empty()) return "ModernBertModel";
    return config.token_labels ? "ModernBertForTokenClassification" : "ModernBertForSequenceClassification";
  }
  [[nodiscard]] static bool has_head(const ModernBertConfig& config) { return config.has_head(); }

  template <class Self, class Visitor>
  static void visit_keys(Self& self, const Visitor& key) {
    constexpr bool kReads = !std::is_const_v<Self>;
    key("vocab_size", self.vocabulary);
    key("max_position_embeddings", self.positions);
    key("hidden_size", self.d_model);
    key("num_hidden_layers", self.layers);
    key("num_attention_heads", self.heads);
    key("intermediate_size", self.d_ff);
    key("hidden_activation", self.activation);
    key("norm_eps", self.norm_epsilon);
    key("norm_bias", self.norm_bias);
    key("attention_bias", self.attention_bias);
    key("mlp_bias", self.feed_forward_bias);
    key("embedding_dropout", self.embedding_dropout);
    key("attention_dropout", self.attention_dropout);
    key("mlp_dropout", self.feed_forward_dropout);
    key("initializer_range", self.init_std);
    Index width = 2 * self.window;
    key("local_attention", width);
    if constexpr (kReads) self.window = width / 2;
    visit_layers(self, key);
    key("global_rope_theta", self.theta);
    key("local_rope_theta", self.local_theta);
    if constexpr (kReads) read_rotary_parameters(self, key);
    key.unless_absent("pad_token_id", self.padding_token);
    std::string pooling = self.mean_pooling ? "mean" : "cls";
    key("classifier_pooling", pooling);
    if constexpr (kReads) {
      self.mean_pooling = pooling == "mean";
      if (!self.mean_pooling) key.must_be("classifier_pooling", "cls");
    }
    key("classifier_activation", self.head_activation);
    key("classifier_bias", self.head_bias);
    key("classifier_dropout", self.classifier_dropout);
    key("decoder_bias", self.vocabulary_bias);
    key.must_be("tie_word_embeddings", true);
    key.labels("id2label", self.labels);
    key("problem_type", self.problem);
    if constexpr (kReads) {  // the tensors of these three are called alike
      std::vector<std::string> classes;
      key("architectures", classes);
      const auto is = [&](std::string_view task) {
        return std::any_of(classes.begin(), classes.end(), [&](const auto& name) { return name.ends_with(task); });
      };
      self.token_labels = is("ForTokenClassification");
      self.question_head = is("ForQuestionAnswering");
    }
  }

  template <class Contains>
  static void detect_heads(ModernBertConfig& config, const Contains& contains) {
    const bool has_classifier = contains("classifier.weight");
    config.question_head = config.question_head && has_classifier;
    detail::detect_labels(config.labels, has_classifier && !config.question_head);
    config.masked_language_head = contains("head.dense.weight") && !has_classifier;
  }

  [[nodiscard]] static StoredNames stored_names(const ModernBertConfig&) {
    StoredNames names{{"embedding.weight", {{"model.embeddings.tok_embeddings.weight", 0, {"decoder.weight"}}}},
                      {"vocabulary_bias", {{"decoder.bias"}}}};
    for (const std::string kind : {".weight", ".bias"}) {
      names.push_back({"embedding_norm" + kind, {{"model.embeddings.norm" + kind}}});
      names.push_back({"norm" + kind, {{"model.final_norm" + kind}}});
      names.push_back({"layers.*.mlp.gate_up_proj" + kind, {{"model.layers.*.mlp.Wi" + kind}}});
      names.push_back({"layers.*.mlp.down_proj" + kind, {{"model.layers.*.mlp.Wo" + kind}}});
      for (const std::string part : {"attn.Wqkv", "attn.Wo", "attn_norm", "mlp_norm"}) {
        names.push_back({"layers.*." + part + kind, {{"model.layers.*." + part + kind}}});
      }
      names.push_back({"question" + kind, {{"classifier" + kind}}});
    }
    return names;
  }

 private:
  static constexpr std::string_view kLocal = "sliding_attention", kGlobal = "full_attention";

  /// Which layers are global: the period, as the paper's folders have it, or a list of kinds.
  template <class Self, class Visitor>
  static void visit_layers(Self& self, const Visitor& key) {
    key("global_attn_every_n_layers", self.global_every);
    if constexpr (!std::is_const_v<Self>) {
      std::vector<std::string> found;
      key("layer_types", found);
      if (found.empty()) return;
      const auto next = std::find(found.begin() + 1, found.end(), kGlobal);
      self.global_every = next - found.begin();  // as long as the list where no other is global
      bool fits = std::ssize(found) == self.layers;
      for (Index i = 0; fits && i < self.layers; ++i) fits = at(found, i) == (self.is_global(i) ? kGlobal : kLocal);
      const std::string wanted = "a list of " + std::to_string(self.layers) +
                                 " kinds: \"full_attention\" first and then at equal distances, "
                                 "\"sliding_attention\" between";
      key.expect(fits, "layer_types", found, wanted.c_str());
    }
  }
  /// Where transformers 5 writes the settings of rotary positions, for each kind of layers.
  template <class Visitor>
  static void read_rotary_parameters(ModernBertConfig& config, const Visitor& key) {
    key.object("rope_parameters", [&](const auto& kinds) {
      for (const bool global : {true, false}) {
        kinds.object(global ? "full_attention" : "sliding_attention", [&](const auto& inner) {
          inner("rope_theta", global ? config.theta : config.local_theta);
          inner.must_be("rope_type", "default");
        });
      }
    });
    key.must_be("rope_scaling", nullptr);
  }
};

}}  // namespace rapt::RAPT_ABI
