/// \file
/// Sentence encoders from folders: what modules.json says is done, what cannot be done is refused.
#include "rapt/pipelines/sentence_encoder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/models/bert.hpp"
#include "rapt/pretrained/bert.hpp"
#include "rapt/pretrained/save_tokenizer.hpp"
#include "rapt/text/wordpiece.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/pipelines/golden_folder.hpp"

namespace {

using rapt::Bert;
using rapt::BertConfig;
using rapt::Index;
using rapt::SentenceEncoder;
using rapt::Tensor;

const std::vector<std::string> kVocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a",  "red",
                                              "house", "dog",   "##s",   "the",   ".",      "see"};
const std::vector<std::string> kTexts = {"A red house.", "the dogs see a house", "", "dog",
                                         "the the the the the the the"};

/// A folder of a small random encoder, as sentence-transformers lays it out.
class SentenceFolder : public testing::Test {
 protected:
  SentenceFolder() {
    rapt::Rng rng(1);
    BertConfig config{.vocabulary = static_cast<Index>(kVocabulary.size()), .positions = 9};
    config.d_model = 16;
    config.layers = 2;
    config.heads = 2;
    config.d_ff = 24;
    Bert model(config, rng);
    rapt_test::randomize(model, 2);
    save_pretrained(path(), model);
    std::ofstream vocabulary(path() / "vocab.txt");
    for (const std::string& token : kVocabulary) vocabulary << token << "\n";
  }

  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }
  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((path() / file).parent_path());
    std::ofstream(path() / file) << text;
  }
  void write_modules(const std::vector<std::string>& kinds) const {
    nlohmann::json list = nlohmann::json::array();
    for (const std::string& kind : kinds) {
      list.push_back({{"type", "sentence_transformers.models." + kind}, {"path", kind == "Transformer" ? "" : kind}});
    }
    write("modules.json", list.dump());
  }
  void write_pooling(const std::string& mode) const {
    write("Pooling/config.json", nlohmann::json{{"pooling_mode_mean_tokens", mode == "pooling_mode_mean_tokens"},
                                                {"pooling_mode_max_tokens", false},
                                                {"word_embedding_dimension", 16},
                                                {mode, true}}
                                     .dump());
  }
  /// What the encoder should give for a text, computed by itself.
  [[nodiscard]] Tensor<float> expected(const std::string& text, const rapt::SentenceEmbeddingOptions& options,
                                       std::size_t longest = 9) const {
    auto tokens = rapt::load_wordpiece(path() / "vocab.txt").encode(text);
    if (tokens.size() > longest) {
      tokens.resize(longest);
      tokens.back() = 3;  // [SEP]
    }
    rapt::TokenBatch batch;
    batch.push_back(tokens);
    return embed_sentences(rapt::from_pretrained<Bert<float>>(path()), batch, options).value();
  }
  void expect_vectors(const rapt::SentenceEmbeddingOptions& options, std::size_t longest = 9) const {
    const auto encoder = SentenceEncoder::load(path());
    const Tensor<float> vectors = encoder.encode(kTexts);
    ASSERT_EQ(vectors.shape(), (rapt::Shape{static_cast<Index>(kTexts.size()), 16}));
    for (std::size_t i = 0; i < kTexts.size(); ++i) {
      const auto row = Tensor<float>(vectors.view().middle_rows(static_cast<Index>(i), 1));
      rapt_test::expect_close(row, expected(kTexts[i], options, longest), 1e-5);
    }
  }
  void expect_error(const std::string& part) const {
    const std::string text = rapt_test::error_text<rapt::IoError>([&] { std::ignore = SentenceEncoder::load(path()); });
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }

 private:
  rapt_test::TemporaryFolder folder_;
};

TEST_F(SentenceFolder, WithoutModulesVectorsAreMeansOfLengthOne) { expect_vectors({}); }

TEST_F(SentenceFolder, ModulesAreObeyed) {
  write_modules({"Transformer", "Pooling", "Normalize"});
  write_pooling("pooling_mode_mean_tokens");
  expect_vectors({});
  write_modules({"Transformer", "Pooling"});
  expect_vectors({.normalize = false});
  write_pooling("pooling_mode_cls_token");
  expect_vectors({.pooling = rapt::SentencePooling::first, .normalize = false});
}

TEST_F(SentenceFolder, LongTextsAreCutOff) {
  write("sentence_bert_config.json", R"({"max_seq_length": 5, "do_lower_case": false})");
  expect_vectors({}, 5);
  write("sentence_bert_config.json", R"({"max_seq_length": 500})");
  expect_vectors({}, 9);  // the model has no more positions
  write("sentence_bert_config.json", R"({"max_seq_length": null})");
  expect_vectors({}, 9);
  write("sentence_bert_config.json", R"({"max_seq_length": "long"})");
  expect_error("\"max_seq_length\" must be a whole number");
}

