/// \file
/// What GGUF files say of a model: every check refuses with the values, tokens that a file does not name are null, and
/// files are known by their magic.
// covers: pretrained/gguf_model.hpp, pretrained/gguf_tokenizer.hpp
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/io/gguf.hpp"
#include "rapt/pretrained/gguf_model.hpp"
#include "rapt/pretrained/gguf_tokenizer.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/gguf_bytes.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt_test::GgufBytes;

/// A small model of an architecture, whose heads have four columns, with the settings that every model needs but for
/// `left_out`.
GgufBytes gguf_model(const std::string& architecture, const std::string& left_out = "") {
  GgufBytes file;
  file.set("general.architecture", architecture);
  for (const auto& [name, value] :
       {std::pair{"embedding_length", 8u}, std::pair{"block_count", 1u}, std::pair{"attention.head_count", 2u},
        std::pair{"feed_forward_length", 8u}, std::pair{"context_length", 16u}}) {
    if (name != left_out) file.set(architecture + "." + name, value);
  }
  return file;
}

struct GgufSettingsTest : testing::Test {
  rapt_test::TemporaryFolder folder;

  std::filesystem::path write(const GgufBytes& file, const std::string& name = "x.gguf") const {
    std::ofstream(folder.path() / name, std::ios::binary) << file.bytes();
    return folder.path() / name;
  }
  nlohmann::json config(GgufBytes file) const {
    file.tensor("token_embd.weight", {8, 2}, std::vector<float>(16, 1.0f), 0);
    return rapt::detail::GgufSettings(rapt::GgufFile(write(file))).config();
  }
  void expect_refusal(const GgufBytes& file, const std::string& part) const {
    rapt_test::expect_message<rapt::IoError>([&] { static_cast<void>(config(file)); }, part);
  }
  /// With divisors of Llama 3.1's scaling behind the embeddings.
  static GgufBytes with_divisors(const std::vector<float>& divisors, std::uint32_t key_length = 4) {
    GgufBytes file = gguf_model("llama");
    file.set("llama.attention.key_length", key_length);
    file.tensor("rope_freqs.weight", {divisors.size()}, divisors, 64);
    return file;
  }
};

TEST_F(GgufSettingsTest, TokensThatTheFileDoesNotNameAreNull) {
  const nlohmann::json none = config(gguf_model("llama"));
  for (const char* name : {"bos_token_id", "eos_token_id", "pad_token_id"})
    EXPECT_TRUE(none.at(name).is_null()) << name;
  const nlohmann::json some =
      config(gguf_model("llama").set("tokenizer.ggml.bos_token_id", 0u).set("tokenizer.ggml.eot_token_id", 5u));
  EXPECT_EQ(some.at("bos_token_id"), 0);
  EXPECT_EQ(some.at("eos_token_id"), nlohmann::json::array({5}));
  EXPECT_TRUE(some.at("pad_token_id").is_null());
}

TEST_F(GgufSettingsTest, MissingSettingsAreNamed) {
  for (const char* name : {"embedding_length", "block_count", "feed_forward_length", "context_length"}) {
    expect_refusal(gguf_model("llama", name), std::string("the setting \"llama.") + name + "\" is missing");
  }
  expect_refusal(gguf_model("llama", "block_count").set("llama.block_count", 0u), "\"llama.block_count\" is 0, wanted");
  rapt_test::expect_message<rapt::IoError>(
      [&] { static_cast<void>(rapt::detail::GgufSettings(rapt::GgufFile(write(gguf_model("llama")))).config()); },
      "there is no matrix \"token_embd.weight\"");
}

TEST_F(GgufSettingsTest, WhatNoModelHereHasIsRefused) {
  expect_refusal(gguf_model("llama").set("llama.expert_count", 8u), "is a mixture of 8 experts");
  expect_refusal(gguf_model("llama").set("llama.rope.dimension_count", 2u),
                 "rope.dimension_count is 2, wanted are all columns of a head: 4");
  expect_refusal(gguf_model("llama").set("llama.attention.value_length", 2u),
                 "attention.value_length is 2, wanted is that of keys: 4");
  expect_refusal(gguf_model("llama").set("llama.rope.scaling.type", std::string("longrope")),
                 "rope.scaling.type is \"longrope\"");
  expect_refusal(gguf_model("llama").set("llama.rope.scaling.type", 1u),
                 "\"llama.rope.scaling.type\" has a value of another type");
}

