/// \file
/// Whisper against transformers, its folders, and its searches.
// covers: core/speech_batch.hpp, pretrained/whisper.hpp
// covers: models/whisper_config.hpp
#include "rapt/models/whisper.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/whisper.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::HeardSpeech;
using rapt::Index;
using rapt::RowSplits;
using rapt::Shape;
using rapt::SpeechBatch;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt::Whisper;
using rapt::WhisperConfig;
using rapt_test::expect_agreement;
using rapt_test::expect_message;
using rapt_test::expect_return_journey;
using rapt_test::for_each_case;
using rapt_test::normal_tensor;

/// One case of the golden file, and everything that our model makes of it.
struct WhisperCase : rapt_test::ModelCase<Whisper> {
  static constexpr const char* kFile = "whisper";
  static constexpr std::size_t kCases = 2;
  explicit WhisperCase(const std::string& name) : ModelCase(kFile, name) {}

  template <class T>
  [[nodiscard]] SpeechBatch<T> speech(const Whisper<T>& model) const {
    return {tensor<T>("frames"), RowSplits::equal(3, 2 * model.config().encoder_positions)};
  }
  [[nodiscard]] TokenBatch targets() const { return batch("target_ids", "target_splits"); }
  /// Compares all results that the file has; returns the loss, as the script has it.
  template <class T>
  rapt::Variable<T> expect_results(const Whisper<T>& model, double tolerance) const {
    const SpeechBatch<T> source = speech(model);
    expect("encoder", model.encode(source).value(), tolerance);
    expect("logits", model(source, targets()).value(), tolerance);
    rapt::Variable<T> loss = model.loss({.source = source, .target_input = targets(), .target_output = ids("labels")});
    expect("loss", loss.value(), tolerance);
    return loss;
  }
};

[[nodiscard]] WhisperConfig small_whisper() {
  WhisperConfig config{.vocabulary = 12, .bins = 3, .d_model = 8, .encoder_layers = 2, .decoder_layers = 2};
  config.encoder_heads = config.decoder_heads = 2, config.encoder_d_ff = config.decoder_d_ff = 12;
  config.encoder_positions = 4, config.decoder_positions = 9;
  config.begin_token = 10, config.end_tokens = {11}, config.pad_token = 11;
  return config;
}
[[nodiscard]] Whisper<double> small_whisper_model() {
  rapt::Rng rng(1);
  Whisper<double> model(small_whisper(), rng);
  rapt_test::randomize(model, 2);
  return model;
}

TEST(Whisper, AgreesWithTransformers) {
  for_each_case<WhisperCase>([](const WhisperCase& golden) { expect_agreement<float>(golden, 1e-5, 1e-4); });
}

TEST(Whisper, AgreesInDouble) {
  for_each_case<WhisperCase>([](const WhisperCase& golden) { expect_agreement<double>(golden, 1e-7, 1e-6); });
}

TEST(Whisper, TravelsBackUnchanged) {
  for_each_case<WhisperCase>([](const WhisperCase& golden) { expect_return_journey(golden); });
}

TEST(Whisper, WritesTheTextThatTransformersWrites) {
  for_each_case<WhisperCase>([](const WhisperCase& golden) {
    const auto model = golden.load<double>();
    const HeardSpeech<double> heard(model, golden.speech(model));
    const std::vector<TokenId> prefix = golden.ids("prefix");
    const Index most = std::ssize(prefix) + 6;
    EXPECT_EQ(model.config().begin_suppressed_tokens, (std::vector<TokenId>{1, 5}));
    const auto found = rapt::greedy_search(
        heard, heard.sources(),
        {.extra_length = most, .max_length = most, .begin_suppressed = model.config().begin_suppressed_tokens},
        {.prefix = TokenBatch(std::vector<std::vector<TokenId>>(3, prefix))});
    const TokenBatch wanted = golden.batch("generated", "generated_splits");
    for (Index i = 0; i < 3; ++i) {
      std::vector<TokenId> tokens = prefix;
      tokens.insert(tokens.end(), wanted.sequence(i).begin(), wanted.sequence(i).end());
      EXPECT_EQ(found[static_cast<std::size_t>(i)].tokens, tokens) << i;
    }
  });
}

