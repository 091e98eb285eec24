/// \file
/// Image GPT as an ONNX graph.
#pragma once

#include <filesystem>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/models/image_gpt.hpp"
#include "rapt/onnx/causal_decoder.hpp"
#include "rapt/onnx/encoder_heads.hpp"
#include "rapt/onnx/stack.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// With a pixel head see `write_causal`. Otherwise writes `model.onnx` into a folder: input_ids and attention_mask [B,
/// L] of images that are padded behind; logits [B, labels], or last_hidden_state. Returns the paths.
inline std::vector<std::filesystem::path> export_onnx(const ImageGpt<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const ImageGptConfig& config = model.config();
  ModelGraph graph("image_gpt", model);
  const StackDescription stack{
      .blocks = config.layers, .options_of = [&](Index i) { return config.layer(i); }, .final_norm = true};
  if (config.pixel_head) {
    return write_causal(graph,
                        {.stack = stack,
                         .embedding = "embedding.weight",
                         .positions = "positions.weight",
                         .output = "output.weight",
                         .vocabulary = config.clusters},
                        folder, options);
  }
  const TextInputs inputs = text_inputs(graph);
  StackCall call = inputs.encoder_call();
  call.causal = true;
  const Value x = graph.apply("Add", {embedding(graph, inputs.ids, "embedding.weight"),
                                      embedding(graph, inputs.positions, "positions.weight")});
  const Value hidden = run_stack(graph, stack, call, x).hidden;
  if (const Index labels = std::ssize(config.labels); labels > 0) {
    const Value mean = mean_of_tokens(graph, hidden, inputs.attention_mask);
    graph.output(linear(graph, mean, "classifier"), "logits", ElementType::float32, {kBatch, labels});
  } else {
    graph.output(hidden, "last_hidden_state", ElementType::float32, {kBatch, kLength, config.d_model});
  }
  return write_only_graph(graph, folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
