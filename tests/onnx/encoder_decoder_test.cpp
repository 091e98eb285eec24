/// \file
/// Graphs of encoder-decoders, evaluated at once and token by token, against the models.
// covers: onnx/whisper.hpp, onnx/export_onnx.hpp
#include "rapt/onnx/encoder_decoder.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/onnx/export_onnx.hpp"
#include "rapt/onnx/whisper.hpp"

#include "tests/common/onnx_case.hpp"

namespace {

using rapt::Index;
using rapt_test::kOnnxTolerance;
using rapt_test::OnnxModel;
using rapt_test::OnnxTensor;
using rapt_test::PaddedTexts;

const rapt::TokenBatch& target_texts() {
  static const rapt::TokenBatch texts({{8, 4, 2, 10}, {8, 9}});
  return texts;
}

class OnnxEncoderDecoder : public rapt_test::OnnxTest {
 protected:
  /// Compares the logits of the targets with those of the decoder's graph, whole and token by token. `source`: what the
  /// encoder reads; the mask, if it reads one, is `attention_mask`.
  void expect_logits(const rapt::Tensor<float>& expected, const OnnxModel::Tensors& source) {
    const OnnxModel encoder(folder() / "encoder_model.onnx"), first(folder() / "decoder_model.onnx"),
        later(folder() / "decoder_with_past_model.onnx");
    const PaddedTexts targets(target_texts());
    OnnxModel::Tensors shared;
    if (source.contains("attention_mask")) shared["encoder_attention_mask"] = source.at("attention_mask");
    OnnxModel::Tensors inputs = shared;
    inputs["input_ids"] = targets.ids;
    inputs["encoder_hidden_states"] = encoder(source).at("last_hidden_state");
    rapt_test::expect_close(expected, targets.rows(first(inputs).at("logits")), kOnnxTolerance);

    const auto column = [&](Index i) {
      OnnxTensor ids = OnnxTensor::zeros({2, 1});
      for (Index s = 0; s < 2; ++s) rapt::at(ids.values, s) = rapt::at(targets.ids.values, s * 4 + i);
      return ids;
    };
    OnnxModel::Tensors past = shared;
    OnnxTensor logits = OnnxTensor::zeros({2, 4, expected.cols()});
    for (Index i = 0; i < 4; ++i) {
      (i == 0 ? inputs : past)["input_ids"] = column(i);
      const OnnxModel::Tensors results = i == 0 ? first(inputs) : later(past);
      for (const auto& [name, value] : results) {
        if (name != "logits") past["past_key_values" + name.substr(std::string("present").size())] = value;
      }
      const Index width = expected.cols();
      for (Index s = 0; s < 2; ++s) {
        const auto from = results.at("logits").values.begin() + s * width;
        std::copy(from, from + width, logits.values.begin() + (s * 4 + i) * width);
      }
    }
    rapt_test::expect_close(expected, targets.rows(logits), kOnnxTolerance);
  }

