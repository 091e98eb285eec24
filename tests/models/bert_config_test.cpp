/// \file
/// The families of BERT: each against transformers, with every head, and its folders.
// covers: pretrained/bert_names.hpp
#include "rapt/models/bert_config.hpp"

#include <gtest/gtest.h>

#include "rapt/io/model_file.hpp"
#include "rapt/models/bert.hpp"
#include "rapt/models/sentence_embedding.hpp"
#include "rapt/pretrained/bert.hpp"
#include "tests/common/encoder_case.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Bert;
using rapt::BertConfig;
using rapt::BertFamily;
using rapt::Index;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt_test::expect_message;

struct RobertaCase : rapt_test::EncoderCase<Bert> {
  static constexpr const char* kFile = "roberta";
  static constexpr std::size_t kCases = 6;
  explicit RobertaCase(const std::string& name) : EncoderCase(kFile, name) {}
};
struct DistilbertCase : rapt_test::EncoderCase<Bert> {
  static constexpr const char* kFile = "distilbert";
  static constexpr std::size_t kCases = 5;
  explicit DistilbertCase(const std::string& name) : EncoderCase(kFile, name) {}
};
struct ElectraCase : rapt_test::EncoderCase<Bert> {
  static constexpr const char* kFile = "electra";
  static constexpr std::size_t kCases = 7;
  explicit ElectraCase(const std::string& name) : EncoderCase(kFile, name) {}
};
struct AlbertCase : rapt_test::EncoderCase<Bert> {
  static constexpr const char* kFile = "albert";
  static constexpr std::size_t kCases = 6;
  explicit AlbertCase(const std::string& name) : EncoderCase(kFile, name) {}
};

TEST(BertFamilies, RobertaAgreesWithTransformers) { rapt_test::expect_family<RobertaCase>(); }
TEST(BertFamilies, DistilbertAgreesWithTransformers) { rapt_test::expect_family<DistilbertCase>(); }
TEST(BertFamilies, ElectraAgreesWithTransformers) { rapt_test::expect_family<ElectraCase>(); }
TEST(BertFamilies, AlbertAgreesWithTransformers) { rapt_test::expect_family<AlbertCase>(); }

TEST(BertFamilies, SettingsAreRead) {
  const BertConfig roberta = RobertaCase("masked").load<float>().config();
  EXPECT_EQ(roberta.family, BertFamily::roberta);
  EXPECT_EQ(roberta.positions, 8);  // of 9 rows, the padding token being 0
  EXPECT_EQ(RobertaCase("words").load<float>().config().positions, 7);
  EXPECT_TRUE(RobertaCase("words").load<float>().config().labels_tokens());
  EXPECT_EQ(RobertaCase("question").load<float>().config().family, BertFamily::xlm_roberta);
  EXPECT_EQ(DistilbertCase("sequences").load<float>().config().classifier_dropout, 0.2f);
  EXPECT_EQ(ElectraCase("bare").load<float>().config().embedding_width, 6);
  EXPECT_EQ(ElectraCase("bare_wide").load<float>().config().embedding_width, std::nullopt);
  const BertConfig albert = AlbertCase("bare").load<float>().config();
  EXPECT_EQ(albert.layers, 4);
  EXPECT_EQ(albert.layer_groups, 2);
  EXPECT_EQ(AlbertCase("masked").load<float>().config().embedding_width, 8);  // as wide as the layers, and projected
}

/// The config of a folder whose config.json says the type alone: what absent keys mean.
[[nodiscard]] BertConfig config_of_type(const std::string& type) {
  return rapt::detail::config_from_json<BertConfig>({{"model_type", type}}, "config.json");
}

