// covers: pipelines/tokenizer.hpp, pretrained/sentencepiece_folder.hpp
/// \file
/// Folders with SentencePiece's files: MarianMT from text to text as transformers' MarianMTModel with MarianTokenizer,
/// and the tokens of T5 and Llama (tests/golden/make_sentencepiece_folders.py).
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pipelines/translator.hpp"
#include "rapt/pretrained/marian.hpp"
#include "tests/common/golden_folders.hpp"
#include "tests/common/settings.hpp"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using rapt::AnyTokenizer;
using rapt::SentencePiece;
using rapt::TokenId;
using Ids = std::vector<TokenId>;

class SentencePieceFolders : public rapt_test::GoldenFolders {
 protected:
  SentencePieceFolders() : GoldenFolders("sentencepiece_folders.json") {}
};

TEST_F(SentencePieceFolders, MarianEncodesSourcesAndTargets) {
  const AnyTokenizer tokenizer = AnyTokenizer::load(folder("marian"));
  const json& marian = golden_["marian"];
  for (std::size_t i = 0; i < texts().size(); ++i) {
    SCOPED_TRACE(texts()[i]);
    EXPECT_EQ(tokenizer.encode(texts()[i]), marian["ids"][i].get<Ids>());
    EXPECT_EQ(tokenizer.encode_target(texts()[i]), marian["target_ids"][i].get<Ids>());
    EXPECT_EQ(tokenizer.decode(marian["target_ids"][i].get<Ids>()), marian["decoded"][i].get<std::string>());
  }
  EXPECT_NE(marian["ids"], marian["target_ids"]);
}

TEST_F(SentencePieceFolders, MarianTranslatesFromTextToText) {
  const rapt_test::HighestPrecision scope;
  const auto translator = rapt::Translator<rapt::Marian<float>, AnyTokenizer>::load(folder("marian"));
  const json& marian = golden_["marian"];
  std::vector<std::string> lines;
  for (const std::size_t i : marian["translated"]) lines.push_back(texts()[i]);
  ASSERT_GT(lines.size(), 8u);
  const auto options = [](rapt::Index beam) {
    return rapt::BeamSearchOptions{.beam_size = beam,
                                   .length_penalty = 0.8f,
                                   .length_normalisation = rapt::LengthNormalisation::plain,
                                   .generation = {.max_length = 12}};
  };
  EXPECT_EQ(translator.translate(lines, options(1)), marian["greedy"].get<std::vector<std::string>>());
  EXPECT_EQ(translator.translate(lines, options(4)), marian["beam"].get<std::vector<std::string>>());
}

TEST_F(SentencePieceFolders, TFiveAndLlamaHaveTheirTokens) {
  for (const std::string family : {"t5", "llama"}) {
    const AnyTokenizer tokenizer = AnyTokenizer::load(folder(family));
    for (std::size_t i = 0; i < texts().size(); ++i) {
      EXPECT_EQ(tokenizer.encode(texts()[i]), golden_[family]["ids"][i].get<Ids>()) << family << ": " << texts()[i];
    }
  }
  const auto t5 = std::get<SentencePiece>(rapt::load_tokenizer(folder("t5")));
  EXPECT_EQ(t5.id("<extra_id_0>"), t5.size() - 1);
  EXPECT_EQ(t5.decode(t5.encode("the cat <extra_id_1> sat")), "the cat sat");
  const auto llama = std::get<SentencePiece>(rapt::load_tokenizer(folder("llama")));
  EXPECT_EQ(llama.decode(llama.encode("the 日 cat")), "the 日 cat");
  EXPECT_EQ(llama.encode("a", {.add_special = false}).size() + 1, llama.encode("a").size());
  EXPECT_EQ(llama.id("<pad>"), llama.size() - 1);
  write("llama", "tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizerFast", "add_eos_token": true})");
  EXPECT_EQ(std::get<SentencePiece>(rapt::load_tokenizer(folder("llama"))).encode("a").back(), llama.id("</s>"));
  const auto plain = std::get<SentencePiece>(rapt::load_tokenizer(folder("llama") / "tokenizer.model"));
  EXPECT_EQ(plain.encode("a"), llama.encode("a", {.add_special = false}));
}

TEST_F(SentencePieceFolders, ListedTokensAreFoundAsTheySay) {
  write("llama", "tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "legacy": false,
    "added_tokens_decoder": {"500": {"content": "<sep>", "special": true, "lstrip": true, "rstrip": false}}})");
  const auto llama = std::get<SentencePiece>(rapt::load_tokenizer(folder("llama")));
  EXPECT_EQ(llama.id("<sep>"), 500);
  EXPECT_EQ(llama.token(499), "");
  EXPECT_EQ(llama.size(), 501);
  const Ids ids = llama.encode("the  <sep>the");
  EXPECT_EQ(std::vector<TokenId>(ids.begin(), ids.begin() + 2), (Ids{1, llama.id("▁the")}));
  EXPECT_EQ(ids[2], 500) << "the spaces before it belong to it";
  EXPECT_NE(ids[3], llama.id("▁the")) << "no space is put behind a token";
  EXPECT_EQ(llama.decode(ids), "thethe");
  EXPECT_EQ(llama.decode(Ids{499}), "");
}

TEST_F(SentencePieceFolders, WhatIsMissingOrContradictsIsNamed) {
  const auto expect_part = [&](const std::string& family, std::string_view part) {
    const std::string text = refusal(family);
    EXPECT_NE(text.find(temporary_.path().string()), std::string::npos) << text;
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  write("t5", "config.json", R"({"model_type": "xlnet"})");
  expect_part("t5", "XLM-RoBERTa and BARThez alone: this is xlnet");
  fs::remove(folder("t5") / "config.json");
  expect_part("t5", "tokenizer_config.json and config.json name no family");
  write("llama", "added_tokens.json", R"({"<pad>": 3})");
  expect_part("llama", "added_tokens.json: the id 3 is of ");
  write("llama", "added_tokens.json", R"({"<pad>": 2000000000})");
  expect_part("llama", "the id of \"<pad>\" must be less than ");
  std::string ids = R"({"a0": 1000000)";  // each id may not raise the limit of the next one
  for (int i = 2; i < 4; ++i) ids += ", \"a" + std::to_string(i) + "\": " + std::to_string(i) + "000000";
  write("llama", "added_tokens.json", ids + "}");
  expect_part("llama", "the id of \"a2\" must be less than ");
  fs::remove(folder("t5") / "config.json");
  write("t5", "tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 1000000})");
  expect_part("t5", "extra_ids: must be a whole number from 0 to 16384");
  fs::remove(folder("marian") / "vocab.json");
  expect_part("marian", "the folder has no vocab.json");
}

}  // namespace
