/// \file
/// The names of the tensors of BERT and its family in Hugging Face folders.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/models/bert_config.hpp"
#include "rapt/pretrained/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// What a family calls its modules; empty: it has none of this kind. Each has a weight and a bias.
struct BertModules {
  std::string_view classes;  ///< what the names of its classes in transformers begin with
  std::string_view base;     ///< what stands before the names of embeddings, layers and, mostly, the pooler
  std::string_view layer;    ///< one layer, `*` for its number
  std::string_view queries, keys, values, attention_output, attention_norm;  ///< in a layer
  std::string_view feed_forward, feed_forward_output, feed_forward_norm;     ///< in a layer
  std::string_view projection;                                               ///< of embeddings
  std::string_view pooler;                                                   ///< without labels, the base before it
  std::string_view label_pooler = {};            ///< of a model with labels; empty: as without
  std::string_view label_output = "classifier";  ///< of a model with labels and a pooler
  std::string_view masked_dense = {}, masked_norm = {};
  std::string_view masked_bias = {};     ///< the vector itself
  std::string_view masked_decoder = {};  ///< the embedding once more, and perhaps the bias
  std::string_view next_sentence = {};
};

[[nodiscard]] inline BertModules bert_modules(BertFamily family) {
  BertModules bert{.classes = "Bert",
                   .base = "bert.",
                   .layer = "encoder.layer.*.",
                   .queries = "attention.self.query",
                   .keys = "attention.self.key",
                   .values = "attention.self.value",
                   .attention_output = "attention.output.dense",
                   .attention_norm = "attention.output.LayerNorm",
                   .feed_forward = "intermediate.dense",
                   .feed_forward_output = "output.dense",
                   .feed_forward_norm = "output.LayerNorm",
                   .projection = "embeddings_project",
                   .pooler = "pooler.dense",
                   .masked_dense = "cls.predictions.transform.dense",
                   .masked_norm = "cls.predictions.transform.LayerNorm",
                   .masked_bias = "cls.predictions.bias",
                   .masked_decoder = "cls.predictions.decoder",
                   .next_sentence = "cls.seq_relationship"};
  switch (family) {
    case BertFamily::bert:
      return bert;
    case BertFamily::roberta:
    case BertFamily::xlm_roberta:
      bert.classes = family == BertFamily::roberta ? "Roberta" : "XLMRoberta";
      bert.base = "roberta.";
      bert.label_pooler = "classifier.dense", bert.label_output = "classifier.out_proj";
      bert.masked_dense = "lm_head.dense", bert.masked_norm = "lm_head.layer_norm";
      bert.masked_bias = "lm_head.bias", bert.masked_decoder = "lm_head.decoder";
      bert.next_sentence = {};
      return bert;
    case BertFamily::electra:
      bert.classes = "Electra", bert.base = "electra.";
      bert.pooler = {}, bert.label_pooler = "classifier.dense", bert.label_output = "classifier.out_proj";
      bert.masked_dense = "generator_predictions.dense", bert.masked_norm = "generator_predictions.LayerNorm";
      bert.masked_bias = "generator_lm_head.bias", bert.masked_decoder = "generator_lm_head";
      bert.next_sentence = {};
      return bert;
    case BertFamily::distilbert:
      return {.classes = "DistilBert",
              .base = "distilbert.",
              .layer = "transformer.layer.*.",
              .queries = "attention.q_lin",
              .keys = "attention.k_lin",
              .values = "attention.v_lin",
              .attention_output = "attention.out_lin",
              .attention_norm = "sa_layer_norm",
              .feed_forward = "ffn.lin1",
              .feed_forward_output = "ffn.lin2",
              .feed_forward_norm = "output_layer_norm",
              .projection = {},
              .pooler = {},
              .label_pooler = "pre_classifier",
              .masked_dense = "vocab_transform",
              .masked_norm = "vocab_layer_norm",
              .masked_bias = "vocab_projector.bias",
              .masked_decoder = "vocab_projector"};
    case BertFamily::albert:
      return {.classes = "Albert",
              .base = "albert.",
              .layer = "encoder.albert_layer_groups.*.albert_layers.0.",
              .queries = "attention.query",
              .keys = "attention.key",
              .values = "attention.value",
              .attention_output = "attention.dense",
              .attention_norm = "attention.LayerNorm",
              .feed_forward = "ffn",
              .feed_forward_output = "ffn_output",
              .feed_forward_norm = "full_layer_layer_norm",
              .projection = "encoder.embedding_hidden_mapping_in",
              .pooler = "pooler",
              .masked_dense = "predictions.dense",
              .masked_norm = "predictions.LayerNorm",
              .masked_bias = "predictions.bias",
              .masked_decoder = "predictions.decoder",
              .next_sentence = "sop_classifier.classifier"};
  }
  fail("bert", "there is no family of the number ", static_cast<int>(family));
}

