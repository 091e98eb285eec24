/// \file
/// BART, mBART, Pegasus and M2M100 against transformers: what they compute, what they generate, and the folders that
/// they read.
// covers: models/marked_transformer.hpp, pretrained/bart.hpp, pretrained/bart_keys.hpp
// covers: models/bart_config.hpp, models/encoder_decoder_config.hpp, pretrained/encoder_decoder_keys.hpp
#include "rapt/models/bart.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/core/index.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/scoring.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/pretrained/bart.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/steps.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::Bart;
using rapt::BartConfig;
using rapt::BartFamily;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_message;
using rapt_test::PretrainedCase;

static_assert(rapt::DecodingModel<Bart<float>>);
static_assert(rapt::TeacherForcedModel<Bart<float>>);
static_assert(rapt::HasPretrainedFormat<BartConfig>);

constexpr Index kBartLength = 9;          // make_bart.py's LENGTH
constexpr TokenId kBartForcedToken = 27;  // and FORCED

template <class T = float>
Bart<T> bart_of(const PretrainedCase& golden) {
  return rapt::from_pretrained<Bart<T>>(golden.folder.path());
}
template <class T>
rapt::Tensor<T> bart_logits(const Bart<T>& model, const PretrainedCase& golden) {
  return model(golden.batch("ids", "row_splits"), golden.batch("target_input", "target_splits")).value();
}

/// `f(case)` for each case of the golden file that translates, or else for each that classifies.
template <class F>
void for_each_bart(bool classifies, const F& f) {
  Index cases = 0;
  for (const std::string& name : PretrainedCase::all("bart")) {
    if (name.ends_with("classes") != classifies) continue;
    SCOPED_TRACE(name);
    f(PretrainedCase("bart", name));
    ++cases;
  }
  EXPECT_EQ(cases, classifies ? 2 : 8);
}

TEST(Bart, AgreesWithTransformers) {
  for_each_bart(/*classifies=*/false, [](const PretrainedCase& golden) {
    const auto model = bart_of(golden);
    const rapt::TranslationBatch batch{golden.batch("ids", "row_splits"), golden.batch("target_input", "target_splits"),
                                       golden.ids("target_output")};
    golden.expect("encoded", model.encode(batch.source).value(), 1e-5);
    golden.expect("logits", model(batch.source, batch.target_input).value(), 1e-5);
    const rapt::Recording scope;
    const auto loss = model.loss(batch);
    golden.expect("loss", loss.value(), 1e-5);
    rapt::backward(loss);
    golden.expect_stored_gradients(model, 1e-4);
  });
}

TEST(Bart, ItsClassifierAgreesWithTransformers) {
  for_each_bart(/*classifies=*/true, [](const PretrainedCase& golden) {
    const auto model = bart_of(golden);
    const rapt::Recording scope;
    const rapt::LabelledText batch{.input = golden.batch("ids", "row_splits"), .labels = golden.ids("labels")};
    golden.expect("logits", model.class_logits(batch.input).value(), 1e-5);
    const auto loss = model.loss(batch);
    golden.expect("loss", loss.value(), 1e-5);
    rapt::backward(loss);
    golden.expect_stored_gradients(model, 1e-4);
    EXPECT_FALSE(model.config().output_bias);
  });
}

TEST(Bart, AgreesInDouble) {
  for_each_bart(/*classifies=*/false, [](const PretrainedCase& golden) {  // transformers' sinusoids are float32
    golden.expect("logits", bart_logits(bart_of<double>(golden), golden), 1e-6);
  });
}

TEST(Bart, TravelsBackUnchanged) {
  for (const bool classifies : {false, true}) {
    for_each_bart(classifies, [](const PretrainedCase& golden) {
      const auto model = bart_of(golden);
      golden.expect_round_trip(model);
      const rapt_test::TemporaryFolder saved;
      rapt::save_pretrained(saved.path(), model);
      const auto config = nlohmann::json::parse(std::ifstream(saved.path() / "config.json"));
      EXPECT_EQ(config["architectures"], golden.config["architectures"]);
      EXPECT_EQ(config["model_type"], golden.config["model_type"]);
      rapt::save_model(saved.path() / "own.safetensors", model);
      const auto own = rapt::load_model<Bart<float>>(saved.path() / "own.safetensors");
      const TokenBatch source = golden.batch("ids", "row_splits");
      EXPECT_TRUE(rapt_test::same_bits(own.encode(source).value(), model.encode(source).value()));
      EXPECT_EQ(own.config().labels, model.config().labels);
    });
  }
}

