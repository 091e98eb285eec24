/// \file
/// ModernBERT as an ONNX graph.
#pragma once

#include <filesystem>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/models/modern_bert.hpp"
#include "rapt/onnx/encoder_heads.hpp"
#include "rapt/onnx/stack.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// Writes `model.onnx` into a folder: input_ids and attention_mask [B, L], of texts that are padded behind. Its results
/// are those of the head: logits, start_logits and end_logits, or of the encoder alone last_hidden_state. Returns the
/// paths.
inline std::vector<std::filesystem::path> export_onnx(const ModernBert<float>& model,
                                                      const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const ModernBertConfig& config = model.config();
  ModelGraph graph("modern_bert", model);
  const TextInputs inputs = text_inputs(graph);
  const StackDescription stack{
      .blocks = config.layers, .options_of = [&](Index i) { return config.block(i); }, .final_norm = true};
  const Value x = norm(graph, embedding(graph, inputs.ids, "embedding.weight"), "embedding_norm", NormKind::layer,
                       config.norm_epsilon);
  const Value hidden = run_stack(graph, stack, inputs.encoder_call(), x).hidden;
  const auto transformed = [&](const Value& states) { return hidden_transform(graph, states, "head", config.head()); };
  const Index labels = std::ssize(config.labels);
  if (labels > 0 && config.token_labels) {
    graph.output(linear(graph, transformed(hidden), "classifier"), "logits", ElementType::float32,
                 {kBatch, kLength, labels});
  } else if (labels > 0) {
    const Value pooled =
        config.mean_pooling ? mean_of_tokens(graph, hidden, inputs.attention_mask) : first_token(graph, hidden);
    graph.output(linear(graph, transformed(pooled), "classifier"), "logits", ElementType::float32, {kBatch, labels});
  } else if (config.question_head) {
    output_places(graph, linear(graph, transformed(hidden), "question"));
  } else if (config.masked_language_head) {
    const Value bias = config.vocabulary_bias ? graph.weight("vocabulary_bias") : Value();
    graph.output(output_projection(graph, transformed(hidden), "embedding.weight", bias), "logits",
                 ElementType::float32, {kBatch, kLength, config.vocabulary});
  } else {
    graph.output(hidden, "last_hidden_state", ElementType::float32, {kBatch, kLength, config.d_model});
  }
  return write_only_graph(graph, folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
