/// \file
/// T5 against transformers: what it computes, what it generates, and the folders that it reads.
// covers: models/encoder_decoder.hpp, models/t5_config.hpp, pretrained/t5.hpp
#include "rapt/models/t5.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/data/batching.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/scoring.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/t5.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/steps.hpp"

namespace {

using rapt::Index;
using rapt::RelativeBuckets;
using rapt::T5;
using rapt::T5Config;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_message;
using rapt_test::PretrainedCase;

static_assert(rapt::DecodingModel<T5<float>>);
static_assert(rapt::TeacherForcedModel<T5<float>>);
static_assert(rapt::HasPretrainedFormat<T5Config>);

constexpr Index kLength = 11;  // make_t5.py's

template <class T = float>
T5<T> model_of(const PretrainedCase& golden) {
  return rapt::from_pretrained<T5<T>>(golden.folder.path());
}
rapt::TranslationBatch batch_of(const PretrainedCase& golden) {
  return {golden.batch("ids", "row_splits"), golden.batch("target_input", "target_splits"),
          golden.ids("target_output")};
}
template <class T>
rapt::Tensor<T> logits_of(const T5<T>& model, const PretrainedCase& golden) {
  const auto batch = batch_of(golden);
  return model(batch.source, batch.target_input).value();
}

/// `f(case)` for each case of the golden files of T5 and mT5.
template <class F>
void for_each_case(const F& f) {
  for (const std::string file : {"t5", "mt5"}) {
    for (const std::string& name : PretrainedCase::all(file)) {
      SCOPED_TRACE(file + " " + name);
      f(PretrainedCase(file, name));
    }
  }
}

const T5Config kSmall{.vocabulary = 19,
                      .d_model = 8,
                      .encoder_layers = 2,
                      .decoder_layers = 2,
                      .heads = 2,
                      .head_dim = 3,
                      .d_ff = 12,
                      .position_buckets = 6,
                      .max_position_distance = 8,
                      .dropout = 0.f};

TEST(T5, AgreesWithTransformers) {
  for_each_case([](const PretrainedCase& golden) {
    const auto model = model_of(golden);
    const auto batch = batch_of(golden);
    golden.expect("encoded", model.encode(batch.source).value(), 1e-5);
    golden.expect("logits", model(batch.source, batch.target_input).value(), 1e-5);
    const rapt::Recording scope;
    const auto loss = model.loss(batch);
    golden.expect("loss", loss.value(), 1e-5);
    rapt::backward(loss);
    golden.expect_stored_gradients(model, 1e-4);
  });
}

TEST(T5, AgreesInDouble) {
  for_each_case([](const PretrainedCase& golden) {  // transformers computes the norms in float32
    golden.expect("logits", logits_of(model_of<double>(golden), golden), 1e-6);
  });
}

TEST(T5, TravelsBackUnchanged) {
  for_each_case([](PretrainedCase golden) {
    const auto model = model_of(golden);
    golden.config["model_type"] = "t5";  // an mT5 is written as the T5 that it is
    golden.config["architectures"] = {"T5ForConditionalGeneration"};
    golden.expect_round_trip(model);
  });
}

TEST(T5, GreedySearchAsTransformersDoes) {
  const rapt_test::HighestPrecision scope;
  for_each_case([](const PretrainedCase& golden) {
    const TokenBatch expected = golden.batch("greedy", "greedy_splits");
    const auto found =
        rapt::greedy_search(model_of(golden), golden.batch("ids", "row_splits"), {.max_length = kLength});
    for (Index i = 0; i < expected.sequences(); ++i) {
      const auto tokens = expected.sequence(i);
      EXPECT_EQ(found[static_cast<std::size_t>(i)].tokens, std::vector<TokenId>(tokens.begin(), tokens.end())) << i;
    }
  });
}

TEST(T5, BeamSearchAsTransformersDoes) {
  const rapt_test::HighestPrecision scope;
  for_each_case([](const PretrainedCase& golden) {
    const rapt::BeamSearchOptions options{.beam_size = 4,
                                          .length_penalty = 0.8f,
                                          .length_normalisation = rapt::LengthNormalisation::plain,
                                          .generation = {.max_length = kLength}};
    const TokenBatch expected = golden.batch("beam", "beam_splits");
    const auto scores = golden.tensor<double>("beam_scores");
    const auto found = rapt::beam_search(model_of(golden), golden.batch("ids", "row_splits"), options);
    for (Index i = 0; i < expected.sequences(); ++i) {
      const auto& ours = found[static_cast<std::size_t>(i)];
      const auto tokens = expected.sequence(i);
      EXPECT_EQ(ours.tokens, std::vector<TokenId>(tokens.begin(), tokens.end())) << i;
      EXPECT_NEAR(ours.score, scores.data()[i], 1e-5) << i;
    }
  });
}

TEST(T5, StepsSayWhatTheWholeSays) {
  for_each_case([](const PretrainedCase& golden) {
    const auto model = model_of(golden);
    const auto batch = batch_of(golden);
    rapt_test::expect_steps_equal_whole(model, batch.source, batch.target_input, logits_of(model, golden));
  });
}

TEST(T5, BucketsAreTransformers) {
  const rapt::SafetensorsFile file(std::string(RAPT_GOLDEN_DIR) + "/t5.safetensors");
  const auto expect_buckets = [&](const std::string& name, const RelativeBuckets& buckets) {
    const auto expected = file.read<std::int64_t>("buckets/" + name);
    const Index farthest = expected.size() / 2;
    const std::vector<TokenId> ours = buckets.numbers(farthest, farthest);
    ASSERT_EQ(std::ssize(ours), expected.size());
    for (Index i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(ours[static_cast<std::size_t>(i)], expected.data()[i]) << name << " " << i - farthest;
    }
  };
  expect_buckets("bidirectional", {});
  expect_buckets("causal", {.bidirectional = false});
  expect_buckets("few", {.buckets = 6, .max_distance = 9});
}

TEST(T5, FoldersOfTransformers5AreUnderstood) {
  PretrainedCase golden("t5", "gated_untied");
  golden.config["tie_word_embeddings"] = true;  // what transformers 5 writes of every T5
  golden.config["scale_decoder_outputs"] = false;
  golden.write();
  const auto model = model_of(golden);
  EXPECT_FALSE(model.config().tie_embeddings);
  EXPECT_FALSE(model.config().scale_output);
  golden.expect("logits", logits_of(model, golden), 1e-5);
}

TEST(T5, WhatAbsentKeysMeanInAnMt5) {
  const nlohmann::json json = {{"model_type", "mt5"}, {"tie_word_embeddings", true}};
  const auto config = rapt::detail::config_from_json<T5Config>(json, "config.json");
  EXPECT_EQ(config.vocabulary, 250112);
  EXPECT_EQ(config.d_ff, 1024);
  EXPECT_EQ(config.encoder_layers, 8);
  EXPECT_EQ(config.decoder_layers, 8);
  EXPECT_EQ(config.heads, 6);
  EXPECT_TRUE(config.gated);
  EXPECT_EQ(config.activation, rapt::Activation::gelu_tanh);
  EXPECT_FALSE(config.scale_output);
}

TEST(T5, AbsentTokensAreHuggingFacesDefaults) {
  const auto read = [](const nlohmann::json& keys) {
    const std::string file = "config.json";
    auto config = rapt::detail::config_from_json<T5Config>(keys, file);
    rapt::detail::read_generation_keys(config, keys, file, rapt::detail::absent_config_tokens<T5Config>());
    return config;
  };
  for (const char* type : {"t5", "mt5"}) {
    const T5Config config = read({{"model_type", type}, {"bos_token_id", 7}});
    EXPECT_EQ(config.begin_token, 0);
    EXPECT_EQ(config.end_tokens, std::vector<rapt::TokenId>{1});
    EXPECT_EQ(config.pad_token, 0);
  }
  EXPECT_EQ(read({{"model_type", "t5"}, {"pad_token_id", 3}}).begin_token, 3);
  EXPECT_EQ(read({{"model_type", "mt5"}, {"pad_token_id", 3}}).begin_token, 0);
  const T5Config none = read({{"model_type", "t5"}, {"pad_token_id", nullptr}, {"eos_token_id", nullptr}});
  EXPECT_FALSE(none.begin_token.has_value() || none.pad_token.has_value());
  EXPECT_TRUE(none.end_tokens.empty());
}

TEST(T5, WithoutAFirstTokenItBeginsWithThePadding) {
  using Token = std::optional<rapt::TokenId>;
  const auto begin = [](const nlohmann::json& pad, const nlohmann::json& generation) {
    nlohmann::json keys = {{"model_type", "t5"}, {"decoder_start_token_id", 7}};
    keys.update(pad);
    auto config = rapt::detail::config_from_json<T5Config>(keys, "config.json");
    rapt::detail::read_generation_keys(config, generation, "generation_config.json");
    const nlohmann::json written = rapt::detail::generation_config_to_json(config);
    T5Config again = config;
    rapt::detail::read_generation_keys(again, written, "generation_config.json");
    EXPECT_EQ(again.begin_token, config.begin_token) << written;
    return config.begin_token;
  };
  const nlohmann::json pad = {{"pad_token_id", 5}};
  EXPECT_EQ(begin(pad, {{"decoder_start_token_id", 8}}), Token(8));
  EXPECT_EQ(begin(pad, {{"pad_token_id", 6}}), Token(6));
  EXPECT_EQ(begin(pad, {{"eos_token_id", 1}}), Token(5));
  EXPECT_EQ(begin(nlohmann::json::object(), {{"eos_token_id", 1}}), Token(0));  // T5's padding where no file names it
  EXPECT_EQ(begin(pad, {{"pad_token_id", -1}}), Token());
}

TEST(T5, TiedMatricesMayBeInAFileSeveralTimes) {
  PretrainedCase golden("t5", "relu_tied");
  const auto shared = golden.parameters.at("shared.weight");
  for (const char* name : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"}) {
    golden.parameters.emplace(name, shared);
  }
  golden.parameters.emplace(
      "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
      golden.parameters.at("decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"));
  golden.write();
  golden.expect("logits", logits_of(model_of(golden), golden), 1e-5);
}

TEST(T5, FeedForwardNetworksHaveHuggingFacesNames) {
  const auto written = [](bool gated, rapt::Activation activation) {
    T5Config config = kSmall;
    config.gated = gated;
    config.activation = activation;
    nlohmann::ordered_json json;
    rapt::PretrainedFormat<T5Config>::visit_keys(std::as_const(config), rapt::detail::ConfigWriter(json));
    return json.at("feed_forward_proj").get<std::string>();
  };
  EXPECT_EQ(written(false, rapt::Activation::relu), "relu");
  EXPECT_EQ(written(false, rapt::Activation::gelu), "gelu");
  EXPECT_EQ(written(true, rapt::Activation::gelu_tanh), "gated-gelu");
  EXPECT_EQ(written(true, rapt::Activation::silu), "gated-silu");
  expect_message([&] { std::ignore = written(true, rapt::Activation::gelu); }, "gated with the exact GELU");
  T5Config config = kSmall;
  config.tie_embeddings = false;
  rapt::Rng rng(8);
  const rapt_test::TemporaryFolder folder;
  expect_message([&] { rapt::save_pretrained(folder.path(), T5<float>(config, rng)); }, "tie_embeddings false");
  PretrainedCase golden("t5", "relu_tied");
  golden.config["feed_forward_proj"] = "gated-maxout";
  golden.write();
  expect_message([&] { std::ignore = model_of(golden); }, {"config.json", "feed_forward_proj", "gated-maxout"});
}

TEST(T5, BadConfigsAreRefused) {
  rapt::Rng rng(1);
  const auto expect_refused = [&](const auto& change, const std::vector<std::string>& parts) {
    T5Config config = kSmall;
    change(config);
    expect_message([&] { T5<float>(config, rng); }, parts);
  };
  expect_refused([](auto& c) { c.vocabulary = 0; }, {"[t5] ", "vocabulary 0"});
  expect_refused([](auto& c) { c.head_dim = -1; }, {"[t5] ", "head_dim -1"});
  expect_refused([](auto& c) { c.decoder_layers = 0; }, {"[t5] ", "decoder_layers 0"});
  expect_refused([](auto& c) { c.position_buckets = 3; }, {"[t5] ", "buckets: 3"});
  expect_refused([](auto& c) { c.max_position_distance = 3; }, {"[t5] ", "max_distance", "3"});
  expect_refused([](auto& c) { c.dropout = 1; }, {"[t5] ", "dropout", "1"});
  expect_refused([](auto& c) { c.norm_epsilon = 0; }, {"[t5] ", "norm_epsilon", "0"});
}

TEST(T5, BeginsWithThePapersStandardDeviations) {
  rapt::Rng rng(3);
  T5Config config = T5Config::small();
  config.vocabulary = 500;
  config.encoder_layers = config.decoder_layers = 1;
  const T5<float> model(config, rng);
  const auto root = [](double x) { return std::sqrt(x); };
  rapt::for_each_parameter(model, [&](const std::string& name, const rapt::Parameter<float>& parameter) {
    const auto expect_spread = [&](std::span<const float> values, double expected) {
      double sum = 0;
      for (const float v : values) sum += static_cast<double>(v) * static_cast<double>(v);
      EXPECT_NEAR(root(sum / static_cast<double>(values.size())) / expected, 1, values.size() > 10000 ? 0.02 : 0.2)
          << name;
    };
    const std::span<const float> values = parameter.value().values();
    const double d = static_cast<double>(config.d_model), inner = static_cast<double>(config.heads * config.head_dim);
    if (name == "embedding.weight") expect_spread(values, 1);
    if (name.ends_with("position_bias")) expect_spread(values, 1 / root(d));
    if (name.ends_with("linear1.weight")) expect_spread(values, 1 / root(d));
    if (name.ends_with("linear2.weight")) expect_spread(values, 1 / root(static_cast<double>(config.d_ff)));
    if (name.ends_with("out_proj.weight")) expect_spread(values, 1 / root(inner));
    if (name.ends_with("in_proj_weight")) {
      const std::size_t third = values.size() / 3;
      expect_spread(values.first(third), 1 / root(d * static_cast<double>(config.head_dim)));
      expect_spread(values.subspan(third), 1 / root(d));
    }
    if (name.ends_with("norm1.weight")) expect_spread(values, 1);
  });
}

TEST(T5, ItsLossFalls) {
  rapt::Rng rng(4);
  T5Config config = kSmall;
  config.dropout = 0.1f;
  T5<float> model(config, rng);
  rapt::Adam<float> adam(model, {});
  std::vector<rapt::TokenPair> pairs;
  for (TokenId i = 2; i < 18; ++i) pairs.push_back({{i, 5, i}, {i, i}});
  rapt::TranslationBatch batch = rapt::make_batch(pairs);
  const auto mean_loss = [&] { return static_cast<double>(model.loss(batch).item()); };
  const double before = mean_loss();
  for (int step = 0; step < 60; ++step) {
    const rapt::Training scope(rng);
    rapt::backward(model.loss(batch));
    adam.step(0.01);
  }
  EXPECT_LT(mean_loss(), 0.5 * before);
}

TEST(T5, AttentionMapsAreProbabilities) {
  rapt::Rng rng(5);
  const T5<float> model(kSmall, rng);
  const TokenBatch source({{3, 4, 5, 6, 1}, {7, 1}}), target({{0, 8}, {0, 9, 10}});
  const auto maps = model.attention_maps(source, target);
  ASSERT_EQ(maps.encoder_self.size(), 2u);
  ASSERT_EQ(maps.decoder_cross.size(), 2u);
  EXPECT_EQ(maps.encoder_self[1].shape(), (rapt::Shape{2, 2, 5, 5}));
  EXPECT_EQ(maps.decoder_cross[0].shape(), (rapt::Shape{2, 2, 3, 5}));
  double sum = 0;
  for (Index j = 0; j < 5; ++j) sum += static_cast<double>(maps.encoder_self[0].data()[j]);
  EXPECT_NEAR(sum, 1, 1e-5);
  EXPECT_EQ(maps.decoder_self[0].data()[1], 0) << "token 0 does not attend to token 1";
}

TEST(T5, IsSavedAsOneFile) {
  rapt::Rng rng(6);
  T5Config config = kSmall;
  config.gated = true;
  config.activation = rapt::Activation::gelu_tanh;
  config.tie_embeddings = false;
  const T5<float> model(config, rng);
  const rapt_test::TemporaryFolder folder;
  rapt::save_model(folder.path() / "t5.safetensors", model);
  const auto loaded = rapt::load_model<T5<float>>(folder.path() / "t5.safetensors");
  const TokenBatch source({{3, 4, 5, 6, 1}}), target({{0, 8, 9}});
  const auto ours = model(source, target).value(), theirs = loaded(source, target).value();
  EXPECT_TRUE(std::equal(ours.values().begin(), ours.values().end(), theirs.values().begin()));
  EXPECT_TRUE(loaded.config().gated);
}

TEST(T5, BatchesOfDifferentSizesAreErrors) {
  rapt::Rng rng(7);
  const T5<float> model(kSmall, rng);
  expect_message(
      [&] {
        std::ignore = model(TokenBatch({{3}, {4}}), TokenBatch({{0}}));
      },
      {"[t5] ", "2 source sequences", "1 target sequences"});
  auto state = model.start(TokenBatch({{3}, {4}}));
  expect_message([&] { std::ignore = model.step(state, std::vector<TokenId>{0}); }, {"[t5] ", "1 tokens", "2 rows"});
}

}  // namespace
