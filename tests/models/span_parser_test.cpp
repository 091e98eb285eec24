/// \file
/// The span parser: its equations by hand, its gradient, files, learning a few trees by heart, and what is refused.
// covers: models/span_parser_config.hpp
#include "rapt/models/span_parser.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "rapt/io/model_file.hpp"
#include "rapt/optim/adam.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::ParserBatch;
using rapt::ParserInput;
using rapt::SpanParser;
using rapt::SpanParserConfig;
using rapt::Tensor;
using rapt::kernels::SpanLabel;
using rapt_test::expect_message;

SpanParserConfig small_config() {
  return {.vocabulary = 12,
          .d_model = 8,
          .layers = 1,
          .heads = 2,
          .d_ff = 16,
          .d_span = 6,
          .dropout = 0,
          .activation_dropout = 0,
          .labels = {"S", "NP", "VP"},
          .tags = {"N", "V"}};
}

/// Sentences of three words, the first of two tokens, and of one word; 1 begins and 2 ends them.
ParserInput two_sentences() {
  return {.tokens = rapt::TokenBatch({{1, 3, 4, 5, 6, 2}, {1, 7, 8, 2}}),
          .words = rapt::RowSplits::from_lengths(std::vector<Index>{3, 1}),
          .starts = {1, 3, 4, 7}};
}
/// ((a b) c) as (S (NP a b) (VP c)), and (NP d).
ParserBatch two_trees() {
  return {.input = two_sentences(), .span_labels = {-1, 1, 0, -1, -1, 2, 1}, .tags = {0, 0, 1, 0}};
}

TEST(SpanParser, SpansAreDifferencesOfFenceposts) {
  rapt::Rng rng(3);
  const SpanParser<double> parser(small_config(), rng);
  const ParserInput input = two_sentences();
  const auto hidden = parser.hidden(input);
  const Tensor<double> scores = parser.logits(hidden, input).value();
  ASSERT_EQ(scores.shape(), (rapt::Shape{7, 3}));
  std::map<std::string, Tensor<double>> weights;
  for_each_parameter(parser, [&](const std::string& name, const auto& p) { weights.emplace(name, p.value()); });
  const auto post = [&](Index behind, Index c) {  // the fencepost between rows behind - 1 and behind
    double sum = 0;
    for (Index k = 0; k < 8; ++k) {
      sum += weights.at("forward.weight")(c, k) * hidden.value()(behind - 1, k);
      sum += weights.at("backward.weight")(c, k) * hidden.value()(behind, k);
    }
    return sum;
  };
  const std::vector<std::vector<Index>> spans{{1, 3}, {1, 4}, {1, 5}, {3, 4}, {3, 5}, {4, 5}, {7, 9}};
  for (std::size_t s = 0; s < spans.size(); ++s) {
    std::vector<double> v;
    for (Index c = 0; c < 6; ++c) v.push_back(post(spans[s][1], c) - post(spans[s][0], c));
    double mean = 0, variance = 0;
    for (const double value : v) mean += value / 6;
    for (const double value : v) variance += (value - mean) * (value - mean) / 6;
    for (Index l = 0; l < 3; ++l) {
      double sum = 0;
      for (Index c = 0; c < 6; ++c) {
        const double normalised = (rapt::at(v, c) - mean) / std::sqrt(variance + 1e-5);
        sum += weights.at("labels.weight")(l, c) * std::max(0.0, normalised);
      }
      EXPECT_NEAR(scores(static_cast<Index>(s), l), sum, 1e-10) << "span " << s;
    }
  }
  EXPECT_EQ(parser.tag_logits(hidden, input).shape(), (rapt::Shape{4, 2}));
}

TEST(SpanParser, LossHasTheGradientOfDifferences) {
  rapt::Rng rng(4);
  SpanParser<double> parser(small_config(), rng);
  const auto loss = [&] { return parser.loss(two_trees()).item(); };
  {
    const rapt::Recording scope;
    rapt::backward(parser.loss(two_trees()));
  }
  for_each_parameter(parser, [&](const std::string& name, auto& parameter) {
    const Tensor<double> gradient = parameter.grad();
    ASSERT_FALSE(gradient.empty()) << name;
    for (const Index i : {Index{0}, parameter.size() / 2, parameter.size() - 1}) {
      double& value = parameter.mutable_value().data()[i];
      const double before = value, step = 1e-6;
      value = before + step;
      const double above = loss();
      value = before - step;
      const double below = loss();
      value = before;
      EXPECT_NEAR(gradient.data()[i], (above - below) / (2 * step), 2e-5) << name << " " << i;
    }
  });
}

