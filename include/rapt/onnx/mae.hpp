/// \file
/// Masked autoencoders as an ONNX graph.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/models/mae.hpp"
#include "rapt/onnx/export_options.hpp"
#include "rapt/onnx/stack.hpp"
#include "rapt/onnx/vit.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// Which patches of each image are visible: those with the least noise, in its order.
struct PatchOrder {
  Index visible = 0;  ///< K, of each image
  Value shuffled;     ///< the patches by their noise; the first K are visible   // [B, P]
  Value places;       ///< where each patch stands among them, which is the inverse of `shuffled`   // [B, P]
};

/// Orders the patches by their noise; the first `visible` ones are seen by the encoder.
[[nodiscard]] inline PatchOrder patch_order(ModelGraph& graph, const Value& noise, Index patches, Index visible) {
  const auto sorted = [&](const Value& x) {  // the places of the elements in ascending order
    return graph
        .apply("TopK", {x, graph.integers({patches})}, 2, {{"axis", std::int64_t{-1}}, {"largest", std::int64_t{0}}})
        .back();
  };
  const Value shuffled = sorted(noise);
  return {visible, shuffled, sorted(shuffled)};
}

/// Rows of each image by their places   // [B, n, D] from x [B, P, D] and places [B, n]
inline Value rows_at(ModelGraph& graph, const Value& x, const Value& places) {
  return graph.apply("GatherND", {x, graph.apply("Unsqueeze", {places, graph.integers({-1})})},
                     {{"batch_dims", std::int64_t{1}}});
}

/// Elements begin .. end - 1 of the second axis.
inline Value middle(ModelGraph& graph, const Value& x, Index begin,
                    std::int64_t end = std::numeric_limits<std::int64_t>::max()) {
  return graph.apply("Slice", {x, graph.integers({begin}), graph.integers({end}), graph.integers({1})});
}

/// What the encoder makes of the class token and the visible patches   // [B, K + 1, D] from pixels [B, C, H, W]
inline Value mae_encoder(ModelGraph& graph, const MaeConfig& config, const Value& pixels, const PatchOrder& order) {
  const Value positions = graph.weight("positions");  // [1, P + 1, D]
  const Value patches = graph.apply(
      "Add",
      {patch_embedding(graph, pixels, "patch_embedding", config.grid, config.d_model), middle(graph, positions, 1)});
  const Value visible = rows_at(graph, patches, middle(graph, order.shuffled, 0, order.visible));
  const Value token = graph.apply("Add", {graph.weight("class_token"), middle(graph, positions, 0, 1)});
  const StackDescription encoder{.name = "encoder.",
                                 .blocks = config.layers,
                                 .options_of = [&](Index) { return config.layer(); },
                                 .final_norm = true};
  return run_stack(graph, encoder, {}, behind_tokens(graph, visible, {token})).hidden;
}

/// Pixels of all patches in the order (y, x, c)   // [B, P, p_h p_w C] from the encoder's rows [B, K + 1, D]
inline Value mae_decoder(ModelGraph& graph, const MaeConfig& config, const Value& encoded, const PatchOrder& order) {
  const Value x = linear(graph, encoded, "decoder.embedding");
  Value patches = middle(graph, x, 1);
  if (const Index hidden = config.grid.patches() - order.visible; hidden > 0) {
    const Value shape =
        graph.apply("Concat", {graph.size(x, 0), graph.integers({hidden, 1})}, {{"axis", std::int64_t{0}}});
    const Value tokens = graph.apply("Expand", {graph.weight("decoder.mask_token"), shape});
    patches = graph.apply("Concat", {patches, tokens}, {{"axis", std::int64_t{1}}});
  }
  const Value in_order = rows_at(graph, patches, order.places);
  const Value all = graph.apply("Concat", {middle(graph, x, 0, 1), in_order}, {{"axis", std::int64_t{1}}});
  const StackDescription decoder{.name = "decoder.encoder.",
                                 .blocks = config.decoder_layers,
                                 .options_of = [&](Index) { return config.decoder_layer(); },
                                 .final_norm = true};
  const Value decoded =
      run_stack(graph, decoder, {}, graph.apply("Add", {all, graph.weight("decoder.positions")})).hidden;
  return linear(graph, middle(graph, decoded, 1), "decoder.prediction");
}