TEST(BertFamilies, AbsentKeysMeanWhatTheyMeanInTransformers) {
  EXPECT_EQ(config_of_type("roberta").vocabulary, 50265);
  EXPECT_EQ(config_of_type("roberta").padding_token, 1);
  EXPECT_EQ(config_of_type("xlm-roberta").vocabulary, 30522);
  EXPECT_EQ(config_of_type("xlm-roberta").positions, 510);
  EXPECT_EQ(config_of_type("distilbert").layers, 6);
  EXPECT_EQ(config_of_type("distilbert").question_dropout, 0.1f);
  EXPECT_EQ(config_of_type("electra").d_ff, 1024);
  EXPECT_EQ(config_of_type("electra").embedding_width, 128);
  EXPECT_EQ(config_of_type("albert").d_model, 4096);
  EXPECT_EQ(config_of_type("albert").activation, rapt::Activation::gelu_tanh);
  expect_message([] { std::ignore = config_of_type("deberta"); },
                 "config.json: \"model_type\" is \"deberta\", wanted is one of \"bert\", \"roberta\", \"xlm-roberta\", "
                 "\"distilbert\", \"electra\", \"albert\"");
}

TEST(BertFamilies, WhatFoldersMayHoldBeside) {
  RobertaCase roberta("sequences");  // as the first ones were saved
  roberta.parameters.emplace("roberta.pooler.dense.weight", Tensor<float>(rapt::Shape{8, 8}, 1.f));
  roberta.parameters.emplace("roberta.pooler.dense.bias", Tensor<float>(rapt::Shape{8}, 1.f));
  roberta.parameters.emplace("roberta.embeddings.position_ids", Tensor<float>(rapt::Shape{1, 9}, 0.f));
  roberta.write();
  roberta.expect_results(roberta.load<float>(), 1e-5);
  RobertaCase masked("masked");
  masked.parameters.emplace("lm_head.decoder.weight",
                            masked.parameters.at("roberta.embeddings.word_embeddings.weight"));
  masked.parameters.emplace("lm_head.decoder.bias", masked.parameters.at("lm_head.bias"));
  masked.write();
  masked.expect_results(masked.load<float>(), 1e-5);
  AlbertCase albert("pretraining");
  albert.parameters.emplace("predictions.decoder.bias", albert.parameters.at("predictions.bias"));
  albert.write();
  albert.expect_results(albert.load<float>(), 1e-5);
}

TEST(BertFamilies, SettingsThatTheyDoNotHaveAreRefused) {
  const auto with = [](auto golden, const char* key, const nlohmann::json& value, const std::string& part) {
    golden.config[key] = value;
    golden.write();
    expect_message([&] { std::ignore = golden.template load<float>(); }, part);
  };
  with(AlbertCase("bare"), "inner_group_num", 2, "\"inner_group_num\"");
  with(AlbertCase("bare"), "num_hidden_groups", 3, "layers = 4, layer_groups = 3");
  with(AlbertCase("bare"), "num_hidden_groups", 0, "\"num_hidden_groups\" must be a positive number");
  with(AlbertCase("bare"), "num_hidden_layers", 999999998,
       "at most 10000 layers may share parameters: layers = 999999998");
  with(ElectraCase("bare"), "position_embedding_type", "relative_key", "\"position_embedding_type\"");
  with(DistilbertCase("masked"), "tie_word_embeddings", false, "\"tie_word_embeddings\"");
  with(RobertaCase("bare"), "is_decoder", true, "\"is_decoder\"");
  with(RobertaCase("bare"), "max_position_embeddings", 2, "positions 0");
  with(RobertaCase("bare"), "num_hidden_layers", 3, "tensors are missing: \"encoder.layer.2.");
}

TEST(BertFamilies, WhatTransformersLacksIsNotSaved) {
  const rapt_test::TemporaryFolder folder;
  const auto refused = [&](BertConfig config) {
    config.d_model = 8, config.heads = 2, config.layers = 2, config.d_ff = 6, config.vocabulary = 9;
    rapt::Rng rng(1);
    const Bert<float> model(config, rng);
    expect_message([&] { rapt::save_pretrained(folder.path(), model); }, "no model with these settings together");
  };
  refused({.layer_groups = 1});
  refused({.embedding_width = 4});
  refused({.token_types = 0});
  BertConfig config = BertConfig::distilbert_base();
  config.norm_epsilon = 1e-5;
  refused(config);
  config = BertConfig::electra_small();
  config.pooler = true;
  refused(config);
  config = BertConfig::electra_small();
  config.embedding_width = 8;  // as wide as the layers: transformers has no projection then
  refused(config);
  config.embedding_width = 4;
  config.masked_language_head = config.replaced_token_head = true;
  refused(config);
}

