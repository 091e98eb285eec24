/// \file
/// The unigram model against trying all segmentations. (tests/pretrained/sentencepiece_file_test.cpp compares with the
/// sentencepiece package.)
#include "rapt/text/unigram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Rng;
using rapt::ScoredSegmentation;
using rapt::Segment;
using rapt::Segmentation;
using rapt::TokenId;
using rapt::Unigram;
using rapt::UnigramOptions;
using rapt::UnigramPiece;
using rapt::ValueError;
using rapt_test::error_text;

constexpr TokenId kUnknown = 99;

struct UnigramVocabulary {
  std::map<std::string, double> scores;

  explicit UnigramVocabulary(unsigned seed, int pieces = 12) {
    std::mt19937 random(seed);
    for (int i = 0; i < pieces; ++i) {
      std::string text(1 + random() % 3, ' ');
      for (char& c : text) c = static_cast<char>('a' + random() % 3);
      scores.emplace(text, -1.0 - static_cast<double>(random() % 9973) / 1000);
    }
  }
  [[nodiscard]] Unigram model(const UnigramOptions& options = {.unknown = kUnknown, .unknown_score = -20}) const {
    std::vector<UnigramPiece> list;
    for (const auto& [text, score] : scores) list.push_back({text, static_cast<TokenId>(list.size()), score});
    return Unigram(list, options);
  }
  /// All segmentations, with neighbouring unknown characters apart.
  [[nodiscard]] std::vector<ScoredSegmentation> all(std::string_view text, std::size_t begin = 0) const {
    if (begin == text.size()) return {{}};
    std::vector<ScoredSegmentation> found;
    for (std::size_t end = begin + 1; end <= text.size(); ++end) {
      const auto piece = scores.find(std::string(text.substr(begin, end - begin)));
      const bool is_unknown = piece == scores.end();
      if (is_unknown && end > begin + 1) continue;
      const TokenId id = is_unknown ? kUnknown : static_cast<TokenId>(std::distance(scores.begin(), piece));
      for (ScoredSegmentation rest : all(text, end)) {
        rest.segments.insert(rest.segments.begin(),
                             {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), id});
        rest.score += is_unknown ? -20 : piece->second;
        found.push_back(std::move(rest));
      }
    }
    std::stable_sort(found.begin(), found.end(), [](auto& a, auto& b) { return a.score > b.score; });
    return found;
  }
};

Segmentation fused(const Segmentation& segments) {
  Segmentation all;
  for (const Segment& segment : segments) {
    if (!all.empty() && segment.id == kUnknown && all.back().id == kUnknown) {
      all.back().end = segment.end;
    } else {
      all.push_back(segment);
    }
  }
  return all;
}

/// The score of a segmentation, which must be one of `all`.
double score_of(const Segmentation& segments, const std::vector<ScoredSegmentation>& all) {
  const auto one = std::find_if(all.begin(), all.end(), [&](auto& other) { return fused(other.segments) == segments; });
  return one == all.end() ? -INFINITY : one->score;
}

TEST(Unigram, FindsTheBestOfAllSegmentations) {
  std::mt19937 random(8);
  Unigram::Work work;
  for (unsigned seed = 0; seed < 30; ++seed) {
    const UnigramVocabulary vocabulary(seed);
    for (const bool is_single : {false, true}) {
      const Unigram model =
          vocabulary.model({.unknown = kUnknown, .unknown_score = -20, .single_precision = is_single});
      for (int n = 0; n < 10; ++n) {
        std::string text(random() % 9, ' ');
        for (char& c : text) c = static_cast<char>('a' + random() % 4);
        const auto all = vocabulary.all(text);
        model.best(text, work);
        EXPECT_NEAR(score_of(work.segments, all), all.front().score, 1e-4) << text;
        const auto best = model.n_best(text, 7);
        ASSERT_EQ(best.size(), std::min<std::size_t>(all.size(), 7)) << text;
        for (std::size_t i = 0; i < best.size(); ++i) EXPECT_NEAR(best[i].score, all[i].score, 1e-4);
        EXPECT_EQ(best[0].segments, work.segments);
      }
    }
  }
}

TEST(Unigram, UnknownCharactersAreApartIfWanted) {
  const Unigram model = UnigramVocabulary(1).model({.unknown = kUnknown, .unknown_score = -20, .fuse_unknown = false});
  Unigram::Work work;
  model.best("x\xC3\xA4\xE6\x88\x91\xF0\x9F\x98\x80", work);
  EXPECT_EQ(work.segments, (Segmentation{{0, 1, kUnknown}, {1, 3, kUnknown}, {3, 6, kUnknown}, {6, 10, kUnknown}}));
  model.best("", work);
  EXPECT_TRUE(work.segments.empty());
}

TEST(Unigram, DrawsEachSegmentationWithItsProbability) {
  const UnigramVocabulary vocabulary(3, 40);
  const Unigram model = vocabulary.model();
  const std::string text = "abcabc";
  const auto all = vocabulary.all(text);
  ASSERT_GT(all.size(), 8u);
  Rng rng(17);
  for (const double alpha : {0.0, 0.3, 1.0}) {
    double sum = 0;
    for (const auto& one : all) sum += std::exp(alpha * one.score);
    std::map<std::string, double> expected, drawn;
    const auto name = [](const Segmentation& segments) {
      std::string ends;
      for (const Segment& segment : segments) ends += std::to_string(segment.end) + " ";
      return ends;
    };
    for (const auto& one : all) expected[name(fused(one.segments))] += std::exp(alpha * one.score) / sum;
    constexpr int kDraws = 20000;
    for (int i = 0; i < kDraws; ++i) drawn[name(model.sample(text, alpha, rng))] += 1.0 / kDraws;
    for (const auto& [ends, probability] : expected) {
      EXPECT_NEAR(drawn[ends], probability, 5 * std::sqrt(probability / kDraws) + 1e-4) << ends << alpha;
    }
    for (const auto& [ends, frequency] : drawn) EXPECT_TRUE(expected.contains(ends)) << ends;
  }
  EXPECT_NEAR(score_of(model.sample(text, 1000, rng), all), all.front().score, 1e-4);
  EXPECT_TRUE(model.sample("", 1, rng).empty());
}

TEST(Unigram, RefusesPiecesAndOptions) {
  const auto refusal = [](const UnigramPiece& piece) {
    return error_text<ValueError>([&] { Unigram model({&piece, 1}, {}); });
  };
  EXPECT_EQ(refusal({"", 4, -1}), "[unigram] a text must not be empty: that with the number 0");
  EXPECT_EQ(refusal({"a", 4, -INFINITY}), "[unigram] a score must be finite: \"a\" has -inf");
  const std::vector<UnigramPiece> twice = {{"a", 0, -1}, {"b", 1, -1}, {"a", 2, -1}};
  EXPECT_EQ(error_text<ValueError>([&] { Unigram model(twice, {}); }), "[unigram] a text must occur once: \"a\"");
  const Unigram model = UnigramVocabulary(1).model();
  EXPECT_EQ(error_text<ValueError>([&] { (void)model.n_best("a", 0); }), "[unigram] n_best: n must be positive: 0");
  Rng rng;
  EXPECT_EQ(error_text<ValueError>([&] { (void)model.sample("a", NAN, rng); }),
            "[unigram] sample: alpha must be finite: nan");
}

}  // namespace
