/// \file
/// Models with an encoder and a decoder as ONNX graphs, one for each part: the Transformer, Marian, BART and its
/// relatives, T5.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/models/bart.hpp"
#include "rapt/models/marian.hpp"
#include "rapt/models/t5.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/onnx/decoder_cache.hpp"
#include "rapt/onnx/encoder_heads.hpp"
#include "rapt/onnx/export_options.hpp"
#include "rapt/onnx/stack.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// What one model has beside its two stacks.
struct EncoderDecoderModel {
  StackDescription encoder = {}, decoder = {};  ///< the two stacks
  /// Embedded tokens [B, L, D] of ids [B, L] at positions [1, L].
  std::function<Value(ModelGraph&, const Value& ids, const Value& positions)> embed_source = {};
  /// In place of `embed_source`, of a source that is no text and has no padding: what the encoder reads [B, S, D].
  std::function<Value(ModelGraph&)> embed_unmasked_source = {};
  /// As `embed_source`, of the decoder's tokens.
  std::function<Value(ModelGraph&, const Value& ids, const Value& positions)> embed_target = {};
  /// Logits [B, L, V] of the decoder's last hidden states.
  std::function<Value(ModelGraph&, const Value& hidden)> logits = {};
  /// Completes the call of a stack with what its attention knows of positions; unset: nothing.
  std::function<void(ModelGraph&, StackCall&, bool of_encoder)> complete_call = {};
  Index d_model = 0, vocabulary = 0;  ///< D of the encoder's output, and V of the logits
};

/// The encoder: input_ids and attention_mask [B, S], last_hidden_state [B, S, D].
inline void build_encoder(ModelGraph& graph, const EncoderDecoderModel& model) {
  StackCall call;
  Value x;
  if (model.embed_unmasked_source) {
    x = model.embed_unmasked_source(graph);
  } else {
    const TextInputs inputs = text_inputs(graph);
    call = inputs.encoder_call();
    if (model.complete_call) model.complete_call(graph, call, /*of_encoder=*/true);
    x = model.embed_source(graph, inputs.ids, inputs.positions);
  }
  graph.output(run_stack(graph, model.encoder, call, x).hidden, "last_hidden_state", ElementType::float32,
               {kBatch, model.embed_unmasked_source ? kEncoderLength : kLength, model.d_model});
}

/// The decoder of the first tokens, which reads the encoder's output, or with a past.
inline void build_decoder(ModelGraph& graph, const EncoderDecoderModel& model, bool with_past) {
  const Value ids = graph.input("input_ids", ElementType::int64, {kBatch, kLength});
  const Value length = graph.size(ids, 1);
  StackCall call{.causal = true};
  if (!model.embed_unmasked_source) {
    call.encoder_mask = graph.input("encoder_attention_mask", ElementType::int64, {kBatch, kEncoderLength});
  }
  if (with_past) {
    call.past = past_inputs(graph, model.decoder, "past_key_values.", "decoder.", kPastLength);
    call.encoder = past_inputs(graph, model.decoder, "past_key_values.", "encoder.", kEncoderLength);
    const Value past = graph.size(call.past.front().keys, 2);
    call.places = {.queries = length, .keys = graph.apply("Add", {past, length}), .past = past};
  } else {
    const Value encoder_output =
        graph.input("encoder_hidden_states", ElementType::float32, {kBatch, kEncoderLength, model.d_model});
    call.encoder = encoder_keys_values(graph, model.decoder, encoder_output);
    call.places = {.queries = length, .keys = length, .past = graph.integers({0})};
  }
  if (model.complete_call) model.complete_call(graph, call, /*of_encoder=*/false);
  const Value positions =
      graph.apply("Unsqueeze", {range(graph, call.places.past, call.places.keys), graph.integers({0})});
  const StackResult result = run_stack(graph, model.decoder, call, model.embed_target(graph, ids, positions));
  graph.output(model.logits(graph, result.hidden), "logits", ElementType::float32, {kBatch, kLength, model.vocabulary});
  output_present(graph, model.decoder, result.present, "decoder.", with_past ? kTotalLength : kLength);
  if (!with_past) output_present(graph, model.decoder, call.encoder, "encoder.", kEncoderLength);
}