  template <class M>
  void expect_equal(const M& model) {
    const rapt::TokenBatch source({{1, 5, 3, 12, 7, 9, 4}, {11, 2, 6}});
    const PaddedTexts padded(source);
    EXPECT_EQ(rapt::onnx::export_onnx(model, folder()).size(), 3u);
    expect_logits(model(source, target_texts()).value(), {{"input_ids", padded.ids}, {"attention_mask", padded.mask}});
  }
};

TEST_F(OnnxEncoderDecoder, TransformerWithTwoVocabularies) {
  expect_equal(rapt_test::onnx_model<rapt::Transformer<float>>({.source_vocabulary = 17,
                                                                .target_vocabulary = 15,
                                                                .d_model = 8,
                                                                .heads = 2,
                                                                .d_ff = 12,
                                                                .encoder_layers = 2,
                                                                .decoder_layers = 2,
                                                                .norm = rapt::NormPlacement::pre,
                                                                .tie_embeddings = false,
                                                                .output_bias = true}));
}

TEST_F(OnnxEncoderDecoder, BartFamiliesAndMarian) {
  for (const auto& family : named_values(rapt::BartFamily{})) {
    SCOPED_TRACE(family.name);
    rapt::BartConfig config{.family = family.value,
                            .vocabulary = 17,
                            .d_model = 8,
                            .encoder_layers = 2,
                            .decoder_layers = 1,
                            .encoder_heads = 2,
                            .decoder_heads = 4,
                            .encoder_d_ff = 12,
                            .decoder_d_ff = 10,
                            .scale_embeddings = true,
                            .positions = 12,
                            .output_bias = family.value != rapt::BartFamily::m2m_100};
    expect_equal(rapt_test::onnx_model<rapt::Bart<float>>(config));
  }
  expect_equal(rapt_test::onnx_model<rapt::Marian<float>>({.vocabulary = 17,
                                                           .d_model = 8,
                                                           .encoder_layers = 1,
                                                           .decoder_layers = 2,
                                                           .encoder_heads = 2,
                                                           .decoder_heads = 4,
                                                           .encoder_d_ff = 12,
                                                           .decoder_d_ff = 10,
                                                           .positions = 12,
                                                           .begin_token = 16,
                                                           .pad_token = 16}));
}

TEST_F(OnnxEncoderDecoder, BartsLabels) {
  // The first text has end tokens of both kinds before its last one, and goes on behind it.
  const rapt::TokenBatch texts({{1, 6, 3, 2, 7, 6, 4}, {11, 5, 2}});
  for (const rapt::BartFamily family : {rapt::BartFamily::bart, rapt::BartFamily::mbart}) {
    SCOPED_TRACE(rapt::name_of(family));
    rapt::BartConfig config{.family = family,
                            .vocabulary = 17,
                            .d_model = 8,
                            .encoder_layers = 2,
                            .decoder_layers = 2,
                            .encoder_heads = 2,
                            .decoder_heads = 4,
                            .encoder_d_ff = 12,
                            .decoder_d_ff = 10,
                            .positions = 12,
                            .labels = {"a", "b", "c"},
                            .begin_token = 3,
                            .end_tokens = {2, 6}};
    const auto model = rapt_test::onnx_model<rapt::Bart<float>>(config);
    const auto paths = rapt::onnx::export_onnx(model, folder());
    ASSERT_EQ(paths, std::vector<std::filesystem::path>{folder() / "model.onnx"});
    const OnnxModel graph(paths.front());
    EXPECT_EQ(graph.inputs.at("input_ids"), (std::vector<std::string>{"batch_size", "sequence_length"}));
    EXPECT_EQ(graph.inputs.size(), 2u);
    EXPECT_EQ(graph.outputs.at("logits"), (std::vector<std::string>{"batch_size", "3"}));
    PaddedTexts padded(texts);
    for (double& id : padded.ids.values) id = id == 9 ? 2 : id;  // padding that looks like an end token
    const auto results = graph({{"input_ids", padded.ids}, {"attention_mask", padded.mask}});
    rapt_test::expect_close(model.class_logits(texts).value(), results.at("logits").values, kOnnxTolerance);
    config.end_tokens = {};
    rapt_test::expect_message<rapt::ValueError>(
        [&] { std::ignore = rapt::onnx::export_onnx(rapt_test::onnx_model<rapt::Bart<float>>(config), folder()); },
        "[onnx] a classification head of bart reads at an end token, and the config names none");
  }
}

TEST_F(OnnxEncoderDecoder, T5) {
  rapt::T5Config config{.vocabulary = 17,
                        .d_model = 8,
                        .encoder_layers = 2,
                        .decoder_layers = 2,
                        .heads = 2,
                        .head_dim = 3,
                        .d_ff = 12,
                        .position_buckets = 6,
                        .max_position_distance = 5};
  expect_equal(rapt_test::onnx_model<rapt::T5<float>>(config));
  config.tie_embeddings = config.scale_output = false, config.gated = true;
  config.activation = rapt::Activation::gelu_tanh;
  expect_equal(rapt_test::onnx_model<rapt::T5<float>>(config));
  config.max_position_distance = rapt::Index{1} << 40;
  rapt_test::expect_message<rapt::ValueError>(
      [&] { rapt::onnx::export_onnx(rapt_test::onnx_model<rapt::T5<float>>(config), folder()); },
      "[onnx] distances up to 1099511627776 are too many for a list of their buckets: at most 1048576");
}

TEST_F(OnnxEncoderDecoder, Whisper) {
  const rapt::WhisperConfig config{.vocabulary = 17,
                                   .bins = 3,
                                   .d_model = 8,
                                   .encoder_layers = 1,
                                   .decoder_layers = 2,
                                   .encoder_heads = 2,
                                   .decoder_heads = 4,
                                   .encoder_d_ff = 12,
                                   .decoder_d_ff = 10,
                                   .encoder_positions = 6,
                                   .decoder_positions = 8,
                                   .begin_token = 15,
                                   .end_tokens = {16}};
  const auto model = rapt_test::onnx_model<rapt::Whisper<float>>(config);
  rapt::Rng rng(5);
  rapt::Tensor<float> frames(rapt::Shape{20, 3});  // two stretches of 10 frames, fewer than the longest
  rng.fill_normal(frames.values(), 0.0, 1.0);
  OnnxTensor features = OnnxTensor::zeros({2, 3, 10});
  for (Index i = 0; i < 20; ++i) {
    for (Index j = 0; j < 3; ++j) {
      rapt::at(features.values, (i / 10 * 3 + j) * 10 + i % 10) = static_cast<double>(frames(i, j));
    }
  }
  EXPECT_EQ(rapt::onnx::export_onnx(model, folder()).size(), 3u);
  const rapt::SpeechBatch<float> speech(std::move(frames), rapt::RowSplits::equal(2, 10));
  expect_logits(model(speech, target_texts()).value(), {{"input_features", features}});
}

}  // namespace
