/// \file
/// Text generators: prompts in, texts out, whole or in parts; and Translator with another model and tokenizer.
// covers: pipelines/text_generator.hpp, pipelines/text_stream.hpp, pipelines/tokenizer.hpp
#include "rapt/pipelines/text_generator.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rapt/models/marian.hpp"
#include "rapt/pipelines/translator.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::ByteLevelBpe;
using rapt::Gpt;
using rapt::Index;
using rapt::TokenId;
using rapt::ValueError;
using rapt::WordPiece;
using rapt_test::error_text;
using Generator = rapt::TextGenerator<Gpt<float>, ByteLevelBpe>;

const std::vector<std::string> kPrompts = {"the house", "a", "Gr\u00fc\u00dfe", "the red house and the tree"};

/// A small GPT of bytes with random weights, which ends with a line feed.
Gpt<float> random_gpt() {
  rapt::Rng rng(3);
  Gpt<float> model({.vocabulary = 256, .positions = 64, .d_model = 16, .layers = 2, .heads = 2, .end_tokens = {'\n'}},
                   rng);
  rapt::for_each_parameter(model, [&](const std::string&, auto& parameter) {
    rng.fill_uniform(parameter.mutable_value().values(), -0.6, 0.6);
  });
  return model;
}
Generator random_generator() { return {random_gpt(), ByteLevelBpe::of_bytes()}; }

rapt::SamplingOptions some_bytes(Index count) { return {.generation = {.extra_length = count}}; }

TEST(TextGenerator, DrawsWhatSampleDraws) {
  const Generator generator = random_generator();
  rapt::SamplingOptions options = some_bytes(12);
  options.samples = 3;
  rapt::TokenBatch prompts;
  for (const std::string& prompt : kPrompts) prompts.push_back(generator.tokenizer().encode(prompt));
  const auto expected = rapt::sample(generator.model(), prompts, options, {.seed = 5});
  for (const Index batch_tokens : {0, 1, 1000}) {
    const auto found = generator.sample(kPrompts, options, {.seed = 5}, batch_tokens);
    ASSERT_EQ(found.size(), kPrompts.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].size(), 3u);
      for (std::size_t s = 0; s < 3; ++s) {
        EXPECT_EQ(found[i][s].tokens, expected[i][s].tokens) << i << " " << s;
        EXPECT_EQ(found[i][s].text, generator.tokenizer().decode(expected[i][s].tokens));
        EXPECT_EQ(found[i][s].finished, expected[i][s].finished);
      }
    }
  }
}

/// A GPT that tells the largest number of hypotheses that a step was asked for.
struct WatchedGpt {
  using ScalarType = float;
  using State = Gpt<float>::State;
  static constexpr bool kDecoderOnly = true;

  Gpt<float> gpt = random_gpt();
  std::shared_ptr<std::atomic<Index>> most = std::make_shared<std::atomic<Index>>(0);

  [[nodiscard]] const rapt::GptConfig& config() const { return gpt.config(); }
  [[nodiscard]] rapt::SequenceMarks sequence_marks() const { return gpt.sequence_marks(); }
  [[nodiscard]] State start(const rapt::TokenBatch& source) const { return gpt.start(source); }
  [[nodiscard]] rapt::Tensor<float> step(State& state, std::span<const TokenId> tokens) const {
    const Index rows = std::ssize(tokens);
    for (Index before = *most; before < rows && !most->compare_exchange_weak(before, rows);) {
    }
    return gpt.step(state, tokens);
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("gpt", self.gpt);
  }
};

TEST(TextGenerator, SamplesCountInABatch) {
  const rapt::TextGenerator<WatchedGpt, ByteLevelBpe> generator({}, ByteLevelBpe::of_bytes());
  const std::vector<std::string> prompts(12, "four");
  const auto most_rows = [&](Index samples, Index batch_tokens) {
    *generator.model().most = 0;
    rapt::SamplingOptions options = some_bytes(2);
    options.samples = samples;
    EXPECT_EQ(generator.sample(prompts, options, {}, batch_tokens).size(), prompts.size());
    return Index(*generator.model().most);
  };
  EXPECT_EQ(most_rows(1, 24), 6);    // prompts of 4 tokens
  EXPECT_EQ(most_rows(3, 24), 6);    // 2 prompts, each sampled three times
  EXPECT_EQ(most_rows(30, 24), 30);  // a prompt is the least
}

TEST(TextGenerator, BeamSearchGivesTheBestFirst) {
  const Generator generator = random_generator();
  const auto found = generator.beam_search(kPrompts, 2, {.beam_size = 3, .generation = {.extra_length = 6}});
  ASSERT_EQ(found.size(), kPrompts.size());
  for (const auto& list : found) {
    ASSERT_EQ(list.size(), 2u);
    EXPECT_GE(list[0].score, list[1].score);
  }
}

