/// \file
/// Transformer-XL as an ONNX graph, with what it has cached of the segments before as inputs and results.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/models/transformer_xl.hpp"
#include "rapt/onnx/export_options.hpp"
#include "rapt/onnx/stack.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// The tokens' embeddings: each id is looked up in the table of every cluster, at a row that the table has, and the
/// result of its own cluster is chosen   // [B, L, D] from ids [B, L]
inline Value adaptive_embedding(ModelGraph& graph, const AdaptiveVocabulary& vocabulary, const Value& ids) {
  const double scale = std::sqrt(static_cast<double>(vocabulary.d_model));
  const auto looked_up = [&](const Value& rows, Index table) {
    const std::string number = std::to_string(table);
    const Value narrow = embedding(graph, rows, "embedding.weights." + number, scale);
    if (!vocabulary.is_projected()) return narrow;
    return output_projection(graph, narrow, "embedding.projections." + number);
  };
  if (vocabulary.tables() == 1) return looked_up(ids, 0);
  Value x;
  for (Index cluster = 0; cluster < vocabulary.clusters(); ++cluster) {
    const Index begin = vocabulary.begin(cluster);
    Value rows = begin == 0 ? ids : graph.apply("Sub", {ids, graph.integer(begin)});
    if (begin > 0) rows = graph.apply("Max", {rows, graph.integer(0)});
    if (cluster + 1 < vocabulary.clusters()) {
      rows = graph.apply("Min", {rows, graph.integer(vocabulary.size(cluster) - 1)});
    }
    const Value embedded = looked_up(rows, cluster);
    if (cluster > 0) {
      const Value is_rarer = graph.apply("Greater", {ids, graph.integer(begin - 1)});
      x = graph.apply("Where", {graph.apply("Unsqueeze", {is_rarer, graph.integers({-1})}), embedded, x});
    } else {
      x = embedded;
    }
  }
  return x;
}

/// Log-probabilities of every token (AdaptiveSoftmax)   // [B, L, V] from hidden states [B, L, D]
inline Value adaptive_log_probabilities(ModelGraph& graph, const AdaptiveVocabulary& vocabulary, const Value& hidden) {
  const Attribute last = {"axis", std::int64_t{-1}}, first = {"axis", std::int64_t{0}};
  const auto slice = [&](const Value& x, Index begin, Index end, std::int64_t axis) {
    return graph.apply("Slice", {x, graph.integers({begin}), graph.integers({end}), graph.integers({axis})});
  };
  const auto part_of = [&](const std::string& tables, Index cluster) {
    if (!vocabulary.has_one_table()) return graph.weight(tables + std::to_string(cluster));
    const Value all = graph.weight(tables + "0");
    return vocabulary.clusters() == 1 ? all : slice(all, vocabulary.begin(cluster), vocabulary.end(cluster), 0);
  };
  const std::string tables = graph.has("output.weights.0") ? "output.weights." : "embedding.weights.";
  const auto project = [&](Index cluster) {  // h P_c
    if (!vocabulary.is_projected()) return hidden;
    const std::string own = "output.projections." + std::to_string(cluster);
    const std::string tied = "embedding.projections." + std::to_string(vocabulary.has_one_table() ? 0 : cluster);
    return graph.apply("MatMul", {hidden, graph.weight(graph.has(own) ? own : tied)});
  };
  const auto log_softmax = [&](Index cluster, const Value& weight, const Value& bias) {
    const Value transposed = graph.apply("Transpose", {weight}, {{"perm", std::vector<std::int64_t>{1, 0}}});
    const Value scores = graph.apply("Add", {graph.apply("MatMul", {project(cluster), transposed}), bias});
    return graph.apply("LogSoftmax", {scores}, {last});
  };
  const Value weight = part_of(tables, 0), bias = part_of("output.biases.", 0);
  if (vocabulary.clusters() == 1) return log_softmax(0, weight, bias);
  const Value head = log_softmax(0, graph.apply("Concat", {weight, graph.weight("output.cluster_weight")}, {first}),
                                 graph.apply("Concat", {bias, graph.weight("output.cluster_bias")}, {first}));
  const Index frequent = vocabulary.size(0);
  std::vector<Value> parts = {slice(head, 0, frequent, -1)};
  for (Index cluster = 1; cluster < vocabulary.clusters(); ++cluster) {
    const Value of_cluster = slice(head, frequent + cluster - 1, frequent + cluster, -1);
    const Value of_tail = log_softmax(cluster, part_of(tables, cluster), part_of("output.biases.", cluster));
    parts.push_back(graph.apply("Add", {of_tail, of_cluster}));
  }
  return graph.apply("Concat", parts, 1, {last}).front();
}

