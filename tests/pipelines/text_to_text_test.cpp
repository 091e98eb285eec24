/// \file
/// Folders say how texts are generated, and calls what is to be otherwise: the texts are those of transformers'
/// `generate` with the same settings (tests/golden/make_pipelines.py).
// covers: pipelines/text_to_text.hpp, pipelines/text_completer.hpp, pipelines/generate_options.hpp
#include "rapt/pipelines/text_to_text.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rapt/pipelines/text_completer.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"
#include "tests/pipelines/golden_folder.hpp"

namespace {

using nlohmann::json;
using rapt::IoError;
using rapt::ValueError;
using rapt_test::expect_message;
using rapt_test::GoldenFolder;
using Texts = std::vector<std::string>;

const rapt_test::PipelineGolden& golden_generated() {
  static const rapt_test::PipelineGolden golden("pipelines");
  return golden;
}

/// Compares with lists of texts.
void expect_generated_texts(const std::vector<std::vector<rapt::Translation>>& found, const json& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    Texts texts;
    for (const rapt::Translation& one : found[i]) texts.push_back(one.text);
    EXPECT_EQ(texts, expected[i].get<Texts>()) << i;
  }
}
/// Compares with lists of tokens, as bytes of them need not be text.
void expect_generated_tokens(const std::vector<std::vector<rapt::Completion>>& found, const json& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    std::vector<std::vector<rapt::TokenId>> tokens;
    for (const rapt::Completion& one : found[i]) tokens.push_back(one.tokens);
    EXPECT_EQ(json(tokens), expected[i]) << i;
  }
}

Texts first_texts(const json& texts, std::size_t count) {
  return Texts(texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(count));
}

TEST(TextToText, ObeysTheFolderAndTheCall) {
  const rapt_test::HighestPrecision scope;
  const json& expected = golden_generated()["t5"];
  const GoldenFolder folder(golden_generated(), "t5");
  const Texts texts = expected["texts"];
  expect_generated_texts(rapt::TextToText(folder)(texts), expected["plain"]);
  expect_generated_texts(rapt::TextToText(folder)(first_texts(texts, 10),
                                                  {.max_new_tokens = 5, .num_beams = 3, .num_return_sequences = 2}),
                         expected["beams"]);
}

/// The settings of the task in config.json take the place of those of generation_config.json.
TEST(TextToText, ObeysTheSettingsOfTasks) {
  const rapt_test::HighestPrecision scope;
  const json& expected = golden_generated()["t5"];
  const GoldenFolder folder(golden_generated(), "t5");
  json generation = json::parse(std::ifstream(folder.path() / "generation_config.json"));
  generation.erase("max_new_tokens");
  std::ofstream(folder.path() / "generation_config.json") << generation;
  const Texts texts = expected["texts"];
  const auto summarize = rapt::summarizer(folder);
  EXPECT_EQ(summarize.prefix(), "the cat: ");
  expect_generated_texts(summarize(texts), expected["summarization"]);
  expect_generated_texts(rapt::text_translator(folder, "en", "de")(texts), expected["translation_en_to_de"]);
  const auto found = summarize(Texts{texts[0], " "});
  EXPECT_EQ(found[1].front().text, "");
  EXPECT_TRUE(summarize(Texts()).empty());
  EXPECT_NE(summarize(Texts{texts[0]}, {.max_length = 6})[0].front().text, found[0].front().text);
}

/// The files of the settings are read once.
TEST(TextToText, TheFolderMayGoWhenTheModelIsOpen) {
  const GoldenFolder folder(golden_generated(), "t5"), gpt(golden_generated(), "gpt");
  const rapt::TextToText transform(folder);
  const auto complete = rapt::text_completer(gpt);
  const Texts texts = first_texts(golden_generated()["t5"]["texts"], 3);
  const auto before = transform(texts);
  const auto completed = complete(texts);
  for (const auto& path : {folder.path(), gpt.path()}) {
    for (const char* file : {"config.json", "generation_config.json"}) std::filesystem::remove(path / file);
  }
  const auto after = transform(texts);
  const auto completed_after = complete(texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(after[i].front().text, before[i].front().text);
    EXPECT_EQ(completed_after[i].front().tokens, completed[i].front().tokens);
  }
}

TEST(TextToText, AFolderWithoutTasksDoesWhatItDoes) {
  const GoldenFolder folder(golden_generated(), "t5");
  json config = json::parse(std::ifstream(folder.path() / "config.json"));
  config["task_specific_params"] = json::object();
  std::ofstream(folder.path() / "config.json") << config;
  const auto summarize = rapt::summarizer(folder);
  EXPECT_EQ(summarize.prefix(), "");
  const Texts texts = first_texts(golden_generated()["t5"]["texts"], 3);
  EXPECT_EQ(summarize(texts)[0].front().text, rapt::TextToText(folder)(texts)[0].front().text);
}

TEST(TextToText, SamplingDependsOnTheSeedAlone) {
  const GoldenFolder folder(golden_generated(), "t5");
  const rapt::TextToText draw(folder);
  const Texts texts = golden_generated()["t5"]["texts"];
  const auto with_seed = [&](std::uint64_t seed) {
    Texts drawn;
    for (const auto& one : draw(texts, {.do_sample = true, .temperature = 2.f, .seed = seed})) {
      drawn.push_back(one.front().text);
    }
    return drawn;
  };
  EXPECT_EQ(with_seed(3), with_seed(3));
  EXPECT_NE(with_seed(3), with_seed(4));
}

TEST(TextToText, WrongFoldersTasksAndTextsAreRefused) {
  const GoldenFolder folder(golden_generated(), "t5"), gpt(golden_generated(), "gpt");
  expect_message<IoError>([&] { (void)rapt::text_translator(folder, "en", "fr"); },
                          Texts{"the model has no task \"translation_en_to_fr\", but these: summarization"});
  expect_message<IoError>([&] { (void)rapt::summarizer(gpt); },
                          Texts{"the model is of type \"gpt2\"", "known for this task are t5, marian"});
  expect_message<IoError>([&] { (void)rapt::text_completer(folder); }, "known for this task are gpt2, llama");
  expect_message<ValueError>([&] { (void)rapt::TextToText(folder)(Texts{"a\xFF"}); }, "must be UTF-8");
  expect_message<IoError>([&] { (void)rapt::TextToText(folder)(Texts{"a"}, {.num_beams = 2, .do_sample = true}); },
                          "rapt has no beam search that draws tokens");
  json config = json::parse(std::ifstream(folder.path() / "config.json"));
  config["task_specific_params"]["summarization"]["prefix"] = 3;
  std::ofstream(folder.path() / "config.json") << config;
  expect_message<IoError>([&] { (void)rapt::summarizer(folder); }, "\"prefix\" must be a string");
}

TEST(TextCompleter, ObeysTheFolderAndTheCall) {
  const rapt_test::HighestPrecision scope;
  const json& expected = golden_generated()["gpt"];
  const GoldenFolder folder(golden_generated(), "gpt");
  const auto complete = rapt::text_completer(folder);
  const Texts texts = expected["texts"];
  expect_generated_tokens(complete(texts), expected["plain"]);
  expect_generated_tokens(
      complete(first_texts(texts, 10),
               {.max_new_tokens = 4, .num_beams = 3, .num_return_sequences = 2, .repetition_penalty = 1.f}),
      expected["beams"]);
  EXPECT_TRUE(complete(Texts()).empty());
}

}  // namespace