TEST(Bart, StepsSayWhatTheWholeSays) {
  for_each_bart(/*classifies=*/false, [](const PretrainedCase& golden) {
    const auto model = bart_of(golden);
    rapt_test::expect_steps_equal_whole(model, golden.batch("ids", "row_splits"),
                                        golden.batch("target_input", "target_splits"), bart_logits(model, golden));
  });
}

TEST(Bart, BeamSearchAsTransformersDoes) {
  const rapt_test::HighestPrecision scope;
  for_each_bart(/*classifies=*/false, [](const PretrainedCase& golden) {
    const auto model = bart_of(golden);
    const rapt::BeamSearchOptions options{.beam_size = 4,
                                          .length_penalty = 0.8f,
                                          .length_normalisation = rapt::LengthNormalisation::plain,
                                          .generation = {.max_length = kBartLength, .forced_tokens_are_free = true}};
    for (const std::string name : {"beam", "forced"}) {
      rapt::SearchRequest request{.marks = model.sequence_marks()};
      if (name == "forced") request.marks->forced_begin = kBartForcedToken;  // of this request alone
      const TokenBatch expected = golden.batch(name, name + "_splits");
      const auto scores = golden.tensor<double>(name + "_scores");
      const auto found = rapt::beam_search(model, golden.batch("ids", "row_splits"), options, request);
      for (Index i = 0; i < expected.sequences(); ++i) {
        const auto& ours = found[static_cast<std::size_t>(i)];
        const auto tokens = expected.sequence(i);
        EXPECT_EQ(ours.tokens, std::vector<TokenId>(tokens.begin(), tokens.end())) << name << " " << i;
        EXPECT_NEAR(ours.score, scores.data()[i], 1e-5) << name << " " << i;
      }
    }
    EXPECT_FALSE(model.sequence_marks().forced_begin.has_value());
  });
}

TEST(Bart, TheFoldersConfigForcesTheFirstToken) {
  PretrainedCase golden("bart", "mbart");
  golden.config["forced_bos_token_id"] = kBartForcedToken;
  golden.write();
  const auto model = bart_of(golden);
  EXPECT_EQ(model.sequence_marks().forced_begin, kBartForcedToken);
  EXPECT_EQ(model.sequence_marks().max_length, 14);
  const auto found = rapt::beam_search(model, golden.batch("ids", "row_splits"));
  for (const auto& hypothesis : found) EXPECT_EQ(hypothesis.tokens.front(), kBartForcedToken);
}

TEST(Bart, WhatFilesMayHoldBeside) {
  PretrainedCase golden("bart", "pegasus");
  const auto expected = bart_logits(bart_of(golden), golden);
  for (const char* side : {"encoder", "decoder"}) {
    const std::string start = std::string("model.") + side;
    golden.parameters.emplace(start + ".embed_positions.weight", rapt::Tensor<float>(rapt::Shape{14, 8}, 1.f));
    golden.parameters.emplace(start + ".version", rapt::Tensor<float>(rapt::Shape{1}, 3.f));
    golden.parameters.emplace(start + ".embed_tokens.weight", golden.parameters.at("model.shared.weight"));
  }
  golden.write();
  EXPECT_EQ(rapt_test::relative_error(bart_logits(bart_of(golden), golden), expected), 0);
  PretrainedCase m2m("bart", "m2m");
  const auto without = bart_logits(bart_of(m2m), m2m);
  m2m.parameters.emplace("final_logits_bias", rapt::Tensor<float>(rapt::Shape{1, 29}, 1.f));
  m2m.write();
  EXPECT_EQ(rapt_test::relative_error(bart_logits(bart_of(m2m), m2m), without), 0);
  // Learned positions must be there.
  PretrainedCase learned("bart", "bart");
  learned.parameters.erase("model.decoder.embed_positions.weight");
  learned.write();
  expect_message([&] { std::ignore = bart_of(learned); },
                 std::vector<std::string>{"missing", "\"model.decoder.embed_positions.weight\""});
}

TEST(Bart, AFolderOfABareModel) {
  PretrainedCase golden("bart", "mbart");
  golden.parameters.at("final_logits_bias").fill(0.f);
  golden.write();
  const auto expected = bart_logits(bart_of(golden), golden);
  std::map<std::string, rapt::Tensor<float>> bare;
  for (auto& [stored, value] : golden.parameters) {
    if (stored.starts_with("model.")) bare.emplace(stored.substr(6), value);
  }
  golden.parameters = bare;  // neither prefix nor bias
  golden.write();
  const auto model = bart_of(golden);
  EXPECT_FALSE(model.config().output_bias);
  EXPECT_LT(rapt_test::relative_error(bart_logits(model, golden), expected), 1e-6);
}

