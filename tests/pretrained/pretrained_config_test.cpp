/// \file
/// The configs of all models and settings: what is written holds no null, is read back as the same, and says what
/// begins and ends generated sequences.
// covers: pretrained/decoder_keys.hpp, pretrained/pretrained_format.hpp
#include "rapt/pretrained/pretrained_config.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/sampling.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/saved_models.hpp"

namespace {

using rapt::Gpt;
using rapt::GptConfig;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::TemporaryFolder;
using Tokens = std::vector<TokenId>;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// True for keys whose absence means another value than null: Phi-3 and Gemma have a padding token, decoders begin and
/// end tokens, Gemma 2 two soft caps.
bool may_be_null(const std::string& key) {
  return key == "pad_token_id" || key == "bos_token_id" || key == "eos_token_id" || key == "attn_logit_softcapping" ||
         key == "final_logit_softcapping";
}

/// True if null, or an empty list or object that says nothing, stands anywhere in it.
bool says_nothing_somewhere(const nlohmann::json& json) {
  if (!json.is_structured()) return json.is_null();
  for (const auto& [key, value] : json.items()) {
    const bool may_be_empty = key == "cutoffs";  // of which an absent key means others
    if (value.is_null() && may_be_null(key)) continue;
    if ((value.is_structured() && value.empty() && !may_be_empty) || says_nothing_somewhere(value)) return true;
  }
  return false;
}

template <class T>
void expect_same(const rapt::Tensor<T>& a, const rapt::Tensor<T>& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_TRUE(std::equal(a.values().begin(), a.values().end(), b.values().begin()));
}

TEST(PretrainedConfig, WhatIsWrittenHoldsNoNullAndIsReadBackAsTheSame) {
  int cases = 0;
  rapt_test::for_each_saved_model<float>([&](const std::string& name, const auto& model) {
    SCOPED_TRACE(name);
    ++cases;
    using M = std::remove_cvref_t<decltype(model)>;
    const TemporaryFolder first, second;
    rapt::save_pretrained(first.path(), model);
    const M again = rapt::from_pretrained<M>(first.path());
    rapt::save_pretrained(second.path(), again);
    for (const char* file : {"config.json", "generation_config.json", "model.safetensors"}) {
      EXPECT_EQ(text_of(first.path() / file), text_of(second.path() / file)) << file;
    }
    const auto json = nlohmann::json::parse(text_of(first.path() / "config.json"));
    EXPECT_FALSE(says_nothing_somewhere(json)) << json.dump(1);
    EXPECT_FALSE(json["architectures"].at(0).get<std::string>().empty());
    EXPECT_EQ(json["torch_dtype"], "float32");
    if constexpr (requires { model.sequence_marks(); }) {
      EXPECT_EQ(again.sequence_marks(), model.sequence_marks());
      if (std::filesystem::exists(first.path() / "generation_config.json")) {
        const auto generation = nlohmann::json::parse(text_of(first.path() / "generation_config.json"));
        EXPECT_TRUE(generation.is_object() && !says_nothing_somewhere(generation)) << generation.dump(1);
      }
    }
    const auto before = rapt_test::run_saved(model), after = rapt_test::run_saved(again);
    for (const auto& [output, numbers] : before.outputs) expect_same(numbers, after.outputs.at(output));
  });
  EXPECT_GE(cases, 115);
}

TEST(PretrainedConfig, WhatCannotBeWrittenLeavesNoFile) {
  const auto error = [](const auto& change) {
    GptConfig config{.vocabulary = 5, .positions = 4, .d_model = 4, .layers = 1, .heads = 2};
    change(config);
    rapt::Rng rng(1);
    const TemporaryFolder folder;
    const std::string text =
        rapt_test::error_text<rapt::ValueError>([&] { rapt::save_pretrained(folder.path(), Gpt<float>(config, rng)); });
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
    return text;
  };
  EXPECT_EQ(error([](auto& c) { c.norm_epsilon = std::numeric_limits<double>::infinity(); }),
            "[pretrained] \"layer_norm_epsilon\" must be finite: inf");
  EXPECT_EQ(error([](auto& c) {
              c.end_tokens = {2, -1};
            }),
            "[pretrained] \"eos_token_id\" must be a whole number from 0 to 999999999: -1");
  EXPECT_EQ(error([](auto& c) { c.suppressed_tokens = {-3}; }),
            "[pretrained] \"suppress_tokens\" must be a whole number from 0 to 999999999: -3");
  rapt::VitConfig vit;
  vit.grid = {.image = {.channels = 1, .height = 4, .width = 4}, .patch_height = 4, .patch_width = 4};
  vit.d_model = vit.heads = vit.layers = vit.d_ff = 1;
  vit.labels = {"\xff"};
  rapt::Rng rng(1);
  const TemporaryFolder folder;
  EXPECT_NE(rapt_test::error_text<rapt::ValueError>([&] {
              rapt::save_pretrained(folder.path(), rapt::Vit<float>(vit, rng));
            }).find("invalid UTF-8"),
            std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

/// A GPT that says token t + 1 behind token t, in a folder whose JSON files a test changes.
struct CountingGpt : testing::Test {
  static constexpr rapt::Index kTokens = 9;
  TemporaryFolder folder;
  nlohmann::json config, generation;

  CountingGpt() {
    GptConfig settings{.vocabulary = kTokens, .positions = 40, .d_model = 12, .layers = 1, .heads = 2};
    settings.tie_embeddings = false;
    rapt::Rng rng(1);
    Gpt<float> model(settings, rng);
    rapt::for_each_parameter(model, [](const std::string& name, auto& p) {
      auto& value = p.mutable_value();
      if (!name.starts_with("norm.")) value.fill(0.f);
      if (name != "embedding.weight" && name != "output.weight") return;
      for (rapt::Index t = 0; t < kTokens; ++t) {
        const rapt::Index column = name == "embedding.weight" ? (t + 1) % kTokens : t;
        value(t, column) = 20;
      }
    });
    rapt::save_pretrained(folder.path(), model);
    config = nlohmann::json::parse(text_of(folder.path() / "config.json"));
  }

  [[nodiscard]] Gpt<float> load() const {
    std::ofstream(folder.path() / "config.json") << config;
    std::filesystem::remove(folder.path() / "generation_config.json");
    if (!generation.is_null()) std::ofstream(folder.path() / "generation_config.json") << generation;
    return rapt::from_pretrained<Gpt<float>>(folder.path());
  }
  /// By every search, with its default options but for the length.
  static void expect_continues(const Gpt<float>& model, const Tokens& prompt, const Tokens& expected) {
    TokenBatch prompts;
    prompts.push_back(prompt);
    const rapt::GenerationOptions options{.extra_length = 12};
    EXPECT_EQ(rapt::greedy_search(model, prompts, options)[0].tokens, expected);
    EXPECT_EQ(rapt::beam_search(model, prompts, {.beam_size = 2, .generation = options})[0].tokens, expected);
    EXPECT_EQ(rapt::sample(model, prompts, {.generation = options})[0][0].tokens, expected);
  }
};

const Tokens kEndless = {2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4};

TEST_F(CountingGpt, EndsWhereConfigJsonSays) {
  config["eos_token_id"] = 5;
  expect_continues(load(), {1}, {2, 3, 4});  // and not at 2
  config["eos_token_id"] = {7, 4};
  expect_continues(load(), {1}, {2, 3});
  expect_continues(load(), {4}, {5, 6});
}

TEST_F(CountingGpt, NothingEndsItWhereNoFileNamesAnEnd) {
  expect_continues(load(), {1}, kEndless);
  for (const nlohmann::json& none : {nlohmann::json(), nlohmann::json(-1), nlohmann::json::array()}) {
    config["eos_token_id"] = none;
    expect_continues(load(), {1}, kEndless);
  }
}

TEST_F(CountingGpt, WithoutKeysTokensAreTransformersDefaults) {
  const auto read = [](const nlohmann::json& json) {
    return rapt::detail::config_from_json<GptConfig>(json, "config.json");
  };
  const GptConfig absent = read({{"model_type", "gpt2"}});
  EXPECT_EQ(absent.begin_token, 50256);
  EXPECT_EQ(absent.end_tokens, (Tokens{50256}));
  const GptConfig none = read({{"model_type", "gpt2"}, {"bos_token_id", nullptr}, {"eos_token_id", nullptr}});
  EXPECT_EQ(none.begin_token, std::nullopt);
  EXPECT_TRUE(none.end_tokens.empty());
  const GptConfig few = read({{"model_type", "gpt2"}, {"vocab_size", 50256}});  // which do not have the token
  EXPECT_EQ(few.begin_token, std::nullopt);
  EXPECT_TRUE(few.end_tokens.empty());
}

TEST_F(CountingGpt, GenerationConfigJsonWins) {
  config["eos_token_id"] = 5;
  config["bos_token_id"] = 6;
  generation = {{"eos_token_id", {7, 8}}, {"max_length", 20}, {"_from_model_config", true}};
  expect_continues(load(), {1}, {2, 3, 4, 5, 6});
  EXPECT_FALSE(load().config().begin_token.has_value());  // absent there is none, as in transformers
  generation = {{"eos_token_id", 4}};
  expect_continues(load(), {1}, {2, 3});
  generation = {{"eos_token_id", nullptr}};
  expect_continues(load(), {1}, kEndless);
  generation = nlohmann::json::object();
  expect_continues(load(), {1}, kEndless);
}

TEST_F(CountingGpt, BeginsAnEmptyPromptWithItsBeginToken) {
  config["bos_token_id"] = 3;
  config["eos_token_id"] = 6;
  expect_continues(load(), {}, {4, 5});
  generation = {{"bos_token_id", 4}, {"eos_token_id", 6}};
  expect_continues(load(), {}, {5});
}

TEST_F(CountingGpt, SuppressedTokensNeverCome) {
  generation = {{"suppress_tokens", {4, 5}}};
  const auto found = rapt::greedy_search(load(), TokenBatch({{1}}), {.extra_length = 12})[0].tokens;
  EXPECT_EQ((Tokens{found[0], found[1]}), (Tokens{2, 3}));
  EXPECT_EQ(std::count(found.begin(), found.end(), 4) + std::count(found.begin(), found.end(), 5), 0);
}

TEST_F(CountingGpt, WithoutGenerationConfigJsonTheOtherStandsForIt) {
  config["suppress_tokens"] = {2};
  config["eos_token_id"] = 5;
  EXPECT_EQ(load().sequence_marks().suppressed, (Tokens{2}));
  generation = {{"eos_token_id", 6}};
  EXPECT_TRUE(load().sequence_marks().suppressed.empty());
}

TEST_F(CountingGpt, APaddingTokenStaysThatGenerationConfigJsonDoesNotName) {
  config["pad_token_id"] = 8;
  generation = {{"eos_token_id", 6}};
  EXPECT_EQ(load().config().pad_token, 8);
  generation["pad_token_id"] = 7;
  EXPECT_EQ(load().config().pad_token, 7);
  generation["pad_token_id"] = -1;
  EXPECT_EQ(load().config().pad_token, std::nullopt);
}

TEST_F(CountingGpt, SavingKeepsTheTokens) {
  config["eos_token_id"] = 5;
  generation = {{"eos_token_id", {7, 4}}, {"pad_token_id", 8}, {"suppress_tokens", {2}}};
  const TemporaryFolder saved;
  rapt::save_pretrained(saved.path(), load());
  const auto written = nlohmann::json::parse(text_of(saved.path() / "generation_config.json"));
  EXPECT_EQ(written, generation);
  EXPECT_EQ(nlohmann::json::parse(text_of(saved.path() / "config.json"))["eos_token_id"], nlohmann::json({7, 4}));
}

TEST_F(CountingGpt, ABrokenGenerationConfigIsNamed) {
  const auto error = [&](const std::string& text) {
    std::ofstream(folder.path() / "generation_config.json") << text;
    return rapt_test::error_text<rapt::IoError>([&] { (void)rapt::from_pretrained<Gpt<float>>(folder.path()); });
  };
  EXPECT_NE(error("{").find("generation_config.json: is not a JSON object"), std::string::npos);
  EXPECT_NE(error("[]").find("generation_config.json: is not a JSON object"), std::string::npos);
  const std::string text = error(R"({"eos_token_id": "end"})");
  EXPECT_NE(text.find("generation_config.json: \"eos_token_id\" must be"), std::string::npos) << text;
}

rapt::MarianConfig read_marian(const nlohmann::json& more, const nlohmann::json& generation) {
  nlohmann::json json = {{"model_type", "marian"}, {"vocab_size", 20}, {"d_model", 4}};
  for (const auto& [key, value] : more.items()) json[key] = value;
  auto config = rapt::detail::config_from_json<rapt::MarianConfig>(json, "config.json");
  if (!generation.is_null()) rapt::detail::read_generation_keys(config, generation, "generation_config.json");
  return config;
}

TEST(PretrainedConfig, TheFirstTokenOfMariansDecoder) {
  EXPECT_EQ(read_marian({{"decoder_start_token_id", 7}, {"bos_token_id", 8}}, {}).begin_token, 7);
  EXPECT_EQ(read_marian({{"decoder_start_token_id", nullptr}, {"bos_token_id", 8}}, {}).begin_token, 8);
  EXPECT_EQ(read_marian({{"decoder_start_token_id", 7}}, {{"decoder_start_token_id", 9}}).begin_token, 9);
  EXPECT_EQ(read_marian({{"decoder_start_token_id", 7}}, {{"bos_token_id", 9}}).begin_token, 9);
  EXPECT_EQ(read_marian({{"decoder_start_token_id", 7}}, nlohmann::json::object()).begin_token, 7);
  EXPECT_EQ(read_marian({}, {{"forced_bos_token_id", 3}}).forced_begin_token, 3);
}

TEST(PretrainedConfig, AbsentTokensOfMarianAreHuggingFacesDefaults) {
  for (const nlohmann::json& keys : {nlohmann::json::object(), nlohmann::json{{"bos_token_id", 8}}}) {
    const rapt::MarianConfig config = read_marian(keys, {});
    EXPECT_EQ(config.begin_token, 58100);
    EXPECT_EQ(config.end_tokens, Tokens{0});
    EXPECT_EQ(config.forced_end_tokens, Tokens{0});
    EXPECT_EQ(config.pad_token, 58100);
  }
  EXPECT_EQ(read_marian({{"pad_token_id", -1}}, {}).pad_token, std::nullopt);
}

rapt::LlamaConfig read_llama(const nlohmann::json& json) {
  return rapt::detail::config_from_json<rapt::LlamaConfig>(json, "config.json");
}

TEST(PretrainedConfig, WhatAbsentKeysMeanInEachFamilyOfLlama) {
  EXPECT_EQ(read_llama({{"model_type", "llama"}}).key_value_heads, std::nullopt);
  EXPECT_EQ(read_llama({{"model_type", "mistral"}}).key_value_heads, 8);
  EXPECT_EQ(read_llama({{"model_type", "qwen2"}}).key_value_heads, 32);
  EXPECT_EQ(read_llama({{"model_type", "mistral"}, {"num_key_value_heads", nullptr}}).key_value_heads, std::nullopt);
  EXPECT_EQ(read_llama({{"model_type", "llama"}}).d_ff, 11008);
  EXPECT_EQ(read_llama({{"model_type", "mistral"}}).d_ff, 14336);
  EXPECT_EQ(read_llama({{"model_type", "qwen2"}}).d_ff, 22016);
  EXPECT_EQ(read_llama({{"model_type", "qwen2"}}).vocabulary, 151936);
}

}  // namespace
