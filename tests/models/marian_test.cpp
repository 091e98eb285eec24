/// \file
/// Marian against transformers: what it computes, what it generates, and the folders that it reads.
// covers: pretrained/marian.hpp
#include "rapt/models/marian.hpp"

#include <gtest/gtest.h>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/scoring.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/pretrained/marian.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/steps.hpp"

namespace {

using rapt::Index;
using rapt::Marian;
using rapt::MarianConfig;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_message;
using rapt_test::PretrainedCase;

static_assert(rapt::DecodingModel<Marian<float>>);
static_assert(rapt::TeacherForcedModel<Marian<float>>);
static_assert(rapt::HasPretrainedFormat<MarianConfig>);

constexpr Index kLength = 11;  // make_marian.py's

template <class T = float>
Marian<T> model_of(const PretrainedCase& golden) {
  return rapt::from_pretrained<Marian<T>>(golden.folder.path());
}
template <class T>
rapt::Tensor<T> logits_of(const Marian<T>& model, const PretrainedCase& golden) {
  return model(golden.batch("ids", "row_splits"), golden.batch("target_input", "target_splits")).value();
}
rapt::Tensor<float> logits_of(const PretrainedCase& golden) { return logits_of(model_of(golden), golden); }

/// `f(case)` for each case of the golden file.
template <class F>
void for_each_case(const F& f) {
  for (const std::string& name : PretrainedCase::all("marian")) {
    SCOPED_TRACE(name);
    f(PretrainedCase("marian", name));
  }
}

TEST(Marian, AgreesWithTransformers) {
  for_each_case([](const PretrainedCase& golden) {
    const auto model = model_of(golden);
    const rapt::TranslationBatch batch{golden.batch("ids", "row_splits"), golden.batch("target_input", "target_splits"),
                                       golden.ids("target_output")};
    golden.expect("encoded", model.encode(batch.source).value(), 1e-5);
    golden.expect("logits", model(batch.source, batch.target_input).value(), 1e-5);
    const auto hidden = model.hidden(batch.source, batch.target_input);
    EXPECT_TRUE(rapt_test::same_bits(model.logits(hidden).value(), model(batch.source, batch.target_input).value()));
    const rapt::Recording scope;
    const auto loss = model.loss(batch);
    golden.expect("loss", loss.value(), 1e-5);
    rapt::backward(loss);
    golden.expect_stored_gradients(model, 1e-4);
  });
}

TEST(Marian, AgreesInDouble) {
  for_each_case([](const PretrainedCase& golden) {
    golden.expect("logits", logits_of(model_of<double>(golden), golden), 1e-6);  // transformers' sinusoids are float32
  });
}

TEST(Marian, TravelsBackUnchanged) {
  for_each_case([](const PretrainedCase& golden) { golden.expect_round_trip(model_of(golden)); });
}

TEST(Marian, GreedySearchAsTransformersDoes) {
  const rapt_test::HighestPrecision scope;
  for_each_case([](const PretrainedCase& golden) {
    const auto model = model_of(golden);
    const TokenBatch expected = golden.batch("greedy", "greedy_splits");
    const auto found = rapt::greedy_search(model, golden.batch("ids", "row_splits"), {.max_length = kLength});
    for (Index i = 0; i < expected.sequences(); ++i) {
      const auto tokens = expected.sequence(i);
      EXPECT_EQ(found[static_cast<std::size_t>(i)].tokens, std::vector<TokenId>(tokens.begin(), tokens.end())) << i;
    }
  });
}

TEST(Marian, BeamSearchAsTransformersDoes) {
  const rapt_test::HighestPrecision scope;
  for_each_case([](const PretrainedCase& golden) {
    const auto model = model_of(golden);
    const rapt::BeamSearchOptions options{.beam_size = 4,
                                          .length_penalty = 0.8f,
                                          .length_normalisation = rapt::LengthNormalisation::plain,
                                          .generation = {.max_length = kLength}};
    const TokenBatch expected = golden.batch("beam", "beam_splits");
    const auto scores = golden.tensor<double>("beam_scores");
    const float pad_bias = golden.parameters.at("final_logits_bias").data()[*model.config().pad_token];
    const bool padding_has_no_share = pad_bias < -50;
    const auto found = rapt::beam_search(model, golden.batch("ids", "row_splits"), options);
    for (Index i = 0; i < expected.sequences(); ++i) {
      const auto& ours = found[static_cast<std::size_t>(i)];
      const auto tokens = expected.sequence(i);
      EXPECT_EQ(ours.tokens, std::vector<TokenId>(tokens.begin(), tokens.end())) << i;
      // of which transformers gives a share to the padding token, where that has one
      if (padding_has_no_share) {
        EXPECT_NEAR(ours.score, scores.data()[i], 1e-5) << i;
      }
    }
  });
}

TEST(Marian, StepsSayWhatTheWholeSays) {
  for_each_case([](const PretrainedCase& golden) {
    const auto model = model_of(golden);
    rapt_test::expect_steps_equal_whole(model, golden.batch("ids", "row_splits"),
                                        golden.batch("target_input", "target_splits"), logits_of(model, golden),
                                        model.config().pad_token);
  });
}

TEST(Marian, PaddingIsNeverGenerated) {
  PretrainedCase golden("marian", "padding");
  const auto pad = golden.config["pad_token_id"].get<TokenId>();
  golden.parameters.at("final_logits_bias").data()[pad] = 100;  // the best of all
  golden.write();
  const auto model = model_of(golden);
  const TokenBatch source = golden.batch("ids", "row_splits");
  const TokenBatch expected = golden.batch("greedy", "greedy_splits");
  const auto found = rapt::greedy_search(model, source, {.max_length = kLength});
  for (Index i = 0; i < source.sequences(); ++i) {  // and changes nothing else
    const auto tokens = expected.sequence(i);
    EXPECT_EQ(found[static_cast<std::size_t>(i)].tokens, std::vector<TokenId>(tokens.begin(), tokens.end()));
    EXPECT_GT(found[static_cast<std::size_t>(i)].log_probability, -20);
  }
  // Without a padding token, or where it is also an end token, it is a token like others.
  for (const bool is_end : {false, true}) {
    golden.config["pad_token_id"] = is_end ? nlohmann::json(pad) : nlohmann::json();
    golden.config["eos_token_id"] = is_end ? nlohmann::json({0, pad}) : nlohmann::json(0);
    golden.write();
    const auto free = model_of(golden);
    auto state = free.start(source);
    const std::vector<TokenId> begin(static_cast<std::size_t>(source.sequences()), pad);
    EXPECT_GT(free.step(state, begin)(0, pad), 50);
  }
}

TEST(Marian, SequenceMarks) {
  const auto with = [](std::vector<TokenId> ends) {
    MarianConfig config{.vocabulary = 9, .d_model = 4, .encoder_layers = 1, .decoder_layers = 1, .encoder_heads = 2};
    config.decoder_heads = 1;
    config.encoder_d_ff = config.decoder_d_ff = 4;
    config.positions = 77;
    config.begin_token = 8;
    config.end_tokens = std::move(ends);
    rapt::Rng rng(1);
    return Marian(config, rng).sequence_marks();
  };
  EXPECT_EQ(with({3}).begin, 8);
  EXPECT_EQ(with({3}).ends, (std::vector<TokenId>{3}));
  EXPECT_EQ(with({3}).max_length, 77);
  EXPECT_TRUE(with({}).ends.empty());
  EXPECT_EQ(with({4, 5, 6}).ends, (std::vector<TokenId>{4, 5, 6}));
}

TEST(Marian, WhatFilesMayHoldBeside) {
  PretrainedCase golden("marian", "shared");
  const auto expected = logits_of(golden);
  const auto complete = golden.parameters;
  for (const char* side : {"encoder", "decoder"}) {
    const std::string start = std::string("model.") + side;
    golden.parameters.emplace(start + ".embed_positions.weight", rapt::Tensor<float>(rapt::Shape{16, 12}, 1.f));
    golden.parameters.emplace(start + ".embed_tokens.weight", golden.parameters.at("model.shared.weight"));
  }
  golden.parameters.emplace("lm_head.weight", golden.parameters.at("model.shared.weight"));
  golden.write();
  EXPECT_EQ(rapt_test::relative_error(logits_of(golden), expected), 0);
  // The tied table may be there under any of its names alone.
  for (const char* name :
       {"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"}) {
    golden.parameters = complete;
    auto table = golden.parameters.extract("model.shared.weight");
    table.key() = name;
    golden.parameters.insert(std::move(table));
    golden.write();
    EXPECT_EQ(rapt_test::relative_error(logits_of(golden), expected), 0) << name;
  }
  golden.parameters = complete;
  golden.parameters.erase("model.shared.weight");
  golden.write();
  expect_message([&] { std::ignore = model_of(golden); },
                 std::vector<std::string>{"missing", "\"model.shared.weight\""});
  // Where the tables are not one, a second one is no copy.
  PretrainedCase separate("marian", "separate");
  separate.parameters.emplace("model.shared.weight", complete.at("model.shared.weight"));
  separate.write();
  expect_message([&] { std::ignore = model_of(separate); }, "no place for \"model.shared.weight\"");
}

TEST(Marian, AFolderOfABareModel) {
  for (const char* name : {"shared", "separate"}) {
    PretrainedCase golden("marian", name);
    golden.parameters.at("final_logits_bias").fill(0.f);
    golden.write();
    const auto expected = logits_of(golden);
    std::map<std::string, rapt::Tensor<float>> bare;
    for (auto& [stored, value] : golden.parameters) {
      if (stored.starts_with("model.")) bare.emplace(stored.substr(6), value);
    }
    golden.parameters = bare;  // neither prefix nor bias
    golden.write();
    const auto model = model_of(golden);
    EXPECT_FALSE(model.config().output_bias);
    EXPECT_LT(rapt_test::relative_error(logits_of(model, golden), expected), 1e-6);
  }
}

TEST(Marian, ItsTransformerIsAModelFileToo) {
  for_each_case([](const PretrainedCase& golden) {
    const auto model = model_of(golden);
    const auto path = golden.folder.path() / "transformer.safetensors";
    rapt::save_model(path, model.transformer());
    const auto loaded = rapt::load_model<rapt::Transformer<float>>(path);
    const auto logits = loaded(golden.batch("ids", "row_splits"), golden.batch("target_input", "target_splits"));
    EXPECT_EQ(rapt_test::relative_error(logits.value(), logits_of(model, golden)), 0);
  });
}

TEST(Marian, SinusoidsInHalves) {
  const auto table =
      rapt::SinusoidalPositionalEncoding<double>::table(30, 10, {.layout = rapt::SinusoidLayout::halves});
  const auto paper = rapt::SinusoidalPositionalEncoding<double>::table(30, 10);
  for (Index pos = 0; pos < 30; ++pos) {
    for (Index i = 0; i < 5; ++i) {
      EXPECT_EQ(table(pos, i), paper(pos, 2 * i));
      EXPECT_EQ(table(pos, 5 + i), paper(pos, 2 * i + 1));
    }
  }
}

TEST(Marian, LearnsAndScores) {
  rapt::Rng rng(1);
  MarianConfig config = MarianConfig::opus_mt(20);
  config.d_model = 16;
  config.encoder_layers = config.decoder_layers = 1;
  config.encoder_heads = config.decoder_heads = 2;
  config.encoder_d_ff = config.decoder_d_ff = 24;
  const Marian model(config, rng);
  EXPECT_EQ(model.target_vocabulary(), 20);
  EXPECT_EQ(model.config().begin_token, 19);
  const rapt::TranslationBatch batch{TokenBatch({{5, 6, 0}}), TokenBatch({{19, 7, 8}}), {7, 8, 0}};
  const rapt::Training training(rng);
  rapt::backward(model.loss(batch));
  rapt::for_each_parameter(model, [](const std::string& name, const auto& p) {
    EXPECT_FALSE(p.grad().empty()) << name;  // the output's bias is one of them
  });
  const auto maps = model.attention_maps(batch.source, batch.target_input);
  EXPECT_EQ(maps.decoder_cross.front().shape(), (rapt::Shape{1, 2, 3, 3}));
}

TEST(Marian, SettingsThatDoNotFitAreNamed) {
  PretrainedCase golden("marian", "separate");
  const auto with = [&](const char* key, const nlohmann::json& value, const std::vector<std::string>& parts) {
    const nlohmann::json before = golden.config;
    golden.config[key] = value;
    golden.write();
    expect_message([&] { std::ignore = model_of(golden); }, parts);
    golden.config = before;
  };
  with("share_encoder_decoder_embeddings", true, {"config.json", "source 29, target 23"});
  with("decoder_attention_heads", 5, {"d_model = 12", "decoder_heads = 5"});
  with("encoder_attention_heads", 7, {"d_model = 12", "heads = 7"});
  with("decoder_attention_heads", 0, {"decoder_heads 0"});
  with("decoder_ffn_dim", 0, {"decoder_d_ff 0"});
  with("decoder_ffn_dim", 13, {"fc1", "[14, 12]", "[13, 12]"});
  with("decoder_start_token_id", 23, {"begin_token 23", "23"});
  with("normalize_before", true, {"\"normalize_before\"", "true"});
  with("add_final_layer_norm", true, {"\"add_final_layer_norm\""});
  with("model_type", "bart", {"bart", "marian"});
  PretrainedCase shared("marian", "shared");
  shared.config["tie_word_embeddings"] = false;
  shared.write();
  expect_message([&] { std::ignore = model_of(shared); }, "tie_embeddings is true, tie_output false");
}

TEST(Marian, AbsentKeysAreHuggingFacesDefaults) {
  PretrainedCase golden("marian", "shared");
  nlohmann::json config = {{"model_type", "marian"}};
  for (const char* key : {"vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads",
                          "decoder_attention_heads", "encoder_ffn_dim", "decoder_ffn_dim", "max_position_embeddings",
                          "decoder_start_token_id", "pad_token_id", "activation_function", "scale_embedding"}) {
    config[key] = golden.config[key];
  }
  const auto expected = logits_of(golden);
  golden.config = config;
  golden.write();
  const auto model = model_of(golden);
  EXPECT_EQ(rapt_test::relative_error(logits_of(model, golden), expected), 0);
  EXPECT_EQ(model.config().end_tokens, std::vector<TokenId>{0});
  EXPECT_EQ(model.config().forced_end_tokens, std::vector<TokenId>{0});
  EXPECT_EQ(model.config().dropout, 0.1f);
}

}  // namespace
