/// \file
/// Graphs of text encoders, evaluated, against the models.
// covers: onnx/modern_bert.hpp, onnx/encoder_heads.hpp, onnx/model_graph.hpp, onnx/layers.hpp, onnx/attention.hpp
// covers: onnx/stack.hpp, onnx/positions.hpp
#include "rapt/onnx/bert.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rapt/onnx/modern_bert.hpp"

#include "tests/common/onnx_case.hpp"

namespace {

using rapt_test::kOnnxTolerance;
using rapt_test::OnnxModel;
using rapt_test::OnnxTensor;
using rapt_test::PaddedTexts;

const rapt::TokenBatch& bert_texts() {
  static const rapt::TokenBatch texts({{1, 5, 3, 12, 7, 9, 4}, {11, 2, 6}});
  return texts;
}

class OnnxBert : public rapt_test::OnnxTest {
 protected:
  /// The results of a model's graph for the texts, padded.
  template <class M>
  OnnxModel::Tensors run(const M& model, const std::vector<double>& types = {}) {
    const auto paths = rapt::onnx::export_onnx(model, folder());
    EXPECT_EQ(paths.size(), 1u);
    OnnxModel::Tensors inputs{{"input_ids", texts_.ids}, {"attention_mask", texts_.mask}};
    if (!types.empty()) inputs["token_type_ids"] = {texts_.ids.dims, types};
    return OnnxModel(paths.front())(inputs);
  }

  PaddedTexts texts_{bert_texts()};
  const rapt::RowSplits& splits_ = bert_texts().row_splits;
};

rapt::BertConfig small_bert(rapt::BertFamily family = rapt::BertFamily::bert) {
  return {.family = family, .vocabulary = 17, .positions = 12, .d_model = 8, .layers = 2, .heads = 2, .d_ff = 12};
}

TEST_F(OnnxBert, HiddenStatesAndPooledOnes) {
  const auto model = rapt_test::onnx_model<rapt::Bert<float>>(small_bert());
  const std::vector<std::int32_t> types = {0, 0, 0, 1, 1, 1, 1, 0, 1, 1};
  const auto results = run(model, {0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 0, 1});
  ASSERT_EQ(results.size(), 2u);
  const rapt::Variable<float> hidden = model.hidden(bert_texts(), types);
  rapt_test::expect_close(hidden.value(), texts_.rows(results.at("last_hidden_state")), kOnnxTolerance);
  rapt_test::expect_close(model.pooled(hidden, splits_).value(), results.at("pooler_output").values, kOnnxTolerance);
}

TEST_F(OnnxBert, BothPretrainingHeads) {
  rapt::BertConfig config = small_bert();
  config.masked_language_head = config.next_sentence_head = true, config.token_types = 1;
  const auto model = rapt_test::onnx_model<rapt::Bert<float>>(config);
  const auto results = run(model);
  const rapt::Variable<float> hidden = model.hidden(bert_texts());
  rapt_test::expect_close(model.logits(hidden).value(), texts_.rows(results.at("prediction_logits")), kOnnxTolerance);
  rapt_test::expect_close(model.next_sentence_logits(hidden, splits_).value(),
                          results.at("seq_relationship_logits").values, kOnnxTolerance);
}

TEST_F(OnnxBert, FamiliesAndTheirHeads) {
  rapt::BertConfig roberta = small_bert(rapt::BertFamily::roberta);
  roberta.token_types = 1, roberta.padding_token = 9, roberta.labels = {"a", "b", "c"};  // text 0 has the padding token
  const auto labels = rapt_test::onnx_model<rapt::Bert<float>>(roberta);
  rapt_test::expect_close(labels.class_logits(labels.hidden(bert_texts()), splits_).value(),
                          run(labels).at("logits").values, kOnnxTolerance);

  rapt::BertConfig albert = small_bert(rapt::BertFamily::albert);
  albert.embedding_width = 6, albert.layers = 4, albert.layer_groups = 2, albert.token_types = 0;
  albert.question_head = true;
  const auto question = rapt_test::onnx_model<rapt::Bert<float>>(albert);
  const auto places = run(question);
  const rapt::Tensor<float>& scores = question.question_logits(question.hidden(bert_texts())).value();
  const std::vector<double> starts = texts_.rows(places.at("start_logits")),
                            ends = texts_.rows(places.at("end_logits"));
  for (rapt::Index i = 0; i < scores.rows(); ++i) {
    EXPECT_NEAR(static_cast<double>(scores(i, 0)), rapt::at(starts, i), 1e-4);
    EXPECT_NEAR(static_cast<double>(scores(i, 1)), rapt::at(ends, i), 1e-4);
  }

  rapt::BertConfig electra = small_bert(rapt::BertFamily::electra);
  electra.pooler = false, electra.replaced_token_head = true, electra.token_types = 0;
  const auto replaced = rapt_test::onnx_model<rapt::Bert<float>>(electra);
  rapt_test::expect_close(replaced.replaced_token_logits(replaced.hidden(bert_texts())).value(),
                          texts_.rows(run(replaced).at("logits")), kOnnxTolerance);
}

TEST_F(OnnxBert, ModernBert) {
  rapt::ModernBertConfig config{.vocabulary = 17,
                                .positions = 12,
                                .d_model = 8,
                                .layers = 3,
                                .heads = 2,
                                .d_ff = 12,
                                .window = 2,
                                .masked_language_head = true};
  const auto masked = rapt_test::onnx_model<rapt::ModernBert<float>>(config);
  rapt_test::expect_close(masked(bert_texts()).value(), texts_.rows(run(masked).at("logits")), kOnnxTolerance);

  config.masked_language_head = false, config.labels = {"a", "b"}, config.mean_pooling = config.norm_bias = true;
  const auto labels = rapt_test::onnx_model<rapt::ModernBert<float>>(config);
  rapt_test::expect_close(labels.class_logits(labels.hidden(bert_texts()), splits_).value(),
                          run(labels).at("logits").values, kOnnxTolerance);
}

TEST_F(OnnxBert, RefusesWeightsThatAreKeptInPackedFormAlone) {
  auto model = rapt_test::onnx_model<rapt::Bert<float>>(small_bert());
  rapt::pack_weights(model);
  rapt::drop_unpacked_weights(model);
  rapt_test::expect_message<rapt::ValueError>(
      [&] { rapt::onnx::export_onnx(model, folder()); },
      "[onnx] embedding.weight is kept in packed form alone: it has no numbers to write");
}

}  // namespace
