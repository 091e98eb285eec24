/// \file
/// BERT against transformers with every head, and its folders.
// covers: models/sentence_embedding.hpp
// covers: pretrained/bert.hpp
#include "rapt/models/bert.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rapt/models/sentence_embedding.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/bert.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::Bert;
using rapt::BertConfig;
using rapt::Index;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_message;
using rapt_test::expect_return_journey;
using rapt_test::for_each_case;

/// One case of the golden file, and everything that our model makes of it.
struct BertCase : rapt_test::ModelCase<Bert> {
  static constexpr const char* kFile = "bert";
  static constexpr std::size_t kCases = 7;
  explicit BertCase(const std::string& name) : ModelCase(kFile, name) {}

  /// Compares all results that the file has; returns the loss, as the script has it.
  template <class T>
  rapt::Variable<T> expect_results(const Bert<T>& model, double tolerance) const {
    const TokenBatch input = batch("ids", "row_splits");
    const std::vector<TokenId> types = ids("types");
    const rapt::Variable<T> hidden = model.hidden(input, types);
    expect("hidden", hidden.value(), tolerance);
    if (contains("pooled")) expect("pooled", model.pooled(hidden, input.row_splits).value(), tolerance);
    if (contains("tokens")) {
      expect("tokens", model.logits(hidden).value(), tolerance);
      EXPECT_TRUE(rapt_test::same_bits(model(input, types).value(), model.logits(hidden).value()));
    }
    if (contains("next")) expect("next", model.next_sentence_logits(hidden, input.row_splits).value(), tolerance);
    rapt::Variable<T> loss;
    if (contains("targets")) {
      std::vector<TokenId> random;
      if (contains("is_random")) random = ids("is_random");
      loss = model.loss({input, ids("targets"), ids("rows")}, types, random);
    } else if (contains("next")) {
      loss = rapt::cross_entropy(model.next_sentence_logits(hidden, input.row_splits), ids("is_random"));
    } else if (contains("classes")) {
      const rapt::Variable<T> classes = model.class_logits(hidden, input.row_splits);
      expect("classes", classes.value(), tolerance);
      loss = rapt::cross_entropy(classes, ids("labels"));
    } else {
      const rapt::Variable<T> sentences = normalize(mean_rows(hidden, input.row_splits));
      expect("sentences", sentences.value(), tolerance);
      const rapt::Variable<T> all =
          contains("pooled") ? add(sentences, model.pooled(hidden, input.row_splits)) : sentences;
      loss = rapt::sum(rapt::multiply(all, rapt::Variable<T>(tensor<T>("upstream"))));
    }
    expect("loss", loss.value(), tolerance);
    return loss;
  }
};

/// A key's bias adds the same to all scores of a query, so that its gradient is 0; the file has none.
template <class T>
void expect_no_key_bias_gradient(const Bert<T>& model, double tolerance) {
  rapt::for_each_parameter(model, [&](const std::string& name, const rapt::Parameter<T>& bias) {
    if (!name.ends_with("in_proj_bias")) return;
    double largest = 0, largest_of_key = 0;
    for (Index i = 0; i < bias.size(); ++i) {
      const double size = std::abs(static_cast<double>(bias.grad().data()[i]));
      largest = std::max(largest, size);
      if (i / model.config().d_model == 1) largest_of_key = std::max(largest_of_key, size);
    }
    EXPECT_GT(largest, 0) << name;
    EXPECT_LE(largest_of_key, rapt_test::allowed<T>(tolerance) * largest) << name;
  });
}

[[nodiscard]] BertConfig small_config() {
  return {.vocabulary = 13, .positions = 12, .d_model = 16, .layers = 2, .heads = 2, .d_ff = 24};
}

TEST(Bert, AgreesWithTransformers) {
  for_each_case<BertCase>([](const BertCase& golden) {
    const auto model = golden.load<float>();
    const rapt::Recording scope;
    rapt::backward(golden.expect_results(model, 1e-5));
    golden.expect_stored_gradients(model, 1e-4);
    expect_no_key_bias_gradient(model, 1e-5);
  });
}

