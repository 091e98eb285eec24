/// \file
/// BERT and its family as an ONNX graph.
#pragma once

#include <filesystem>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/models/bert.hpp"
#include "rapt/onnx/encoder_heads.hpp"
#include "rapt/onnx/stack.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// Dropout(LayerNorm(token + position + type)), projected if it is not as wide as the layers   // [B, L, D]
inline Value embed(ModelGraph& graph, const BertConfig& config, const TextInputs& inputs) {
  Value positions = inputs.positions;
  if (config.is_roberta()) {  // counted from behind the padding token's number, without padding tokens
    const Value padding = graph.integer(*config.padding_token);
    const Value is_padding = graph.apply("Equal", {inputs.ids, padding});
    const Value is_token = graph.apply("Where", {is_padding, graph.integer(0), graph.integer(1)});
    const Value counts = graph.apply("CumSum", {is_token, graph.integer(1)});
    positions = graph.apply("Add", {graph.apply("Mul", {counts, is_token}), padding});
  }
  Value x = graph.apply(
      "Add", {embedding(graph, inputs.ids, "embedding.weight"), embedding(graph, positions, "positions.weight")});
  if (config.token_types > 0) {
    const Value types = config.token_types > 1 ? graph.input("token_type_ids", ElementType::int64, {kBatch, kLength})
                                               : graph.apply("Mul", {inputs.ids, graph.integer(0)});
    x = graph.apply("Add", {x, embedding(graph, types, "token_types.weight")});
  }
  x = norm(graph, x, "norm", NormKind::layer, config.norm_epsilon);
  return config.embedding_width ? linear(graph, x, "projection") : x;
}

/// Writes `model.onnx` into a folder: input_ids, attention_mask (of texts that are padded behind) and, unless the model
/// tells one type at most, token_type_ids, all [B, L]. Its results are those of the head: logits, start_logits and
/// end_logits, prediction_logits beside seq_relationship_logits (ALBERT: sop_logits), or of the encoder alone
/// last_hidden_state and, with a pooler, pooler_output. Returns the paths.
inline std::vector<std::filesystem::path> export_onnx(const Bert<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const BertConfig& config = model.config();
  ModelGraph graph("bert", model);
  const TextInputs inputs = text_inputs(graph);
  const StackDescription encoder{.name = "encoder.",
                                 .blocks = config.blocks(),
                                 .options_of = [&](Index) { return config.layer(); },
                                 .layers_each = config.layers / config.blocks()};
  const Value hidden = run_stack(graph, encoder, inputs.encoder_call(), embed(graph, config, inputs)).hidden;
  const auto pooled = [&] { return linear(graph, first_token(graph, hidden), "pooler", config.pooler_activation()); };
  const auto next_sentence = [&] { return linear(graph, pooled(), "next_sentence"); };
  const Index labels = std::ssize(config.labels);
  if (labels > 0 && config.labels_tokens()) {
    graph.output(linear(graph, hidden, "classifier"), "logits", ElementType::float32, {kBatch, kLength, labels});
  } else if (labels > 0) {
    graph.output(linear(graph, pooled(), "classifier"), "logits", ElementType::float32, {kBatch, labels});
  } else if (config.question_head) {
    output_places(graph, linear(graph, hidden, "question"));
  } else if (config.masked_language_head) {
    const Value transformed = hidden_transform(graph, hidden, "masked_language", config.masked_language_options());
    const Value scores =
        output_projection(graph, transformed, "embedding.weight", graph.weight("masked_language.bias"));
    graph.output(scores, config.next_sentence_head ? "prediction_logits" : "logits", ElementType::float32,
                 {kBatch, kLength, config.vocabulary});
    const bool albert = config.family == BertFamily::albert;
    if (config.next_sentence_head) {
      graph.output(next_sentence(), albert ? "sop_logits" : "seq_relationship_logits", ElementType::float32,
                   {kBatch, Index{2}});
    }
  } else if (config.replaced_token_head) {
    const Value dense = linear(graph, hidden, "replaced_token.dense", config.activation);
    const Value scores = linear(graph, dense, "replaced_token.prediction");
    graph.output(graph.apply("Squeeze", {scores, graph.integers({-1})}), "logits", ElementType::float32,
                 {kBatch, kLength});
  } else if (config.next_sentence_head) {
    graph.output(next_sentence(), "logits", ElementType::float32, {kBatch, Index{2}});
  } else {
    graph.output(hidden, "last_hidden_state", ElementType::float32, {kBatch, kLength, config.d_model});
    if (config.pooler) graph.output(pooled(), "pooler_output", ElementType::float32, {kBatch, config.d_model});
  }
  return write_only_graph(graph, folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
