/// \file
/// Folders of Llama, Mistral, Qwen2, Qwen3 and Phi-3: read, compared with transformers, and written back.
// covers: models/llama_config.hpp, pretrained/rotary_keys.hpp
#include "rapt/pretrained/llama.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::Llama;
using rapt::LlamaConfig;
using rapt::RotaryScaling;
using rapt::TokenBatch;
using rapt_test::PretrainedCase;

static_assert(rapt::HasPretrainedFormat<LlamaConfig>);

/// File and name of all cases but GLM's, which keeps gates and values in one tensor.
std::vector<std::pair<std::string, std::string>> all_cases() {
  std::vector<std::pair<std::string, std::string>> cases;
  for (const std::string file : {"llama", "qwen3", "phi3"}) {
    for (const std::string& name : PretrainedCase::all(file)) {
      if (!name.starts_with("glm")) cases.emplace_back(file, name);
    }
  }
  EXPECT_GE(cases.size(), 16u);
  return cases;
}

TEST(PretrainedLlama, AgreesWithTransformers) {
  for (const auto& [file, name] : all_cases()) {
    SCOPED_TRACE(file + " " + name);
    const PretrainedCase golden(file, name);
    const auto model = rapt::from_pretrained<Llama<float>>(golden.folder.path());
    const TokenBatch input = golden.batch("ids", "row_splits");
    golden.expect("logits", model(input).value(), 1e-5);
    const rapt::Recording scope;
    const auto loss = model.loss({input, golden.ids("targets"), golden.ids("rows")});
    golden.expect("loss", loss.value(), 1e-5);
    rapt::backward(loss);
    golden.expect_stored_gradients(model, 1e-4);
  }
}

TEST(PretrainedLlama, TravelsBackUnchanged) {
  for (const auto& [file, name] : all_cases()) {
    SCOPED_TRACE(file + " " + name);
    const PretrainedCase golden(file, name);
    const auto model = rapt::from_pretrained<Llama<float>>(golden.folder.path());
    golden.expect_round_trip(model);
    const rapt_test::TemporaryFolder saved;
    rapt::save_pretrained(saved.path(), model);
    const auto again = rapt::from_pretrained<Llama<float>>(saved.path());
    golden.expect("logits", again(golden.batch("ids", "row_splits")).value(), 1e-5);
    const nlohmann::json json = nlohmann::json::parse(std::ifstream(saved.path() / "config.json"));
    EXPECT_EQ(json["architectures"], golden.config["architectures"]);
    EXPECT_EQ(json["model_type"], golden.config["model_type"]);
  }
}

/// Phi-3's folders of transformers 4 have longrope by its older name, beside the original length.
TEST(PretrainedLlama, ReadsTheOlderFormOfLongrope) {
  PretrainedCase golden("phi3", "partial_longrope");
  const nlohmann::json scaling = golden.config["rope_parameters"];
  golden.config.erase("rope_parameters");
  golden.config["rope_theta"] = scaling["rope_theta"];
  golden.config["partial_rotary_factor"] = scaling["partial_rotary_factor"];
  golden.config["original_max_position_embeddings"] = 6;
  golden.config["rope_scaling"] = {
      {"type", "su"}, {"short_factor", scaling["short_factor"]}, {"long_factor", scaling["long_factor"]}};
  golden.write();
  const auto model = rapt::from_pretrained<Llama<float>>(golden.folder.path());
  golden.expect("logits", model(golden.batch("ids", "row_splits")).value(), 1e-5);
}

/// Files of transformers 4 have "rope_theta" and "rope_scaling" in place of "rope_parameters".
TEST(PretrainedLlama, ReadsTheOlderFormOfRotarySettings) {
  for (const std::string name : {"plain", "llama3", "yarn", "dynamic", "linear"}) {
    PretrainedCase golden("llama", name);
    nlohmann::json scaling = golden.config["rope_parameters"];
    golden.config.erase("rope_parameters");
    golden.config["rope_theta"] = scaling["rope_theta"];
    scaling.erase("rope_theta");
    if (name == "linear") {  // the oldest key
      scaling["type"] = scaling["rope_type"];
      scaling.erase("rope_type");
    }
    golden.config["rope_scaling"] = name == "plain" ? nlohmann::json() : scaling;
    golden.write();
    const auto model = rapt::from_pretrained<Llama<float>>(golden.folder.path());
    golden.expect("logits", model(golden.batch("ids", "row_splits")).value(), 1e-5);
  }
}

LlamaConfig read(const PretrainedCase& golden) {
  golden.write();
  return rapt::detail::config_of<LlamaConfig>(rapt::PretrainedFolder(golden.folder.path()));
}

TEST(PretrainedLlama, WhatTheThreeFamiliesLeaveOpen) {
  PretrainedCase mistral("llama", "mistral_window");
  EXPECT_EQ(read(mistral).window, 2);
  mistral.config["sliding_window"] = nullptr;
  EXPECT_EQ(read(mistral).window, std::nullopt);
  mistral.config.erase("sliding_window");
  EXPECT_EQ(read(mistral).window, 4095);
  PretrainedCase qwen("llama", "qwen2");
  EXPECT_TRUE(read(qwen).attention_bias);
  EXPECT_FALSE(read(qwen).attention_output_bias);
  PretrainedCase qwen3("qwen3", "plain");
  EXPECT_TRUE(read(qwen3).query_key_norm);
  EXPECT_FALSE(read(qwen3).attention_bias || read(qwen3).attention_output_bias);
  qwen3.config.erase("head_dim");
  EXPECT_EQ(read(qwen3).head_dim, 128);
  PretrainedCase phi("phi3", "partial_longrope");
  EXPECT_NEAR(read(phi).rotary.factor, 32.0 / 6, 1e-12);
  EXPECT_EQ(read(phi).rotary.rotated_ratio, 0.75);
  EXPECT_EQ(read(phi).window, std::nullopt);
  PretrainedCase llama("llama", "multi_query_biases");
  llama.config["eos_token_id"] = {3, 4};
  llama.config["head_dim"] = nullptr;
  EXPECT_TRUE(read(llama).attention_bias && read(llama).attention_output_bias && read(llama).mlp_bias);
  EXPECT_EQ(read(llama).end_tokens, (std::vector<rapt::TokenId>{3, 4}));
  EXPECT_EQ(read(llama).columns_of_head(), 2);
  EXPECT_EQ(read(llama).activation, rapt::Activation::gelu);
}