TEST(Whisper, DecodingWithCachesEqualsTheWhole) {
  const Whisper<double> model = small_whisper_model();
  const SpeechBatch<double> speech(normal_tensor<double>({8 + 6, 3}, 3), rapt_test::splits_of({8, 6}));
  const TokenBatch text({{10, 3, 4, 5, 6}, {10, 7, 8, 9, 1}});
  const auto whole = model(speech, text).value();
  auto state = model.start(speech);
  for (Index t = 0; t < 5; ++t) {
    const std::vector<TokenId> next{text.sequence(0)[static_cast<std::size_t>(t)],
                                    text.sequence(1)[static_cast<std::size_t>(t)]};
    const auto logits = model.step(state, next);
    for (Index row = 0; row < 2; ++row) {
      for (Index j = 0; j < 12; ++j) EXPECT_NEAR(logits(row, j), whole(5 * row + t, j), 1e-11);
    }
  }
}

TEST(Whisper, SearchesHearTheSpeechOnce) {
  const Whisper<double> model = small_whisper_model();
  const SpeechBatch<double> speech(normal_tensor<double>({8 + 8, 3}, 4), rapt_test::splits_of({8, 8}));
  const HeardSpeech<double> heard(model, speech);
  EXPECT_EQ(heard.sources().sequences(), 2);
  const auto greedy = rapt::greedy_search(heard, heard.sources(), {.max_length = 4});
  const auto beam = rapt::beam_search(heard, heard.sources(), {.beam_size = 1, .generation = {.max_length = 4}});
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(greedy[i].tokens, beam[i].tokens);
  EXPECT_GE(
      rapt::beam_search(heard, heard.sources(), {.beam_size = 4, .generation = {.max_length = 4}})[0].score + 1e-9,
      beam[0].score);
  // The longest text has a position for each token that is read.
  const auto longest = rapt::greedy_search(heard, heard.sources(), {.min_length = 8});
  EXPECT_EQ(longest[0].tokens.size(), 8u);
  expect_message([&] { std::ignore = rapt::greedy_search(heard, TokenBatch({{}})); },
                 "1 sources for 2 stretches of speech");
}

TEST(Whisper, AttentionMapsShowWhereItListens) {
  const Whisper<double> model = small_whisper_model();
  const SpeechBatch<double> speech(normal_tensor<double>({8, 3}, 4), rapt_test::splits_of({8}));
  const auto maps = model.attention_maps(speech, TokenBatch({{10, 1, 2}}));
  ASSERT_EQ(maps.decoder_cross.size(), 2u);
  EXPECT_EQ(maps.encoder_self[1].shape(), (Shape{1, 2, 4, 4}));
  EXPECT_EQ(maps.decoder_self[0].shape(), (Shape{1, 2, 3, 3}));
  EXPECT_EQ(maps.decoder_cross[0].shape(), (Shape{1, 2, 3, 4}));
}

TEST(Whisper, ThePositionsOfTheEncoderAreFrozenSinusoids) {
  rapt::Rng rng(1);
  Whisper<float> model(small_whisper(), rng);
  Tensor<float> before;
  const auto positions = [&](const auto& f) {
    rapt::for_each_parameter(model, [&](const std::string& name, const rapt::Parameter<float>& parameter) {
      if (name == "encoder_positions.weight") f(parameter);
    });
  };
  positions([&](const auto& parameter) {
    EXPECT_TRUE(parameter.is_frozen());
    before = parameter.value();
  });
  // sin and cos of t 10000^(-i / 3), i = 0 .. 3
  EXPECT_NEAR(before(2, 1), std::sin(2 * std::pow(10000.0, -1.0 / 3)), 1e-6);
  EXPECT_NEAR(before(3, 7), std::cos(3 * std::pow(10000.0, -1.0)), 1e-6);
  rapt::Adam adam(model);
  const SpeechBatch<float> speech(normal_tensor<float>({8, 3}, 4), rapt_test::splits_of({8}));
  const rapt::TranscribedSpeech<float> batch{
      .source = speech, .target_input = TokenBatch({{10, 1, 2}}), .target_output = {1, 2, 11}};
  double first = 0, last = 0;
  for (int step = 0; step < 100; ++step) {
    const rapt::Training scope(rng);
    const auto loss = model.loss(batch);
    rapt::backward(loss);
    adam.step(1e-2);
    last = static_cast<double>(loss.item());
    if (step == 0) first = last;
  }
  EXPECT_NEAR(first, std::log(12.0), 0.3);
  EXPECT_LT(last, 0.3);
  positions([&](const auto& parameter) { EXPECT_TRUE(rapt_test::same_bits(parameter.value(), before)); });
  const HeardSpeech<float> heard(model, speech);
  EXPECT_EQ(rapt::greedy_search(heard, heard.sources())[0].tokens, (std::vector<TokenId>{1, 2}));
}