TEST(TextGenerator, StreamsTheSameTextInPartsOfWholeCharacters) {
  const Generator generator = random_generator();
  for (const std::string& prompt : kPrompts) {
    std::string text;
    const auto found = generator.stream(prompt, some_bytes(20),
                                        [&](std::string_view part) {
                                          EXPECT_FALSE(part.empty());
                                          text += part;
                                          return true;
                                        },
                                        {.seed = 9});
    EXPECT_EQ(text, found.text);
    EXPECT_EQ(found.tokens,
              generator.sample(std::vector<std::string>{prompt}, some_bytes(20), {.seed = 9})[0][0].tokens);
  }
  int parts = 0;
  const auto found = generator.stream("the", some_bytes(20), [&](std::string_view) { return ++parts < 3; });
  EXPECT_LT(found.tokens.size(), 20u) << "it ends where the function says so";
  EXPECT_EQ(parts, 3) << "and calls it no more";
}

TEST(TextGenerator, AFolderHasModelAndTokenizer) {
  const rapt_test::TemporaryFolder folder;
  rapt::save_pretrained(folder.path(), random_gpt());
  rapt::save_tokenizer(folder.path() / "tokenizer.json", ByteLevelBpe::of_bytes());
  const auto loaded = rapt::TextGenerator<Gpt<float>>::load(folder.path());
  EXPECT_FALSE(loaded.tokenizer().cleans_up_spaces());
  const auto found = loaded.sample(kPrompts, some_bytes(10), {.seed = 2});
  const auto expected = random_generator().sample(kPrompts, some_bytes(10), {.seed = 2});
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i][0].text, expected[i][0].text) << i;
}

TEST(TextGenerator, WhatDoesNotFitIsRefused) {
  const Generator generator = random_generator();
  const auto complaint = [&](const auto& f) { return error_text<ValueError>(f); };
  const auto any = [](std::string_view) { return true; };
  const ByteLevelBpe bytes = ByteLevelBpe::of_bytes();
  std::vector<std::string> more(bytes.tokens().begin(), bytes.tokens().end());
  more.emplace_back("<end>");
  EXPECT_NE(complaint([&] { Generator(random_gpt(), ByteLevelBpe(more, {})); }).find("257"), std::string::npos);
  rapt::SamplingOptions two = some_bytes(3);
  two.samples = 2;
  EXPECT_NE(complaint([&] { generator.stream("a", two, any); }).find("samples = 2"), std::string::npos);
  EXPECT_NE(complaint([&] { (void)generator.sample(kPrompts, two, {.streams = {1}}); }).find("1 streams for 4 prompts"),
            std::string::npos);
  EXPECT_NE(complaint([&] {
              (void)generator.sample(kPrompts, two, {.on_token = [](Index, TokenId) { return true; }});
            }).find("stream"),
            std::string::npos);
}

TEST(TextStream, WaitsForWholeCharactersAndForSpacesThatMayGo) {
  const ByteLevelBpe bytes = ByteLevelBpe::of_bytes();
  rapt::TextStream<ByteLevelBpe> stream(bytes);
  std::vector<std::string> parts;
  for (const TokenId token : bytes.encode("a\u00fc\u20ac!")) parts.push_back(stream.add(token));
  EXPECT_EQ(parts, (std::vector<std::string>{"a", "", "\u00fc", "", "", "\u20ac", "!"}));
  EXPECT_EQ(stream.finish(), "");

  const WordPiece words({"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "house", "."}, {.clean_up_spaces = true});
  rapt::TextStream<WordPiece> cleaned(words);
  std::string text;
  std::vector<TokenId> tokens;
  for (int i = 0; i < 20; ++i) {
    const TokenId token = i % 3 == 2 ? words.id(".") : words.id("house");
    tokens.push_back(token);
    text += cleaned.add(token);
    EXPECT_EQ(words.decode(tokens).compare(0, text.size(), text), 0);
  }
  EXPECT_LT(text.size(), words.decode(tokens).size());
  EXPECT_EQ(text + cleaned.finish(), words.decode(tokens));
}

TEST(Translator, TakesAnotherModelAndTokenizer) {
  const ByteLevelBpe bytes = ByteLevelBpe::of_bytes();
  rapt::Rng rng(4);
  rapt::Marian<float> model({.vocabulary = 257,
                             .d_model = 16,
                             .encoder_layers = 1,
                             .decoder_layers = 1,
                             .encoder_heads = 2,
                             .decoder_heads = 2,
                             .encoder_d_ff = 16,
                             .decoder_d_ff = 16,
                             .positions = 40,
                             .begin_token = 256,
                             .end_tokens = {0},
                             .pad_token = 256},
                            rng);
  const rapt::BeamSearchOptions options{.beam_size = 2, .generation = {.extra_length = 3}};
  rapt::TokenBatch sources;
  for (const std::string& line : kPrompts) {
    std::vector<TokenId> tokens = bytes.encode(line);
    tokens.push_back(0);
    sources.push_back(tokens);
  }
  const auto expected = rapt::beam_search(model, sources, options);
  const rapt::Translator translator(model, bytes);
  const auto found = translator.translate(kPrompts, options);
  ASSERT_EQ(found.size(), kPrompts.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i], rapt::as_line(bytes.decode(expected[i].tokens))) << i;
  }
}

}  // namespace
