/// \file
/// Graphs of language models without an encoder, evaluated at once and token by token, against the models.
// covers: onnx/decoder_cache.hpp, onnx/image_gpt.hpp
#include "rapt/onnx/causal_decoder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rapt/onnx/image_gpt.hpp"

#include "tests/common/onnx_case.hpp"

namespace {

using rapt::Index;
using rapt_test::kOnnxTolerance;
using rapt_test::OnnxModel;
using rapt_test::OnnxTensor;
using rapt_test::PaddedTexts;

const rapt::TokenBatch& decoder_texts() {
  static const rapt::TokenBatch texts({{1, 5, 3, 12, 7, 9, 4}, {11, 2, 6}});
  return texts;
}

class OnnxCausalDecoder : public rapt_test::OnnxTest {
 protected:
  /// Compares the logits of whole texts, padded on either side, and of each token from the cache of those before.
  template <class M>
  void expect_equal(const M& model, bool steps = true) {
    const OnnxModel graph(rapt::onnx::export_onnx(model, folder()).front());
    const rapt::Tensor<float> expected = model(decoder_texts()).value();
    for (const bool before : {false, true}) {
      const PaddedTexts texts(decoder_texts(), before);
      OnnxModel::Tensors inputs = empty_past(graph, 2);
      inputs["input_ids"] = texts.ids, inputs["attention_mask"] = texts.mask;
      rapt_test::expect_close(expected, texts.rows(graph(inputs).at("logits")), kOnnxTolerance);
    }
    if (!steps) return;
    // The last tokens of both texts from the cache of those before, padded in front.
    const PaddedTexts texts(decoder_texts(), true);
    OnnxModel::Tensors state = empty_past(graph, 2);
    for (Index i = 0; i < 7; ++i) {
      OnnxTensor ids = OnnxTensor::zeros({2, 1}), mask = OnnxTensor::zeros({2, i + 1});
      for (Index s = 0; s < 2; ++s) {
        rapt::at(ids.values, s) = rapt::at(texts.ids.values, s * 7 + i);
        for (Index j = 0; j <= i; ++j) rapt::at(mask.values, s * (i + 1) + j) = rapt::at(texts.mask.values, s * 7 + j);
      }
      state["input_ids"] = ids, state["attention_mask"] = mask;
      const OnnxModel::Tensors results = graph(state);
      state.clear();
      for (const auto& [name, value] : results) {
        if (name != "logits") state["past_key_values" + name.substr(std::string("present").size())] = value;
      }
      for (Index s = 0; s < 2; ++s) {
        if (rapt::at(texts.mask.values, s * 7 + i) == 0) continue;
        const Index token = i - (7 - decoder_texts().row_splits.length(s)), width = expected.cols();
        const std::vector<float> row(expected.row(decoder_texts().row_splits.begin(s) + token),
                                     expected.row(decoder_texts().row_splits.begin(s) + token) + width);
        const std::vector<double>& all = results.at("logits").values;
        const std::vector<double> found(all.begin() + s * width, all.begin() + (s + 1) * width);
        rapt_test::expect_close(row, found, kOnnxTolerance);
      }
    }
  }

 private:
  [[nodiscard]] static OnnxModel::Tensors empty_past(const OnnxModel& graph, Index rows) {
    OnnxModel::Tensors past;
    for (const auto& [name, sizes] : graph.inputs) {
      if (name.starts_with("past")) past[name] = OnnxTensor::zeros({rows, std::stol(sizes[1]), 0, std::stol(sizes[3])});
    }
    return past;
  }
};

TEST_F(OnnxCausalDecoder, Gpt) {
  rapt::GptConfig config{.vocabulary = 17, .positions = 12, .d_model = 8, .layers = 2, .heads = 2};
  config.scale_attention_by_layer = true;
  expect_equal(rapt_test::onnx_model<rapt::Gpt<float>>(config));
}

TEST_F(OnnxCausalDecoder, LlamaWithEveryOption) {
  rapt::LlamaConfig config{.vocabulary = 17, .d_model = 16, .layers = 2, .heads = 4, .d_ff = 20};
  config.key_value_heads = 2, config.query_key_norm = true, config.window = 3, config.tie_embeddings = false;
  config.rotary.rotated_ratio = 0.5, config.attention_bias = true, config.mlp_bias = true;
  config.rotary.scaling = rapt::RotaryScaling::yarn, config.rotary.factor = 4;
  expect_equal(rapt_test::onnx_model<rapt::Llama<float>>(config));

  config = {.vocabulary = 17, .d_model = 16, .layers = 1, .heads = 4, .d_ff = 20};
  config.rotary.layout = rapt::RotaryLayout::interleaved, config.head_dim = 6;
  config.activation = rapt::Activation::quick_gelu;
  expect_equal(rapt_test::onnx_model<rapt::Llama<float>>(config));
}

TEST_F(OnnxCausalDecoder, RotaryFrequenciesThatDependOnTheLength) {
  rapt::LlamaConfig config{.vocabulary = 17, .d_model = 16, .layers = 1, .heads = 4, .d_ff = 20};
  config.rotary.max_positions = 4, config.rotary.factor = 2;  // one of the texts is longer and one is not
  config.rotary.scaling = rapt::RotaryScaling::dynamic;
  expect_equal(rapt_test::onnx_model<rapt::Llama<float>>(config), /*steps=*/false);
  config.rotary.scaling = rapt::RotaryScaling::longrope;
  config.rotary.short_factors = {1, 1.25}, config.rotary.long_factors = {1, 3};
  expect_equal(rapt_test::onnx_model<rapt::Llama<float>>(config), /*steps=*/false);
}

TEST_F(OnnxCausalDecoder, Gemma) {
  rapt::GemmaConfig config{.vocabulary = 17,
                           .d_model = 16,
                           .layers = 3,
                           .heads = 4,
                           .key_value_heads = 2,
                           .head_dim = 6,
                           .d_ff = 20,
                           .query_scalar = 5,
                           .score_cap = 3,
                           .logit_cap = 2,
                           .window = 2};
  expect_equal(rapt_test::onnx_model<rapt::Gemma<float>>(config));
  config.query_key_norm = true, config.score_cap = config.logit_cap = 0, config.local_theta = 30;
  expect_equal(rapt_test::onnx_model<rapt::Gemma<float>>(config));
}

TEST_F(OnnxCausalDecoder, ImageGpt) {
  rapt::ImageGptConfig config{.clusters = 16, .positions = 12, .d_model = 8, .layers = 2, .heads = 2};
  expect_equal(rapt_test::onnx_model<rapt::ImageGpt<float>>(config));

  config.pixel_head = false, config.labels = {"a", "b", "c"};
  const auto labels = rapt_test::onnx_model<rapt::ImageGpt<float>>(config);
  const PaddedTexts texts(decoder_texts());
  const auto results = OnnxModel(rapt::onnx::export_onnx(labels, folder()).front())(
      {{"input_ids", texts.ids}, {"attention_mask", texts.mask}});
  rapt_test::expect_close(labels.class_logits(labels.hidden(decoder_texts()), decoder_texts().row_splits).value(),
                          results.at("logits").values, kOnnxTolerance);
}

}  // namespace
