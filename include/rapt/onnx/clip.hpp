/// \file
/// CLIP as an ONNX graph.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/models/clip.hpp"
#include "rapt/onnx/encoder_heads.hpp"
#include "rapt/onnx/stack.hpp"
#include "rapt/onnx/vit.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// x divided by its length along the last axis.
inline Value normalized(ModelGraph& graph, const Value& x) {
  const Value squares = graph.apply("ReduceSum", {graph.apply("Mul", {x, x}), graph.integers({-1})});
  return graph.apply("Div", {x, graph.apply("Sqrt", {squares})});
}

/// A vector of length 1 for each text   // [B, E]
inline Value text_embedding(ModelGraph& graph, const ClipTextConfig& config, const TextInputs& inputs) {
  const StackDescription encoder{.name = "text.encoder.",
                                 .blocks = config.layers,
                                 .options_of = [&](Index) { return ClipConfig::layer(config); },
                                 .final_norm = true};
  StackCall call = inputs.encoder_call();
  call.causal = true;
  const Value x = graph.apply("Add", {embedding(graph, inputs.ids, "text.embedding.weight"),
                                      embedding(graph, inputs.positions, "text.positions.weight")});
  const Value hidden = run_stack(graph, encoder, call, x).hidden;
  // The first end token, or the first token with the largest id.
  Value sought = inputs.ids;
  if (config.end_token) {
    const Value is_end = graph.apply("Equal", {inputs.ids, graph.integer(*config.end_token)});
    sought = graph.apply("Where", {is_end, graph.integer(1), graph.integer(0)});
  }
  const Value place = graph.apply("ArgMax", {sought}, {{"axis", std::int64_t{1}}});  // [B, 1]
  const Value is_place =
      graph.apply("Where", {graph.apply("Equal", {inputs.positions, place}), graph.integer(1), graph.integer(0)});
  return normalized(graph, linear(graph, mean_of_tokens(graph, hidden, is_place), "text_projection"));
}

/// A vector of length 1 for each image   // [B, E]
inline Value image_embedding(ModelGraph& graph, const ClipVisionConfig& config, const Value& pixels) {
  const StackDescription encoder{.name = "vision.encoder.", .blocks = config.layers, .options_of = [&](Index) {
                                   return ClipConfig::layer(config);
                                 }};
  const Value shape = graph.integers({1, 1, config.d_model});
  const Value token = graph.apply("Reshape", {graph.weight("vision.class_token"), shape});
  const Value patches = patch_embedding(graph, pixels, "vision.patch_embedding", config.grid, config.d_model);
  const Value all =
      graph.apply("Add", {behind_tokens(graph, patches, {token}), graph.weight("vision.positions.weight")});
  const Value x = norm(graph, all, "vision.pre_norm", NormKind::layer, config.norm_epsilon);
  const Value first = first_token(graph, run_stack(graph, encoder, {}, x).hidden);
  const Value pooled = norm(graph, first, "vision.post_norm", NormKind::layer, config.norm_epsilon);
  return normalized(graph, linear(graph, pooled, "image_projection"));
}

/// Writes `model.onnx` into a folder: input_ids and attention_mask [T, L] of texts that are padded behind, pixel_values
/// [I, C, H, W] of images of the model's size; logits_per_image [I, T], logits_per_text [T, I], text_embeds [T, E] and
/// image_embeds [I, E]. Returns the paths.
inline std::vector<std::filesystem::path> export_onnx(const Clip<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const ClipConfig& config = model.config();
  const ImageShape& image = config.vision.grid.image;
  constexpr const char* kTexts = "text_batch_size";
  constexpr const char* kImages = "image_batch_size";
  ModelGraph graph("clip", model);
  const Value texts = text_embedding(graph, config.text, text_inputs(graph, kTexts));
  const Value images = image_embedding(graph, config.vision, pixel_input(graph, image, kImages));
  const std::vector<std::int64_t> exchanged = {1, 0};
  const Value cosines = graph.apply("MatMul", {images, graph.apply("Transpose", {texts}, {{"perm", exchanged}})});
  const Value scores = graph.apply("Mul", {cosines, graph.apply("Exp", {graph.weight("logit_scale")})});
  graph.output(scores, "logits_per_image", ElementType::float32, {kImages, kTexts});
  graph.output(graph.apply("Transpose", {scores}, {{"perm", exchanged}}), "logits_per_text", ElementType::float32,
               {kTexts, kImages});
  graph.output(texts, "text_embeds", ElementType::float32, {kTexts, config.embedding});
  graph.output(images, "image_embeds", ElementType::float32, {kImages, config.embedding});
  return write_only_graph(graph, folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