TEST(PretrainedLlama, SettingsThatItDoesNotHaveAreNamed) {
  const auto expect = [](const std::string& name, auto change, const std::vector<std::string>& parts) {
    PretrainedCase golden("llama", name);
    change(golden.config);
    rapt_test::expect_message<rapt::IoError>([&] { std::ignore = read(golden); }, parts);
  };
  expect("plain", [](auto& c) { c["model_type"] = "gemma"; }, {"model_type", "gemma", "llama"});
  expect("plain", [](auto& c) { c["model_type"] = 3; }, {"model_type", "3"});
  expect("plain", [](auto& c) { c["rope_parameters"]["rope_type"] = "longrope"; }, {"rope_type", "longrope"});
  expect("plain", [](auto& c) { c["rope_scaling"] = {{"type", "su"}}; }, {"\"type\"", "su"});
  expect("plain", [](auto& c) { c["rope_scaling"] = 3; }, {"rope_scaling", "an object"});
  expect("yarn", [](auto& c) { c["rope_parameters"]["factor"] = 0.5; }, {"factor", "0.5"});
  expect("qwen2", [](auto& c) { c["use_sliding_window"] = true; }, {"use_sliding_window"});
  const auto expect_phi = [](auto change, const std::vector<std::string>& parts) {
    PretrainedCase golden("phi3", "partial_longrope");
    change(golden.config);
    rapt_test::expect_message<rapt::IoError>([&] { std::ignore = read(golden); }, parts);
  };
  expect_phi([](auto& c) { c["rope_parameters"]["short_factor"] = {1.0, 2.0}; }, {"longrope", "short_factors has 2"});
  expect_phi([](auto& c) { c["rope_parameters"]["long_factor"][1] = -1.0; }, {"longrope", "positive"});
  expect_phi([](auto& c) { c["resid_pdrop"] = 0.1; }, {"resid_pdrop", "0.1"});
  expect("mistral_window", [](auto& c) { c["sliding_window"] = 1; }, {"window", "-1"});
}

TEST(PretrainedLlama, TokensThatNoKeyNamesAreTransformersDefaults) {
  using Ends = std::vector<rapt::TokenId>;
  struct Case {
    std::string type;
    std::optional<rapt::TokenId> begin;
    Ends ends;
  };
  for (const Case& c : {Case{"llama", 1, {2}}, Case{"mistral", 1, {2}}, Case{"phi3", 1, {32000}},
                        Case{"qwen2", std::nullopt, {}}, Case{"qwen3", std::nullopt, {}}}) {
    SCOPED_TRACE(c.type);
    const auto config = rapt::detail::config_from_json<LlamaConfig>({{"model_type", c.type}}, "config.json");
    EXPECT_EQ(config.begin_token, c.begin);
    EXPECT_EQ(config.end_tokens, c.ends);
    const auto none = rapt::detail::config_from_json<LlamaConfig>(
        {{"model_type", c.type}, {"bos_token_id", nullptr}, {"eos_token_id", nullptr}}, "config.json");
    EXPECT_EQ(none.begin_token, std::nullopt);
    EXPECT_TRUE(none.end_tokens.empty());
    const auto written = rapt::detail::config_to_json<float>(none);
    EXPECT_EQ(written.contains("eos_token_id"), !c.ends.empty());
    EXPECT_EQ(rapt::detail::config_from_json<LlamaConfig>(written, "config.json").end_tokens, Ends());
  }
}

TEST(PretrainedLlama, WhatHuggingFaceHasNoModelForIsNotWritten) {
  const auto write = [](auto change) {
    LlamaConfig config{.vocabulary = 5, .d_model = 4, .layers = 1, .heads = 2, .d_ff = 3};
    change(config);
    rapt::Rng rng(1);
    const rapt_test::TemporaryFolder folder;
    rapt::save_pretrained(folder.path(), Llama(config, rng));
  };
  EXPECT_NO_THROW(write([](auto& c) { c.attention_bias = true; }));
  EXPECT_NO_THROW(write([](auto& c) { c.window = 5; }));
  EXPECT_THROW(write([](auto& c) { c.window = 5, c.mlp_bias = true; }), rapt::ValueError);
  EXPECT_NO_THROW(write([](auto& c) { c.query_key_norm = true, c.head_dim = 6; }));
  EXPECT_NO_THROW(write([](auto& c) { c.fused_projections = true, c.window = 5, c.rotary.rotated_ratio = 1; }));
  EXPECT_THROW(write([](auto& c) { c.query_key_norm = true, c.window = 5; }), rapt::ValueError);
  EXPECT_THROW(write([](auto& c) { c.fused_projections = c.query_key_norm = true; }), rapt::ValueError);
  EXPECT_THROW(write([](auto& c) { c.fused_projections = c.attention_bias = true; }), rapt::ValueError);
  EXPECT_THROW(write([](auto& c) { c.attention_output_bias = true; }), rapt::ValueError);
  EXPECT_THROW(write([](auto& c) { c.rotary.layout = rapt::RotaryLayout::interleaved; }), rapt::ValueError);
}

}  // namespace