TEST(SpanParser, LearnsTreesAndTagsByHeart) {
  for (const bool reads_tags : {false, true}) {
    SpanParserConfig config = small_config();
    config.reads_tags = reads_tags;
    rapt::Rng rng(5);
    SpanParser parser(config, rng);
    ParserBatch batch = two_trees();
    if (reads_tags) batch.input.tags = std::move(batch.tags);
    rapt::Adam adam(parser);
    for (int step = 0; step < 60; ++step) {
      const rapt::Training training(rng);
      rapt::backward(parser.loss(batch));
      adam.step(1e-2);
    }
    const auto parses = parser.parse(batch.input);
    ASSERT_EQ(parses.size(), 2u);
    EXPECT_EQ(parses[0].spans, (std::vector<SpanLabel>{{0, 3, 0}, {0, 2, 1}, {2, 3, 2}}));
    EXPECT_EQ(parses[1].spans, (std::vector<SpanLabel>{{0, 1, 1}}));
    if (reads_tags) {
      EXPECT_TRUE(parses[0].tags.empty());
    } else {
      EXPECT_EQ(parses[0].tags, (std::vector<std::int32_t>{0, 0, 1}));
      EXPECT_EQ(parses[1].tags, (std::vector<std::int32_t>{0}));
    }
  }
}

TEST(SpanParser, ABatchGivesWhatItsSentencesGiveAlone) {
  rapt::Rng rng(6);
  const SpanParser<double> parser(small_config(), rng);
  const Tensor<double> together = parser(two_sentences()).value();
  const ParserInput second{.tokens = rapt::TokenBatch({{1, 7, 8, 2}}),
                           .words = rapt::RowSplits::from_lengths(std::vector<Index>{1}),
                           .starts = {1}};
  const Tensor<double> alone = parser(second).value();
  for (Index l = 0; l < 3; ++l) EXPECT_NEAR(together(6, l), alone(0, l), 1e-12);
}

TEST(SpanParser, LongSentencesAreParsedByPartsOfTheirSpans) {
  // 150 words have 11,325 spans, which are scored in two parts, and the sentence after it has its spans in the second.
  constexpr Index kWords = 150;
  rapt::Rng rng(10);
  const SpanParser<double> parser(small_config(), rng);
  ParserInput input;
  std::vector<rapt::TokenId> tokens{1};
  for (Index w = 0; w < kWords; ++w) {
    input.starts.push_back(static_cast<std::int32_t>(tokens.size()));
    tokens.push_back(static_cast<rapt::TokenId>(3 + rng.below(9)));
  }
  tokens.push_back(2);
  input.starts.push_back(static_cast<std::int32_t>(tokens.size() + 1));
  input.tokens.push_back(tokens);
  input.tokens.push_back(std::vector<rapt::TokenId>{1, 7, 2});
  input.words = rapt::RowSplits::from_lengths(std::vector<Index>{kWords, 1});
  const Tensor<double> scores = parser(input).value();
  const auto parses = parser.parse(input);
  EXPECT_EQ(parses[0].spans, rapt::kernels::best_span_tree(scores.row(0), kWords, 3).spans);
  EXPECT_EQ(parses[1].spans, rapt::kernels::best_span_tree(scores.row(scores.rows() - 1), 1, 3).spans);
  EXPECT_EQ(parses[1].spans.size(), 1u);
}

TEST(SpanParser, UnknownTagsAreReadAsThoseOfNoWord) {
  SpanParserConfig config = small_config();
  config.reads_tags = true;
  rapt::Rng rng(11);
  SpanParser<double> parser(config, rng);
  const auto scores = [&](std::int32_t tag) {
    ParserInput input = two_sentences();
    input.tags = {0, tag, 1, 0};
    return parser(input).value();
  };
  const Tensor<double> unknown = scores(-1), first = scores(0);
  EXPECT_FALSE(rapt_test::same_bits(unknown, first));
  for_each_parameter(parser, [&](const std::string& name, auto& p) {  // the row after the last tag gets its values
    if (name != "tag_embedding.weight") return;
    ASSERT_EQ(p.value().rows(), 3);
    for (Index c = 0; c < 8; ++c) p.mutable_value()(0, c) = p.value()(2, c);
  });
  EXPECT_FALSE(rapt_test::same_bits(scores(0), first));
  ParserInput input = two_sentences();
  input.tags = {-1, -1, -1, -1};
  const Tensor<double> all_unknown = parser(input).value();
  input.tags = {0, 0, 0, 0};
  EXPECT_TRUE(rapt_test::same_bits(all_unknown, parser(input).value()));
  input.tags[2] = -2;
  expect_message<rapt::ValueError>([&] { (void)parser.parse(input); }, "tag -2 of word 2 is outside of -1 .. 1");
}

