/// \file
/// ViT and DeiT as ONNX graphs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/models/deit.hpp"
#include "rapt/models/vit.hpp"
#include "rapt/onnx/export_options.hpp"
#include "rapt/onnx/stack.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// The input pixel_values [B, C, H, W] of images of the model's size. `batch`: what B is called.
inline Value pixel_input(ModelGraph& graph, const ImageShape& image, const char* batch = kBatch) {
  return graph.input("pixel_values", ElementType::float32, {batch, image.channels, image.height, image.width});
}

/// Patches, projected   // [B, P, D] from pixels [B, C, H, W]
inline Value patch_embedding(ModelGraph& graph, const Value& pixels, const std::string& name, const PatchGrid& grid,
                             Index d_model) {
  const Attribute strides = {"strides", std::vector<std::int64_t>{grid.patch_height, grid.patch_width}};
  const Value weight = graph.weight(name + ".weight");
  const Value maps = graph.has(name + ".bias")
                         ? graph.apply("Conv", {pixels, weight, graph.weight(name + ".bias")}, {strides})
                         : graph.apply("Conv", {pixels, weight}, {strides});
  const Value flat = graph.apply("Reshape", {maps, graph.integers({0, d_model, -1})});
  return graph.apply("Transpose", {flat}, {{"perm", std::vector<std::int64_t>{0, 2, 1}}});
}

/// Learned tokens [1, 1, D], once for each image, and then the rows x   // [B, tokens + P, D] from x [B, P, D]
inline Value behind_tokens(ModelGraph& graph, const Value& x, const std::vector<Value>& tokens) {
  const Attribute rows = {"axis", std::int64_t{0}};
  const Value shape = graph.apply("Concat", {graph.size(x, 0), graph.integers({1, 1})}, {rows});
  std::vector<Value> parts;
  for (const Value& token : tokens) parts.push_back(graph.apply("Expand", {token, shape}));
  parts.push_back(x);
  return graph.apply("Concat", parts, 1, {{"axis", std::int64_t{1}}}).front();
}

/// The last hidden state of a VitEncoder: learned tokens, then patches   // [B, L, D]
inline Value vit_encoder(ModelGraph& graph, const VitConfig& config, const std::vector<std::string>& tokens) {
  const Value pixels = pixel_input(graph, config.grid.image);
  const Value patches = patch_embedding(graph, pixels, "patch_embedding", config.grid, config.d_model);
  std::vector<Value> learned;
  for (const std::string& name : tokens) learned.push_back(graph.weight(name));
  const Value x = graph.apply("Add", {behind_tokens(graph, patches, learned), graph.weight("positions")});
  const StackDescription encoder{.name = "encoder.",
                                 .blocks = config.layers,
                                 .options_of = [&](Index) { return config.layer(); },
                                 .final_norm = true};
  return run_stack(graph, encoder, {}, x).hidden;
}

/// Makes the results of the encoder alone the graph's: last_hidden_state [B, L, D] and, with a pooler, pooler_output.
inline void output_encoder(ModelGraph& graph, const VitConfig& config, const Value& hidden, Index tokens) {
  graph.output(hidden, "last_hidden_state", ElementType::float32,
               {kBatch, tokens + config.grid.patches(), config.d_model});
  if (!config.pooler) return;
  graph.output(linear(graph, first_token(graph, hidden), "pooler", config.pooler_activation), "pooler_output",
               ElementType::float32, {kBatch, config.pooler_width.value_or(config.d_model)});
}

/// Writes `model.onnx` into a folder: pixel_values [B, C, H, W] of images of the model's size. Its result is logits [B,
/// labels], or of the encoder alone last_hidden_state and, with a pooler, pooler_output. Returns the paths.
inline std::vector<std::filesystem::path> export_onnx(const Vit<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const VitConfig& config = model.config();
  ModelGraph graph("vit", model);
  const Value hidden = vit_encoder(graph, config, {"class_token"});
  const Index labels = std::ssize(config.labels);
  if (labels > 0) {
    Value pooled;
    if (config.pooling == ImagePooling::class_token) {
      pooled = first_token(graph, hidden);
    } else {
      const Value patches = graph.apply(
          "Slice", {hidden, graph.integers({1}), graph.integers({1 + config.grid.patches()}), graph.integers({1})});
      pooled = graph.apply("ReduceMean", {patches, graph.integers({1})}, {{"keepdims", std::int64_t{0}}});
    }
    graph.output(linear(graph, pooled, "classifier"), "logits", ElementType::float32, {kBatch, labels});
  } else {
    output_encoder(graph, config, hidden, 1);
  }
  return write_only_graph(graph, folder, options);
}

/// The same of a DeiT, whose logits are the mean of both heads' where it has two.
inline std::vector<std::filesystem::path> export_onnx(const Deit<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const DeitConfig& config = model.config();
  ModelGraph graph("deit", model);
  const Value hidden = vit_encoder(graph, config, {"class_token", "distillation_token"});
  const Index labels = std::ssize(config.labels);
  if (labels > 0) {
    Value scores = linear(graph, first_token(graph, hidden), "classifier");
    if (config.distillation_head) {
      const Value token = graph.apply("Gather", {hidden, graph.integer(1)}, {{"axis", std::int64_t{1}}});
      const Value both = graph.apply("Add", {scores, linear(graph, token, "distillation_classifier")});
      scores = graph.apply("Mul", {both, graph.number(0.5)});
    }
    graph.output(scores, "logits", ElementType::float32, {kBatch, labels});
  } else {
    output_encoder(graph, config, hidden, 2);
  }
  return write_only_graph(graph, folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