TEST(Bert, AgreesInDouble) {
  for_each_case<BertCase>([](const BertCase& golden) {
    const auto model = golden.load<double>();
    const rapt::Recording scope;
    rapt::backward(golden.expect_results(model, 1e-7));
    golden.expect_stored_gradients(model, 1e-6);
    expect_no_key_bias_gradient(model, 1e-12);
  });
}

TEST(Bert, TravelsBackUnchanged) {
  for_each_case<BertCase>([](const BertCase& golden) { expect_return_journey(golden); });
}

TEST(Bert, NamesOfOtherFilesAreKnown) {
  for_each_case<BertCase>([](BertCase golden) {
    const auto change = [&](const auto& rename) {
      std::map<std::string, Tensor<float>> renamed;
      for (const auto& [name, value] : golden.parameters) renamed.emplace(rename(name), value);
      golden.parameters = renamed;
      golden.write();
      golden.expect_results(golden.load<float>(), 1e-5);
    };
    change([](const std::string& name) {  // a bare model's with the prefix
      const bool is_head = name.starts_with("bert.") || name.starts_with("cls.") || name.starts_with("classifier.");
      return is_head ? name : "bert." + name;
    });
    if (golden.config["architectures"][0] == "BertModel") {
      change([](const std::string& name) { return name.substr(5); });
    }
    change([](std::string name) {  // norms as the first files had them
      for (const auto& [now, before] : {std::pair<std::string, std::string>{"LayerNorm.weight", "LayerNorm.gamma"},
                                        {"LayerNorm.bias", "LayerNorm.beta"}}) {
        if (name.ends_with(now)) name.replace(name.size() - now.size(), now.size(), before);
      }
      return name;
    });
  });
}

TEST(Bert, WhatFilesMayHoldBeside) {
  BertCase golden("pretraining");
  golden.parameters.emplace("cls.predictions.decoder.weight",
                            golden.parameters.at("bert.embeddings.word_embeddings.weight"));
  golden.parameters.emplace("cls.predictions.decoder.bias", golden.parameters.at("cls.predictions.bias"));
  golden.parameters.emplace("bert.embeddings.position_ids", Tensor<float>(rapt::Shape{1, 9}, 0.f));
  golden.write();
  golden.expect_results(golden.load<float>(), 1e-5);
  golden.parameters.emplace("qa_outputs.weight", Tensor<float>(rapt::Shape{2, 12}, 0.f));
  golden.write();
  expect_message([&] { std::ignore = golden.load<float>(); }, "no place for \"qa_outputs.weight\"");
}

TEST(Bert, LabelsHaveNames) {
  BertCase golden("sequences");
  EXPECT_EQ(golden.load<float>().config().labels, (std::vector<std::string>{"against", "for", "neither"}));
  for (const char* wrong : {R"(["a", "b", "c"])", R"({"0": "a", "1": "b", "3": "c"})", R"({"0": 1})"}) {
    golden.config["id2label"] = nlohmann::json::parse(wrong);
    golden.write();
    expect_message([&] { std::ignore = golden.load<float>(); }, "\"id2label\" must be an object of names by number");
  }
  golden.config.erase("id2label");  // means two
  golden.write();
  expect_message([&] { std::ignore = golden.load<float>(); },
                 "\"classifier.weight\" has shape [3, 12], config.json wants [2, 12]");
}

TEST(Bert, SettingsThatItDoesNotHaveAreRefused) {
  const auto with = [](const char* key, const nlohmann::json& value, const std::string& part) {
    BertCase golden("pretraining");
    golden.config[key] = value;
    golden.write();
    expect_message([&] { std::ignore = golden.load<float>(); }, part);
  };
  with("is_decoder", true, "\"is_decoder\"");
  with("add_cross_attention", true, "\"add_cross_attention\"");
  with("position_embedding_type", "relative_key", "\"position_embedding_type\"");
  with("tie_word_embeddings", false, "\"tie_word_embeddings\"");
  with("num_attention_heads", 5, "heads = 5");
  with("hidden_dropout_prob", 1.5, "dropout must be in [0, 1): 1.5");
  with("num_hidden_layers", 3, "tensors are missing: \"bert.encoder.layer.2.");
  BertCase golden("pretraining");
  golden.parameters.erase("bert.pooler.dense.weight");
  golden.write();
  expect_message([&] { std::ignore = golden.load<float>(); }, "the next-sentence head needs the pooler");
}