TEST(SpanParser, SameBitsOnAnyNumberOfThreads) {
  rapt::Rng rng(7);
  SpanParser parser(small_config(), rng);
  rapt_test::expect_same_bits_on_any_threads([&] { return parser(two_sentences()).value(); });
}

TEST(SpanParser, TravelsThroughAFile) {
  const auto path = std::filesystem::temp_directory_path() / "rapt_span_parser_test.safetensors";
  rapt::Rng rng(8);
  SpanParserConfig config = small_config();
  config.norm = rapt::NormPlacement::post;
  const SpanParser parser(config, rng);
  rapt::save_model(path, parser);
  const auto loaded = rapt::load_model<SpanParser<float>>(path);
  EXPECT_EQ(loaded.config().labels, config.labels);
  EXPECT_TRUE(rapt_test::same_bits(parser(two_sentences()).value(), loaded(two_sentences()).value()));
  std::filesystem::remove(path);
}

TEST(SpanParser, WrongUseIsRefused) {
  rapt::Rng rng(9);
  const SpanParser parser(small_config(), rng);
  const auto parse = [&](const auto& change) {
    ParserInput input = two_sentences();
    change(input);
    return [&parser, input] { (void)parser.parse(input); };
  };
  expect_message<rapt::ValueError>(parse([](ParserInput& i) { i.starts[1] = 1; }),
                                   "[span_parser] word 1 of sentence 0 begins at row 1, which must be from 2 to 4");
  expect_message<rapt::ValueError>(parse([](ParserInput& i) { i.starts[3] = 9; }),
                                   "word 0 of sentence 1 begins at row 9");
  expect_message<rapt::ShapeError>(parse([](ParserInput& i) { i.starts.pop_back(); }), "4 words, 3 starts");
  expect_message<rapt::ShapeError>(parse([](ParserInput& i) { i.tags = {0, 0, 0, 0}; }), "reads no tags");
  expect_message<rapt::ValueError>(parse([](ParserInput& i) { i.tokens.tokens[2] = 12; }), "12");
  const auto encoded = parser.hidden(two_sentences());
  ParserInput one{.tokens = rapt::TokenBatch({{1, 7, 8, 2}}),
                  .words = rapt::RowSplits::from_lengths(std::vector<Index>{1}),
                  .starts = {1}};
  const std::string why = "the encoder output of 4 tokens has shape [10, 8]";
  expect_message<rapt::ShapeError>([&] { (void)parser.logits(encoded, one); }, why);
  expect_message<rapt::ShapeError>([&] { (void)parser.tag_logits(encoded, one); }, why);
  one.starts[0] = 5;
  expect_message<rapt::ValueError>([&] { (void)parser.logits(encoded, one); }, "begins at row 5");
  ParserInput lengthy;
  std::vector<rapt::TokenId> tokens(1003, 3);
  lengthy.tokens.push_back(tokens);
  for (std::int32_t w = 1; w <= 1001; ++w) lengthy.starts.push_back(w);
  lengthy.words.push_back(1001);
  expect_message<rapt::ValueError>([&] { (void)parser.parse(lengthy); },
                                   "[span_parser] sentence 0 has 1001 words, more than 1000");
  const auto make = [&](const auto& change) {
    SpanParserConfig config = small_config();
    change(config);
    return [&rng, config] { (void)SpanParser(config, rng); };
  };
  expect_message<rapt::ValueError>(make([](auto& c) { c.labels.clear(); }), "there are no labels of spans");
  expect_message<rapt::ValueError>(make([](auto& c) { c.labels[2] = "S"; }), "the label \"S\" is there twice");
  expect_message<rapt::ValueError>(make([](auto& c) { c.tags[1] = "N"; }), "the tag \"N\" is there twice");
  expect_message<rapt::ValueError>(make([](auto& c) { c.tags.clear(), c.reads_tags = true; }), "must have some");
  expect_message<rapt::ValueError>(make([](auto& c) { c.heads = 3; }), "d_model");
  expect_message<rapt::ValueError>(make([](auto& c) { c.dropout = 1; }), "dropout");
}

}  // namespace
