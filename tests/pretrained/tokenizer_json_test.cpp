/// \file
/// tokenizer.json and what stands beside it: empty tokens, ids without a token, tokens that are there twice, and the
/// clean-up of decoded text, each as Hugging Face's packages do it.
#include "rapt/pretrained/tokenizer_json.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "rapt/pretrained/tokenizer_files.hpp"

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using rapt::ByteLevelBpe;
using rapt::IoError;
using rapt::PretrainedTokenizer;
using rapt::TokenId;
using rapt::WordPiece;

/// tests/golden/make_decoding.py tells what the file holds.
const Json& golden() {
  static const Json json = [] {
    std::ifstream file(RAPT_GOLDEN_DIR "/decoding.json");
    return Json::parse(file);
  }();
  return json;
}

/// A folder of its own for each test, removed at the end.
class TokenizerJsonTest : public testing::Test {
 protected:
  TokenizerJsonTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / ("rapt_json_" + std::string(info->name()) + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  ~TokenizerJsonTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  /// Writes the files of a case, before each of them `head`, and reads the folder.
  PretrainedTokenizer load(const Json& one, const std::string& head = "") const {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (const auto& [name, text] : one["files"].items()) {
      const auto known = golden()["tokenizers"].find(text.get<std::string>());
      write(name, head + (known == golden()["tokenizers"].end() ? text.get<std::string>() : known->dump()));
    }
    if (!one["files"].contains("vocab.txt")) return rapt::load_tokenizer(folder_);
    rapt::WordPieceOptions options;  // the vocabulary has none of the tokens around texts
    options.added_tokens.clear();
    options.single = {{"$A"}};
    options.pair = {{"$A"}, {"$B", 1}};
    return rapt::load_wordpiece(folder_ / "vocab.txt", options);
  }
  std::string complaint_of(const Json& tokenizer) const {
    write("tokenizer.json", tokenizer.dump());
    try {
      static_cast<void>(rapt::load_tokenizer(folder_));
    } catch (const IoError& error) {
      const std::string head = "[tokenizer] " + (folder_ / "tokenizer.json").string() + ": ", text = error.what();
      return text.starts_with(head) ? text.substr(head.size()) : text;
    }
    return "no IoError";
  }

  fs::path folder_;
};

/// Returns how many texts it has compared.
int expect_same(const PretrainedTokenizer& any, const Json& one) {
  return std::visit(
      [&](const auto& tokenizer) {
        for (const Json& text : one["texts"]) {
          EXPECT_EQ(tokenizer.encode(text[0].get<std::string>(), {.add_special = false}),
                    text[1].get<std::vector<TokenId>>())
              << text[0];
        }
        for (const Json& decoded : one["decoded"]) {
          EXPECT_EQ(tokenizer.decode(decoded[0].get<std::vector<TokenId>>(), decoded[1].get<bool>()),
                    decoded[2].get<std::string>())
              << decoded;
        }
        return static_cast<int>(one["texts"].size() + one["decoded"].size());
      },
      any);
}

TEST_F(TokenizerJsonTest, TextsAreThoseOfHuggingFace) {
  int texts = 0;
  for (const Json& one : golden()["cases"]) {
    SCOPED_TRACE(one["name"].get<std::string>());
    texts += expect_same(load(one), one);
  }
  EXPECT_GE(texts, 1000) << "the golden file is short";
}

TEST_F(TokenizerJsonTest, AByteOrderMarkIsPassedOver) {
  for (const Json& one : golden()["cases"]) {
    SCOPED_TRACE(one["name"].get<std::string>());
    expect_same(load(one, "\xEF\xBB\xBF"), one);
  }
}

/// The ids without a token; SentencePiece has their empty texts in its vocabulary.
std::vector<TokenId> unused_ids(const PretrainedTokenizer& tokenizer) {
  return std::visit(
      [](const auto& one) -> std::vector<TokenId> {
        if constexpr (requires { one.options().unused; }) {
          return one.options().unused;
        } else {
          std::vector<TokenId> unused;
          for (TokenId id = 0; id < one.size(); ++id) {
            if (one.token(id).empty()) unused.push_back(id);
          }
          return unused;
        }
      },
      tokenizer);
}

TEST_F(TokenizerJsonTest, AFolderWrittenAndReadAgainIsTheSame) {
  for (const Json& one : golden()["cases"]) {
    SCOPED_TRACE(one["name"].get<std::string>());
    const PretrainedTokenizer tokenizer = load(one);
    const fs::path again = folder_ / "again";
    fs::create_directories(again);
    rapt::save_tokenizer(again, tokenizer);
    const PretrainedTokenizer read = rapt::load_tokenizer(again);
    expect_same(read, one);
    EXPECT_EQ(unused_ids(read), unused_ids(tokenizer));
  }
}

TEST_F(TokenizerJsonTest, WhatElseATokenizerConfigSaysStays) {
  const Json one = {{"files",
                     {{"tokenizer.json", "byte level"},
                      {"tokenizer_config.json", R"({"model_max_length": 512, "chat_template": "x"})"}}}};
  const auto tokenizer = std::get<ByteLevelBpe>(load(one));
  rapt::ByteLevelBpeOptions options = tokenizer.options();
  options.clean_up_spaces = true;
  const ByteLevelBpe cleaning({tokenizer.tokens().begin(), tokenizer.tokens().end()}, {}, options);
  rapt::save_tokenizer(folder_, cleaning);
  const Json written = Json::parse(std::ifstream(folder_ / "tokenizer_config.json"));
  EXPECT_EQ(written, (Json{{"model_max_length", 512},
                           {"chat_template", "x"},
                           {"clean_up_tokenization_spaces", true},
                           {"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", true}}));
  EXPECT_TRUE(std::get<ByteLevelBpe>(rapt::load_tokenizer(folder_)).options().clean_up_spaces);
  EXPECT_FALSE(std::get<ByteLevelBpe>(rapt::load_tokenizer(folder_ / "tokenizer.json")).options().clean_up_spaces)
      << "a file alone does not say it";
}

TEST_F(TokenizerJsonTest, UnusedIds) {
  const Json one = {{"files", {{"tokenizer.json", "byte level, unused ids"}}}};
  const auto bpe = std::get<ByteLevelBpe>(load(one));
  EXPECT_EQ(bpe.size(), 301);
  EXPECT_EQ(bpe.options().unused.size(), 301u - 256 - 3);  // all but the bytes, "ab", "bc" and the empty token
  EXPECT_EQ(bpe.id(""), 300);
  EXPECT_EQ(bpe.token(300), "");
  EXPECT_EQ(bpe.token(299), "");
  EXPECT_EQ(bpe.decode(std::vector<TokenId>{256, 299, 300, 261}), "abbc");
  EXPECT_THROW(static_cast<void>(bpe.decode(std::vector<TokenId>{301})), rapt::ValueError);
}

TEST_F(TokenizerJsonTest, IdsThatCannotBe) {
  const Json base = golden()["tokenizers"]["byte level, added"];
  Json changed = base;
  changed["model"]["vocab"]["ab"] = 3;
  const std::string complaint = complaint_of(changed);
  EXPECT_TRUE(complaint.starts_with("model.vocab: an id must occur once: ")) << complaint;
  changed = base;
  changed["model"]["vocab"]["ab"] = 5'000'000;
  EXPECT_EQ(complaint_of(changed), "model.vocab: an id of 260 tokens must be less than 1048836: \"ab\" has 5000000");
  changed = base;
  changed["added_tokens"][1]["id"] = 300;
  EXPECT_EQ(complaint_of(changed), "added_tokens[1].id: must be 259, the number of tokens before it: \"<x>\" has 300");
  changed = base;
  changed["added_tokens"][0]["id"] = 259;
  EXPECT_EQ(complaint_of(changed), "added_tokens: the id of \"<y>\" is 259, but 258 in the vocabulary");
  changed = base;
  changed["model"]["vocab"]["<y>"] = Json::array();
  EXPECT_EQ(complaint_of(changed), "model.vocab: the id of \"<y>\": must be a whole number from 0 to 2147483646");
  changed = base;
  changed["added_tokens"].push_back(changed["added_tokens"][1]);  // the same again
  changed["added_tokens"].push_back(changed["added_tokens"][1]);
  changed["added_tokens"].back()["content"] = "";
  EXPECT_EQ(complaint_of(changed), "no IoError");
  EXPECT_EQ(std::get<ByteLevelBpe>(rapt::load_tokenizer(folder_)).options().added_tokens.size(), 2u);
}

TEST_F(TokenizerJsonTest, LargeAndDeepFilesAreReadInTimeThatGrowsWithThemAlone) {
  Json file = golden()["tokenizers"]["WordPiece"];
  Json& added = file["added_tokens"];
  const std::size_t size = file["model"]["vocab"].size();
  for (std::size_t i = 0; i < 30'000; ++i) {
    added.push_back({{"id", size + i}, {"content", "new" + std::to_string(i)}});
  }
  Json sequence = {{"type", "BertProcessing"}, {"cls", {"[CLS]", 1}}, {"sep", {"[SEP]", 2}}};
  std::string head, tail;
  for (int i = 0; i < 30'000; ++i) {
    head += R"({"type":"Sequence","processors":[)";
    tail += "]}";
  }
  file["post_processor"] = "here";
  std::string text = file.dump();
  text.replace(text.find("\"here\""), 6, head + sequence.dump() + tail);
  write("tokenizer.json", text);
  const auto start = std::chrono::steady_clock::now();
  const auto tokenizer = std::get<WordPiece>(rapt::load_tokenizer(folder_));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << "it takes some 0.2 s";
  EXPECT_EQ(tokenizer.size(), static_cast<rapt::Index>(size + 30'000));
  EXPECT_EQ(tokenizer.encode("new29999"), (std::vector<TokenId>{1, static_cast<TokenId>(size + 29'999), 2}));
}

TEST_F(TokenizerJsonTest, ATokenizerConfigThatIsWrong) {
  Json one = {{"files", {{"tokenizer.json", "byte level"}, {"tokenizer_config.json", ""}}}};
  const auto complaint = [&](const std::string& config) {
    one["files"]["tokenizer_config.json"] = config;
    try {
      static_cast<void>(load(one));
    } catch (const IoError& error) {
      const std::string head = "[tokenizer] " + (folder_ / "tokenizer_config.json").string() + ": ";
      const std::string text = error.what();
      return text.starts_with(head) ? text.substr(head.size()) : text;
    }
    return std::string("no IoError");
  };
  EXPECT_EQ(complaint(R"({"clean_up_tokenization_spaces": "yes"})"),
            "clean_up_tokenization_spaces: must be true or false");
  EXPECT_EQ(complaint("[]"), "must be an object");
  EXPECT_EQ(complaint(R"({"do_lower_case": 3})"), "no IoError") << "a tokenizer.json says that itself";
}

}  // namespace
