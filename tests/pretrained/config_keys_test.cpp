/// \file
/// Single keys of config.json: what is written of a value, what is read of a key, and what is refused.
#include "rapt/pretrained/config_keys.hpp"

#include <gtest/gtest.h>

#include <clocale>
#include <deque>

#include "tests/common/expect_close.hpp"

namespace {

using nlohmann::ordered_json;
using rapt::Activation;
using rapt::Index;
using rapt::TokenId;
using rapt::detail::ConfigReader;
using rapt::detail::ConfigWriter;
using rapt_test::error_text;

template <class Value>
std::string written(const Value& value) {
  ordered_json json = ordered_json::object();
  ConfigWriter{json}("key", value);
  return json.dump();
}

template <class Value>
Value read(const std::string& text, Value value = {}) {
  const auto json = nlohmann::json::parse(text);
  const std::string where = "config.json";
  ConfigReader{json, where}("key", value);
  return value;
}

template <class Value>
std::string refusal(const std::string& text) {
  return error_text<rapt::IoError>([&] { (void)read<Value>(text); });
}

TEST(ConfigWriter, WhatIsUnsetOrEmptyIsLeftOut) {
  EXPECT_EQ(written(std::optional<Index>()), "{}");
  EXPECT_EQ(written(std::optional<TokenId>()), "{}");
  EXPECT_EQ(written(std::optional<double>()), "{}");
  EXPECT_EQ(written(std::vector<TokenId>()), "{}");
  ordered_json json = ordered_json::object();
  const ConfigWriter key(json);
  key.object("settings", [](const ConfigWriter&) {});
  key.labels("id2label", {});
  key.list("list", std::vector<TokenId>());
  EXPECT_EQ(json.dump(), "{}");
}

TEST(ConfigWriter, ValuesAsOtherProgramsReadThem) {
  EXPECT_EQ(written(std::optional<Index>(7)), R"({"key":7})");
  EXPECT_EQ(written(std::vector<TokenId>{7}), R"({"key":7})");
  EXPECT_EQ(written(std::vector<TokenId>{7, 8}), R"({"key":[7,8]})");
  EXPECT_EQ(written(std::deque<bool>{true, false}), R"({"key":[true,false]})");
  EXPECT_EQ(written(0.1f), R"({"key":0.1})");
  EXPECT_EQ(written(0.f), R"({"key":0.0})");
  EXPECT_EQ(written(1e-5), R"({"key":1e-05})");
  EXPECT_EQ(written(10000.0), R"({"key":10000.0})");
  EXPECT_EQ(written(true), R"({"key":true})");
  EXPECT_EQ(written(std::string("gelu")), R"({"key":"gelu"})");
  ordered_json json;
  ConfigWriter(json).list("key", std::vector<TokenId>{7});
  EXPECT_EQ(json.dump(), R"({"key":[7]})");
  json = {};
  ConfigWriter(json).labels("id2label", {"no", "yes"});
  EXPECT_EQ(json.dump(), R"({"id2label":{"0":"no","1":"yes"},"label2id":{"no":0,"yes":1}})");
}

TEST(ConfigWriter, EveryActivationHasANameThatIsReadBack) {
  std::vector<Activation> all(std::begin(rapt::kActivations), std::end(rapt::kActivations));
  all.push_back(Activation::none);
  for (const Activation activation : all) EXPECT_EQ(read<Activation>(written(activation)), activation);
  EXPECT_NE(error_text<rapt::ValueError>([] {
              (void)written(static_cast<Activation>(99));
            }).find("\"key\": Hugging Face has no name for the activation"),
            std::string::npos);
}

TEST(ConfigWriter, WhatJsonCannotHoldIsRefused) {
  const auto error = [](auto value) { return error_text<rapt::ValueError>([&] { (void)written(value); }); };
  EXPECT_EQ(error(std::numeric_limits<double>::infinity()), "[pretrained] \"key\" must be finite: inf");
  EXPECT_EQ(error(-std::numeric_limits<float>::infinity()), "[pretrained] \"key\" must be finite: -inf");
  EXPECT_NE(error(std::numeric_limits<float>::quiet_NaN()).find("must be finite"), std::string::npos);
  EXPECT_NE(error(std::optional<double>(std::numeric_limits<double>::quiet_NaN())).find("finite"), std::string::npos);
  EXPECT_EQ(error(Index{-1}), "[pretrained] \"key\" must be a whole number from 0 to 999999999: -1");
  EXPECT_EQ(error(Index{1000000000}), "[pretrained] \"key\" must be a whole number from 0 to 999999999: 1000000000");
  EXPECT_EQ(error(std::vector<TokenId>{3, -1}), "[pretrained] \"key\" must be a whole number from 0 to 999999999: -1");
}

TEST(ConfigReader, AnAbsentTokenIsNoneAndAnAbsentNumberTheDefault) {
  for (const std::string text : {"{}", R"({"key": null})", R"({"key": -1})"}) {
    EXPECT_EQ(read(text, std::optional<TokenId>(5)), std::nullopt) << text;
    EXPECT_TRUE(read(text, std::vector<TokenId>{5}).empty()) << text;
  }
  EXPECT_TRUE(read(R"({"key": []})", std::vector<TokenId>{5}).empty());
  EXPECT_EQ(read(R"({"key": [3, -1, 4]})", std::vector<TokenId>{5}), (std::vector<TokenId>{3, 4}));
  EXPECT_EQ(read(R"({"key": 3})", std::vector<TokenId>{5}), (std::vector<TokenId>{3}));
  EXPECT_EQ(read("{}", Index{5}), 5);
  EXPECT_EQ(read("{}", std::optional<Index>(5)), 5);
  EXPECT_EQ(read(R"({"key": null})", std::optional<Index>(5)), std::nullopt);
}

TEST(ConfigReader, WhatDoesNotFitIsRefused) {
  EXPECT_EQ(refusal<Index>(R"({"key": -1})"),
            "[pretrained] config.json: \"key\" must be a whole number from 0 to 999999999: \"-1\"");
  for (const char* value :
       {"1.0", "1000000000", "18446744073709551615", "-9223372036854775808", "true", "\"3\"", "[3]", "{}", "1e300"}) {
    const std::string text = std::string(R"({"key": )") + value + "}";
    EXPECT_NE(refusal<Index>(text), "") << value;
    if (text.find("[3]") == std::string::npos && value[0] != '-') {
      EXPECT_NE(refusal<std::vector<TokenId>>(text), "") << value;
    }
  }
  EXPECT_NE(refusal<float>(R"({"key": 1e39})").find("\"key\" must be a number"), std::string::npos);
  EXPECT_EQ(read<double>(R"({"key": 1e39})"), 1e39);
  EXPECT_NE(refusal<float>(R"({"key": "0.1"})"), "");
  EXPECT_NE(refusal<bool>(R"({"key": 1})"), "");
  EXPECT_NE(refusal<Activation>(R"({"key": "mish"})"), "");
  EXPECT_NE(refusal<Activation>(R"({"key": null})"), "");
  EXPECT_NE(refusal<std::optional<TokenId>>(R"({"key": [3]})"), "");
  EXPECT_NE(refusal<std::vector<TokenId>>(R"({"key": [[3]]})"), "");
}

TEST(ConfigReader, Labels) {
  const auto labels = [](const std::string& text) {
    const auto json = nlohmann::json::parse(text);
    const std::string where = "config.json";
    std::vector<std::string> names;
    ConfigReader{json, where}.labels("id2label", names);
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(labels(R"({"id2label": {"1": "b", "0": "a"}})"), (Names{"a", "b"}));
  EXPECT_EQ(labels(R"({"id2label": {}})"), Names{});
  EXPECT_EQ(labels(R"({"id2label": null, "num_labels": 3})"), (Names{"LABEL_0", "LABEL_1", "LABEL_2"}));
  EXPECT_EQ(labels(R"({"id2label": {"0": "a"}, "num_labels": 3})"), (Names{"LABEL_0", "LABEL_1", "LABEL_2"}));
  EXPECT_EQ(labels(R"({"id2label": {"0": "a", "1": "b"}, "num_labels": 1})"), (Names{"LABEL_0"}));
  EXPECT_EQ(labels(R"({"id2label": {"0": "a"}, "num_labels": 1})"), (Names{"a"}));
  EXPECT_EQ(labels(R"({"id2label": {"0": "a"}, "num_labels": null})"), (Names{"a"}));
  for (const char* wrong : {R"({"num_labels": 100001})", R"({"num_labels": -1})", R"({"id2label": {"1": "a"}})",
                            R"({"id2label": {"0": 1}})", R"({"id2label": ["a"]})"}) {
    EXPECT_NE(error_text<rapt::IoError>([&] { (void)labels(wrong); }), "") << wrong;
  }
}

}  // namespace