TEST(Bart, LabelsThatAFolderDoesNotName) {
  PretrainedCase golden("bart", "bart_classes");
  golden.config.erase("id2label");
  golden.config.erase("num_labels");
  golden.write();
  EXPECT_EQ(bart_of(golden).config().labels, (std::vector<std::string>{"LABEL_0", "LABEL_1", "LABEL_2"}));
  PretrainedCase translates("bart", "bart");  // whose config.json names labels, as each does
  EXPECT_TRUE(bart_of(translates).config().labels.empty());
}

TEST(Bart, ClassifiesWhereTheSourceEnds) {
  const auto model = bart_of(PretrainedCase("bart", "bart_classes"));
  const TokenBatch one({{0, 7, 9, 2}}), behind({{0, 7, 9, 2, 11, 12}});
  // The decoder does not see what is behind the end token, and the encoder does.
  EXPECT_GT(rapt_test::relative_error(model.class_logits(one).value(), model.class_logits(behind).value()), 1e-4);
  expect_message(
      [&] {
        std::ignore = model.class_logits(TokenBatch({{0, 2}, {0, 7, 9}}));
      },
      "[bart] sequence 1 has no end token");
  expect_message([&] { std::ignore = bart_of(PretrainedCase("bart", "bart")).class_logits(one); },
                 "[bart] the model has no classification head");
}

TEST(Bart, AClassifierIsSavedAsTransformersHasIt) {
  const BartConfig config{.vocabulary = 9,
                          .d_model = 4,
                          .encoder_layers = 1,
                          .decoder_layers = 1,
                          .encoder_heads = 2,
                          .decoder_heads = 2,
                          .encoder_d_ff = 4,
                          .decoder_d_ff = 4,
                          .positions = 8,
                          .labels = {"small", "big"},
                          .problem = rapt::LabelProblem::multi_label};
  rapt::Rng rng(1);
  const Bart<float> model(config, rng);
  const rapt_test::TemporaryFolder saved;
  rapt::save_pretrained(saved.path(), model);
  EXPECT_FALSE(rapt::SafetensorsFile(saved.path() / "model.safetensors").contains("final_logits_bias"));
  const auto json = nlohmann::json::parse(std::ifstream(saved.path() / "config.json"));
  EXPECT_EQ(json["problem_type"], "multi_label_classification");
  const auto again = rapt::from_pretrained<Bart<float>>(saved.path());
  EXPECT_EQ(again.config().problem, rapt::LabelProblem::multi_label);
  // Its loss is the mean binary cross-entropy of the labels' scores.
  const TokenBatch source({{0, 7, 2}, {0, 4, 5, 2}});
  const std::vector<float> values{1, 0, 0, 1};
  const auto scores = again.class_logits(source).value();
  double expected = 0;
  for (Index i = 0; i < 4; ++i) {
    const double score = scores.data()[i];
    expected += (std::log1p(std::exp(score)) - rapt::at(values, i) * score) / 4;
  }
  EXPECT_NEAR(again.loss({.input = source, .values = values}).value().data()[0], expected, 1e-5);
  expect_message([&] { std::ignore = again.loss({.input = source, .labels = {1, 0}}); }, "multi_label_classification");
  expect_message(
      [&] {
        std::ignore = again.loss({.input = source, .token_types = {0, 0, 0, 0, 0, 1, 0}, .values = values});
      },
      "[bart] the model tells no token types, it is given type 1");
}

TEST(Bart, NoLayersAreDroppedInFoldersThatItSaves) {
  const rapt_test::TemporaryFolder saved;
  rapt::save_pretrained(saved.path(), bart_of(PretrainedCase("bart", "m2m")));
  const auto json = nlohmann::json::parse(std::ifstream(saved.path() / "config.json"));
  EXPECT_EQ(json.value("encoder_layerdrop", 1.0), 0);  // where absent keys mean 0.05
  EXPECT_EQ(json.value("decoder_layerdrop", 1.0), 0);
}

