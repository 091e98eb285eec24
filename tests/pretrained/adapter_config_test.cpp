/// \file
/// adapter_config.json: what is written is read again, and adapters of other kinds are refused by the key that says so.
#include "rapt/pretrained/adapter_config.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using nlohmann::json;
using rapt::LoraOptions;

const std::set<std::string> kNoModules;

TEST(AdapterConfig, WhatIsWrittenIsRead) {
  const LoraOptions options{.rank = 6, .alpha = 12.5, .rank_stabilized = true, .dropout = 0.1f, .magnitudes = true};
  const auto written = rapt::detail::adapter_config_json(options, {.base_model = "gpt2", .task_type = "CAUSAL_LM"},
                                                         {"c_attn", "c_proj"}, {"score"}, /*transposed=*/true);
  EXPECT_EQ(written["lora_dropout"], 0.1) << "as a person would write it";
  EXPECT_EQ(written["base_model_name_or_path"], "gpt2");
  EXPECT_EQ(written["task_type"], "CAUSAL_LM");
  EXPECT_EQ(written["target_modules"], (nlohmann::ordered_json{"c_attn", "c_proj"}));
  EXPECT_EQ(written["modules_to_save"], (nlohmann::ordered_json{"score"}));
  EXPECT_EQ(written["fan_in_fan_out"], true);
  const LoraOptions read = rapt::detail::lora_options_of(json::parse(written.dump()), "file");
  EXPECT_EQ(read.rank, options.rank);
  EXPECT_EQ(read.alpha, options.alpha);
  EXPECT_EQ(read.dropout, options.dropout);
  EXPECT_TRUE(read.rank_stabilized);
  EXPECT_TRUE(read.magnitudes);
}

TEST(AdapterConfig, WhatIsNotSaidIsNull) {
  const auto written = rapt::detail::adapter_config_json({}, {}, {"query"}, kNoModules, /*transposed=*/false);
  for (const char* key : {"task_type", "base_model_name_or_path", "modules_to_save"}) {
    EXPECT_TRUE(written.at(key).is_null()) << key;
  }
}

TEST(AdapterConfig, OtherAdaptersAreRefused) {
  const json plain = {{"peft_type", "LORA"}, {"r", 4}};
  const std::vector<std::pair<std::string, json>> changes = {{"peft_type", "IA3"},
                                                             {"use_dora", "yes"},
                                                             {"bias", "all"},
                                                             {"r", 0},
                                                             {"r", 2.5},
                                                             {"r", "many"},
                                                             {"lora_alpha", nullptr},
                                                             {"lora_dropout", 1.0},
                                                             {"rank_pattern", {{"c_attn", 2}}},
                                                             {"init_lora_weights", "pissa"},
                                                             {"init_lora_weights", "pissa_niter_16"},
                                                             {"init_lora_weights", "olora"},
                                                             {"init_lora_weights", "corda"},
                                                             {"init_lora_weights", "loftq"},
                                                             {"init_lora_weights", "lora_ga"}};
  for (const auto& [key, value] : changes) {
    json changed = plain;
    changed[key] = value;
    rapt_test::expect_message<rapt::IoError>([&] { std::ignore = rapt::detail::lora_options_of(changed, "some.json"); },
                                             {"load_adapter", "some.json", "\"" + key + "\""});
  }
  for (const json& value : {json(true), json(false), json("gaussian"), json("eva"), json(nullptr)}) {
    json changed = plain;
    changed["init_lora_weights"] = value;
    EXPECT_EQ(rapt::detail::lora_options_of(changed, "some.json").rank, 4);
  }
}

}  // namespace