TEST_F(SentenceFolder, WithoutALengthTheTokenizersSettingsCount) {
  save_tokenizer(path(), rapt::WordPiece(kVocabulary, {.max_tokens = 4}));
  write("tokenizer_config.json", R"({"model_max_length": 7})");
  EXPECT_EQ(SentenceEncoder::load(path()).truncation().max_tokens, 7);
  write("tokenizer_config.json", R"({"model_max_length": 70})");
  EXPECT_EQ(SentenceEncoder::load(path()).truncation().max_tokens, 9);
  write("tokenizer_config.json", "{}");
  EXPECT_EQ(SentenceEncoder::load(path()).truncation().max_tokens, 9);
}

TEST_F(SentenceFolder, LowerCaseIsAStepOfTheTokenizer) {
  save_tokenizer(path(), rapt::WordPiece(kVocabulary, {.lowercase = false}));
  EXPECT_EQ(SentenceEncoder::load(path()).tokenizer().encode("A [MASK] [mask]"),
            (std::vector<rapt::TokenId>{2, 1, 4, 1, 1, 1, 3}));
  write("sentence_bert_config.json", R"({"do_lower_case": true})");
  EXPECT_EQ(SentenceEncoder::load(path()).tokenizer().encode("A [MASK] [mask]"),
            (std::vector<rapt::TokenId>{2, 5, 4, 1, 1, 1, 3}));
}

TEST_F(SentenceFolder, TextsBeginWithTheDefaultPrompt) {
  const std::string file = "config_sentence_transformers.json";
  write(file, R"({"prompts": {"query": "see the "}, "default_prompt_name": null})");
  EXPECT_EQ(SentenceEncoder::load(path()).prompt(), "");
  write(file, R"({"prompts": {"query": "see the "}, "default_prompt_name": "query"})");
  const auto vectors = SentenceEncoder::load(path()).encode(std::vector<std::string>{"dog", "house"});
  rapt_test::expect_close(Tensor<float>(vectors.view().middle_rows(0, 1)), expected("see the dog", {}), 1e-5);
  write_modules({"Transformer", "Pooling"});
  write("Pooling/config.json", R"({"pooling_mode": "mean", "include_prompt": false})");
  expect_error("\"include_prompt\" must be true beside the default prompt \"see the \"");
  write(file, R"({"prompts": {"query": "see the "}, "default_prompt_name": "document"})");
  expect_error(file + ": \"prompts\" have no text for \"default_prompt_name\": \"document\"");
}

TEST_F(SentenceFolder, TheModelMayLieInAFolderOfItsOwn) {
  const auto vectors = SentenceEncoder::load(path()).encode(kTexts);
  std::filesystem::create_directories(path() / "0_Transformer");
  for (const char* file : {"config.json", "model.safetensors", "vocab.txt"}) {
    std::filesystem::rename(path() / file, path() / "0_Transformer" / file);
  }
  write("modules.json", R"([{"type": "x.Transformer", "path": "0_Transformer"}, {"type": "Pooling", "path": "Pooling"},
                            {"type": "Normalize", "path": ""}])");
  write_pooling("pooling_mode_mean_tokens");
  EXPECT_TRUE(rapt_test::same_bits(SentenceEncoder::load(path()).encode(kTexts), vectors));
}

TEST_F(SentenceFolder, ManyTextsAreEncodedPartByPart) {
  const auto encoder = SentenceEncoder::load(path());
  std::vector<std::string> texts;
  for (int i = 0; i < 700; ++i) texts.push_back(kTexts[static_cast<std::size_t>(i * i) % kTexts.size()]);
  const Tensor<float> all = encoder.encode(texts), few = encoder.encode(kTexts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto same = static_cast<Index>(i * i % kTexts.size());
    const auto ours = Tensor<float>(all.view().middle_rows(static_cast<Index>(i), 1));
    rapt_test::expect_close(ours, Tensor<float>(few.view().middle_rows(same, 1)), 1e-5);
  }
  EXPECT_EQ(encoder.encode(std::vector<std::string>{}).rows(), 0);
}