TEST(Bart, SettingsThatDoNotFitAreNamed) {
  PretrainedCase golden("bart", "m2m");
  const auto with = [&](const char* key, const nlohmann::json& value, const std::vector<std::string>& parts) {
    const nlohmann::json before = golden.config;
    golden.config[key] = value;
    golden.write();
    expect_message([&] { std::ignore = bart_of(golden); }, parts);
    golden.config = before;
  };
  with("pad_token_id", nullptr, {"config.json", "m2m_100 needs a pad_token"});
  with("decoder_attention_heads", 0, {"decoder_heads 0"});
  with("encoder_attention_heads", 3, {"d_model = 8", "heads = 3"});
  with("decoder_start_token_id", 29, {"begin_token 29", "29"});
  with("tie_word_embeddings", false, {"\"tie_word_embeddings\"", "false"});
  with("is_encoder_decoder", false, {"\"is_encoder_decoder\"", "false"});
  with("model_type", "marian", {"marian", "bart"});
  const auto refused = [](auto change, const char* text) {
    BartConfig config{.vocabulary = 9, .d_model = 4};
    change(config);
    expect_message([&] { config.validate(); }, text);
  };
  refused([](auto& c) { c.family = BartFamily::m2m_100; }, "m2m_100 has no bias of the output projection");
  refused([](auto& c) { c.family = BartFamily::pegasus, c.labels = {"a"}; }, "labels has 1 names");
  refused([](auto& c) { c.classifier_dropout = 1; }, "dropout must be in [0, 1): 1");
  refused([](auto& c) { c.positions = 0; }, "positions 0");
}

TEST(Bart, AbsentKeysAreHuggingFacesDefaults) {
  const auto read = [](const char* type) {
    const nlohmann::json json = {{"model_type", type}};
    return rapt::detail::config_from_json<BartConfig>(json, "config.json");
  };
  EXPECT_EQ(read("bart").vocabulary, 50265);
  EXPECT_EQ(read("bart").activation, rapt::Activation::gelu);
  EXPECT_EQ(read("bart").begin_token, 2);
  EXPECT_EQ(read("mbart").family, BartFamily::mbart);
  EXPECT_EQ(read("pegasus").begin_token, 0);
  EXPECT_EQ(read("m2m_100").vocabulary, 128112);
  EXPECT_EQ(read("m2m_100").activation, rapt::Activation::relu);
  EXPECT_EQ(read("m2m_100").attention_dropout, 0.1f);
  EXPECT_TRUE(read("m2m_100").scale_embeddings);
}

/// The tokens of a folder whose config.json is the only file with settings.
BartConfig bart_with_keys(const nlohmann::json& keys) {
  const std::string file = "config.json";
  auto config = rapt::detail::config_from_json<BartConfig>(keys, file);
  rapt::detail::read_generation_keys(config, keys, file, rapt::detail::absent_config_tokens<BartConfig>());
  return config;
}

TEST(Bart, AbsentTokensAreHuggingFacesDefaults) {
  using Tokens = std::vector<TokenId>;
  struct Defaults {
    std::string type;
    TokenId begin, begin_beside_bos, pad;  // where "bos_token_id" is 7, and without it
    Tokens ends, forced_ends;
  };
  const Defaults families[] = {{"bart", 2, 2, 1, {2}, {2}},
                               {"mbart", 0, 7, 1, {2}, {2}},
                               {"pegasus", 0, 0, 0, {1}, {1}},
                               {"m2m_100", 2, 2, 1, {2}, {}}};
  for (const Defaults& expected : families) {
    SCOPED_TRACE(expected.type);
    for (const bool has_bos : {false, true}) {
      nlohmann::json keys = {{"model_type", expected.type}};
      if (has_bos) keys["bos_token_id"] = 7;
      const BartConfig config = bart_with_keys(keys);
      EXPECT_EQ(config.begin_token, has_bos ? expected.begin_beside_bos : expected.begin);
      EXPECT_EQ(config.end_tokens, expected.ends);
      EXPECT_EQ(config.pad_token, expected.pad);
      EXPECT_EQ(config.forced_end_tokens, expected.forced_ends);
      EXPECT_FALSE(config.forced_begin_token.has_value());
    }
    const BartConfig none = bart_with_keys({{"model_type", expected.type},
                                            {"eos_token_id", nullptr},
                                            {"forced_eos_token_id", nullptr},
                                            {"pad_token_id", nullptr}});
    EXPECT_EQ(none.end_tokens, Tokens());
    EXPECT_EQ(none.forced_end_tokens, Tokens());
    EXPECT_FALSE(none.pad_token.has_value());
  }
  EXPECT_EQ(bart_with_keys({{"model_type", "bart"}, {"decoder_start_token_id", nullptr}}).begin_token, 0);
  // A generation_config.json has no defaults.
  BartConfig config = bart_with_keys({{"model_type", "bart"}});
  rapt::detail::read_generation_keys(config, {{"bos_token_id", 7}}, "generation_config.json");
  EXPECT_EQ(config.begin_token, 7);
  EXPECT_EQ(config.end_tokens, Tokens());
}

}  // namespace