/// Writes `model.onnx` into a folder. It reads the next tokens input_ids [B, L] behind M others, of which mems.<layer>
/// [B, M, D] are what each layer read; M may be 0. It gives logits [B, L, V], which are log-probabilities, and for the
/// next call new_mems.<layer>, the last rows of both, at most `memory_length`. A model without memory has no mems.
/// Returns the paths.
///
/// With `begins_with_zeros` a text begins behind memory_length rows of zeros, otherwise behind none. Texts of one call
/// that are padded behind have right logits; their memory ends with the padding and cannot be read on from. Hugging
/// Face's code has the mems with their first two axes exchanged.
inline std::vector<std::filesystem::path> export_onnx(const TransformerXl<float>& model,
                                                      const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const TransformerXlConfig& config = model.config();
  const AdaptiveVocabulary vocabulary = config.adaptive_vocabulary();
  const bool has_memory = config.memory_length > 0;
  constexpr const char* kMemoryLength = "memory_length";
  ModelGraph graph("transformer_xl", model);
  const Value ids = graph.input("input_ids", ElementType::int64, {kBatch, kLength});
  const Value length = graph.size(ids, 1);
  StackCall call{.places = {.queries = length, .keys = length, .past = graph.integers({0})}, .causal = true};
  for (Index layer = 0; has_memory && layer < config.layers; ++layer) {
    call.segments.push_back(
        graph.input("mems." + std::to_string(layer), ElementType::float32, {kBatch, kMemoryLength, config.d_model}));
  }
  if (has_memory) {
    call.places.past = graph.size(call.segments.front(), 1);
    call.places.keys = graph.apply("Add", {call.places.past, length});
  }

  const Value counted = range(graph, graph.integers({0}), call.places.keys);
  const Value largest = graph.apply("Sub", {call.places.keys, graph.integer(1)});
  Value distances = graph.apply("Sub", {largest, counted});  // T - 1 .. 0
  if (config.clamp_length > 0) distances = graph.apply("Min", {distances, graph.integer(config.clamp_length)});
  const Value encodings = sinusoids(graph, distances, config.d_model, {.layout = SinusoidLayout::halves});
  call.distances.encodings = graph.apply("Unsqueeze", {encodings, graph.integers({0})});
  if (!config.own_biases) {
    call.distances.content_bias = graph.weight("content_bias");
    call.distances.position_bias = graph.weight("position_bias");
  }

  const StackDescription stack{.blocks = config.layers, .options_of = [&](Index) { return config.layer(); }};
  const StackResult result = run_stack(graph, stack, call, adaptive_embedding(graph, vocabulary, ids));
  graph.output(adaptive_log_probabilities(graph, vocabulary, result.hidden), "logits", ElementType::float32,
               {kBatch, kLength, config.vocabulary});
  if (has_memory) {
    const Value unkept = graph.apply("Sub", {call.places.keys, graph.integer(config.memory_length)});
    const Value first = graph.apply("Max", {unkept, graph.integer(0)});
    const Value end = graph.integers({std::numeric_limits<std::int64_t>::max()});
    for (Index layer = 0; layer < config.layers; ++layer) {
      const Value kept = graph.apply("Slice", {at(result.read, layer), first, end, graph.integers({1})});
      graph.output(kept, "new_mems." + std::to_string(layer), ElementType::float32,
                   {kBatch, "new_memory_length", config.d_model});
    }
  }
  return write_only_graph(graph, folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
