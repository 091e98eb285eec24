/// \file
/// Heads of text encoders and their losses: against transformers, and by hand.
#include "rapt/models/encoder_heads.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/models/bert.hpp"
#include "rapt/models/modern_bert.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/optim/sgd.hpp"
#include "rapt/pretrained/bert.hpp"
#include "rapt/train/step.hpp"
#include "tests/common/encoder_case.hpp"

namespace {

using rapt::Bert;
using rapt::BertConfig;
using rapt::LabelledText;
using rapt::LabelProblem;
using rapt::QuestionBatch;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt::Variable;
using rapt_test::expect_message;

struct BertHeadsCase : rapt_test::EncoderCase<Bert> {
  static constexpr const char* kFile = "bert_heads";
  static constexpr std::size_t kCases = 4;
  explicit BertHeadsCase(const std::string& name) : EncoderCase(kFile, name) {}
};

[[nodiscard]] BertConfig small_bert() {
  return {.vocabulary = 13, .positions = 12, .d_model = 16, .layers = 1, .heads = 2, .d_ff = 24, .dropout = 0.f};
}

TEST(EncoderHeads, AgreeWithTransformers) { rapt_test::expect_family<BertHeadsCase>(); }

TEST(EncoderHeads, TheProblemIsReadAndWritten) {
  EXPECT_EQ(BertHeadsCase("numbers").load<float>().config().problem, LabelProblem::regression);
  EXPECT_EQ(BertHeadsCase("multiple").load<float>().config().problem, LabelProblem::multi_label);
  EXPECT_EQ(BertHeadsCase("regression").load<float>().config().problem, std::nullopt);
  BertHeadsCase golden("numbers");
  golden.config["problem_type"] = "guessing";
  golden.write();
  expect_message([&] { std::ignore = golden.load<float>(); },
                 "\"problem_type\" must be one of \"single_label_classification\", \"multi_label_classification\", "
                 "\"regression\"");
}

TEST(EncoderHeads, AFolderSaysWhetherLabelsAreOfTokens) {
  BertHeadsCase golden("multiple");
  golden.config["architectures"] = {"BertForTokenClassification"};  // with a pooler, as the first ones were written
  golden.write();
  const auto model = golden.load<float>();
  const auto batch = golden.input();
  EXPECT_TRUE(model.config().pooler && model.config().labels_tokens());
  EXPECT_EQ(model.class_logits(model.hidden(batch), batch.row_splits).shape(), (rapt::Shape{batch.size(), 3}));
  EXPECT_EQ(rapt::detail::architecture_of(model.config()), "BertForTokenClassification");
}

TEST(EncoderHeads, WhatIsUnsetFollowsFromTheBatch) {
  const Variable<double> three(Tensor<double>({2, 3}, {0.5, -1, 2, 3, 0, -2})), one(Tensor<double>({2, 1}, {0.5, -1}));
  const LabelledText labels{.labels = {2, 0}}, flags{.values = {1, 0, 1, 0, 0, 1}}, numbers{.values = {1.5, 3}};
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  double single = 0, multiple = 0;
  for (const auto& [row, target] : {std::pair{0, 2}, {1, 0}}) {
    const double* s = three.value().row(row);
    single += (std::log(std::exp(s[0]) + std::exp(s[1]) + std::exp(s[2])) - s[target]) / 2;
    for (int i = 0; i < 3; ++i) {
      const double t = static_cast<double>(flags.values[static_cast<std::size_t>(3 * row + i)]);
      multiple += (t * softplus(-s[i]) + (1 - t) * softplus(s[i])) / 6;
    }
  }
  EXPECT_NEAR(label_loss(three, labels, {}).item(), single, 1e-12);
  EXPECT_NEAR(label_loss(three, flags, {}).item(), multiple, 1e-12);
  EXPECT_NEAR(label_loss(one, numbers, {}).item(), (1 + 16) / 2., 1e-12);
  EXPECT_EQ(label_loss(three, flags, LabelProblem::multi_label).item(), label_loss(three, flags, {}).item());
  EXPECT_EQ(label_loss(three, flags, LabelProblem::regression).item(),
            mean_squared_error(three, Tensor<double>({2, 3}, {1, 0, 1, 0, 0, 1})).item());
  expect_message([&] { std::ignore = label_loss(three, labels, LabelProblem::regression); },
                 "[label_loss] the loss of regression takes values, not 2 labels");
  expect_message([&] { std::ignore = label_loss(three, flags, LabelProblem::single_label); },
                 "single_label_classification takes labels, not 6 values");
  expect_message([&] { std::ignore = label_loss(three, numbers, {}); }, "2 values for scores of shape [2, 3]");
}

TEST(EncoderHeads, NumbersMayBeWholeOnes) {
  const Variable<double> one(Tensor<double>({3, 1}, {0.5, -1, 7}));
  const LabelledText labels{.labels = {2, 0, -100}};
  const double squares = (1.5 * 1.5 + 1) / 2;
  EXPECT_NEAR(label_loss(one, labels, {}).item(), squares, 1e-12);
  EXPECT_NEAR(label_loss(one, labels, LabelProblem::regression).item(), squares, 1e-12);
  expect_message([&] { std::ignore = label_loss(one, labels, LabelProblem::single_label); },
                 "[label_loss] cross-entropy needs at least two labels to choose from: the scores have shape [3, 1]");
  expect_message([&] { std::ignore = label_loss(one, labels, LabelProblem::multi_label); },
                 "takes values, not 3 labels");
  expect_message(
      [&] {
        std::ignore = label_loss(one, LabelledText{.labels = {2, 0}}, {});
      },
      "2 labels for scores of shape [3, 1]");
  expect_message(
      [&] {
        std::ignore = label_loss(one, LabelledText{.labels = {-100, -100, -100}}, {});
      },
      "there is nothing to take the mean of: all 3 labels are -100");
}

TEST(EncoderHeads, LabelsOfTokensAreSingleWhateverTheProblem) {
  rapt::Rng rng(1);
  BertConfig config = small_bert();
  config.labels = {"none", "place"};
  config.token_labels = true;
  const LabelledText batch{.input = TokenBatch({{1, 2, 3}}), .labels = {0, 1, -100}};
  const double wanted = Bert<double>(config, rng).loss(batch).item();
  for (const auto& known : named_values(LabelProblem())) {
    config.problem = known.value;
    rapt::Rng again(1);
    EXPECT_EQ(Bert<double>(config, again).loss(batch).item(), wanted) << known.name;
  }
  rapt::ModernBertConfig modern{
      .vocabulary = 13, .d_model = 16, .layers = 1, .heads = 2, .d_ff = 10, .labels = {"a", "b"}, .token_labels = true};
  modern.problem = LabelProblem::regression;
  EXPECT_GT(rapt::ModernBert<double>(modern, rng).loss(batch).item(), 0.1);
}

TEST(EncoderHeads, BatchesCountTheirTargets) {
  const TokenBatch input({{1, 2, 3}, {4}});
  EXPECT_EQ((LabelledText{.input = input, .labels = {1, -100, 0, 2}}.target_count()), 3);
  EXPECT_EQ((LabelledText{.input = input, .values = {1, 0}}.target_count()), 2);
  EXPECT_EQ((QuestionBatch{.input = input, .starts = {0, 0}, .ends = {1, 0}}.target_count()), 4);
  EXPECT_EQ((QuestionBatch{.input = input, .starts = {0, 1}, .ends = {3, 0}}.target_count()), 2);
  EXPECT_EQ((QuestionBatch{.input = input, .starts = {3, 9}, .ends = {3, 1}}.target_count()), 0);
  EXPECT_EQ((QuestionBatch{.input = input, .starts = {0, 0, 5}, .ends = {-1, 1}}.target_count()), 4);  // for an error
  EXPECT_EQ((QuestionBatch{.input = input}.item_count()), 4);
  static_assert(rapt::Trainable<Bert<float>, LabelledText> && rapt::Trainable<Bert<float>, QuestionBatch>);
}

/// The loss after so many steps of Adam.
template <class Batch>
[[nodiscard]] double trained_loss(Bert<float>& model, const Batch& batch) {
  rapt::Adam adam(model);
  rapt::Rng rng(1);
  double last = 0;
  for (int step = 0; step < 80; ++step) {
    const rapt::Training scope(rng);
    const auto loss = model.loss(batch);
    rapt::backward(loss);
    adam.step(1e-2);
    last = static_cast<double>(loss.item());
  }
  return last;
}

TEST(EncoderHeads, QuestionsAndLabelsAreLearned) {
  rapt::Rng rng(1);
  BertConfig config = small_bert();
  config.pooler = false;
  config.question_head = true;
  Bert<float> reader(config, rng);
  EXPECT_LT(trained_loss(
                reader,
                QuestionBatch{.input = TokenBatch({{1, 2, 3, 4, 5}, {1, 3, 2, 6}}), .starts = {2, 1}, .ends = {3, 9}}),
            0.1);
  config.question_head = false;
  config.labels = {"none", "place", "name"};
  Bert<float> tagger(config, rng);
  EXPECT_LT(trained_loss(tagger, LabelledText{.input = TokenBatch({{1, 2, 3}, {4}}), .labels = {0, 1, -100, 2}}), 0.1);
}

/// The model's numbers, end to end.
[[nodiscard]] std::vector<double> numbers_of(const Bert<double>& model) {
  std::vector<double> all;
  rapt::for_each_parameter(model, [&](const std::string&, const rapt::Parameter<double>& parameter) {
    all.insert(all.end(), parameter.value().values().begin(), parameter.value().values().end());
  });
  return all;
}

/// Expects loss and gradients of a step over the parts to be those of a step over the whole.
template <class Batch>
void expect_parts_equal_whole(const BertConfig& config, const Batch& whole, const std::vector<Batch>& parts) {
  std::vector<double> losses;
  std::vector<std::vector<double>> gradients;
  for (const std::span<const Batch> batches : {std::span(&whole, 1), std::span(parts)}) {
    rapt::Rng rng(3);
    Bert<double> model(config, rng);
    rapt::TrainingStep step(model, {.learning_rate = [](rapt::Index) { return 1.0; }, .label_smoothing = 0.f},
                            rapt::Sgd(model));
    gradients.push_back(numbers_of(model));
    losses.push_back(step(batches));
    const std::vector<double> after = numbers_of(model);  // w - g
    for (std::size_t i = 0; i < after.size(); ++i) gradients.back()[i] -= after[i];
  }
  EXPECT_NEAR(losses[0], losses[1], 1e-12);
  ASSERT_EQ(gradients[0].size(), gradients[1].size());
  double largest = 0;
  for (std::size_t i = 0; i < gradients[0].size(); ++i) {
    largest = std::max(largest, std::abs(gradients[0][i]));
    EXPECT_NEAR(gradients[0][i], gradients[1][i], 1e-12);
  }
  EXPECT_GT(largest, 1e-3);
}

TEST(EncoderHeads, AStepOverPartsOfABatchIsTheStepOverAllOfIt) {
  BertConfig config = small_bert();
  config.attention_dropout = 0.f;
  config.token_labels = true;
  config.labels = {"none", "place"};
  const TokenBatch first({{1, 2, 3}}), second({{4, 5}}), third({{6, 7, 8, 9}}), all({{1, 2, 3}, {4, 5}, {6, 7, 8, 9}});
  expect_parts_equal_whole<LabelledText>(config, {.input = all, .labels = {0, 1, -100, -100, -100, 1, 0, 1, -100}},
                                         {{.input = first, .labels = {0, 1, -100}},
                                          {.input = second, .labels = {-100, -100}},
                                          {.input = third, .labels = {1, 0, 1, -100}}});
  config.labels = {"number"};
  config.token_labels = false;
  expect_parts_equal_whole<LabelledText>(
      config, {.input = all, .labels = {2, -100, 1}},
      {{.input = first, .labels = {2}}, {.input = second, .labels = {-100}}, {.input = third, .labels = {1}}});
  config.labels.clear();
  config.family = rapt::BertFamily::electra;
  config.pooler = false;
  config.replaced_token_head = true;
  expect_parts_equal_whole<LabelledText>(config, {.input = all, .labels = {0, 1, -100, -100, -100, 1, 0, 1, -100}},
                                         {{.input = first, .labels = {0, 1, -100}},
                                          {.input = second, .labels = {-100, -100}},
                                          {.input = third, .labels = {1, 0, 1, -100}}});
  config.replaced_token_head = false;
  config.question_head = true;
  // The first sequence ends within the answer, the second has nothing of it, and the third begins within it.
  expect_parts_equal_whole<QuestionBatch>(config, {.input = all, .starts = {1, 2, 4}, .ends = {3, 2, 2}},
                                          {{.input = first, .starts = {1}, .ends = {3}},
                                           {.input = second, .starts = {2}, .ends = {2}},
                                           {.input = third, .starts = {4}, .ends = {2}}});
}

TEST(EncoderHeads, ErrorsNameTheValues) {
  rapt::Rng rng(1);
  BertConfig config = small_bert();
  config.question_head = config.masked_language_head = true;
  expect_message([&] { config.validate(); }, "a model that answers questions has no other head");
  config.masked_language_head = false;
  const Bert<float> model(config, rng);
  const TokenBatch input({{1, 2, 3}});
  expect_message([&] { std::ignore = model.loss(QuestionBatch{.input = input, .starts = {1}}); },
                 "1 starts for 0 ends");
  expect_message([&] { std::ignore = model.loss(QuestionBatch{.input = input, .starts = {3}, .ends = {3}}); },
                 "all 2 targets lie behind their sequences");
  expect_message([&] { std::ignore = model.loss(LabelledText{.input = input, .labels = {1}}); },
                 "has no classification head");
  config.question_head = false;
  expect_message([&] { std::ignore = Bert<float>(config, rng).question_logits(model.hidden(input)); },
                 "has no head for questions");
  const Variable<double> scores(Tensor<double>({3, 1}, {0.5, -1, 7}));
  expect_message(
      [&] {
        std::ignore = rapt::replaced_token_loss(scores, std::vector{1, -100, 2});
      },
      "[replaced_token_loss] label 2 at position 2 must be 0, 1 or -100");
}

}  // namespace
