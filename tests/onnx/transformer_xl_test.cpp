/// \file
/// The graph of a Transformer-XL, evaluated segment by segment, against the model.
#include "rapt/onnx/transformer_xl.hpp"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "tests/common/onnx_case.hpp"

namespace {

using rapt::Index;
using rapt_test::OnnxModel;
using rapt_test::OnnxTensor;

class OnnxTransformerXl : public rapt_test::OnnxTest {
 protected:
  /// Reads two texts of 10 tokens in segments of 3, 1, 4 and 2 tokens and compares log-probabilities and what is
  /// cached.
  void expect_equal(const rapt::TransformerXlConfig& config) {
    const auto model = rapt_test::onnx_model<rapt::TransformerXl<float>>(config);
    const auto paths = rapt::onnx::export_onnx(model, folder());
    const OnnxModel graph(paths.front());
    EXPECT_EQ(graph.inputs.size(), config.memory_length > 0 ? 1 + rapt::to_size(config.layers) : 1u);
    EXPECT_EQ(graph.outputs.at("logits"), (std::vector<std::string>{"batch_size", "sequence_length", "17"}));
    if (config.memory_length > 0) {
      EXPECT_EQ(graph.inputs.at("mems.1"), (std::vector<std::string>{"batch_size", "memory_length", "8"}));
    }
    const std::vector<std::vector<rapt::TokenId>> texts = {{1, 5, 3, 12, 7, 9, 4, 16, 0, 10},
                                                           {11, 2, 6, 8, 4, 5, 13, 15, 14, 3}};
    rapt::SegmentCache<float> cache;
    OnnxModel::Tensors inputs;
    for (Index i = 0; i < config.layers && config.memory_length > 0; ++i) {
      const Index rows = config.begins_with_zeros ? config.memory_length : 0;
      inputs["mems." + std::to_string(i)] = OnnxTensor::zeros({2, rows, config.d_model});
    }
    std::size_t begin = 0;
    for (const std::size_t length : {3u, 1u, 4u, 2u}) {
      SCOPED_TRACE(begin);
      rapt::TokenBatch segment;
      OnnxTensor ids{{2, static_cast<Index>(length)}, {}};
      for (const auto& text : texts) {
        segment.push_back(std::span(text).subspan(begin, length));
        for (std::size_t i = 0; i < length; ++i) ids.values.push_back(text[begin + i]);
      }
      inputs["input_ids"] = ids;
      const OnnxModel::Tensors results = graph(inputs);
      const rapt::Tensor<float> expected = model(segment, cache);
      rapt_test::expect_close(expected, results.at("logits").values, rapt_test::kOnnxTolerance);
      EXPECT_EQ(results.at("logits").dims, (std::vector<Index>{2, static_cast<Index>(length), 17}));
      for (Index i = 0; i < config.layers && config.memory_length > 0; ++i) {
        const OnnxTensor& kept = results.at("new_mems." + std::to_string(i));
        EXPECT_EQ(kept.dims, (std::vector<Index>{2, cache.row_splits.length(0), config.d_model}));
        rapt_test::expect_close(rapt::at(cache.layers, i), kept.values, rapt_test::kOnnxTolerance);
        inputs["mems." + std::to_string(i)] = kept;
      }
      begin += length;
    }
  }
};

rapt::TransformerXlConfig small_transformer_xl() {
  return {.vocabulary = 17,
          .cutoffs = {5, 9},
          .div_val = 2,
          .d_model = 8,
          .d_embed = 8,
          .heads = 2,
          .head_dim = 6,
          .d_ff = 12,
          .layers = 2,
          .memory_length = 5,
          .clamp_length = 3,
          .begins_with_zeros = true};
}

TEST_F(OnnxTransformerXl, ReadsSegmentsBehindZeros) {
  rapt::TransformerXlConfig config = small_transformer_xl();
  expect_equal(config);
  config.pre_norm = true, config.same_length = config.own_biases = false, config.clamp_length = 0;
  expect_equal(config);
}

TEST_F(OnnxTransformerXl, ReadsSegmentsBehindNothing) {
  rapt::TransformerXlConfig config = small_transformer_xl();
  config.begins_with_zeros = false;
  expect_equal(config);
  config.same_length = false, config.memory_length = 0;
  expect_equal(config);
}

TEST_F(OnnxTransformerXl, TiesTablesAndProjections) {
  rapt::TransformerXlConfig config = small_transformer_xl();
  config.tie_embeddings = config.tie_projections = false;
  expect_equal(config);
  config.shared_projections = {true, false, true};
  expect_equal(config);
  config.tie_embeddings = true, config.div_val = 1;  // one table, without projections
  config.shared_projections = {};
  expect_equal(config);
  config.d_embed = 6;
  expect_equal(config);
  config.cutoffs = {};
  expect_equal(config);
}

}  // namespace