TEST(BertFamilies, TheSizesOfThePapers) {
  const auto parameters = [](BertConfig config) {
    config.masked_language_head = true;
    const rapt::detail::InitialiseNothing scope;
    rapt::Rng rng(1);
    return rapt::count_parameters(Bert(config, rng));
  };
  // transformers' RobertaForMaskedLM and so on; those of RoBERTa and ALBERT have a pooler less
  EXPECT_EQ(parameters(BertConfig::roberta_base()) - 590592, 124697433);
  EXPECT_EQ(parameters(BertConfig::distilbert_base()), 66985530);
  EXPECT_EQ(parameters(BertConfig::electra_small()), 13546682);
  EXPECT_EQ(parameters(BertConfig::albert_base()) - 590592, 11221680);
}

TEST(BertFamilies, SharedLayersGetTheSumOfTheirGradients) {
  BertConfig config{.vocabulary = 13, .positions = 9, .d_model = 8, .layers = 4, .heads = 2, .d_ff = 6};
  rapt::Rng rng(1);
  Bert<double> apart(config, rng);
  config.layer_groups = 2;
  Bert<double> shared(config, rng);
  rapt_test::randomize(shared, 3);
  std::map<std::string, rapt::Parameter<double>*> theirs;
  rapt::for_each_parameter(apart, [&](const std::string& name, auto& parameter) { theirs[name] = &parameter; });
  const auto copies_of = [&](const std::string& name) {  // layers 0 and 1 of block 0, 2 and 3 of block 1
    const std::string prefix = "encoder.layers.";
    if (!name.starts_with(prefix)) return std::vector{theirs.at(name)};
    const int block = name[prefix.size()] - '0';
    const std::string rest = name.substr(prefix.size() + 1);
    return std::vector{theirs.at(prefix + std::to_string(2 * block) + rest),
                       theirs.at(prefix + std::to_string(2 * block + 1) + rest)};
  };
  rapt::for_each_parameter(shared, [&](const std::string& name, const auto& parameter) {
    for (auto* copy : copies_of(name)) copy->mutable_value() = parameter.value();
  });
  const TokenBatch batch({{1, 2, 3}, {4, 5}});
  const rapt::Recording scope;
  std::vector<Tensor<double>> weights(4);
  const auto hidden = shared.hidden(batch, {}, weights);
  EXPECT_TRUE(rapt_test::same_bits(hidden.value(), apart.hidden(batch).value()));
  EXPECT_FALSE(rapt_test::same_bits(weights[0], weights[1]));
  const rapt::Variable<double> upstream(rapt_test::normal_tensor<double>(hidden.shape(), 5));
  rapt::backward(sum(multiply(hidden, upstream)));
  rapt::backward(sum(multiply(apart.hidden(batch), upstream)));
  rapt::for_each_parameter(shared, [&](const std::string& name, const auto& parameter) {
    if (name.starts_with("pooler")) return;
    Tensor<double> sum(parameter.shape(), 0.0);
    for (const auto* copy : copies_of(name)) {
      for (Index i = 0; i < sum.size(); ++i) sum.data()[i] += copy->grad().data()[i];
    }
    EXPECT_TRUE(rapt_test::close(parameter.grad(), sum, 1e-12)) << name;
  });
}

