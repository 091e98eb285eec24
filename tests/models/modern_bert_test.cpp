/// \file
/// ModernBERT against transformers with every head, and its folders.
// covers: models/modern_bert_config.hpp
// covers: pretrained/modern_bert.hpp
#include "rapt/models/modern_bert.hpp"

#include <gtest/gtest.h>

#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/modern_bert.hpp"
#include "tests/common/encoder_case.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::ModernBert;
using rapt::ModernBertConfig;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt_test::expect_message;

struct ModernBertCase : rapt_test::EncoderCase<ModernBert> {
  static constexpr const char* kFile = "modern_bert";
  static constexpr std::size_t kCases = 7;
  explicit ModernBertCase(const std::string& name) : EncoderCase(kFile, name) {}
};

[[nodiscard]] ModernBertConfig small_modern_bert() {
  return {.vocabulary = 13, .d_model = 16, .layers = 3, .heads = 2, .d_ff = 10, .window = 2, .padding_token = 0};
}

// Rotary positions are computed in float32 by transformers.
TEST(ModernBert, AgreesWithTransformers) { rapt_test::expect_family<ModernBertCase>(1e-6); }

TEST(ModernBert, SettingsAreRead) {
  const ModernBertConfig bare = ModernBertCase("bare").load<float>().config();
  EXPECT_EQ(bare.global_every, 2);
  EXPECT_EQ(bare.window, 2);
  EXPECT_EQ(bare.theta, 50);
  EXPECT_EQ(bare.local_theta, 20);
  EXPECT_EQ(ModernBertCase("masked").load<float>().config().theta, 160000);
  EXPECT_TRUE(ModernBertCase("mean").load<float>().config().mean_pooling);
  EXPECT_TRUE(ModernBertCase("words").load<float>().config().token_labels);
  EXPECT_TRUE(ModernBertCase("question").load<float>().config().question_head);
  ModernBertCase old("bare");  // as before transformers 5
  for (const char* key : {"layer_types", "rope_parameters"}) old.config.erase(key);
  old.config["global_attn_every_n_layers"] = 2;
  old.config["global_rope_theta"] = 50;
  old.config["local_rope_theta"] = 20;
  old.write();
  old.expect_results(old.load<float>(), 1e-5);
}

TEST(ModernBert, SettingsThatItDoesNotHaveAreRefused) {
  const auto with = [](const std::string& key, const nlohmann::json& value, const std::string& part) {
    ModernBertCase golden("masked");
    golden.config[nlohmann::json::json_pointer(key)] = value;
    golden.write();
    expect_message([&] { std::ignore = golden.load<float>(); }, part);
  };
  with("/rope_parameters/full_attention/rope_type", "yarn", "\"rope_type\"");
  with("/rope_scaling", {{"rope_type", "linear"}}, "\"rope_scaling\"");
  with("/layer_types", {"full_attention", "full_attention", "sliding_attention"}, "\"layer_types\"");
  with("/layer_types", {"full_attention"}, "\"layer_types\"");
  with("/classifier_pooling", "max", "\"classifier_pooling\"");
  with("/tie_word_embeddings", false, "\"tie_word_embeddings\"");
  with("/num_attention_heads", 8, "an even number of columns: d_model = 8, heads = 8");
}

TEST(ModernBert, TheSizesOfThePaper) {
  const auto parameters = [](ModernBertConfig config) {
    config.masked_language_head = true;
    const rapt::detail::InitialiseNothing scope;
    rapt::Rng rng(1);
    return rapt::count_parameters(ModernBert(config, rng));
  };
  EXPECT_EQ(parameters(ModernBertConfig::base()), 149655232);  // transformers' ModernBertForMaskedLM
  EXPECT_EQ(parameters(ModernBertConfig::large()), 395881664);
}

TEST(ModernBert, LocalLayersSeeTheirWindowAlone) {
  rapt::Rng rng(1);
  ModernBert<double> model(small_modern_bert(), rng);
  std::vector<Tensor<double>> weights(3);
  std::ignore = model.hidden(TokenBatch({{1, 2, 3, 4, 5, 6}}), {}, weights);
  const auto seen = [&](std::size_t layer) {
    Index count = 0;
    for (const double p : weights[layer].values()) count += p > 0;
    return count;
  };
  EXPECT_EQ(seen(0), 2 * 36);
  for (const std::size_t local : {std::size_t{1}, std::size_t{2}}) EXPECT_EQ(seen(local), 2 * (3 + 4 + 5 + 5 + 4 + 3));
}

TEST(ModernBert, ABatchOfManyEqualsBatchesOfOne) {
  ModernBertConfig config = small_modern_bert();
  config.labels = {"a", "b"};
  rapt::Rng rng(1);
  ModernBert<double> model(config, rng);
  rapt_test::randomize(model, 2);
  const TokenBatch many({{1, 2, 3, 4, 5, 6, 7}, {4}, {5, 6}});
  const auto all = model.class_logits(model.hidden(many), many.row_splits).value();
  for (Index s = 0; s < many.sequences(); ++s) {
    TokenBatch one;
    one.push_back(many.sequence(s));
    const auto alone = model.class_logits(model.hidden(one), one.row_splits).value();
    for (Index j = 0; j < 2; ++j) EXPECT_NEAR(alone(0, j), all(s, j), 1e-12);
  }
}

TEST(ModernBert, Learns) {
  ModernBertConfig config = small_modern_bert();
  config.masked_language_head = true;
  rapt::Rng rng(1);
  ModernBert<float> model(config, rng);
  rapt::Adam adam(model);
  const rapt::LanguageBatch batch{TokenBatch({{0, 2, 12, 3, 5}, {0, 3, 12, 2, 6}}), {1, 4}, {2, 7}};
  float last = 0;
  for (int step = 0; step < 60; ++step) {
    const rapt::Training scope(rng);
    const auto loss = model.loss(batch);
    rapt::backward(loss);
    adam.step(1e-2);
    last = loss.item();
  }
  EXPECT_LT(last, 0.1f);
}

TEST(ModernBert, ErrorsNameTheValues) {
  ModernBertConfig config = small_modern_bert();
  rapt::Rng rng(1);
  const ModernBert<float> model(config, rng);
  const TokenBatch batch({{1, 2}});
  const auto hidden = model.hidden(batch);
  const std::vector<std::int32_t> types{0, 1};
  expect_message([&] { std::ignore = model.hidden(batch, types); }, "tells no token types, it is given type 1");
  expect_message([&] { std::ignore = model.logits(hidden); }, "no masked-language head");
  expect_message([&] { std::ignore = model.class_logits(hidden, batch.row_splits); }, "no classification head");
  expect_message([&] { std::ignore = model.question_logits(hidden); }, "no head for questions");
  config.masked_language_head = config.question_head = true;
  expect_message([&] { config.validate(); }, "a model has one head");
  config = small_modern_bert();
  config.global_every = 0;
  expect_message([&] { config.validate(); }, "global_every 0");
  config = small_modern_bert();
  config.theta = 1;
  expect_message([&] { config.validate(); }, "greater than 1: 1, 10000");
}

}  // namespace
