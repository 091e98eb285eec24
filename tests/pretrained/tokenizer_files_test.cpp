/// \file
/// Files of pretrained tokenizers: the same tokens as Hugging Face's tokenizers make of many texts, files written and
/// read again, files that lie.
// covers: pretrained/tokenizer_json_file.hpp
// covers: pretrained/clean_up_keys.hpp, pretrained/load_tokenizer.hpp, pretrained/save_tokenizer.hpp,
//         pretrained/tokenizer_json_writer.hpp
#include "rapt/pretrained/tokenizer_files.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/pretrained/golden_encodings.hpp"

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using rapt::ByteLevelBpe;
using rapt::ComposedTokenizer;
using rapt::Encoding;
using rapt::IoError;
using rapt::PretrainedTokenizer;
using rapt::TokenId;
using rapt::WordPiece;

/// A folder of its own for each test, removed at the end.
class TokenizerFiles : public testing::Test {
 protected:
  TokenizerFiles() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::temp_directory_path() / ("rapt_tokenizer_" + std::string(info->name()) + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  ~TokenizerFiles() override { fs::remove_all(folder_); }

  /// Writes a file and gives its path.
  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  fs::path write(const std::string& name, const Json& json) const { return write(name, json.dump()); }

  /// What is said of a file, without the part that names it.
  std::string complaint(const std::function<void()>& call) const {
    try {
      call();
    } catch (const IoError& error) {
      const std::string text = error.what(), head = "[tokenizer] " + folder_.string() + "/";
      EXPECT_TRUE(text.starts_with(head)) << text;
      return text.substr(std::min(text.size(), head.size()));
    }
    return "no error of this kind";
  }
  std::string complaint_of(const Json& tokenizer) const {
    const fs::path path = write("tokenizer.json", tokenizer);
    return complaint([&] { static_cast<void>(rapt::load_tokenizer(path)); });
  }

  fs::path folder_;
};

// Golden --------------------------------------------------------------------------------------------------------------

/// tests/golden/make_tokenizers.py tells what the file holds.
const Json& golden() {
  static const Json json = [] {
    std::ifstream file(RAPT_GOLDEN_DIR "/tokenizers.json");
    return Json::parse(file);
  }();
  return json;
}

/// Returns how many texts it has compared.
template <class Tokenizer>
int expect_same(const Tokenizer& tokenizer, const Json& set) {
  return rapt_test::expect_golden_encodings(tokenizer, golden()["texts"], set);
}

TEST_F(TokenizerFiles, SmallVocabulariesGiveTheTokensOfHuggingFace) {
  int texts = 0, sets = 0;
  for (const Json& set : golden()["sets"]) {
    if (!set.contains("tokenizer")) continue;
    SCOPED_TRACE(set["name"].get<std::string>());
    const auto tokenizer = rapt::load_tokenizer(write("tokenizer.json", set["tokenizer"]));
    texts += std::visit([&](const auto& one) { return expect_same(one, set); }, tokenizer);
    // Written and read again it is the same.
    std::visit([&](const auto& one) { rapt::save_tokenizer(folder_ / "again.json", one); }, tokenizer);
    std::visit([&](const auto& one) { expect_same(one, set); }, rapt::load_tokenizer(folder_ / "again.json"));
    ++sets;
  }
  EXPECT_GE(sets, 9) << "the golden file is short";
  EXPECT_GE(texts, 350) << "the golden file is short";
}

TEST_F(TokenizerFiles, BytesWithoutATokenAreUnknown) {
  // tests/golden/make_missing_bytes.py tells what the file holds.
  std::ifstream file(RAPT_GOLDEN_DIR "/missing_bytes.json");
  const Json missing = Json::parse(file);
  int texts = 0;
  for (const Json& set : missing["sets"]) {
    const std::string name = set["name"];
    SCOPED_TRACE(name);
    const auto tokenizer = rapt::load_tokenizer(write("tokenizer.json", set["tokenizer"]));
    EXPECT_EQ(std::holds_alternative<ByteLevelBpe>(tokenizer), name.starts_with("none missing"));
    rapt::save_tokenizer(folder_ / "again.json", tokenizer);
    for (const auto& one : {tokenizer, rapt::load_tokenizer(folder_ / "again.json")}) {
      texts += std::visit(
          [&](const auto& same) { return rapt_test::expect_golden_encodings(same, missing["texts"], set); }, one);
    }
    std::ifstream again(folder_ / "again.json");
    const Json saved = Json::parse(again);
    for (const char* key : {"unk_token", "fuse_unk"}) EXPECT_EQ(saved["model"][key], set["tokenizer"]["model"][key]);
  }
  EXPECT_GE(texts, 300) << "the golden file is short";
}

class RealVocabulary : public testing::Test {
 protected:
  /// Of each set of a folder, what `load` makes of the files.
  void check(const std::string& folder, const std::function<int(const fs::path&, const Json&)>& compare) {
    const fs::path path = fs::path(RAPT_DATA_DIR) / folder;
    if (!fs::exists(path)) GTEST_SKIP() << "no real vocabulary: " << path << " is absent (set RAPT_DATA_DIR)";
    int texts = 0;
    for (const Json& set : golden()["sets"]) {
      SCOPED_TRACE(set["name"].get<std::string>());
      if (set.value("folder", "") == folder) texts += compare(path, set);
    }
    EXPECT_GE(texts, 80) << "the golden file is short";
  }
};

TEST_F(RealVocabulary, Gpt2) {
  check("tokenizers/gpt2", [](const fs::path& path, const Json& set) {
    const ByteLevelBpe tokenizer = rapt::load_byte_level_bpe(path / "vocab.json", path / "merges.txt");
    EXPECT_EQ(tokenizer.size(), 50257);
    EXPECT_EQ(tokenizer.merges().size(), 50000u);
    return expect_same(tokenizer, set);
  });
}

TEST_F(RealVocabulary, Bert) {
  check("tokenizers/bert", [](const fs::path& path, const Json& set) {
    rapt::WordPieceOptions options;
    options.lowercase = set["options"].value("lowercase", true);
    const WordPiece tokenizer = rapt::load_wordpiece(path / "vocab.txt", options);
    EXPECT_EQ(tokenizer.size(), 30522);
    return expect_same(tokenizer, set);
  });
}

// Files ---------------------------------------------------------------------------------------------------------------

/// A small tokenizer.json for each model: every byte and two merges; a few pieces.
const Json& small_of(const std::string& name) {
  for (const Json& set : golden()["sets"]) {
    if (set["name"] == name) return set["tokenizer"];
  }
  throw std::runtime_error("the golden file has no set " + name);
}
Json small_bpe() { return small_of("small byte-level, as GPT-2"); }
Json small_wordpiece() { return small_of("small WordPiece, uncased"); }

TEST_F(TokenizerFiles, VocabularyFilesAreReadAsTheyAreWritten) {
  const auto bpe = std::get<ByteLevelBpe>(rapt::load_tokenizer(write("tokenizer.json", small_bpe())));
  const auto wordpiece = std::get<WordPiece>(rapt::load_tokenizer(write("tokenizer.json", small_wordpiece())));
  fs::create_directories(folder_ / "bpe");
  fs::create_directories(folder_ / "wordpiece");
  rapt::save_vocabulary(folder_ / "bpe", bpe);
  rapt::save_vocabulary(folder_ / "wordpiece", wordpiece);

  const auto bpe_again = rapt::load_byte_level_bpe(folder_ / "bpe" / "vocab.json", folder_ / "bpe" / "merges.txt");
  EXPECT_TRUE(
      std::equal(bpe.tokens().begin(), bpe.tokens().end(), bpe_again.tokens().begin(), bpe_again.tokens().end()));
  EXPECT_TRUE(
      std::equal(bpe.merges().begin(), bpe.merges().end(), bpe_again.merges().begin(), bpe_again.merges().end()));
  EXPECT_TRUE(bpe_again.is_special(bpe_again.id("<|endoftext|>")));
  const auto wordpiece_again = rapt::load_wordpiece(folder_ / "wordpiece" / "vocab.txt");
  EXPECT_TRUE(std::equal(wordpiece.tokens().begin(), wordpiece.tokens().end(), wordpiece_again.tokens().begin(),
                         wordpiece_again.tokens().end()));

  // Folders, with what they say of the rest.
  EXPECT_TRUE(std::holds_alternative<ByteLevelBpe>(rapt::load_tokenizer(folder_ / "bpe")));
  EXPECT_TRUE(std::get<WordPiece>(rapt::load_tokenizer(folder_ / "wordpiece")).options().lowercase);
  write("wordpiece/tokenizer_config.json",
        std::string(R"({"do_lower_case": false, "strip_accents": true, "tokenize_chinese_chars": false})"));
  const auto cased = std::get<WordPiece>(rapt::load_tokenizer(folder_ / "wordpiece"));
  EXPECT_FALSE(cased.options().lowercase);
  EXPECT_FALSE(cased.options().separate_chinese);
  EXPECT_EQ(cased.options().strip_accents, std::optional<bool>(true));
  EXPECT_FALSE(cased.options().clean_up_spaces);
  write("wordpiece/tokenizer_config.json", std::string(R"({"clean_up_tokenization_spaces": true})"));
  EXPECT_TRUE(std::get<WordPiece>(rapt::load_tokenizer(folder_ / "wordpiece")).options().clean_up_spaces);
  write("bpe/tokenizer_config.json", std::string(R"({"add_prefix_space": true, "unk_token": {"content": "x"}})"));
  EXPECT_TRUE(std::get<ByteLevelBpe>(rapt::load_tokenizer(folder_ / "bpe")).options().add_prefix_space);
  for (const bool for_bpe : {false, true}) {
    const char* const key = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output";
    write("bpe/tokenizer_config.json", Json{{"clean_up_tokenization_spaces", true}, {key, for_bpe}});
    EXPECT_EQ(std::get<ByteLevelBpe>(rapt::load_tokenizer(folder_ / "bpe")).options().clean_up_spaces, for_bpe);
  }
  write("bpe/tokenizer.json", small_bpe());
  EXPECT_FALSE(std::get<ByteLevelBpe>(rapt::load_tokenizer(folder_ / "bpe")).options().add_prefix_space);
  fs::create_directories(folder_ / "none");
  EXPECT_EQ(complaint([&] { static_cast<void>(rapt::load_tokenizer(folder_ / "none")); }),
            "none: the folder is empty; wanted is a folder with tokenizer.json, SentencePiece's model, vocab.json "
            "with merges.txt, or vocab.txt");
}

TEST_F(TokenizerFiles, LineEndsAndWhiteSpaceOfVocabulariesDoNotCount) {
  const std::string lines = "[UNK]\r\n[CLS]\r\n[SEP] \r\ncat\u00A0\r\n##s";
  const WordPiece tokenizer = rapt::load_wordpiece(write("vocab.txt", lines));
  EXPECT_EQ(tokenizer.encode("cats"), (std::vector<TokenId>{1, 3, 4, 2}));
  EXPECT_EQ(tokenizer.options().added_tokens.size(), 3u) << "[PAD] and [MASK] are not there";
}

TEST_F(TokenizerFiles, EmptyLinesAndRepeatedTokensOfVocabularies) {
  const std::string lines = "[UNK]\n[CLS]\n[SEP]\n\nword\n \nword\n##s\x1C\n";
  const WordPiece tokenizer = rapt::load_wordpiece(write("vocab.txt", lines));
  EXPECT_EQ(tokenizer.size(), 8);
  EXPECT_EQ(tokenizer.id(""), 5) << "of the empty lines the last one";
  EXPECT_EQ(tokenizer.encode("word"), (std::vector<TokenId>{1, 6, 2})) << "of the words the last one";
  EXPECT_EQ(tokenizer.options().unused, (std::vector<TokenId>{3, 4}));
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{6, 3, 4, 6}), "word word") << "nothing of an unused id";
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{6, 5, 6}), "word  word") << "the empty token is a word";
  EXPECT_EQ(tokenizer.token(7), "##s\x1C") << "no white space for Hugging Face";
  EXPECT_EQ(complaint([&] { rapt::save_vocabulary(folder_ / "", tokenizer); }),
            ": cannot be written to vocab.txt: no token has the id 3");

  const std::string once = "[UNK]\n[CLS]\n[SEP]\nword\n\n";
  fs::create_directories(folder_ / "again");
  rapt::save_vocabulary(folder_ / "again", rapt::load_wordpiece(write("vocab.txt", once)));
  const WordPiece again = rapt::load_wordpiece(folder_ / "again" / "vocab.txt");
  EXPECT_EQ(again.size(), 5);
  EXPECT_EQ(again.id(""), 4);
}