/// Writes three graphs into a folder, with the names and inputs that Hugging Face's optimum gives them:
///   - `encoder_model.onnx`: input_ids and attention_mask [B, S] of sources that are padded behind; last_hidden_state.
///   - `decoder_model.onnx` for the first tokens: input_ids [B, L], encoder_hidden_states and encoder_attention_mask;
///     logits [B, L, V], the keys and values of the tokens, present.<layer>.decoder.key and .value, and of the
///     encoder's output, present.<layer>.encoder.key and .value.
///   - `decoder_with_past_model.onnx` for further ones: input_ids, encoder_attention_mask and past_key_values.<layer>.
///     with the same four; logits and present.<layer>.decoder.key and .value of all tokens so far. The past may be
///     empty.
/// Returns the paths.
template <class M>
std::vector<std::filesystem::path> write_encoder_decoder(const M& weights, const EncoderDecoderModel& model,
                                                         const std::filesystem::path& folder,
                                                         const WriteOptions& options) {
  make_folder(folder);
  std::vector<std::filesystem::path> paths;
  const auto write = [&](const char* name, const auto& build) {
    ModelGraph graph(name, weights);
    build(graph);
    const auto written = graph.write(folder / (std::string(name) + ".onnx"), options);
    paths.insert(paths.end(), written.begin(), written.end());
  };
  write("encoder_model", [&](ModelGraph& graph) { build_encoder(graph, model); });
  write("decoder_model", [&](ModelGraph& graph) { build_decoder(graph, model, /*with_past=*/false); });
  write("decoder_with_past_model", [&](ModelGraph& graph) { build_decoder(graph, model, /*with_past=*/true); });
  return paths;
}

/// The Transformer's embeddings, stacks and output.
[[nodiscard]] inline EncoderDecoderModel encoder_decoder_model(const TransformerConfig& config) {
  // Norm(scale * embedding + positional encoding), without the norm unless the config has one
  const auto embedder = [config](const std::string& side) {
    return [config, side](ModelGraph& graph, const Value& ids, const Value& positions) {
      const double scale = config.scale_embeddings ? std::sqrt(static_cast<double>(config.d_model)) : 1;
      const Value rows =
          embedding(graph, ids, config.tie_embeddings ? "embedding.weight" : side + "_embedding.weight", scale);
      Value encoding;
      if (config.learned_positions > 0) {
        const Value shifted = graph.apply("Add", {positions, graph.integer(config.unused_positions)});
        encoding = embedding(graph, shifted, side + "_positions.weight");
      } else {
        encoding = sinusoids(graph, positions, config.d_model, config.positions);
      }
      const Value x = graph.apply("Add", {rows, encoding});
      if (!config.embedding_norm) return x;
      return norm(graph, x, side + "_embedding_norm", NormKind::layer, config.norm_epsilon);
    };
  };
  return {.encoder = {.name = "encoder.",
                      .blocks = config.encoder_layers,
                      .options_of = [config](Index) { return config.layer(); },
                      .final_norm = config.has_final_norm()},
          .decoder = {.name = "decoder.",
                      .blocks = config.decoder_layers,
                      .options_of =
                          [config](Index) {
                            BlockOptions options = config.decoder_layer();
                            options.cross_attention = true;
                            return options;
                          },
                      .final_norm = config.has_final_norm()},
          .embed_source = embedder("source"),
          .embed_target = embedder("target"),
          .logits =
              [config](ModelGraph& graph, const Value& hidden) {
                const std::string weight = config.has_output_matrix() ? "output.weight"
                                           : config.tie_embeddings    ? "embedding.weight"
                                                                      : "target_embedding.weight";
                return output_projection(graph, hidden, weight,
                                         config.output_bias ? graph.weight("output.bias") : Value());
              },
          .d_model = config.d_model,
          .vocabulary = config.target_vocabulary};
}

/// See `write_encoder_decoder`.
inline std::vector<std::filesystem::path> export_onnx(const Transformer<float>& model,
                                                      const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  return write_encoder_decoder(model, encoder_decoder_model(model.config()), folder, options);
}

/// See `write_encoder_decoder`. The padding token, which rapt's searches and Hugging Face's never generate, has logits
/// like any other token.
inline std::vector<std::filesystem::path> export_onnx(const Marian<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  return write_encoder_decoder(model, encoder_decoder_model(model.config().transformer()), folder, options);
}