TEST(Bert, PartsAreWhatTheConfigNames) {
  BertConfig config = small_config();
  const auto parameters = [&] {
    rapt::Rng rng(1);
    return rapt::count_parameters(Bert(config, rng));
  };
  EXPECT_EQ(rapt::detail::architecture_of(config), "BertModel");
  const Index bare = parameters();
  config.masked_language_head = true;
  EXPECT_EQ(rapt::detail::architecture_of(config), "BertForMaskedLM");
  EXPECT_EQ(parameters() - bare, 16 * 16 + 16 + 2 * 16 + 13);
  config.next_sentence_head = true;
  EXPECT_EQ(rapt::detail::architecture_of(config), "BertForPreTraining");
  EXPECT_EQ(parameters() - bare, 16 * 16 + 16 + 2 * 16 + 13 + 2 * 16 + 2);
  config.masked_language_head = false;
  EXPECT_EQ(rapt::detail::architecture_of(config), "BertForNextSentencePrediction");
  config.next_sentence_head = config.pooler = false;
  EXPECT_EQ(bare - parameters(), 16 * 16 + 16);
  config.labels = {"a", "b", "c"};
  EXPECT_EQ(rapt::detail::architecture_of(config), "BertForTokenClassification");
  config.pooler = true;
  EXPECT_EQ(rapt::detail::architecture_of(config), "BertForSequenceClassification");
  EXPECT_EQ(parameters() - bare, 3 * 16 + 3);
}

TEST(Bert, TheSizesOfThePaper) {
  // 110 and 340 million parameters; counted without drawing them
  const auto parameters = [](BertConfig config) {
    config.masked_language_head = config.next_sentence_head = true;
    const rapt::detail::InitialiseNothing scope;
    rapt::Rng rng(1);
    return rapt::count_parameters(Bert(config, rng));
  };
  EXPECT_EQ(parameters(BertConfig::base()), 110106428);  // transformers' BertForPreTraining
  EXPECT_EQ(parameters(BertConfig::large()), 336226108);
}

TEST(Bert, ABatchOfManyEqualsBatchesOfOne) {
  rapt::Rng rng(1);
  Bert<double> model(small_config(), rng);
  rapt_test::randomize(model, 2);
  const TokenBatch many({{1, 2, 3}, {4}, {5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2, 3}});
  const std::vector<TokenId> types{0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1};
  const auto hidden = model.hidden(many, types).value();
  const auto pooled = model.pooled(model.hidden(many, types), many.row_splits).value();
  const auto sentences = embed_sentences(model, many).value();
  for (Index s = 0; s < many.sequences(); ++s) {
    TokenBatch one;
    one.push_back(many.sequence(s));
    const auto begin = static_cast<std::size_t>(many.row_splits.begin(s));
    const auto alone = model.hidden(one, std::span(types).subspan(begin, one.tokens.size()));
    const auto alone_pooled = model.pooled(alone, one.row_splits).value();
    for (Index j = 0; j < 16; ++j) {
      for (Index i = 0; i < alone.rows(); ++i) {
        EXPECT_NEAR(alone.value()(i, j), hidden(many.row_splits.begin(s) + i, j), 1e-12);
      }
      EXPECT_NEAR(alone_pooled(0, j), pooled(s, j), 1e-12);
      EXPECT_NEAR(embed_sentences(model, one).value()(0, j), sentences(s, j), 1e-12);
    }
  }
}

TEST(Bert, SentencesAreMeansOrFirstTokens) {
  rapt::Rng rng(1);
  const Bert<double> model(small_config(), rng);
  const TokenBatch batch({{1, 2, 3}, {4, 5}});
  const auto hidden = model.hidden(batch).value();
  const auto first =
      embed_sentences(model, batch, {.pooling = rapt::SentencePooling::first, .normalize = false}).value();
  const auto mean = embed_sentences(model, batch, {.normalize = false}).value();
  for (Index j = 0; j < 16; ++j) {
    EXPECT_EQ(first(1, j), hidden(3, j));
    EXPECT_NEAR(mean(1, j), (hidden(3, j) + hidden(4, j)) / 2, 1e-14);
  }
  const auto unit = embed_sentences(model, batch).value();
  double squares = 0;
  for (Index j = 0; j < 16; ++j) squares += unit(0, j) * unit(0, j);
  EXPECT_NEAR(squares, 1, 1e-14);
}