TEST_F(TokenizerFiles, WhatCannotBeWrittenIsRefused) {
  std::vector<std::string> tokens = {"[UNK]", "[CLS]", "[SEP]", "two\nlines"};
  rapt::WordPieceOptions options;
  options.added_tokens.clear();
  const WordPiece wordpiece(tokens, options);
  EXPECT_EQ(complaint([&] { rapt::save_vocabulary(folder_ / "", wordpiece); }),
            ": cannot be written to vocab.txt: \"two?lines\"");
  EXPECT_TRUE(fs::is_empty(folder_));
  rapt::save_tokenizer(folder_ / "tokenizer.json", wordpiece);
  EXPECT_EQ(std::get<WordPiece>(rapt::load_tokenizer(folder_ / "tokenizer.json")).token(3), "two\nlines");
}

TEST_F(TokenizerFiles, MalformedVocabularyFiles) {
  const Json good = small_bpe()["model"]["vocab"];
  const fs::path no_merges = write("merges.txt", std::string("#version: 0.2\n"));
  const auto vocabulary = [&](const std::string& text) {
    const fs::path path = write("vocab.json", text);
    return complaint([&] { static_cast<void>(rapt::load_byte_level_bpe(path, no_merges)); });
  };
  EXPECT_EQ(vocabulary("{\"a\": 0"), "vocab.json: not valid JSON: at byte 8");
  EXPECT_EQ(vocabulary("{\"a\": 1e999}"), "vocab.json: not valid JSON: at byte 11");
  EXPECT_EQ(vocabulary("[1]"), "vocab.json: must be an object");
  EXPECT_EQ(vocabulary("{}"), "vocab.json: the vocabulary: must be an object of names and ids");
  EXPECT_EQ(vocabulary("{\"a\": 0, \"a\": 1}"), "vocab.json: the key \"a\" stands twice in an object");
  EXPECT_EQ(vocabulary(std::string("{}\0x", 4)), "vocab.json: zero byte in the file");
  EXPECT_EQ(vocabulary("{\"a\": -1}"),
            "vocab.json: the vocabulary: the id of \"a\": must be a whole number from 0 to 2147483646");
  EXPECT_EQ(vocabulary("{\"a\": 0.5}"),
            "vocab.json: the vocabulary: the id of \"a\": must be a whole number from 0 to 2147483646");
  EXPECT_EQ(vocabulary("{\"a\": 0, \"b\": 2000000}"),
            "vocab.json: the vocabulary: an id of 2 tokens must be less than 1048578: \"b\" has 2000000");
  EXPECT_EQ(vocabulary("{\"a\": 0, \"b\": 1, \"c\": 1}"),
            "vocab.json: the vocabulary: an id must occur once: \"b\" and \"c\" have 1");
  EXPECT_EQ(vocabulary("{\"a\": 0}"),
            "vocab.json, merges.txt: [byte_level_bpe] the token of a byte is missing: \"Ā\" for byte 0");
  EXPECT_EQ(complaint([&] { static_cast<void>(rapt::load_byte_level_bpe(folder_ / "no.json", no_merges)); }),
            "no.json: cannot read the file");

  const fs::path all = write("vocab.json", good);
  const auto merges = [&](const std::string& text) {
    const fs::path path = write("merges.txt", text);
    return complaint([&] { static_cast<void>(rapt::load_byte_level_bpe(all, path)); });
  };
  EXPECT_EQ(merges("#version: 0.2\nab\n"), "merges.txt:2: a line must be two names with a space between them: \"ab\"");
  EXPECT_EQ(merges("a b c\n"), "merges.txt:1: a line must be two names with a space between them: \"a b c\"");
  EXPECT_EQ(merges("\n"), "merges.txt:1: a line must be two names with a space between them: \"\"");
  EXPECT_EQ(merges("zq zz\n"), "merges.txt:1: a merge must be of tokens, and join to one: \"zq zz\"");
  const Json first = small_bpe()["model"]["merges"][0];
  const std::string left = first[0], right = first[1], line = left + " " + right + "\n";
  EXPECT_EQ(merges(line + line), "no error of this kind") << "the last one counts";
  EXPECT_EQ(merges(line + "#version\n" + line), "no error of this kind");

  const auto words = [&](const std::string& text) {
    const fs::path path = write("vocab.txt", text);
    return complaint([&] { static_cast<void>(rapt::load_wordpiece(path)); });
  };
  EXPECT_EQ(words(""), "vocab.txt: [wordpiece] the unknown token must be in the vocabulary: \"[UNK]\"");
  EXPECT_EQ(words("[UNK]\n[SEP]\n"), "vocab.txt: [wordpiece] a template names an unknown token: \"[CLS]\"");
  EXPECT_EQ(words("[UNK]\n\xFF\n"), "vocab.txt: [wordpiece] a token must be UTF-8: id 1");
  fs::create_directories(folder_ / "folder");
  EXPECT_EQ(complaint([&] { static_cast<void>(rapt::load_wordpiece(folder_ / "folder")); }),
            "folder: cannot read the file");
}