/// The images with the hidden patches as the decoder has them, which get the mean and standard deviation of the patches
/// that were there if the decoder predicts normalised ones   // [B, C, H, W]
inline Value mae_reconstruction(ModelGraph& graph, const MaeConfig& config, const Value& pixels, const Value& predicted,
                                const Value& is_hidden) {
  const PatchGrid& grid = config.grid;
  const Index rows = grid.rows(), cols = grid.cols(), channels = grid.image.channels;
  const auto reshaped = [&](const Value& x, const std::vector<std::int64_t>& shape) {
    return graph.apply("Reshape", {x, graph.integers(shape)});
  };
  const auto permuted = [&](const Value& x, const std::vector<std::int64_t>& axes) {
    return graph.apply("Transpose", {x}, {{"perm", axes}});
  };
  const Value cut = reshaped(pixels, {0, channels, rows, grid.patch_height, cols, grid.patch_width});
  const Value patches = reshaped(permuted(cut, {0, 2, 4, 3, 5, 1}), {0, grid.patches(), grid.patch_size()});
  Value restored = predicted;
  if (config.normalise_pixels) {  // see kernels::patch_statistics
    const Value last = graph.integers({-1});
    const Value mean = graph.apply("ReduceMean", {patches, last});
    const Value centred = graph.apply("Sub", {patches, mean});
    const Value squares = graph.apply("ReduceSum", {graph.apply("Mul", {centred, centred}), last});
    const Value variance = graph.apply("Div", {squares, graph.number(static_cast<double>(grid.patch_size() - 1))});
    const Value deviation = graph.apply("Sqrt", {graph.apply("Add", {variance, graph.number(1e-6)})});
    restored = graph.apply("Add", {graph.apply("Mul", {predicted, deviation}), mean});
  }
  const Value column = graph.apply("Unsqueeze", {is_hidden, graph.integers({-1})});
  const Value chosen = graph.apply("Where", {column, restored, patches});
  const Value apart = reshaped(chosen, {0, rows, cols, grid.patch_height, grid.patch_width, channels});
  return reshaped(permuted(apart, {0, 5, 1, 3, 2, 4}), {0, channels, grid.image.height, grid.image.width});
}

/// Writes `model.onnx` into a folder: pixel_values [B, C, H, W] of images of the model's size, and noise [B, P]. Of
/// each image the config's 1 - mask_ratio of the patches are visible, rounded down: those with the least noise. Its
/// results are, as Hugging Face's, logits [B, P, p_h p_w C], which are pixels in the order (y, x, c), or without a
/// decoder last_hidden_state [B, K + 1, D]; mask [B, P], 1 for hidden patches and 0 for visible ones; and ids_restore
/// [B, P], each patch's place in the order of noise. With a decoder there is reconstruction [B, C, H, W], too, see
/// `Mae::reconstruct`. Returns the paths. Throws ValueError if no patch is visible.
///
/// What the encoder makes of whole images is the graph of a Vit that was given its parameters (`copy_encoder`).
inline std::vector<std::filesystem::path> export_onnx(const Mae<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const MaeConfig& config = model.config();
  const Index patches = config.grid.patches();
  const Index visible = visible_patches(patches, config.mask_ratio);
  require(visible > 0, "onnx", "of ", patches, " patches none is visible when ", config.mask_ratio,
          " of them are hidden");
  ModelGraph graph("mae", model);
  const Value pixels = pixel_input(graph, config.grid.image);
  const Value noise = graph.input("noise", ElementType::float32, {kBatch, patches});
  const PatchOrder order = patch_order(graph, noise, patches, visible);
  const Value is_hidden = graph.apply("Greater", {order.places, graph.integer(visible - 1)});
  const Value encoded = mae_encoder(graph, config, pixels, order);
  if (config.decoder) {
    const Value predicted = mae_decoder(graph, config, encoded, order);
    graph.output(predicted, "logits", ElementType::float32, {kBatch, patches, config.grid.patch_size()});
    const ImageShape& image = config.grid.image;
    graph.output(mae_reconstruction(graph, config, pixels, predicted, is_hidden), "reconstruction",
                 ElementType::float32, {kBatch, image.channels, image.height, image.width});
  } else {
    graph.output(encoded, "last_hidden_state", ElementType::float32, {kBatch, visible + 1, config.d_model});
  }
  graph.output(graph.apply("Where", {is_hidden, graph.number(1), graph.number(0)}), "mask", ElementType::float32,
               {kBatch, patches});
  graph.output(order.places, "ids_restore", ElementType::int64, {kBatch, patches});
  return write_only_graph(graph, folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
