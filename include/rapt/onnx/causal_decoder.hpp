/// \file
/// Language models without an encoder as ONNX graphs with a cache: GPT, Llama and its relatives, Gemma.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/models/gemma.hpp"
#include "rapt/models/gpt.hpp"
#include "rapt/models/llama.hpp"
#include "rapt/onnx/decoder_cache.hpp"
#include "rapt/onnx/export_options.hpp"
#include "rapt/onnx/stack.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// What one language model has beside its stack.
struct CausalModel {
  StackDescription stack = {};
  std::string embedding = {};  ///< the parameter with a row for each token
  double scale = 1;            ///< of the embedding
  std::string positions = {};  ///< the parameter with a row for each position; empty: there is none
  std::string output = {};     ///< the matrix of the output projection
  Index vocabulary = 0;        ///< V, the columns of the logits
  double logit_cap = 0;        ///< soft cap of the logits; 0: none
};

/// Writes `model.onnx` into a folder. It reads the next tokens input_ids [B, L] behind P others, whose keys and values
/// are past_key_values.<layer>.key and .value [B, K, P, d]; P may be 0. attention_mask [B, P + L] is 1 for tokens and 0
/// for padding, which may stand before or behind a text; positions count tokens alone. It gives logits [B, L, V] and
/// the next call's keys and values, present.<layer>.key and .value. Returns the paths.
///
/// A text that is longer than a learned table of positions fails in the runtime. With dynamic scaling and longrope the
/// frequencies of rotary positions follow the length so far: keys that are given back keep the rotation that they were
/// computed with, that of the shorter text, as in rapt's own cache (see Rotary).
inline std::vector<std::filesystem::path> write_causal(ModelGraph& graph, const CausalModel& model,
                                                       const std::filesystem::path& folder,
                                                       const WriteOptions& options) {
  const Value ids = graph.input("input_ids", ElementType::int64, {kBatch, kLength});
  const Value mask = graph.input("attention_mask", ElementType::int64, {kBatch, kTotalLength});
  const Value length = graph.size(ids, 1), total = graph.size(mask, 1);
  StackCall call{.places = {.queries = length, .keys = total, .past = graph.apply("Sub", {total, length})},
                 .attention_mask = mask,
                 .causal = true};
  call.positions = unpadded_positions(graph, mask, call.places);
  call.past = past_inputs(graph, model.stack, "past_key_values.", "", kPastLength);

  Value x = embedding(graph, ids, model.embedding, model.scale);
  if (!model.positions.empty()) x = graph.apply("Add", {x, embedding(graph, call.positions, model.positions)});
  const StackResult result = run_stack(graph, model.stack, call, x);
  Value logits = output_projection(graph, result.hidden, model.output);
  if (model.logit_cap > 0) {
    const Value cap = graph.number(model.logit_cap);
    logits = graph.apply("Mul", {graph.apply("Tanh", {graph.apply("Div", {logits, cap})}), cap});
  }
  graph.output(logits, "logits", ElementType::float32, {kBatch, kLength, model.vocabulary});
  output_present(graph, model.stack, result.present, "", kTotalLength);
  return write_only_graph(graph, folder, options);
}

/// See `write_causal`.
inline std::vector<std::filesystem::path> export_onnx(const Gpt<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const GptConfig& config = model.config();
  ModelGraph graph("gpt", model);
  return write_causal(
      graph,
      {.stack = {.blocks = config.layers, .options_of = [&](Index i) { return config.layer(i); }, .final_norm = true},
       .embedding = "embedding.weight",
       .positions = "positions.weight",
       .output = config.tie_embeddings ? "embedding.weight" : "output.weight",
       .vocabulary = config.vocabulary},
      folder, options);
}

/// See `write_causal`.
inline std::vector<std::filesystem::path> export_onnx(const Llama<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const LlamaConfig& config = model.config();
  ModelGraph graph("llama", model);
  return write_causal(
      graph,
      {.stack = {.blocks = config.layers, .options_of = [&](Index) { return config.layer(); }, .final_norm = true},
       .embedding = "embed_tokens.weight",
       .output = config.tie_embeddings ? "embed_tokens.weight" : "lm_head.weight",
       .vocabulary = config.vocabulary},
      folder, options);
}

/// See `write_causal`.
inline std::vector<std::filesystem::path> export_onnx(const Gemma<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const GemmaConfig& config = model.config();
  ModelGraph graph("gemma", model);
  return write_causal(
      graph,
      {.stack = {.blocks = config.layers, .options_of = [&](Index i) { return config.block(i); }, .final_norm = true},
       .embedding = "embed_tokens.weight",
       .scale = std::sqrt(static_cast<double>(config.d_model)),
       .output = config.tie_embeddings ? "embed_tokens.weight" : "lm_head.weight",
       .vocabulary = config.vocabulary,
       .logit_cap = config.logit_cap},
      folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