/// Scores [B, labels] of a BART's labels for sources ids [B, S] that are padded behind: the decoder reads the source
/// without its last token, and the head reads the decoder at the place of the source's last end token.
inline Value bart_class_logits(ModelGraph& graph, const BartConfig& config, const TextInputs& inputs) {
  require(!config.end_tokens.empty(), "onnx",
          "a classification head of bart reads at an end token, and the config names none");
  const EncoderDecoderModel model = encoder_decoder_model(config.transformer());
  const Value x = model.embed_source(graph, inputs.ids, inputs.positions);
  const Value encoder_output = run_stack(graph, model.encoder, inputs.encoder_call(), x).hidden;

  const Value one = graph.integers({1});
  Value begin =
      graph.apply("Expand", {graph.integer(config.begin_token),
                             graph.apply("Concat", {graph.size(inputs.ids, 0), one}, {{"axis", std::int64_t{0}}})});
  if (config.family == BartFamily::mbart) {  // the last token, which is the language's
    const Value length = graph.apply("ReduceSum", {inputs.attention_mask, one});  // [B, 1]
    const Value last = graph.apply("Equal", {inputs.positions, graph.apply("Sub", {length, graph.integer(1)})});
    begin = graph.apply("ReduceSum", {graph.apply("Where", {last, inputs.ids, graph.integer(0)}), one});
  }
  const Value last_place = graph.apply("Sub", {inputs.places.queries, graph.integer(1)});
  const Value before_last = graph.apply("Slice", {inputs.ids, graph.integers({0}), last_place, one});
  const Value target = graph.apply("Concat", {begin, before_last}, {{"axis", std::int64_t{1}}});
  const StackCall call{.places = inputs.places,
                       .causal = true,
                       .encoder = encoder_keys_values(graph, model.decoder, encoder_output),
                       .encoder_mask = inputs.attention_mask};
  const Value hidden =
      run_stack(graph, model.decoder, call, model.embed_target(graph, target, inputs.positions)).hidden;

  Value ends;  // 1 for end tokens and 0 for others
  for (const TokenId token : config.end_tokens) {
    const Value is_token = graph.apply("Equal", {inputs.ids, graph.integer(token)});
    const Value among = ends.is_defined() ? ends : graph.integer(0);
    ends = graph.apply("Where", {is_token, inputs.attention_mask, among});
  }
  // How many end tokens there were is largest from the last one on, of which ArgMax takes the first place.
  const Value place =
      graph.apply("ArgMax", {graph.apply("CumSum", {ends, graph.integer(1)})}, {{"axis", std::int64_t{1}}});
  const Value is_place =
      graph.apply("Where", {graph.apply("Equal", {inputs.positions, place}), graph.integer(1), graph.integer(0)});
  const Value at_end = mean_of_tokens(graph, hidden, is_place);
  const Value dense = linear(graph, at_end, "classification_head.dense", Activation::tanh);
  return linear(graph, dense, "classification_head.out_proj");
}

/// See `write_encoder_decoder`. With a classification head writes `model.onnx` alone: input_ids and attention_mask [B,
/// L] of texts that are padded behind and have an end token; logits [B, labels].
inline std::vector<std::filesystem::path> export_onnx(const Bart<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const BartConfig& config = model.config();
  const Index labels = std::ssize(config.labels);
  if (labels == 0) {
    return write_encoder_decoder(model, encoder_decoder_model(config.transformer()), folder, options);
  }
  ModelGraph graph("bart", model);
  graph.output(bart_class_logits(graph, config, text_inputs(graph)), "logits", ElementType::float32, {kBatch, labels});
  return write_only_graph(graph, folder, options);
}

/// See `write_encoder_decoder`.
inline std::vector<std::filesystem::path> export_onnx(const T5<float>& model, const std::filesystem::path& folder,
                                                      const WriteOptions& options = {}) {
  const T5Config& config = model.config();
  const auto embed = [](ModelGraph& graph, const Value& ids, const Value&) {
    return embedding(graph, ids, "embedding.weight");
  };
  const auto stack = [&](const char* name, Index layers, bool cross_attention) {
    return StackDescription{.name = name,
                            .blocks = layers,
                            .options_of = [&config, cross_attention](Index) { return config.block(cross_attention); },
                            .final_norm = true};
  };
  const EncoderDecoderModel description{
      .encoder = stack("encoder.", config.encoder_layers, false),
      .decoder = stack("decoder.", config.decoder_layers, true),
      .embed_source = embed,
      .embed_target = embed,
      .logits =
          [&](ModelGraph& graph, const Value& hidden) {
            const double scale = config.scale_output ? 1 / std::sqrt(static_cast<double>(config.d_model)) : 1;
            const Value scaled = scale == 1 ? hidden : graph.apply("Mul", {hidden, graph.number(scale)});
            return output_projection(graph, scaled, config.tie_embeddings ? "embedding.weight" : "output.weight");
          },
      .complete_call =
          [&](ModelGraph& graph, StackCall& call, bool of_encoder) {
            call.bias_table = graph.weight(of_encoder ? "encoder_position_bias" : "decoder_position_bias");
            call.bias_numbers = bucket_numbers(graph, call.places, config.buckets(/*bidirectional=*/of_encoder));
          },
      .d_model = config.d_model,
      .vocabulary = config.vocabulary};
  return write_encoder_decoder(model, description, folder, options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
