/// \file
/// Gemma 2 and Gemma 3 against transformers, decoding against the whole, folders, and wrong use.
// covers: models/gemma_config.hpp, pretrained/gemma.hpp
#include "rapt/models/gemma.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/backward.hpp"
#include "rapt/generation/decoding_model.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/pretrained/gemma.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Gemma;
using rapt::GemmaConfig;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;

static_assert(rapt::DecodingModel<Gemma<float>>);
static_assert(rapt::HasPretrainedFormat<GemmaConfig>);

struct GemmaCase : rapt_test::ModelCase<Gemma> {
  static constexpr const char* kFile = "gemma";
  static constexpr std::size_t kCases = 4;

  explicit GemmaCase(const std::string& name) : ModelCase(kFile, name) {}
  template <class T>
  rapt::Variable<T> expect_results(const Gemma<T>& model, double tolerance) const {
    const TokenBatch input = batch("ids", "row_splits");
    expect("logits", model(input).value(), tolerance);
    const auto loss = model.loss({input, ids("targets"), ids("rows")});
    expect("loss", loss.value(), tolerance);
    return loss;
  }
};

// What is compared with transformers computes in float32: norms before and behind each sublayer of small random models
// magnify the rounding of lowered precisions beyond what a comparison can bear.

TEST(Gemma, AgreesWithTransformers) {
  const rapt_test::HighestPrecision scope;
  rapt_test::for_each_case<GemmaCase>(
      [](const GemmaCase& golden) { rapt_test::expect_agreement<float>(golden, 1e-5, 1e-4); });
}

TEST(Gemma, AgreesInDouble) {  // transformers computes norms, angles and the softmax in float32
  rapt_test::for_each_case<GemmaCase>(
      [](const GemmaCase& golden) { rapt_test::expect_agreement<double>(golden, 1e-5, 1e-4); });
}

TEST(Gemma, TravelsBackUnchanged) {
  const rapt_test::HighestPrecision scope;
  rapt_test::for_each_case<GemmaCase>([](const GemmaCase& golden) { rapt_test::expect_return_journey(golden); });
}

TEST(Gemma, StepsSayWhatTheWholeSays) {
  rapt_test::for_each_case<GemmaCase>([](const GemmaCase& golden) {
    const auto model = golden.load<float>();
    const TokenBatch all = golden.batch("ids", "row_splits");
    TokenBatch prompts;  // the first two tokens of each sequence, of which the second is fed first
    for (Index i = 0; i < all.sequences(); ++i) prompts.push_back(all.sequence(i).first(2));
    const auto whole = model(all).value();
    for (Index i = 0; i < all.sequences(); ++i) {
      TokenBatch prompt;
      prompt.push_back(prompts.sequence(i));
      auto state = model.start(prompt);
      rapt::Tensor<float> steps({all.row_splits.length(i) - 1, whole.cols()}), expected(steps.shape());
      for (Index t = 1; t < all.row_splits.length(i); ++t) {
        const auto logits = model.step(state, all.sequence(i).subspan(rapt::to_size(t), 1));
        std::copy_n(logits.data(), logits.size(), steps.row(t - 1));
        std::copy_n(whole.row(all.row_splits.begin(i) + t), whole.cols(), expected.row(t - 1));
      }
      EXPECT_TRUE(rapt_test::close(steps, expected, 1e-5)) << i;
    }
  });
}

/// Folders of transformers 4 have one base of each kind of layers in place of "rope_parameters", and the period of
/// global layers in place of their list.
TEST(Gemma, ReadsTheOlderFormOfItsSettings) {
  const rapt_test::HighestPrecision scope;
  for (const std::string name : {"gemma3", "gemma3_scaled"}) {
    SCOPED_TRACE(name);
    GemmaCase golden(name);
    const nlohmann::json rotary = golden.config["rope_parameters"];
    golden.config.erase("rope_parameters");
    golden.config.erase("layer_types");
    golden.config["rope_theta"] = rotary["full_attention"]["rope_theta"];
    golden.config["rope_local_base_freq"] = rotary["sliding_attention"]["rope_theta"];
    if (name == "gemma3_scaled") golden.config["rope_scaling"] = {{"type", "linear"}, {"factor", 8.0}};
    golden.write();
    golden.expect_results(golden.load<float>(), 1e-5);
  }
}