TEST_F(SentenceFolder, WhatItCannotDoIsRefused) {
  write_modules({"Transformer", "Pooling", "Dense"});
  write_pooling("pooling_mode_mean_tokens");
  expect_error("cannot do the module \"sentence_transformers.models.Dense\"");
  write_modules({"Transformer", "Pooling"});
  write_pooling("pooling_mode_weightedmean_tokens");
  expect_error("cannot pool by \"pooling_mode_weightedmean_tokens\"");
  write("Pooling/config.json", R"({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true})");
  expect_error("cannot pool by \"pooling_mode_cls_token, pooling_mode_mean_tokens\"");
  write("Pooling/config.json", R"({"pooling_mode": ["mean", "max"]})");
  expect_error("cannot pool by \"mean, max\"");
  std::filesystem::remove(path() / "Pooling" / "config.json");
  expect_error("config.json");
  write_modules({"Transformer", "Normalize"});
  expect_error("modules.json: no module \"Pooling\"");
  write("modules.json", "{}");
  expect_error("modules.json: is not a list");
  write("modules.json", R"([{"type": "Transformer"}])");
  expect_error("must have a \"path\"");
  write("modules.json", R"([{"type": "Transformer", "path": "../other"}])");
  expect_error("must be a folder within this one");
  write("modules.json", R"([{"type": "Transformer", "path": ".."}])");
  expect_error("must be a folder within this one");
  std::filesystem::remove(path() / "modules.json");
  std::filesystem::remove(path() / "vocab.txt");
  expect_error("none of tokenizer.json");
}

TEST_F(SentenceFolder, EveryFamilyOfBertIsEncoded) {
  using rapt::BertFamily;
  const auto vocabulary = static_cast<Index>(kVocabulary.size());
  for (const auto& [name, family] : named_values(BertFamily())) {
    BertConfig config = family == BertFamily::distilbert ? BertConfig::distilbert_base()
                        : family == BertFamily::electra  ? BertConfig::electra_small()
                        : family == BertFamily::albert   ? BertConfig::albert_base()
                                                         : BertConfig();
    config.family = family;
    config.vocabulary = vocabulary;
    config.positions = 9;
    config.d_model = 16;
    config.layers = 2;
    config.heads = 2;
    config.d_ff = 24;
    if (config.embedding_width) config.embedding_width = 8;
    rapt::Rng rng(1);
    Bert model(config, rng);
    rapt_test::randomize(model, 2);
    save_pretrained(path(), model);
    SCOPED_TRACE(name);
    expect_vectors({});
    EXPECT_TRUE(rapt_test::same_bits(
        SentenceEncoder(std::move(model), rapt::load_wordpiece(path() / "vocab.txt")).encode(kTexts),
        SentenceEncoder::load(path()).encode(kTexts)));
  }
}

TEST_F(SentenceFolder, OtherModelsAreRefused) {
  auto config = nlohmann::json::parse(std::ifstream(path() / "config.json"));
  config["model_type"] = "gpt2";
  write("config.json", config.dump());
  expect_error("the model is of type \"gpt2\", known for this task are bert, modernbert");
}

void expect_golden_vectors(const std::string& file, std::size_t cases) {
  const auto golden = nlohmann::json::parse(std::ifstream(RAPT_GOLDEN_DIR "/" + file));
  const std::vector<std::string> texts = golden.at("texts");
  const rapt_test::PipelineGolden models("pipelines");
  EXPECT_EQ(golden.at("cases").size(), cases);
  for (const nlohmann::json& one : golden.at("cases")) {
    const rapt_test::GoldenFolder folder(models, one.at("folder"));
    for (const auto& [name, content] : one.at("files").items()) {
      std::filesystem::create_directories((folder.path() / name).parent_path());
      std::ofstream(folder.path() / name) << content.dump();
    }
    const nlohmann::json& rows = one.at("vectors");
    Tensor<float> expected(rapt::Shape{std::ssize(texts), std::ssize(rows.at(0))});
    for (Index i = 0; i < expected.rows(); ++i) {
      const std::vector<float> row = rows.at(static_cast<std::size_t>(i));
      std::copy(row.begin(), row.end(), expected.row(i));
    }
    SCOPED_TRACE(one.at("files").dump());
    rapt_test::expect_close(SentenceEncoder::load(folder).encode(texts), expected, 1e-5);
  }
}

TEST(SentenceEncoders, GiveWhatSentenceTransformersGives) { expect_golden_vectors("sentence_encoders.json", 5); }

TEST(SentenceEncoders, ObeyDefaultPromptsAndLowerCase) { expect_golden_vectors("sentence_settings.json", 4); }

TEST_F(SentenceFolder, ATokenizerOfAnotherModelIsRefused) {
  auto tokens = kVocabulary;
  tokens.push_back("more");
  const auto text = rapt_test::error_text<rapt::ValueError>(
      [&] { SentenceEncoder(rapt::from_pretrained<Bert<float>>(path()), rapt::WordPiece(tokens)); });
  EXPECT_NE(text.find("the tokenizer has 14 tokens, the model 13"), std::string::npos) << text;
}

}  // namespace
