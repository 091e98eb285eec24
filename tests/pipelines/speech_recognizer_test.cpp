/// \file
/// Speech recognition against transformers': from a WAV file's bytes to text, with a model from a folder.
// covers: pretrained/preprocessor_json.hpp
#include "rapt/pipelines/speech_recognizer.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/common/expect_close.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::Index;
using rapt::Sound;
using rapt::Tensor;
using rapt_test::expect_message;

/// The folder of the golden file and what transformers made of it.
class Speech : public testing::Test {
 protected:
  Speech() {
    write("tokenizer.json", info_["tokenizer"]), write("preprocessor_config.json", info_["processor"]);
    write("generation_config.json", info_["generation"]);
  }
  void write(const std::string& name, const nlohmann::json& json) const { std::ofstream(path() / name) << json.dump(); }
  [[nodiscard]] const std::filesystem::path& path() const { return case_.folder.path(); }
  [[nodiscard]] Sound sound() const {
    const auto bytes = file_.read<std::uint8_t>("sound");
    return rapt::decode_wav(bytes.values(), "sound.wav");
  }
  /// The sound from the beginning of the second window on.
  [[nodiscard]] Sound rest() const {
    Sound all = sound();
    all.samples.erase(all.samples.begin(), all.samples.begin() + 16000);
    return all;
  }

  rapt::SafetensorsFile file_{std::string(RAPT_GOLDEN_DIR) + "/speech.safetensors"};
  nlohmann::json info_ = nlohmann::json::parse(file_.metadata().at("info"));
  rapt_test::PretrainedCase case_{"speech", "whisper"};
};

TEST_F(Speech, WritesWhatTransformersWrites) {
  const rapt::Precision before = rapt::precision();
  rapt::set_precision(rapt::Precision::highest);  // with bfloat16 another token may be the most probable
  const auto recognizer = rapt::speech_recognizer(path());
  EXPECT_EQ(info_["texts"].size(), 2u);
  for (const auto& [name, wanted] : info_["texts"].items()) {
    const rapt::SpeechRecognitionOptions options{.language = wanted["language"],
                                                 .translate = wanted["task"] == "translate"};
    EXPECT_EQ(recognizer(sound(), options), wanted["text"]) << name;
  }
  const std::string detected = info_["language"];  // "<|de|>", in which the first of the texts is written
  EXPECT_EQ("<|" + recognizer.language(sound()) + "|>", detected);
  EXPECT_EQ(recognizer(sound()), info_["texts"]["german"]["text"]);
  rapt::set_precision(before);
}

TEST_F(Speech, WindowsAreTranscribedByThemselves) {
  const auto recognizer = rapt::speech_recognizer(path());
  Sound first = sound();
  first.samples.resize(16000);
  const rapt::SpeechRecognitionOptions german{.language = "de"};
  const std::string whole = recognizer(sound(), german), begin = recognizer(first, german);
  EXPECT_TRUE(whole.starts_with(begin));
  EXPECT_TRUE(whole.ends_with(recognizer(rest(), german)));
  Sound many = first;  // more windows than are heard at once
  for (int i = 0; i < 9; ++i) many.samples.insert(many.samples.end(), first.samples.begin(), first.samples.end());
  std::string wanted;
  for (int i = 0; i < 10; ++i) wanted += begin;
  EXPECT_EQ(recognizer(many, german), wanted);
}

TEST_F(Speech, SilenceAndNothingHaveText) {
  const auto recognizer = rapt::speech_recognizer(path());
  EXPECT_EQ(recognizer({.samples = {}, .rate = 16000}), "");
  EXPECT_EQ(recognizer({.samples = {0.f}, .rate = 16000}),
            recognizer({.samples = std::vector<float>(16000, 0.f), .rate = 16000}));
}

TEST_F(Speech, BeamSearchIsNoWorse) {
  const auto recognizer = rapt::speech_recognizer(path());
  EXPECT_FALSE(recognizer(sound(), {.language = "de", .beam_size = 3}).empty());
  expect_message([&] { std::ignore = recognizer(sound(), {.beam_size = 0}); }, "beam_size must be positive: 0");
}

TEST_F(Speech, AModelOfEnglishAloneNeedsNoLanguage) {
  info_["generation"]["is_multilingual"] = false;
  write("generation_config.json", info_["generation"]);
  const auto recognizer = rapt::speech_recognizer(path());
  EXPECT_FALSE(recognizer(sound()).empty());
  expect_message([&] { std::ignore = recognizer(sound(), {.language = "de"}); }, "English alone: language de");
  expect_message([&] { std::ignore = recognizer(sound(), {.translate = true}); },
                 "English alone: language , translated");
  expect_message([&] { std::ignore = recognizer.language(sound()); }, "the model knows English alone");
}

TEST_F(Speech, NewerFoldersSayItElsewhere) {
  std::filesystem::remove(path() / "preprocessor_config.json");
  expect_message([&] { std::ignore = rapt::speech_recognizer(path()); },
                 "has no preprocessor_config.json and no processor_config.json");
  write("processor_config.json", nlohmann::json{{"image_processor", info_["processor"]}});
  expect_message([&] { std::ignore = rapt::speech_recognizer(path()); },
                 "no processor_config.json with \"feature_extractor\"");
  write("processor_config.json", nlohmann::json{{"feature_extractor", info_["processor"]}});
  EXPECT_EQ(rapt::speech_recognizer(path()).log_mel().options().bins, 10);
}

TEST_F(Speech, WhatDoesNotFitIsRefused) {
  const auto with = [&](const char* key, const nlohmann::json& value, const std::string& part) {
    auto processor = info_["processor"];
    processor[key] = value;
    write("preprocessor_config.json", processor);
    expect_message([&] { std::ignore = rapt::speech_recognizer(path()); }, part);
  };
  with("feature_size", 12, "spectrograms have 100 rows and 12 bins, the model reads 100 and 10");
  with("chunk_length", 2, "spectrograms have 200 rows");
  with("chunk_length", 0, "\"chunk_length\" must be from 1 to 3600 seconds");
  with("sampling_rate", 8000, "\"sampling_rate\"");
  with("dither", 0.5, "\"dither\"");
  with("hop_length", 0, "hop 0");
  write("preprocessor_config.json", info_["processor"]);
  const auto recognizer = rapt::speech_recognizer(path());
  expect_message([&] { std::ignore = recognizer(sound(), {.language = "xx"}); }, "does not know the language xx");
  expect_message([&] { std::ignore = recognizer(sound(), {.language = "translate"}); },
                 "does not know the language translate");
  Sound other = sound();
  other.rate = 44100;
  expect_message([&] { std::ignore = recognizer(other); }, "the sound has 44100 samples in a second");
  expect_message([&] { std::ignore = recognizer.language({.samples = {}, .rate = 16000}); }, "no samples");
}

}  // namespace
