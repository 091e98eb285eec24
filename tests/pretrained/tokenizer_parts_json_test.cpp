/// \file
/// tokenizer.json of every component: the same ids, spans, types and decoded texts as Hugging Face's tokenizers, also
/// when the file is written and read again; and files that lie.
// covers: text/composed_tokenizer.hpp, text/piece_model.hpp, text/token_decoder.hpp, text/pre_tokenizer.hpp,
// text/normalizer.hpp
// covers: text/piece_cutter.hpp, text/pre_tokenizer_steps.hpp
#include "rapt/pretrained/tokenizer_parts_json.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "rapt/pretrained/tokenizer_files.hpp"
#include "rapt/text/composed_tokenizer.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/pretrained/golden_encodings.hpp"

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using rapt::ComposedTokenizer;
using rapt::IoError;
using rapt::PretrainedTokenizer;
using rapt::TokenId;

/// tests/golden/make_tokenizer_parts.py tells what the file holds.
const Json& golden_parts() {
  static const Json json = [] {
    std::ifstream file(RAPT_GOLDEN_DIR "/tokenizer_parts.json");
    return Json::parse(file);
  }();
  return json;
}

/// A file of its own for each test, removed at the end.
class TokenizerPartsJson : public testing::Test {
 protected:
  TokenizerPartsJson() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    path_ = fs::temp_directory_path() /
            ("rapt_parts_" + std::string(info->name()) + "_" + std::to_string(::getpid()) + ".json");
  }
  ~TokenizerPartsJson() override { fs::remove(path_); }

  PretrainedTokenizer load(const Json& tokenizer) const {
    std::ofstream(path_, std::ios::binary) << tokenizer.dump();
    return rapt::load_tokenizer(path_);
  }
  std::string complaint_of(const Json& tokenizer) const {
    try {
      static_cast<void>(load(tokenizer));
    } catch (const IoError& error) {
      const std::string head = "[tokenizer] " + path_.string() + ": ", text = error.what();
      return text.starts_with(head) ? text.substr(head.size()) : text;
    }
    return "no IoError";
  }

  fs::path path_;
};

Json with_shared_vocabulary(const Json& set) {
  Json tokenizer = set["tokenizer"];
  if (tokenizer["model"].is_number())
    tokenizer["model"] = golden_parts()["models"][tokenizer["model"].get<std::size_t>()];
  return tokenizer;
}

const Json& set_of(const std::string& name) {
  for (const Json& set : golden_parts()["sets"]) {
    if (set["name"] == name) return set;
  }
  throw std::out_of_range(name);
}

TEST_F(TokenizerPartsJson, EveryComponentGivesTheTokensOfHuggingFace) {
  int texts = 0, composed = 0;
  for (const Json& set : golden_parts()["sets"]) {
    SCOPED_TRACE(set["name"].get<std::string>());
    const PretrainedTokenizer any = load(with_shared_vocabulary(set));
    composed += std::holds_alternative<ComposedTokenizer>(any) ? 1 : 0;
    texts += std::visit(
        [&](const auto& one) { return rapt_test::expect_golden_encodings(one, golden_parts()["texts"], set); }, any);
  }
  EXPECT_GE(texts, 1500) << "the golden file is short";
  EXPECT_GE(composed, 60);
}

TEST_F(TokenizerPartsJson, AFileWrittenAndReadAgainIsTheSame) {
  for (const Json& set : golden_parts()["sets"]) {
    SCOPED_TRACE(set["name"].get<std::string>());
    const Json tokenizer = with_shared_vocabulary(set);
    rapt::save_tokenizer(path_, load(tokenizer));
    const Json written = Json::parse(std::ifstream(path_));
    for (const char* part : {"added_tokens", "truncation", "model"}) EXPECT_EQ(written[part], tokenizer[part]) << part;
    const PretrainedTokenizer again = rapt::load_tokenizer(path_);
    std::visit([&](const auto& one) { rapt_test::expect_golden_encodings(one, golden_parts()["texts"], set); }, again);
  }
}