TEST(Whisper, ThePapersSizes) {
  const auto parameters = [](const WhisperConfig& config) {
    const rapt::detail::InitialiseNothing scope;
    rapt::Rng rng(1);
    return rapt::count_parameters(Whisper(config, rng));
  };
  EXPECT_EQ(parameters(WhisperConfig::tiny()), 37760640);  // transformers' model of the same settings
  EXPECT_EQ(parameters(WhisperConfig::base()), 72593920);
  EXPECT_EQ(parameters(WhisperConfig::large_v3()), 1543490560);
}

TEST(Whisper, IsKeptInOneFile) {
  rapt::Rng rng(1);
  WhisperConfig config = small_whisper();
  config.suppressed_tokens = {3}, config.begin_suppressed_tokens = {4, 5}, config.multilingual = false;
  const Whisper<float> model(config, rng);
  const rapt_test::TemporaryFolder folder;
  rapt::save_model(folder.path() / "whisper.safetensors", model);
  const auto read = rapt::load_model<Whisper<float>>(folder.path() / "whisper.safetensors");
  EXPECT_EQ(read.config().begin_suppressed_tokens, config.begin_suppressed_tokens);
  const SpeechBatch<float> speech(normal_tensor<float>({8, 3}, 4), rapt_test::splits_of({8}));
  EXPECT_TRUE(
      rapt_test::same_bits(model(speech, TokenBatch({{10, 1}})).value(), read(speech, TokenBatch({{10, 1}})).value()));
  rapt::save_pretrained(folder.path() / "folder", model);
  const WhisperConfig written = rapt::from_pretrained<Whisper<float>>(folder.path() / "folder").config();
  EXPECT_EQ(written.suppressed_tokens, config.suppressed_tokens);
  EXPECT_EQ(written.begin_suppressed_tokens, config.begin_suppressed_tokens);
  EXPECT_FALSE(written.multilingual);
}

TEST(Whisper, SettingsThatItDoesNotHaveAreRefused) {
  const auto with = [](const char* key, const nlohmann::json& value, const std::string& part) {
    WhisperCase golden("plain");
    golden.config[key] = value;
    golden.write();
    expect_message([&] { std::ignore = golden.load<float>(); }, part);
  };
  with("model_type", "bart", "wanted is \"whisper\"");
  with("encoder_attention_heads", 3, "d_model = 8, heads = 3");
  with("num_mel_bins", 4, "\"model.encoder.conv1.weight\" has shape [8, 5, 3], config.json wants [8, 4, 3]");
  with("encoder_layers", 3, "tensors are missing: \"model.encoder.layers.2.");
  with("encoder_layerdrop", 0.1, "\"encoder_layerdrop\"");
  with("decoder_start_token_id", 15, "begin_token 15 is outside the vocabulary of 15");
  with("max_source_positions", 6, "\"model.encoder.embed_positions.weight\" has shape [5, 8]");
}

TEST(Whisper, ErrorsNameTheValues) {
  const Whisper<double> model = small_whisper_model();
  expect_message(
      [] {
        SpeechBatch<double>(normal_tensor<double>({8, 3}, 1), rapt_test::splits_of({9}));
      },
      "frames of shape [8, 3], row splits end at 9");
  const SpeechBatch<double> other(normal_tensor<double>({8, 4}, 1), rapt_test::splits_of({8}));
  expect_message([&] { std::ignore = model.encode(other); }, "x has shape [8, 4], the weight is [8, 3, 3]");
  const SpeechBatch<double> longer(normal_tensor<double>({12, 3}, 1), rapt_test::splits_of({12}));
  expect_message([&] { std::ignore = model.encode(longer); }, "sequence 0 has 6 tokens");
  const SpeechBatch<double> speech(normal_tensor<double>({8, 3}, 1), rapt_test::splits_of({8}));
  expect_message(
      [&] {
        std::ignore = model(speech, TokenBatch({{10}, {10}}));
      },
      "1 source sequences, 2 target sequences");
}

}  // namespace