TEST_F(GgufSettingsTest, HeadsOfLessThanTwoColumnsAreRefused) {
  for (const std::uint32_t length : {0u, 1u}) {
    expect_refusal(gguf_model("llama").set("llama.attention.key_length", length), "wanted are at least 2");
    expect_refusal(with_divisors({}, length), "wanted are at least 2");
  }
  expect_refusal(gguf_model("llama", "attention.head_count").set("llama.attention.head_count", 8u),
                 "a head has 1 columns (\"llama.attention.key_length\", or 8 / 8)");
}

TEST_F(GgufSettingsTest, DivisorsOfFrequencies) {
  const nlohmann::json scaling = config(with_divisors({1, 1})).at("rope_scaling");
  EXPECT_EQ(scaling.at("rope_type"), "llama3");
  expect_refusal(with_divisors({}), "rope_freqs.weight has 0 numbers, wanted are 2");
  expect_refusal(with_divisors({1, 1, 1}), "rope_freqs.weight has 3 numbers, wanted are 2");
  expect_refusal(with_divisors({1, 2}), "is not that of Llama 3.1's scaling by 2: divisor 1 is 2, wanted is 1");
  expect_refusal(with_divisors({NAN, 1}), "is not that of Llama 3.1's scaling");
  expect_refusal(with_divisors({0, 0}), "is not that of Llama 3.1's scaling by 0");
  expect_refusal(with_divisors({1, 1}).set("llama.rope.scaling.type", std::string("yarn")),
                 "has rope_freqs.weight beside rope.scaling.type \"yarn\"");
}

TEST_F(GgufSettingsTest, PartsOfAModelAreNamed) {
  GgufBytes file = gguf_model("llama");
  file.set("split.count", 3u).set("split.no", 0u);
  const auto refuse = [&](const std::string& name, const std::string& part) {
    const std::filesystem::path path = write(file, name);
    rapt_test::expect_message<rapt::IoError>([&] { rapt::detail::GgufSettings{rapt::GgufFile(path)}; }, part);
  };
  refuse("m-00001-of-00003.gguf", "the parts \"m-00001-of-00003.gguf\" to \"m-00003-of-00003.gguf\" of a model");
  refuse("m-00001-of-00003.gguf", "llama-gguf-split --merge");
  EXPECT_NO_THROW(config(gguf_model("llama").set("split.count", 1u)));
}

/// A byte-level tokenizer whose texts begin with `begin`.
TEST_F(GgufSettingsTest, WhatStandsAroundTexts) {
  const auto read = [&](const std::string& begin) {
    GgufBytes file;
    file.set("tokenizer.ggml.model", std::string("gpt2")).set("tokenizer.ggml.pre", std::string("llama-bpe"));
    file.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", begin});
    file.set("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 1, 3});
    file.set("tokenizer.ggml.merges", std::vector<std::string>{"a b"}).set("tokenizer.ggml.bos_token_id", 3u);
    return rapt::detail::GgufTokenizer(rapt::GgufFile(write(file))).read();
  };
  const rapt::PretrainedTokenizer tokenizer = read("<s>");
  EXPECT_EQ(std::visit([](const auto& one) { return one.encode("ab"); }, tokenizer),
            (std::vector<rapt::TokenId>{3, 2}));
  for (const char* text : {"$A", "$B"}) {
    rapt_test::expect_message<rapt::IoError>([&] { static_cast<void>(read(text)); },
                                             std::string("\"tokenizer.ggml.bos_token_id\" is the token \"") + text);
  }
}

TEST_F(GgufSettingsTest, FilesAreKnownByTheirMagic) {
  using rapt::detail::is_gguf;
  EXPECT_TRUE(is_gguf(write(gguf_model("llama"), "sha256-0123")));
  EXPECT_TRUE(is_gguf(folder.path() / "mistyped.gguf"));
  EXPECT_FALSE(is_gguf(folder.path() / "mistyped"));
  EXPECT_FALSE(is_gguf(folder.path()));
  std::ofstream(folder.path() / "short") << "GG";
  EXPECT_FALSE(is_gguf(folder.path() / "short"));
  std::filesystem::create_directory(folder.path() / "folder.gguf");
  EXPECT_FALSE(is_gguf(folder.path() / "folder.gguf"));
  rapt_test::expect_message<rapt::IoError>([&] { rapt::GgufFile{folder.path() / "mistyped.gguf"}; },
                                           "mistyped.gguf: cannot open: No such file");
}

}  // namespace