/// A file in which one thing is changed, and what is said of it.
struct Change {
  const char* where;  // as a JSON pointer
  Json value;
  const char* complaint;
};

TEST_F(TokenizerFiles, MalformedTokenizerJson) {
  const std::string file = "tokenizer.json: ";
  const std::vector<Change> bpe = {
      {"/model", 1, "model: must be an object"},
      {"/model/type", "Unigram", "model.vocab: must be a list"},
      {"/model/vocab", nullptr, "model.vocab: must be an object"},
      {"/model/vocab/a", "x", "model.vocab: the id of \"a\": must be a whole number from 0 to 2147483646"},
      {"/model/vocab/a", 7777777, "model.vocab: an id of 421 tokens must be less than 1048997: \"a\" has 7777777"},
      {"/model/merges", "a b", "model.merges: must be a list"},
      {"/model/merges/3", 5, "model.merges[3]: must be a string"},
      {"/model/merges/3", "a", "model.merges[3]: must be two names with a space between them: \"a\""},
      {"/model/merges/3", {"a", 1}, "model.merges[3]: must be two names"},
      {"/model/merges/3", {"a", "xyz"}, "[byte_level_bpe] a merge must join two tokens: merge 3, \"a\" and \"xyz\""},
      {"/model/dropout", 0.1, "model: rapt does not support dropout"},
      {"/model/ignore_merges", "yes", "model.ignore_merges: must be true or false"},
      {"/pre_tokenizer/type", 3, "pre_tokenizer.type: must be a string"},
      {"/pre_tokenizer/add_prefix_space", 1, "pre_tokenizer.add_prefix_space: must be true or false"},
      {"/post_processor", Json::array(), "post_processor: must be an object"},
      {"/post_processor/type", "Magic", "post_processor: rapt does not support \"Magic\""},
      {"/decoder", {{"type", "BPEDecoder"}}, "decoder.suffix: must be a string"},
      {"/added_tokens", 1, "added_tokens: must be a list"},
      {"/added_tokens/0", 1, "added_tokens[0]: must be an object"},
      {"/added_tokens/0/content", nullptr, "added_tokens[0].content: must be a string"},
      {"/added_tokens/0/id", nullptr, "added_tokens[0].id: must be a whole number"},
      {"/added_tokens/0/id", 9999,
       "added_tokens[0].id: must be 420, the number of tokens before it: \"<|endoftext|>\" has 9999"},
      {"/added_tokens/0/content", "a", "added_tokens: the id of \"a\" is 420, but 64 in the vocabulary"},
      {"/truncation",
       {{"strategy", "LongestFirst"}, {"max_length", -5}},
       "truncation.max_length: must be a whole number from 0 to 2147483647"},
  };
  const std::vector<Change> wordpiece = {
      {"/normalizer/lowercase", 1, "normalizer.lowercase: must be true or false"},
      {"/model/unk_token", nullptr, "model.unk_token: must be a string"},
      {"/model/unk_token", "zebra", "[wordpiece] the unknown token must be in the vocabulary: \"zebra\""},
      {"/model/max_input_chars_per_word", 0, "[wordpiece] max_word_characters must be positive: 0"},
      {"/post_processor/sep", {"[SEP]", 5}, nullptr},
      {"/post_processor/cls", {"[CLS]"}, "post_processor.cls: must be a name and an id"},
      {"/truncation",
       {{"strategy", "LongestFirst"}, {"max_length", 3}},
       "[wordpiece] max_tokens must be 0 or more than the special tokens: 3"},
  };
  for (const auto& [base, changes] : {std::pair(small_bpe(), bpe), std::pair(small_wordpiece(), wordpiece)}) {
    EXPECT_EQ(complaint_of(base), "no error of this kind");
    for (const Change& change : changes) {
      Json changed = base;
      changed[Json::json_pointer(change.where)] = change.value;
      const std::string text = complaint_of(changed);
      if (change.complaint != nullptr) {
        EXPECT_EQ(text, file + change.complaint) << change.where;
      } else {
        EXPECT_TRUE(text.starts_with(file + "post_processor.sep: the id of \"[SEP]\" is 5, but that is")) << text;
      }
    }
  }
}

