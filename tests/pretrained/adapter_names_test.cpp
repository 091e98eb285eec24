/// \file
/// PEFT's names: which modules an entry stands for, and the shortest entries that stand for some modules alone.
#include "rapt/pretrained/adapter_names.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/models/gpt.hpp"
#include "rapt/nn/lora.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using Names = std::vector<std::string>;

class AdapterNames : public testing::Test {
 protected:
  rapt::Rng rng_{1};
  rapt::Gpt<float> model_{{.vocabulary = 20, .positions = 8, .d_model = 8, .layers = 2, .heads = 2}, rng_};
};

TEST_F(AdapterNames, ModulesAreChosenByPeftsRules) {
  const auto names = [&](const Names& modules) {
    Names found;
    for (const rapt::LoraTarget& target : rapt::adapter_targets(model_, modules)) found.push_back(target.name);
    return found;
  };
  EXPECT_EQ(names({"c_attn"}), (Names{"transformer.h.0.attn.c_attn", "transformer.h.1.attn.c_attn"}));
  EXPECT_EQ(names({"c_proj"}).size(), 4u);
  EXPECT_EQ(names({"h.1.mlp.c_proj", "c_attn"}).size(), 3u);
  rapt_test::expect_message<rapt::ValueError>(
      [&] {
        std::ignore = names({"c_attn", "proj"});
      },
      {"adapter_targets", "\"proj\"", "c_attn, c_fc"});
}

TEST_F(AdapterNames, EntriesAreAsShortAsTheyCanBe) {
  const auto all = rapt::detail::peft_modules(model_);
  const auto entries = [&](const Names& modules) {
    return rapt::detail::peft_target_modules(all, rapt::adapter_targets(model_, modules));
  };
  EXPECT_EQ(entries({"c_attn"}), (std::set<std::string>{"c_attn"}));
  EXPECT_EQ(entries({"h.1.mlp.c_proj", "c_attn"}), (std::set<std::string>{"1.mlp.c_proj", "c_attn"}));
}

TEST_F(AdapterNames, HeadsAreSavedAsAWhole) {
  EXPECT_EQ(rapt::detail::peft_saved_module("bert.pooler.dense.weight"), "bert.pooler.dense");
  EXPECT_EQ(rapt::detail::peft_saved_module("classifier.dense.bias"), "classifier");
  EXPECT_EQ(rapt::detail::peft_saved_module("classifier.weight"), "classifier");
  EXPECT_EQ(rapt::detail::peft_saved_module("score.weight"), "score");
  EXPECT_EQ(rapt::detail::peft_saved_module("scores.weight"), "scores");
}

}  // namespace
