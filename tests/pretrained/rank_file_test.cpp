/// \file
/// tiktoken's files of ranks: the same tokens as the tiktoken package makes of many texts, folders, files that lie.
// covers: text/allowed_special.hpp
#include "rapt/pretrained/rank_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "rapt/pretrained/tokenizer_files.hpp"
#include "rapt/text/allowed_special.hpp"
#include "tests/common/expect_close.hpp"

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using rapt::ByteLevelBpe;
using rapt::ComposedTokenizer;
using rapt::IoError;
using rapt::RankEncoding;
using rapt::TokenId;
using rapt_test::error_text;

/// A folder of its own for each test, removed at the end.
class RankFile : public testing::Test {
 protected:
  RankFile() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::temp_directory_path() / ("rapt_ranks_" + std::string(info->name()) + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  ~RankFile() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  /// What is said of a file with these lines behind those of all bytes, without its path.
  std::string complaint(const std::string& lines, RankEncoding encoding = {}) const {
    const fs::path path = write("a.tiktoken", byte_lines() + lines);
    const std::string text =
        error_text<IoError>([&] { static_cast<void>(rapt::load_ranks(path, std::move(encoding))); });
    const std::string head = "[tokenizer] " + path.string();
    EXPECT_TRUE(text.starts_with(head)) << text;
    return text.substr(std::min(head.size(), text.size()));
  }
  static std::string byte_lines() {
    std::string lines;
    for (int byte = 0; byte < 256; ++byte) lines += line(std::string(1, static_cast<char>(byte)), byte);
    return lines;
  }
  static std::string line(const std::string& bytes, int rank) {
    return rapt::detail::to_base64(bytes) + " " + std::to_string(rank) + "\n";
  }

  fs::path folder_;
};

/// tests/golden/make_ranks.py tells what the file holds.
const Json& ranks_golden() {
  static const Json json = [] {
    std::ifstream file(RAPT_GOLDEN_DIR "/ranks.json");
    return Json::parse(file);
  }();
  return json;
}

std::string bytes_of_digits(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

template <class Tokenizer>
void expect_tokens_of_tiktoken(const Tokenizer& tokenizer, const Json& set) {
  const auto texts = ranks_golden()["texts"].get<std::vector<std::string>>();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto ids = set["ids"][i].get<std::vector<TokenId>>();
    EXPECT_EQ(tokenizer.encode(texts[i], {.find_special = false}), ids) << texts[i];
    const auto allowed = set["allowed"][i].is_null() ? ids : set["allowed"][i].get<std::vector<TokenId>>();
    EXPECT_EQ(tokenizer.encode(texts[i]), allowed) << texts[i];
    EXPECT_EQ(tokenizer.encode_with_spans(texts[i]).ids, allowed) << texts[i];
    EXPECT_EQ(tokenizer.decode(allowed, /*skip_special=*/false),
              set["decoded"][i].is_null() ? texts[i] : bytes_of_digits(set["decoded"][i]));
    if (!set.contains("one")) continue;
    const rapt::SpecialText special{.allowed = {"<|endoftext|>"}};
    if (set["one"][i].is_null()) {
      EXPECT_THROW(static_cast<void>(rapt::encode_allowing(tokenizer, texts[i], special)), rapt::ValueError);
    } else {
      EXPECT_EQ(rapt::encode_allowing(tokenizer, texts[i], special), set["one"][i].get<std::vector<TokenId>>());
    }
  }
}

TEST_F(RankFile, GivesTheTokensOfTiktoken) {
  int coded = 0, composed = 0;
  for (const Json& set : ranks_golden()["sets"]) {
    SCOPED_TRACE(set["name"].get<std::string>() + ", " + set["ranks"].get<std::string>());
    std::string lines;
    for (const std::string line : ranks_golden()["ranks"][set["ranks"].get<std::string>()]) lines += line + "\n";
    RankEncoding encoding;
    if (set.contains("encoding")) {
      encoding = rapt::rank_encoding(set["encoding"].get<std::string>());
    } else {
      encoding.pattern = set["pattern"];
      for (const auto& [text, id] : set["special"].items()) encoding.special.push_back({text, id.get<TokenId>()});
    }
    const auto tokenizer = rapt::load_ranks(write("a.tiktoken", lines), std::move(encoding));
    std::visit([&](const auto& one) { expect_tokens_of_tiktoken(one, set); }, tokenizer);
    ++(std::holds_alternative<ByteLevelBpe>(tokenizer) ? coded : composed);
  }
  EXPECT_EQ(coded, 8);
  EXPECT_EQ(composed, 3);
}

TEST_F(RankFile, EqualJoinsHaveEqualRank) {
  // All pairs that join to "abab" have its rank, so that of two pairs the leftmost one is joined.
  const fs::path path = write(
      "a.tiktoken", byte_lines() + line("ab", 256) + line("aba", 258) + line("bab", 259) + line("abab", 257) + "\n\n");
  const auto tokenizer = std::get<ByteLevelBpe>(rapt::load_ranks(path, RankEncoding{}));
  EXPECT_EQ(tokenizer.encode("xababa"), (std::vector<TokenId>{'x', 257, 'a'}));
  EXPECT_EQ(tokenizer.encode("bababx"), (std::vector<TokenId>{'b', 257, 'x'}));
  EXPECT_EQ(tokenizer.encode("aba"), (std::vector<TokenId>{258})) << "a whole piece is its token";
  EXPECT_TRUE(tokenizer.merges().empty());
}

TEST_F(RankFile, ALongTokenLoadsInLinearTime) {
  const std::string half = std::string(200'000, 'x') + "y";
  const fs::path path = write("a.tiktoken", byte_lines() + line(half + half, 256) + line(half, 257));
  for (const char* pattern : {rapt::detail::kCl100kPattern.data(), "\\w+"}) {
    std::visit([&](const auto& one) { EXPECT_EQ(one.encode(half + half), (std::vector<TokenId>{256})); },
               rapt::load_ranks(path, RankEncoding{.pattern = pattern}));
  }
}

TEST_F(RankFile, SpecialTokensAreAllowedOrRefused) {
  const fs::path path = write("a.tiktoken", byte_lines());
  const auto tokenizer =
      std::get<ByteLevelBpe>(rapt::load_ranks(path, RankEncoding{.special = {{"<s>", 260}, {"<t>", 256}}}));
  EXPECT_EQ(tokenizer.size(), 261);
  EXPECT_EQ(tokenizer.options().unused, (std::vector<TokenId>{257, 258, 259}));
  EXPECT_EQ(rapt::encode_allowing(tokenizer, "a<s>b", {.allowed = {"<s>"}}), (std::vector<TokenId>{'a', 260, 'b'}));
  EXPECT_EQ(rapt::encode_allowing(tokenizer, "<t><s>", {.allowed = {"<s>"}, .refuse_others = false}),
            (std::vector<TokenId>{'<', 't', '>', 260}));
  EXPECT_EQ(error_text<rapt::ValueError>(
                [&] { static_cast<void>(rapt::encode_allowing(tokenizer, "a<t><s>", {.allowed = {"<s>"}})); }),
            "[encode_allowing] the text must not have the special token \"<t>\": byte 2 of 7");
  EXPECT_EQ(error_text<rapt::ValueError>(
                [&] { static_cast<void>(rapt::encode_allowing(tokenizer, "a", {.allowed = {"<u>"}})); }),
            "[encode_allowing] an allowed token must be a special one: \"<u>\"");
  EXPECT_THROW(static_cast<void>(rapt::encode_allowing(tokenizer, "a\xFF", {})), rapt::ValueError);
  std::vector<std::string> names;
  for (int byte = 0; byte < 256; ++byte)
    names.push_back(rapt::detail::name_of_bytes(std::string(1, static_cast<char>(byte))));
  const ByteLevelBpe limited(names, {}, {.max_tokens = 2});
  EXPECT_EQ(rapt::encode_allowing(limited, "aaa", {}), (std::vector<TokenId>{'a', 'a', 'a'}));
}

TEST_F(RankFile, ATokenizerOfAFolder) {
  write("tokenizer.model", byte_lines());
  const auto llama = std::get<ByteLevelBpe>(rapt::load_tokenizer(folder_));
  EXPECT_EQ(llama.size(), 512);
  EXPECT_EQ(llama.id("<|reserved_special_token_3|>"), 256 + 5);
  EXPECT_EQ(llama.id("<|reserved_special_token_4|>"), 256 + 8);
  EXPECT_EQ(llama.id("<|eot_id|>"), 256 + 9);
  EXPECT_EQ(llama.id("<|reserved_special_token_250|>"), 511);
  EXPECT_EQ(llama.encode("a<|eot_id|>"), (std::vector<TokenId>{256, 'a', 265}));
  EXPECT_EQ(std::get<ByteLevelBpe>(rapt::load_tokenizer(folder_ / "tokenizer.model")).size(), 512);
  write("params.json", R"({"use_scaled_rope": true})");
  const auto newer = std::get<ByteLevelBpe>(rapt::load_tokenizer(folder_));
  EXPECT_EQ(newer.id("<|finetune_right_pad_id|>"), 260);
  EXPECT_EQ(newer.id("<|python_tag|>"), 266);
  EXPECT_EQ(newer.id("<|reserved_special_token_2|>"), 267);
  EXPECT_EQ(newer.id("<|reserved_special_token_246|>"), 511);
  write("tokenizer_config.json", R"({"added_tokens_decoder": {"257": {"content": "<|begin_of_text|>"}}})");
  EXPECT_EQ(std::get<ByteLevelBpe>(rapt::load_tokenizer(folder_)).encode("a"), (std::vector<TokenId>{257, 'a'}));
  fs::remove(folder_ / "tokenizer_config.json");
  write("qwen.tiktoken", byte_lines());
  const auto qwen = std::get<ComposedTokenizer>(rapt::load_tokenizer(folder_));
  EXPECT_EQ(qwen.size(), 256 + 208);
  EXPECT_EQ(qwen.id("<|extra_204|>"), 463);
  EXPECT_EQ(qwen.encode("e\u0301<|im_end|>"), (std::vector<TokenId>{0xC3, 0xA9, 258})) << "NFC comes first";
  EXPECT_EQ(std::get<ByteLevelBpe>(rapt::load_tokenizer(write("gpt2.tiktoken", byte_lines()))).size(), 50257);
  EXPECT_NE(error_text<IoError>([&] {
              static_cast<void>(rapt::load_tokenizer(folder_));
            }).find("the folder has several files of ranks: \"gpt2.tiktoken\", \"qwen.tiktoken\"; load the right one"),
            std::string::npos);
  fs::remove(folder_ / "qwen.tiktoken");
  fs::remove(folder_ / "gpt2.tiktoken");
  const fs::path other = write("hy.tiktoken", byte_lines());
  EXPECT_NE(error_text<IoError>([&] {
              static_cast<void>(rapt::load_tokenizer(folder_));
            }).find("the folder has \"hy.tiktoken\", but how its ranks split texts is not known by its name"),
            std::string::npos);
  EXPECT_EQ(error_text<IoError>([&] { static_cast<void>(rapt::load_tokenizer(other)); }),
            "[tokenizer] " + other.string() +
                ": how these ranks split texts is not known by the file's name; load_ranks takes a RankEncoding");
}

TEST_F(RankFile, RanksAreNotWrittenAsMerges) {
  const fs::path path = write("a.tiktoken", byte_lines());
  for (const char* pattern : {rapt::detail::kCl100kPattern.data(), "\\w+"}) {
    const auto tokenizer = rapt::load_ranks(path, RankEncoding{.pattern = pattern});
    EXPECT_EQ(error_text<IoError>([&] { rapt::save_tokenizer(folder_ / "tokenizer.json", tokenizer); }),
              "[tokenizer] " + (folder_ / "tokenizer.json").string() +
                  ": cannot be written: no list of merges joins by rank as tiktoken does; copy the file of ranks");
  }
}

TEST_F(RankFile, FilesThatLie) {
  EXPECT_EQ(complaint("YWI=\n"),
            ":257: a line must be a token in Base64 and its rank with a space between them: \"YWI=\"");
  EXPECT_EQ(complaint("YWI 256\n"), ":257: a token must be Base64 of at least a byte: \"YWI 256\"");
  EXPECT_EQ(complaint(" 256\n"), ":257: a token must be Base64 of at least a byte: \" 256\"");
  for (const char* rank : {"", "-1", "1.5", "x", "256 ", "99999999999999999999999"}) {
    EXPECT_EQ(complaint(std::string("YWI= ") + rank + "\n"),
              std::string(":257: a rank must be a whole number: \"YWI= ") + rank + "\"");
  }
  EXPECT_EQ(complaint("YWI= 4000000000\n"),
            ":257: a rank must not be far above the number of lines: \"YWI= 4000000000\"");
  EXPECT_EQ(complaint(line("ab", 7)), ":257: a rank must occur once: 7 stands on line 8 too");
  EXPECT_EQ(complaint(line("a", 256)), ": [byte_level_bpe] a token must occur once: \"a\" has the ids 97 and 256");
  EXPECT_EQ(complaint("", {.special = {{"<s>", 7}}}),
            ": [rank_encoding] an id must be of one token: 7 is of \"<s>\" and \"\u0107\"");
  EXPECT_EQ(complaint("", {.special = {{"<s>", -1}}}),
            ": [rank_encoding] the id of \"<s>\" must be from 0 to 1048831: -1");
  EXPECT_EQ(complaint("", {.special = {{"", 256}}}), ": [rank_encoding] a special token must not be empty: id 256");
  EXPECT_EQ(complaint("", {.pattern = "(?m)a"}),
            ": [pattern] rapt does not support such a group in a regular expression: (?m)a");
  EXPECT_EQ(complaint("", {.pattern = "a", .special = {{"é", 256}}}),
            ": [rank_encoding] a special token must not be made of the characters that stand for bytes: \"é\"");
  const fs::path path = write("b.tiktoken", line("a", 0));
  for (const char* pattern : {rapt::detail::kO200kPattern.data(), "a"}) {
    EXPECT_THROW(static_cast<void>(rapt::load_ranks(path, RankEncoding{.pattern = pattern})), IoError);
  }
  EXPECT_EQ(error_text<IoError>([&] { static_cast<void>(rapt::load_ranks(write("c", "\n"), "gpt2")); }),
            "[tokenizer] " + (folder_ / "c").string() + ": no token is in the file");
  EXPECT_THROW(static_cast<void>(rapt::rank_encoding("gpt3")), rapt::ValueError);
  EXPECT_EQ(rapt::rank_encoding("o200k_harmony").special.size(), 1090u);
}

}  // namespace