TEST_F(TokenizerFiles, Llama3sComponentsAreKnownByTheirPattern) {
  const Json base = small_of("small byte-level, Llama 3's components");
  EXPECT_EQ(std::get<ByteLevelBpe>(rapt::load_tokenizer(write("tokenizer.json", base))).options().pattern,
            rapt::ByteLevelPattern::llama3);
  const std::vector<Change> changes = {
      {"/post_processor/processors/1/special_tokens/<|begin_of_text|>/ids",
       {1, 2},
       "post_processor.processors.special_tokens: rapt does not support \"<|begin_of_text|>\", which is not one token"},
      {"/post_processor/processors/1/special_tokens", Json::object(),
       "post_processor.processors.special_tokens: \"<|begin_of_text|>\" is missing"},
      {"/post_processor/processors/1/single/0",
       {{"Magic", 1}},
       "post_processor.processors.single: rapt does not support \"Magic\""},
      {"/post_processor/processors/1/single/1/Sequence/id", "C",
       "post_processor.processors.single.id: must be \"A\" or \"B\""},
      {"/post_processor/processors/1/single/1/Sequence/id", "B",
       "[byte_level_bpe] a template for one text must have $A once: it has $A 0 times and $B 1 times"},
  };
  for (const Change& change : changes) {
    Json changed = base;
    changed[Json::json_pointer(change.where)] = change.value;
    EXPECT_EQ(complaint_of(changed), "tokenizer.json: " + std::string(change.complaint)) << change.where;
  }
}