TEST(BertFamilies, RobertaDoesNotCountPadding) {
  rapt::Rng rng(1);
  BertConfig config{.family = BertFamily::roberta,
                    .vocabulary = 13,
                    .positions = 3,
                    .d_model = 8,
                    .layers = 1,
                    .heads = 2,
                    .d_ff = 6,
                    .padding_token = 0};
  Bert<double> roberta(config, rng);
  rapt_test::randomize(roberta, 3);
  config.family = BertFamily::bert;
  Bert<double> bert(config, rng);
  std::vector<const Tensor<double>*> values;
  rapt::for_each_parameter(std::as_const(roberta),
                           [&](const std::string&, const auto& parameter) { values.push_back(&parameter.value()); });
  std::size_t next = 0;
  rapt::for_each_parameter(bert, [&](const std::string& name, auto& parameter) {
    const Tensor<double>& value = *values[next++];
    if (name != "positions.weight") {
      parameter.mutable_value() = value;
      return;
    }
    for (const auto& [row, from] : {std::pair{0, 1}, {1, 0}, {2, 2}}) {  // padding has row 0, the others count from 1
      std::copy_n(value.row(from), 8, parameter.mutable_value().row(row));
    }
  });
  const TokenBatch batch({{4, 0, 5}});
  EXPECT_TRUE(rapt_test::same_bits(roberta.hidden(batch).value(), bert.hidden(batch).value()));
}

TEST(BertFamilies, SentencesAreEmbedded) {
  const auto model = DistilbertCase("bare").load<double>();
  const auto vectors = embed_sentences(model, DistilbertCase("bare").input()).value();
  EXPECT_EQ(vectors.shape(), (rapt::Shape{3, 8}));
}

TEST(BertFamilies, DropoutIsWhereEachFamilyHasIt) {
  const BertConfig distilbert = BertConfig::distilbert_base(), albert = BertConfig::albert_base();
  EXPECT_EQ(distilbert.layer().dropout, 0.f);
  EXPECT_EQ(distilbert.layer().feed_forward_dropout, 0.1f);
  EXPECT_EQ(albert.layer().feed_forward_dropout, 0.f);
  BertConfig config = BertConfig::roberta_base();
  EXPECT_EQ(config.pooler_dropout(), 0.f);
  config.labels = {"a", "b"};
  config.classifier_dropout = 0.3f;
  EXPECT_EQ(config.pooler_dropout(), 0.3f);
  config.family = BertFamily::bert;
  EXPECT_EQ(config.pooler_dropout(), 0.f);
}

/// How far the rows are from those wanted, relative to the largest number of these.
[[nodiscard]] double distance(const rapt::Variable<double>& rows, const rapt::Variable<double>& wanted) {
  return rapt_test::relative_error(rows.value(), wanted.value());
}

TEST(BertFamilies, HeadsDropWhatTheyReadInTraining) {
  constexpr float kAll = 0.99999994f;  // drops every element of these small tensors
  const TokenBatch batch({{1, 2, 3}, {4, 5}});
  using enum BertFamily;
  for (const BertFamily family : {bert, roberta, xlm_roberta, distilbert, electra, albert}) {
    const std::string name(name_of(family));
    BertConfig config{.family = family,
                      .vocabulary = 9,
                      .positions = 5,
                      .token_types = family == distilbert ? 0 : 2,
                      .d_model = 8,
                      .layers = 1,
                      .heads = 2,
                      .d_ff = 6,
                      .dropout = 0.f,
                      .attention_dropout = 0.f};
    config.labels = {"a", "b"};
    config.classifier_dropout = kAll;
    const auto made = [&] {
      rapt::Rng rng(1);
      Bert<double> model(config, rng);
      rapt_test::randomize(model, 2);
      return model;
    };
    const Bert<double> sequences = made();
    const auto hidden = sequences.hidden(batch);
    const rapt::Variable<double> nothing(Tensor<double>(hidden.shape(), 0.0));
    const auto pooled = sequences.pooled(hidden, batch.row_splits), empty = sequences.pooled(nothing, batch.row_splits);
    const auto scores = sequences.class_logits(hidden, batch.row_splits);
    config.token_labels = true;
    const Bert<double> tokens = made();
    const auto token_scores = tokens.class_logits(hidden, batch.row_splits);

    rapt::Rng rng(7);
    const rapt::Training scope(rng);
    EXPECT_LT(distance(sequences.hidden(batch), hidden), 1e-12) << name;
    const bool drops_before_pooler = family == roberta || family == xlm_roberta || family == electra;
    EXPECT_LT(distance(sequences.pooled(hidden, batch.row_splits), drops_before_pooler ? empty : pooled), 1e-12)
        << name;
    const auto dropped = sequences.class_logits(hidden, batch.row_splits).value();  // the bias in each row
    for (Index j = 0; j < 2; ++j) EXPECT_EQ(dropped(0, j), dropped(1, j)) << name;
    EXPECT_GT(std::abs(scores.value()(0, 0) - scores.value()(1, 0)), 1e-3) << name;
    const auto dropped_tokens = tokens.class_logits(hidden, batch.row_splits);
    if (family == distilbert) {  // whose rate for labels of tokens is `dropout`
      EXPECT_LT(distance(dropped_tokens, token_scores), 1e-12);
    } else {
      for (Index i = 1; i < 5; ++i) EXPECT_EQ(dropped_tokens.value()(i, 0), dropped_tokens.value()(0, 0)) << name;
    }
  }
}