TEST(Gemma, WhatAbsentKeysMean) {
  const auto read = [](const nlohmann::json& json) {
    return rapt::detail::config_from_json<GemmaConfig>(json, "config.json");
  };
  const GemmaConfig second = read({{"model_type", "gemma2"}}), third = read({{"model_type", "gemma3_text"}});
  EXPECT_EQ(second.score_cap, 50);
  EXPECT_EQ(second.logit_cap, 30);
  EXPECT_EQ(second.global_every, 2);
  EXPECT_EQ(second.window, 4095);
  EXPECT_EQ(second.local_theta, std::nullopt);
  EXPECT_EQ(read({{"model_type", "gemma2"}, {"final_logit_softcapping", nullptr}}).logit_cap, 0);
  EXPECT_EQ(third.score_cap, 0);
  EXPECT_EQ(third.logit_cap, 0);
  EXPECT_EQ(third.global_every, 6);
  EXPECT_EQ(third.local_theta, 10000);
  EXPECT_EQ(third.rotary.theta, 1000000);
  EXPECT_TRUE(third.query_key_norm);
  for (const GemmaConfig& config : {second, third}) {
    EXPECT_EQ(config.begin_token, 2);
    EXPECT_EQ(config.end_tokens, std::vector<TokenId>{1});
  }
  EXPECT_TRUE(read({{"model_type", "gemma2"}, {"eos_token_id", nullptr}}).end_tokens.empty());
}

TEST(Gemma, SettingsThatItDoesNotHaveAreNamed) {
  const auto expect = [](const std::string& name, const auto& change, const std::vector<std::string>& parts) {
    GemmaCase golden(name);
    change(golden.config);
    golden.write();
    rapt_test::expect_message<rapt::IoError>([&] { std::ignore = golden.load<float>(); }, parts);
  };
  expect("gemma2", [](auto& c) { c["use_bidirectional_attention"] = true; }, {"use_bidirectional_attention"});
  expect("gemma2", [](auto& c) { c["sliding_window"] = 1; }, {"window", "0"});
  expect("gemma2", [](auto& c) { c["layer_types"][1] = "other"; }, {"layer_types", "every"});
  expect("gemma2", [](auto& c) { c["layer_types"] = {"full_attention"}; }, {"layer_types", "every"});
  expect("gemma2", [](auto& c) { c["query_pre_attn_scalar"] = 0; }, {"query_scalar", "0"});
  expect("gemma3", [](auto& c) { c["sliding_window_pattern"] = 0, c.erase("layer_types"); }, {"global_every", "0"});
  expect("gemma3", [](auto& c) { c["rope_parameters"]["sliding_attention"]["rope_type"] = "yarn"; }, {"rope_type"});
  GemmaConfig config = GemmaConfig::gemma2_2b();
  config.vocabulary = 5, config.d_model = 4, config.layers = 1, config.heads = config.key_value_heads = 2;
  config.head_dim = 2, config.d_ff = 3, config.query_key_norm = true;
  rapt::Rng rng(1);
  const rapt_test::TemporaryFolder folder;
  rapt_test::expect_message([&] { rapt::save_pretrained(folder.path(), Gemma(config, rng)); },
                            {"[gemma] ", "query_key_norm", "local_theta 0"});
}

/// The published sizes, without drawing a weight.
TEST(Gemma, PresetsHaveTheirPublishedSizes) {
  const rapt::detail::InitialiseNothing scope;
  rapt::Rng rng(1);
  EXPECT_EQ(rapt::count_parameters(Gemma(GemmaConfig::gemma2_2b(), rng)), 2614341888);
  EXPECT_EQ(rapt::count_parameters(Gemma(GemmaConfig::gemma3_1b(), rng)), 999885952);
}

TEST(Gemma, IsSavedAsOneFile) {
  const auto model = GemmaCase("gemma3").load<float>();
  const rapt_test::TemporaryFolder folder;
  rapt::save_model(folder.path() / "gemma.safetensors", model);
  const auto loaded = rapt::load_model<Gemma<float>>(folder.path() / "gemma.safetensors");
  const TokenBatch tokens({{3, 4, 5, 6, 1}});
  EXPECT_TRUE(rapt_test::same_bits(model(tokens).value(), loaded(tokens).value()));
}

}  // namespace