TEST_F(TokenizerFiles, OtherComponentsMakeAComposedTokenizer) {
  const std::vector<std::pair<Json, std::vector<Change>>> all = {
      {small_bpe(),
       {{"/model/end_of_word_suffix", "</w>", nullptr},
        {"/normalizer", {{"type", "NFC"}}, nullptr},
        {"/pre_tokenizer", nullptr, nullptr},
        {"/pre_tokenizer/type", "Whitespace", nullptr},
        {"/decoder", nullptr, nullptr},
        {"/added_tokens/0/single_word", true, nullptr},
        {"/truncation", {{"strategy", "OnlyFirst"}, {"max_length", 5}}, nullptr},
        {"/truncation", {{"strategy", "LongestFirst"}, {"direction", "Left"}, {"max_length", 5}}, nullptr}}},
      {small_wordpiece(),
       {{"/normalizer/type", "Lowercase", nullptr},
        {"/pre_tokenizer/type", "Whitespace", nullptr},
        {"/decoder/type", "ByteLevel", nullptr}}},
      {small_of("small byte-level, Llama 3's components"),
       {{"/pre_tokenizer/pretokenizers/0/pattern/Regex", "\\w+", nullptr},
        {"/pre_tokenizer/pretokenizers/0/pattern", {{"String", " "}}, nullptr},
        {"/pre_tokenizer/pretokenizers/0/behavior", "Removed", nullptr},
        {"/pre_tokenizer/pretokenizers/1/use_regex", true, nullptr},
        {"/pre_tokenizer/pretokenizers", Json::array(), nullptr}}}};
  for (const auto& [base, changes] : all) {
    EXPECT_FALSE(std::holds_alternative<ComposedTokenizer>(rapt::load_tokenizer(write("tokenizer.json", base))));
    for (const Change& change : changes) {
      Json changed = base;
      changed[Json::json_pointer(change.where)] = change.value;
      EXPECT_TRUE(std::holds_alternative<ComposedTokenizer>(rapt::load_tokenizer(write("tokenizer.json", changed))))
          << change.where << " " << change.value;
    }
  }
}

/// Whatever is done to a file, reading it works or throws IoError.
TEST_F(TokenizerFiles, BrokenFilesAreErrors) {
  const std::string good = small_wordpiece().dump();
  std::mt19937 random(17);
  int errors = 0;
  for (int n = 0; n < 300; ++n) {
    std::string text = good;
    for (std::size_t i = 1 + random() % 3; i > 0; --i) {
      const std::size_t at = random() % text.size();
      if (random() % 3 == 0) {
        text.erase(at, 1 + random() % 5);
      } else {
        text[at] = static_cast<char>(random() % 256);
      }
    }
    try {
      static_cast<void>(rapt::load_tokenizer(write("tokenizer.json", text)));
    } catch (const IoError&) {
      ++errors;
    }
  }
  EXPECT_GT(errors, 100);
}

}  // namespace