TEST(BertFamilies, OtherHeadsDropAtTheirOwnRates) {
  constexpr float kAll = 0.99999994f;
  const TokenBatch batch({{1, 2, 3}, {4, 5}});
  for (const BertFamily family : {BertFamily::bert, BertFamily::albert}) {
    BertConfig config{
        .family = family, .vocabulary = 9, .positions = 5, .d_model = 8, .layers = 1, .heads = 2, .d_ff = 6};
    config.dropout = config.attention_dropout = 0.f;
    config.classifier_dropout = config.question_dropout = kAll;
    config.next_sentence_head = true;
    rapt::Rng rng(1);
    Bert<double> model(config, rng);
    rapt_test::randomize(model, 2);
    config.next_sentence_head = false;
    config.question_head = true;
    Bert<double> reader(config, rng);
    rapt_test::randomize(reader, 2);
    const auto hidden = model.hidden(batch), next = model.next_sentence_logits(hidden, batch.row_splits);
    const rapt::Training scope(rng);
    const auto dropped = model.next_sentence_logits(hidden, batch.row_splits);
    if (family == BertFamily::albert) {
      EXPECT_EQ(dropped.value()(0, 0), dropped.value()(1, 0));
    } else {
      EXPECT_LT(distance(dropped, next), 1e-12);
    }
    const auto answers = reader.question_logits(hidden).value();
    for (Index i = 1; i < 5; ++i) EXPECT_EQ(answers(i, 0), answers(0, 0));
  }
}

TEST(BertFamilies, ErrorsNameTheValues) {
  BertConfig config = BertConfig::roberta_base();
  config.padding_token.reset();
  expect_message([&] { config.validate(); }, "must not be negative: -1");
  config = BertConfig::roberta_base();
  config.next_sentence_head = true;
  expect_message([&] { config.validate(); }, "only BERT and ALBERT have a next-sentence head: family roberta");
  config = {.replaced_token_head = true};
  expect_message([&] { config.validate(); }, "only ELECTRA has a head for replaced tokens: family bert");
  config = BertConfig::albert_base();
  config.layer_groups = 5;
  expect_message([&] { config.validate(); }, "layers = 12, layer_groups = 5");
  config = {.embedding_width = 0};
  expect_message([&] { config.validate(); }, "embedding_width 0");
  const auto roberta = RobertaCase("bare").load<float>();
  expect_message(
      [&] {
        std::ignore = roberta.hidden(TokenBatch({{2, 2, 2, 2, 2, 2, 2, 2}}));
      },
      "a sequence has 8 tokens, the table of learned positions is for 7");
  const auto distilbert = DistilbertCase("bare").load<float>();
  const std::vector<std::int32_t> types{0, 1};
  expect_message(
      [&] {
        std::ignore = distilbert.hidden(TokenBatch({{2, 3}}), types);
      },
      "tells no token types, it is given type 1");
  const auto electra = ElectraCase("discriminator").load<float>();
  expect_message(
      [&] {
        std::ignore = electra.loss(rapt::LabelledText{.input = TokenBatch({{2, 3}}), .labels = {1}});
      },
      "1 labels for scores of shape [2, 1]");
}

}  // namespace