/// What the pooler is called without its weight and bias, the base before it; empty: the family has none.
[[nodiscard]] inline std::string bert_pooler(const BertModules& modules, bool has_labels) {
  if (has_labels && !modules.label_pooler.empty()) return std::string(modules.label_pooler);
  return modules.pooler.empty() ? std::string() : std::string(modules.base) + std::string(modules.pooler);
}

/// Norms may have the names of the first BERT's own code, and the tied projection may be there once more.
[[nodiscard]] inline StoredNames bert_names(const BertConfig& config) {
  const BertModules modules = bert_modules(config.family);
  const std::string base(modules.base), layer = base + std::string(modules.layer), decoder(modules.masked_decoder);
  StoredNames names{{"embedding.weight", {{base + "embeddings.word_embeddings.weight", 0, {decoder + ".weight"}}}},
                    {"positions.weight", {{base + "embeddings.position_embeddings.weight"}}},
                    {"token_types.weight", {{base + "embeddings.token_type_embeddings.weight"}}},
                    {"masked_language.bias", {{std::string(modules.masked_bias), 0, {decoder + ".bias"}}}}};
  const auto add = [&](const std::string& ours, std::string theirs) {
    for (const std::string kind : {".weight", ".bias"}) names.push_back({ours + kind, {{theirs + kind}}});
  };
  const auto add_norm = [&](const std::string& ours, const std::string& theirs) {
    names.push_back({ours + ".weight", {{theirs + ".weight", 0, {theirs + ".gamma"}}}});
    names.push_back({ours + ".bias", {{theirs + ".bias", 0, {theirs + ".beta"}}}});
  };
  const auto in_layer = [&](std::string_view part) { return layer + std::string(part); };
  add_norm("norm", base + "embeddings.LayerNorm");
  if (!modules.projection.empty()) add("projection", base + std::string(modules.projection));
  for (const std::string kind : {"weight", "bias"}) {
    names.push_back({"encoder.layers.*.self_attn.in_proj_" + kind,
                     {{in_layer(modules.queries) + "." + kind},
                      {in_layer(modules.keys) + "." + kind},
                      {in_layer(modules.values) + "." + kind}}});
  }
  add("encoder.layers.*.self_attn.out_proj", in_layer(modules.attention_output));
  add_norm("encoder.layers.*.norm1", in_layer(modules.attention_norm));
  add("encoder.layers.*.linear1", in_layer(modules.feed_forward));
  add("encoder.layers.*.linear2", in_layer(modules.feed_forward_output));
  add_norm("encoder.layers.*.norm2", in_layer(modules.feed_forward_norm));
  const bool has_labels = !config.labels.empty();
  add("pooler", bert_pooler(modules, has_labels));
  add("masked_language.dense", std::string(modules.masked_dense));
  add_norm("masked_language.norm", std::string(modules.masked_norm));
  add("next_sentence", std::string(modules.next_sentence));
  add("replaced_token.dense", "discriminator_predictions.dense");
  add("replaced_token.prediction", "discriminator_predictions.dense_prediction");
  add("classifier", config.labels_tokens() ? "classifier" : std::string(modules.label_output));
  add("question", "qa_outputs");
  return names;
}

}}}  // namespace rapt::RAPT_ABI::detail
