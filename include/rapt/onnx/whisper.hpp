/// \file
/// Whisper as ONNX graphs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/models/whisper.hpp"
#include "rapt/onnx/encoder_decoder.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// See `write_encoder_decoder`. The encoder reads input_features [B, bins, frames], spectrograms of one length, and no
/// mask; so the decoders have no encoder_attention_mask.
inline std::vector<std::filesystem::path> export_onnx(const Whisper<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const WhisperConfig& config = model.config();
  const auto stack = [&](const char* name, Index layers, bool decoder) {
    return StackDescription{.name = name,
                            .blocks = layers,
                            .options_of =
                                [&config, decoder](Index) {
                                  BlockOptions block = config.block(decoder);
                                  block.cross_attention = decoder;
                                  return block;
                                },
                            .final_norm = true};
  };
  const auto embed_speech = [&](ModelGraph& graph) {
    Value x = graph.input("input_features", ElementType::float32, {kBatch, config.bins, "frames"});
    for (const std::int64_t stride : {1, 2}) {
      const std::string name = "convolution" + std::to_string(stride);
      x = graph.apply("Conv", {x, graph.weight(name + ".weight"), graph.weight(name + ".bias")},
                      {{"strides", std::vector<std::int64_t>{stride}}, {"pads", std::vector<std::int64_t>{1, 1}}});
      x = activate(graph, x, Activation::gelu);
    }
    const Value rows = graph.apply("Transpose", {x}, {{"perm", std::vector<std::int64_t>{0, 2, 1}}});
    const Value positions = graph.apply("Slice", {graph.weight("encoder_positions.weight"), graph.integers({0}),
                                                  graph.size(rows, 1), graph.integers({0})});
    return graph.apply("Add", {rows, positions});
  };
  const auto embed_text = [](ModelGraph& graph, const Value& ids, const Value& positions) {
    return graph.apply(
        "Add", {embedding(graph, ids, "embedding.weight"), embedding(graph, positions, "decoder_positions.weight")});
  };
  const EncoderDecoderModel description{
      .encoder = stack("encoder.", config.encoder_layers, false),
      .decoder = stack("decoder.", config.decoder_layers, true),
      .embed_unmasked_source = embed_speech,
      .embed_target = embed_text,
      .logits = [](ModelGraph& graph,
                   const Value& hidden) { return output_projection(graph, hidden, "embedding.weight"); },
      .d_model = config.d_model,
      .vocabulary = config.vocabulary};
  return write_encoder_decoder(model, description, folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
