/// \file
/// A file of every kind of model, with each of its settings: what was saved comes back bit for bit, with the same
/// config.
// covers: core/initialisation.hpp
// covers: core/named_value.hpp
// covers: io/json.hpp
// covers: models/config_fields.hpp
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rapt/io/model_file.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/saved_models.hpp"

namespace {

using rapt::ValueError;
using rapt_test::error_text;

/// The settings as Hugging Face's files have them: another list of them than `visit_fields`. Empty for those that
/// Hugging Face has no model for.
template <class Config>
std::string hugging_face_text(const Config& config) {
  std::string text;
  try {
    text = rapt::detail::config_to_json<float>(config).dump();
  } catch (const ValueError&) {
    return text;
  }
  if constexpr (rapt::detail::HasGenerationKeys<Config>) {
    text += rapt::detail::generation_config_to_json(config).dump();
  }
  return text;
}

TEST(ModelFileModels, EveryModelComesBackBitForBitWithItsConfig) {
  const rapt_test::TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  int models = 0;
  rapt_test::for_each_saved_model<float>([&](const std::string& name, const auto& model) {
    using M = std::remove_cvref_t<decltype(model)>;
    SCOPED_TRACE(name);
    rapt::save_model(path, model, {{"note", "kept"}});
    const rapt::SafetensorsFile file(path);
    EXPECT_EQ(file.metadata().at("note"), "kept");
    const M loaded = rapt::load_model<M>(file);
    EXPECT_EQ(rapt::config_to_json(loaded.config()), rapt::config_to_json(model.config()));
    EXPECT_EQ(hugging_face_text(loaded.config()), hugging_face_text(model.config()));
    std::vector<std::pair<std::string, const rapt::Tensor<float>*>> before;
    rapt::for_each_parameter(model,
                             [&](const std::string& key, const auto& p) { before.emplace_back(key, &p.value()); });
    std::size_t next = 0;
    rapt::for_each_parameter(loaded, [&](const std::string& key, const auto& p) {
      ASSERT_LT(next, before.size());
      EXPECT_EQ(key, before[next].first);
      EXPECT_EQ(p.shape(), before[next].second->shape()) << key;
      EXPECT_TRUE(rapt_test::same_bits(p.value().values(), before[next].second->values())) << key;
      ++next;
    });
    EXPECT_EQ(next, before.size());
    ++models;
  });
  EXPECT_GT(models, 100);
}

TEST(ModelFileModels, AnAbsentKeyKeepsItsDefaultAndNullUnsetsAnOptional) {
  const auto read = [](const std::string& text) { return rapt::config_from_json<rapt::BertConfig>(text, "the file"); };
  EXPECT_EQ(read("{}").padding_token, 0);
  EXPECT_EQ(read(R"({"padding_token": null})").padding_token, std::nullopt);
  EXPECT_EQ(read(R"({"labels": ["no", "yes"]})").labels, (std::vector<std::string>{"no", "yes"}));
  EXPECT_EQ(read(R"({"model": "bert", "activation": "none"})").activation, rapt::Activation::none);
}

/// The error names the file and every one of these.
template <class Config, class E>
void expect_config_refused(const std::string& json, const std::vector<std::string>& parts) {
  const std::string text = error_text<E>([&] { (void)rapt::config_from_json<Config>(json, "the file"); });
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << text << "\nhas no " << part;
}

TEST(ModelFileModels, ErrorsNameTheSettingAndWhatWouldBeRight) {
  using rapt::IoError;
  expect_config_refused<rapt::GptConfig, IoError>(R"({"model": "llama"})", {"the file", "gpt", "llama"});
  expect_config_refused<rapt::GptConfig, IoError>(R"({"rotary_theta": 1})", {"the file", "rotary_theta"});
  expect_config_refused<rapt::GptConfig, IoError>(R"({"end_tokens": 3})",
                                                  {"the file", "\"end_tokens\"", "a list", "3"});
  expect_config_refused<rapt::GptConfig, IoError>(R"({"end_tokens": [-3]})", {"the file", "\"end_tokens\"", "-3"});
  expect_config_refused<rapt::GptConfig, IoError>(R"({"d_ff": "4"})", {"the file", "\"d_ff\"", "whole number"});
  expect_config_refused<rapt::BertConfig, IoError>(R"({"labels": ["a", 3]})", {"the file", "\"labels\"", "a string"});
  expect_config_refused<rapt::VitConfig, IoError>(R"({"pooling": "max"})",
                                                  {"the file", "\"pooling\"", "class_token", "mean", "max"});
  expect_config_refused<rapt::LlamaConfig, IoError>(R"({"rotary_scaling": "cubic"})",
                                                    {"the file", "\"rotary_scaling\"", "llama3", "yarn", "cubic"});
  expect_config_refused<rapt::GptConfig, ValueError>(R"({"heads": 7})", {"the file", "768", "7"});
  expect_config_refused<rapt::LlamaConfig, ValueError>(R"({"rotary_theta": 0.5})", {"the file"});
}

TEST(ModelFileModels, WhatCannotBeReadBackIsNotWritten) {
  rapt::LlamaConfig config;
  config.rotary.theta = std::numeric_limits<double>::infinity();
  EXPECT_NE(error_text<ValueError>([&] { (void)rapt::config_to_json(config); }).find("\"rotary_theta\""),
            std::string::npos);
  rapt::GptConfig tokens;
  tokens.end_tokens = {-2};
  EXPECT_NE(error_text<ValueError>([&] { (void)rapt::config_to_json(tokens); }).find("\"end_tokens\""),
            std::string::npos);
  rapt::BertConfig labels;
  labels.labels = {"\xff"};
  EXPECT_NE(error_text<ValueError>([&] { (void)rapt::config_to_json(labels); }).find("UTF-8"), std::string::npos);
}

}  // namespace
