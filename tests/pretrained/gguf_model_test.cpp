/// \file
/// Models and tokenizers in GGUF files: logits, tokens and completions equal those of transformers, tokenizers and
/// sentencepiece for what the files were made of.
// covers: pretrained/gguf_tokenizer.hpp
#include "rapt/pretrained/gguf_model.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "rapt/pipelines/text_completer.hpp"
#include "rapt/pretrained/gemma.hpp"
#include "rapt/pretrained/llama.hpp"
#include "rapt/pretrained/tokenizer_files.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt_test::expect_message;

std::string gguf_path(const std::string& name) { return std::string(RAPT_GOLDEN_DIR) + "/gguf_" + name + ".gguf"; }

template <template <class> class Model>
void expect_gguf_logits(const std::string& name) {
  SCOPED_TRACE(name);
  const rapt::SafetensorsFile golden(std::string(RAPT_GOLDEN_DIR) + "/gguf_models.safetensors");
  const auto model = rapt::from_pretrained<Model<float>>(gguf_path(name));
  const auto ids = golden.read<std::int64_t>(name + "/ids");
  rapt::TokenBatch batch;
  batch.push_back(std::vector<rapt::TokenId>(ids.values().begin(), ids.values().end()));
  const rapt::Tensor<float> logits = model(batch).value();
  const auto expected = golden.read<float>(name + "/logits");
  rapt::Tensor<float> first(expected.shape());  // columns
  first.matrix() = logits.matrix().leftCols(expected.cols());
  rapt_test::expect_close(first, expected, 1e-5);
}

TEST(GgufModel, LogitsAreThoseOfTransformers) {
  for (const char* name : {"llama", "llama3", "qwen2", "qwen3"}) expect_gguf_logits<rapt::Llama>(name);
  for (const char* name : {"gemma2", "gemma3"}) expect_gguf_logits<rapt::Gemma>(name);
}

TEST(GgufModel, SettingsAreThoseOfTheFile) {
  const rapt::PretrainedFolder llama3(gguf_path("llama3")), gemma3(gguf_path("gemma3"));
  EXPECT_EQ(llama3.config().at("rope_scaling").at("rope_type"), "llama3");
  EXPECT_EQ(llama3.config().at("rope_scaling").at("factor"), 8.0);
  EXPECT_EQ(llama3.config().at("tie_word_embeddings"), true);
  EXPECT_EQ(gemma3.config().at("sliding_window_pattern"), 6);
  EXPECT_EQ(rapt::pretrained_type(gguf_path("gemma3")), "gemma3_text");
  expect_message<rapt::IoError>([] { rapt::PretrainedFolder{gguf_path("types")}; },
                                "general.architecture is \"none\", known are llama, qwen2, qwen3, gemma2, gemma3");
  expect_message<rapt::IoError>(
      [] { static_cast<void>(rapt::from_pretrained<rapt::Gemma<float>>(gguf_path("llama"))); },
      "\"model_type\" is \"llama\"");
}

TEST(GgufModel, TokensAndCompletionsAreThoseOfWhatItWasMadeOf) {
  const auto golden = nlohmann::json::parse(std::ifstream(std::string(RAPT_GOLDEN_DIR) + "/gguf_texts.json"));
  EXPECT_EQ(golden.size(), 4u);
  for (const auto& [name, expected] : golden.items()) {
    SCOPED_TRACE(name);
    const rapt::PretrainedTokenizer tokenizer = rapt::load_tokenizer(gguf_path(name));
    for (const nlohmann::json& one : expected.at("ids of texts")) {
      const std::string text = one[0];
      const auto ids = std::visit([&](const auto& of) { return of.encode(text); }, tokenizer);
      EXPECT_EQ(ids, one[1].get<std::vector<rapt::TokenId>>()) << text;
    }
    const auto complete = rapt::text_completer(gguf_path(name));
    const std::vector<std::string> prompts = {expected.at("prompt")};
    EXPECT_EQ(complete(prompts, {.max_new_tokens = 6})[0][0].tokens,
              expected.at("completion").get<std::vector<rapt::TokenId>>());
  }
}

TEST(GgufModel, TokenizersThatAreNotKnownAreNamed) {
  expect_message<rapt::IoError>([] { static_cast<void>(rapt::load_tokenizer(gguf_path("qwen3"))); },
                                "holds no tokenizer");
}

}  // namespace