TEST(Bert, AttentionWeightsCanBeHad) {
  rapt::Rng rng(1);
  const Bert<double> model(small_config(), rng);
  std::vector<Tensor<double>> weights(2);
  std::ignore = model.hidden(TokenBatch({{1, 2, 3}, {4}}), {}, weights);
  for (const auto& layer : weights) {
    double sum = 0;
    for (const double p : layer.values()) sum += p;
    EXPECT_NEAR(sum, 2 * 4, 1e-12);  // heads times tokens
  }
}

TEST(Bert, LearnsBothTasks) {
  BertConfig config = small_config();
  config.masked_language_head = config.next_sentence_head = true;
  config.dropout = config.attention_dropout = 0.f;
  rapt::Rng rng(1);
  Bert model(config, rng);
  rapt::Adam adam(model);
  // 1 is hidden between 2 and 3; the second text begins with 5 where it follows, with 6 where it does not
  const rapt::LanguageBatch batch{TokenBatch({{0, 2, 12, 3, 5}, {0, 2, 12, 3, 6}}), {1, 1}, {2, 7}};
  const std::vector<TokenId> types{0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, is_random{0, 1};
  double first = 0, last = 0;
  for (int step = 0; step < 150; ++step) {
    const rapt::Training scope(rng);
    const auto loss = model.loss(batch, types, is_random);
    rapt::backward(loss);
    adam.step(5e-3);
    last = static_cast<double>(loss.item());
    if (step == 0) first = last;
  }
  EXPECT_NEAR(first, std::log(13.0) + std::log(2.0), 0.5);
  EXPECT_LT(last, 0.1);
}

TEST(Bert, DropoutIsOnInTrainingOnly) {
  rapt::Rng rng(1);
  BertConfig config = small_config();
  config.labels = {"a", "b"};
  const Bert model(config, rng);
  const TokenBatch batch({{1, 2, 3}});
  const auto scores = [&] { return model.class_logits(model.hidden(batch), batch.row_splits).value(); };
  const auto still = scores();
  EXPECT_TRUE(rapt_test::same_bits(still, scores()));
  const rapt::Training scope(rng);
  EXPECT_FALSE(rapt_test::same_bits(still, scores()));
}

TEST(Bert, ErrorsNameTheValues) {
  rapt::Rng rng(1);
  BertConfig config = small_config();
  const Bert model(config, rng);
  const TokenBatch batch({{1, 2}, {}});
  const auto hidden = model.hidden(batch);
  const std::vector<TokenId> three{0, 0, 1}, outside{0, 2};
  expect_message([&] { std::ignore = model.hidden(batch, three); }, "3 token types for 2 tokens");
  expect_message([&] { std::ignore = model.hidden(batch, outside); }, "row id 2");
  expect_message([&] { std::ignore = model.hidden(TokenBatch({{13}})); }, "token id 13");
  expect_message([&] { std::ignore = model.hidden(TokenBatch(std::vector(1, std::vector<TokenId>(13, 1)))); },
                 "has 13 tokens, the table of learned positions ends at 12");
  expect_message([&] { std::ignore = model.pooled(hidden, batch.row_splits); }, "sequence 1 is empty");
  expect_message([&] { std::ignore = model.pooled(hidden, rapt::RowSplits::equal(1, 3)); }, "row splits end at 3");
  expect_message([&] { std::ignore = model.logits(hidden); }, "has no masked-language head");
  expect_message([&] { std::ignore = model.next_sentence_logits(hidden, batch.row_splits); }, "no next-sentence head");
  expect_message([&] { std::ignore = model.class_logits(hidden, batch.row_splits); }, "no classification head");
  expect_message([&] { std::ignore = model.loss({batch, {1, 2}, {}}); }, "has no masked-language head");
  config.heads = 3;
  expect_message([&] { config.validate(); }, "d_model = 16, heads = 3");
  config = small_config();
  config.pooler = false;
  config.next_sentence_head = true;
  expect_message([&] { config.validate(); }, "needs the pooler");
  config = small_config();
  config.masked_language_head = true;
  config.labels = {"a", "b"};
  expect_message([&] { config.validate(); }, "2 labels");
}

}  // namespace
