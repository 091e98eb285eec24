/// \file
/// Learning unigram models: as good as those of sentencepiece's trainer, on any number of threads the same.
// covers: text/unigram_learner_options.hpp, text/unigram_seeds.hpp
#include "rapt/text/unigram_learner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/core/thread_pool.hpp"
#include "rapt/text/sentencepiece.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::SentencePieceModel;
using rapt_test::error_text;

/// tests/golden/make_unigram.py tells what the file holds.
const nlohmann::json& unigram_golden() {
  static const nlohmann::json json = [] {
    std::ifstream file(RAPT_GOLDEN_DIR "/unigram.json");
    return nlohmann::json::parse(file);
  }();
  return json;
}
std::vector<std::string> golden_lines() { return unigram_golden()["lines"].get<std::vector<std::string>>(); }

std::vector<std::string> pieces_of(const SentencePieceModel& model) {
  std::vector<std::string> pieces;
  for (const auto& piece : model.pieces) pieces.push_back(piece.text);
  return pieces;
}
bool has(const SentencePieceModel& model, const std::string& piece) {
  const auto pieces = pieces_of(model);
  return std::find(pieces.begin(), pieces.end(), piece) != pieces.end();
}

TEST(UnigramLearner, TellsHowManyPiecesAreDropped) {
  std::vector<rapt::Index> told;
  const auto report = [&](rapt::Index done, rapt::Index total) {
    EXPECT_LE(done, total);
    EXPECT_TRUE(told.empty() || done > told.back());
    told.push_back(done);
  };
  std::ignore = rapt::learn_unigram(golden_lines(), {.vocabulary_size = 300, .report = report});
  EXPECT_GT(std::ssize(told), 1);
}

TEST(UnigramLearner, AsGoodAsSentencePiece) {
  const auto lines = golden_lines();
  for (const auto& result : unigram_golden()["results"]) {
    const auto size = result["size"].get<rapt::Index>();
    const SentencePieceModel model = rapt::learn_unigram(lines, {.vocabulary_size = size, .character_coverage = 1});
    EXPECT_EQ(std::ssize(model.pieces), size);
    const rapt::SentencePiece tokenizer(model);
    double tokens = 0, score = 0;
    for (const std::string& line : lines) {
      const auto ids = tokenizer.encode(line);
      tokens += static_cast<double>(ids.size());
      for (const rapt::TokenId id : ids) {
        EXPECT_GT(id, 2) << "all characters are known: " << line;
        score += static_cast<double>(model.pieces[static_cast<std::size_t>(id)].score);
      }
      EXPECT_EQ(tokenizer.decode(ids), line);
    }
    EXPECT_LT(std::abs(tokens / result["tokens"].get<double>() - 1), 0.02) << size;
    EXPECT_LT(score / result["score"].get<double>(), 1.01) << size;
  }
}

TEST(UnigramLearner, TheSameOnAnyNumberOfThreads) {
  const auto lines = golden_lines();
  const rapt::Index before = rapt::threads();
  std::vector<SentencePieceModel> models;
  for (const rapt::Index threads : {1, 3}) {
    rapt::set_threads(threads);
    models.push_back(rapt::learn_unigram(lines, {.vocabulary_size = 300}));
  }
  rapt::set_threads(before);
  ASSERT_EQ(pieces_of(models[0]), pieces_of(models[1]));
  for (std::size_t i = 0; i < models[0].pieces.size(); ++i) {
    EXPECT_EQ(models[0].pieces[i].score, models[1].pieces[i].score);
  }
}

TEST(UnigramLearner, PiecesAreOfOneWordAndOneScript) {
  std::vector<std::string> lines(50, "abc1 abc1 日本a  <s> x\u2581y");
  const SentencePieceModel model = rapt::learn_unigram(lines, {.vocabulary_size = 60});
  const auto pieces = pieces_of(model);
  EXPECT_EQ(pieces[1], "<s>");
  EXPECT_EQ(std::count(pieces.begin(), pieces.end(), std::string("<s>")), 1);
  for (const auto& piece : model.pieces) {
    EXPECT_EQ(piece.text.find("\u2581", 1), std::string::npos) << piece.text;
    EXPECT_FALSE(piece.text.find('c') != std::string::npos && piece.text.find('1') != std::string::npos);
  }
  lines.push_back("zz");
  const SentencePieceModel mixed = rapt::learn_unigram(
      lines, {.vocabulary_size = 60, .character_coverage = 0.99, .longest_piece = 3, .split_by_script = false});
  EXPECT_FALSE(has(mixed, "z")) << "a rare character is unknown";
  for (const auto& piece : mixed.pieces) {
    if (piece.type == SentencePieceModel::PieceType::normal) {
      const auto is_first = [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; };
      EXPECT_LE(std::count_if(piece.text.begin(), piece.text.end(), is_first), 3) << piece.text;
    }
  }
}

TEST(UnigramLearner, DigammaIsTheDerivativeOfLogGamma) {
  for (const double x : {0.5, 1.0, 3.25, 100.0, 1e6}) {
    const double step = 1e-4 * x;
    EXPECT_NEAR(rapt::detail::digamma(x), (std::lgamma(x + step) - std::lgamma(x - step)) / (2 * step), 1e-6);
  }
  EXPECT_NEAR(rapt::detail::digamma(1), -0.57721566490153286, 1e-9);  // less Euler's constant
}

TEST(UnigramLearner, WhatCannotBeLearnedIsAnError) {
  const std::vector<std::string> lines = {"abc", "d\xFF"};
  const auto text = [](std::span<const std::string> some, const rapt::UnigramLearnerOptions& options) {
    return error_text<rapt::ValueError>([&] { static_cast<void>(rapt::learn_unigram(some, options)); });
  };
  EXPECT_EQ(text(lines, {}), "[learn_unigram] text must be UTF-8: line 2, byte 2");
  const auto good = std::span(lines).first(1);
  EXPECT_EQ(text(good, {.vocabulary_size = 6}),
            "[learn_unigram] vocabulary_size must be at least the number of characters and 3: 6 of 4 characters");
  EXPECT_EQ(text(good.first(0), {}), "[learn_unigram] the text has no words: 0 lines");
  EXPECT_EQ(
      text(good, {.character_coverage = 0}),
      "[learn_unigram] character_coverage must be above 0 and at most 1, and shrinking between 0 and 1: 0 and 0.75");
  EXPECT_EQ(text(good, {.vocabulary_size = 3}),
            "[learn_unigram] vocabulary_size must be above 3, longest_piece from 1 to 1000, and seed_size and steps "
            "positive: 3, 16, 1000000 and 2");
  EXPECT_EQ(text(good, {.normalization = {.whitespace_as_suffix = true}}),
            "[learn_unigram] whitespace_as_suffix must be off");
  EXPECT_EQ(std::ssize(rapt::learn_unigram(good, {.vocabulary_size = 7}).pieces), 7);
}

}  // namespace