TEST_F(TokenizerPartsJson, MalformedParts) {
  struct Change {
    const char* place;
    Json value;
    std::string complaint;
  };
  const std::vector<Change> changes = {
      {"/normalizer", {{"type", "Magic"}}, "normalizer: rapt does not support \"Magic\""},
      {"/normalizer", {{"type", "Prepend"}}, "normalizer.prepend: must be a string"},
      {"/normalizer", {{"type", "Sequence"}, {"normalizers", 1}}, "normalizer.normalizers: must be a list"},
      {"/normalizer",
       {{"type", "Replace"}, {"pattern", {{"Regex", "("}}}, {"content", ""}},
       "normalizer.pattern: [pattern] not a regular expression: ( (missing closing parenthesis)"},
      {"/normalizer",
       {{"type", "Replace"}, {"pattern", {{"Other", "a"}}}, {"content", ""}},
       "normalizer.pattern.Regex: must be a string"},
      {"/pre_tokenizer", {{"type", "Magic"}}, "pre_tokenizer: rapt does not support \"Magic\""},
      {"/pre_tokenizer",
       {{"type", "Metaspace"}, {"replacement", "__"}},
       "pre_tokenizer.replacement: must be one character: \"__\""},
      {"/pre_tokenizer",
       {{"type", "Metaspace"}, {"replacement", "_"}, {"add_prefix_space", false}, {"prepend_scheme", "first"}},
       "pre_tokenizer.prepend_scheme: must be \"never\" without add_prefix_space: \"first\""},
      {"/pre_tokenizer",
       {{"type", "Punctuation"}, {"behavior", "Lost"}},
       "pre_tokenizer.behavior: rapt does not support \"Lost\""},
      {"/pre_tokenizer",
       {{"type", "FixedLength"}, {"length", 0}},
       "[pre_tokenizer] the length of pieces must be positive: 0"},
      {"/decoder",
       {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}},
       "decoder.start: must be a whole number from 0 to 2147483647"},
      {"/decoder", {{"type", "Magic"}}, "decoder: rapt does not support \"Magic\""},
      {"/model/dropout", 0.5, "model: rapt does not support dropout"},
      {"/model/unk_token", "zebra", "[composed_tokenizer] the unknown token must be in the vocabulary: \"zebra\""},
      {"/model/merges/0",
       {"t", "zebra"},
       "[composed_tokenizer] a merge must join two tokens: merge 0, \"t\" and \"zebra\""},
      {"/truncation",
       {{"strategy", "Magic"}, {"max_length", 5}},
       "truncation.strategy: rapt does not support \"Magic\""},
  };
  const Json base = with_shared_vocabulary(set_of("BPE with a prefix"));
  EXPECT_EQ(complaint_of(base), "no IoError");
  for (const Change& change : changes) {
    Json tokenizer = base;
    tokenizer[Json::json_pointer(change.place)] = change.value;
    EXPECT_EQ(complaint_of(tokenizer), change.complaint) << change.place << " " << change.value;
  }
}

TEST_F(TokenizerPartsJson, AWordWithoutATokenIsAnErrorWhereNoTokenIsUnknown) {
  Json tokenizer = with_shared_vocabulary(set_of("WordLevel, CTC"));
  tokenizer["model"]["unk_token"] = "zebra";
  const auto words = std::get<ComposedTokenizer>(load(tokenizer));
  EXPECT_EQ(words.encode("the cat").size(), 2u);
  EXPECT_THROW(static_cast<void>(words.encode("lynx")), rapt::ValueError);
  std::vector<std::string> texts(20, "the cat " + std::string(30000, ' '));  // several parts
  texts[7] = texts[18] = "lynx";
  const std::string error = rapt_test::error_text<rapt::ValueError>([&] { (void)words.encode_batch(texts); });
  EXPECT_TRUE(error.starts_with("[composed_tokenizer.encode_batch] text 7: ")) << error;
}

TEST_F(TokenizerPartsJson, NothingIsReplacedInAnEmptyText) {
  Json tokenizer = with_shared_vocabulary(set_of("BPE of words"));
  const Json replace = {{"type", "Replace"}, {"pattern", {{"Regex", "^"}}}, {"content", "x"}};
  tokenizer["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers", {{{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}}, replace}}};
  tokenizer["decoder"] = {{"type", "Sequence"},
                          {"decoders", {{{"type", "Strip"}, {"content", "b"}, {"start", 1}, {"stop", 0}}, replace}}};
  const auto strips = std::get<ComposedTokenizer>(load(tokenizer));
  EXPECT_TRUE(strips.encode("   ").empty());
  EXPECT_EQ(strips.encode(" a "), strips.encode("a"));
  EXPECT_EQ(strips.encode("a").size(), 2u);  // x and a
  EXPECT_EQ(strips.decode(std::vector<TokenId>{strips.id("a"), strips.id("b"), strips.id("c")}), "xaxc");
}

TEST_F(TokenizerPartsJson, TruncationOfOneTextThatCannotDoIt) {
  const auto tokenizer = std::get<ComposedTokenizer>(load(with_shared_vocabulary(set_of("truncated, only first"))));
  std::string many;
  for (int i = 0; i < 70; ++i) many += "a ";
  EXPECT_EQ(tokenizer.encode(many).size(), 60u);
  EXPECT_EQ(tokenizer.encode_pair(many, "a b").ids.size(), 60u);
  EXPECT_THROW(static_cast<void>(tokenizer.encode_pair("a", many)), rapt::ValueError);
}

TEST_F(TokenizerPartsJson, ScriptsAreReadAndWritten) {
  Json tokenizer = with_shared_vocabulary(set_of("WordLevel, CTC"));
  tokenizer["normalizer"] = nullptr;
  tokenizer["pre_tokenizer"] = {{"type", "UnicodeScripts"}};
  const auto scripts = std::get<ComposedTokenizer>(load(tokenizer));
  ASSERT_GE(scripts.id("."), 0);
  EXPECT_EQ(scripts.encode(" the."), (std::vector<TokenId>{scripts.id("the"), scripts.id(".")}));
  rapt::save_tokenizer(path_, scripts);
  const auto again = std::get<ComposedTokenizer>(rapt::load_tokenizer(path_));
  EXPECT_EQ(again.encode(" the."), scripts.encode(" the."));
}

}  // namespace
