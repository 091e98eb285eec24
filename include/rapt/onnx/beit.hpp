/// \file
/// BEiT as an ONNX graph.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/models/beit.hpp"
#include "rapt/nn/relative_position_bias.hpp"
#include "rapt/onnx/export_options.hpp"
#include "rapt/onnx/stack.hpp"
#include "rapt/onnx/vit.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// Writes `model.onnx` into a folder: pixel_values [B, C, H, W] of images of the model's size and, where the model has
/// a mask token and no labels, bool_masked_pos [B, P], true for patches in whose place that token stands. Its result is
/// logits [B, labels], or [B, P, visual tokens] of a masked-patch head, or of the encoder alone last_hidden_state and,
/// with a pooler, pooler_output. Returns the paths.
inline std::vector<std::filesystem::path> export_onnx(const Beit<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const BeitConfig& config = model.config();
  const Index patch_count = config.grid.patches(), labels = std::ssize(config.labels);
  ModelGraph graph("beit", model);
  Value patches =
      patch_embedding(graph, pixel_input(graph, config.grid.image), "patch_embedding", config.grid, config.d_model);
  if (config.mask_token && labels == 0) {
    const Value is_masked = graph.input("bool_masked_pos", ElementType::boolean, {kBatch, patch_count});
    const Value column = graph.apply("Unsqueeze", {is_masked, graph.integers({-1})});
    patches = graph.apply("Where", {column, graph.weight("mask_token"), patches});
  }
  Value x = behind_tokens(graph, patches, {graph.weight("class_token")});
  if (config.positions) x = graph.apply("Add", {x, graph.weight("positions")});
  StackCall call;
  if (config.shared_relative_positions) call.bias_table = graph.weight("position_bias.table");
  if (config.relative_positions || config.shared_relative_positions) {
    const std::vector<std::int32_t> narrow = relative_pairs(config.grid.rows(), config.grid.cols());
    const std::vector<std::int64_t> pairs(narrow.begin(), narrow.end());
    call.bias_numbers =
        graph.constant("relative_pairs", {patch_count + 1, patch_count + 1}, std::span<const std::int64_t>(pairs));
  }
  const StackDescription stack{.blocks = config.layers,
                               .options_of = [&](Index i) { return config.layer(i); },
                               .final_norm = !config.mean_pooling};
  const Value hidden = run_stack(graph, stack, call, x).hidden;
  const auto patch_rows = [&] {
    return graph.apply("Slice", {hidden, graph.integers({1}), graph.integers({1 + patch_count}), graph.integers({1})});
  };
  const auto pooled = [&] {
    if (!config.mean_pooling) return first_token(graph, hidden);
    const Value mean = graph.apply("ReduceMean", {patch_rows(), graph.integers({1})}, {{"keepdims", std::int64_t{0}}});
    return norm(graph, mean, "pooler_norm", NormKind::layer, config.norm_epsilon);
  };
  if (labels > 0) {
    graph.output(linear(graph, pooled(), "classifier"), "logits", ElementType::float32, {kBatch, labels});
  } else if (config.masked_patch_head) {
    const Value normed = norm(graph, patch_rows(), "masked_patch.norm", NormKind::layer, config.norm_epsilon);
    graph.output(linear(graph, normed, "masked_patch.projection"), "logits", ElementType::float32,
                 {kBatch, patch_count, config.visual_tokens});
  } else {
    graph.output(hidden, "last_hidden_state", ElementType::float32, {kBatch, patch_count + 1, config.d_model});
    if (config.pooler) graph.output(pooled(), "pooler_output", ElementType::float32, {kBatch, config.d_model});
  }
  return write_only_graph(graph, folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
