#include "rapt/text/bleu.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/text/golden_text.hpp"

namespace {

using golden::Lines;
using rapt::Bleu;
using rapt::bleu;
using rapt::BleuOptions;
using rapt_test::error_text;

TEST(Bleu, EqualsSacrebleu) {
  std::ifstream file(RAPT_GOLDEN_DIR "/bleu.tsv", std::ios::binary);
  ASSERT_TRUE(file.is_open()) << RAPT_GOLDEN_DIR "/bleu.tsv";
  constexpr double kTolerance = 1e-6;  // the file has six digits
  int scores = 0;
  std::string name, line;
  Lines hypotheses, references;
  while (std::getline(file, line)) {
    const Lines columns = golden::columns_of(line);
    if (columns[0] == "case") {
      name = columns.at(1);
      hypotheses.clear();
      references.clear();
    } else if (columns[0] == "pair") {
      hypotheses.push_back(golden::unescaped(columns.at(1)));
      references.push_back(golden::unescaped(columns.at(2)));
    } else if (columns[0] == "score") {
      ASSERT_EQ(columns.size(), 12u) << name;
      const BleuOptions options{
          .tokenize = columns[1] == "13a" ? BleuOptions::Tokenize::v13a : BleuOptions::Tokenize::none,
          .lowercase = columns[2] == "1"};
      const Bleu result = bleu(hypotheses, references, options);
      SCOPED_TRACE(name + ", " + signature(options));
      EXPECT_NEAR(result.score, std::stod(columns[3]), kTolerance);
      for (std::size_t n = 0; n < 4; ++n) EXPECT_NEAR(result.precisions[n], std::stod(columns[4 + n]), kTolerance);
      EXPECT_NEAR(result.brevity_penalty, std::stod(columns[8]), 1e-6);
      EXPECT_EQ(result.hypothesis_length, std::stol(columns[9]));
      EXPECT_EQ(result.reference_length, std::stol(columns[10]));
      EXPECT_EQ(to_string(result), columns[11]);
      ++scores;
    }
  }
  EXPECT_GE(scores, 240) << "the golden file is short";
}

TEST(Bleu, EqualsSacrebleuInManyScripts) {
  const std::map<std::string, BleuOptions> metrics = {
      {"bleu", {}}, {"bleu none", {.tokenize = BleuOptions::Tokenize::none}}, {"bleu lowercase", {.lowercase = true}}};
  const golden::Metrics golden = golden::Metrics::read();
  for (const auto& [name, options] : metrics) {
    EXPECT_EQ(golden::settings_of(signature(options)), golden.signatures.at(name));
    for (const golden::Metrics::Set& set : golden.sets) {
      EXPECT_NEAR(bleu(set.hypotheses, set.references, options).score, set.scores.at(name), 1e-9)
          << set.name << ", " << name;
    }
  }
}

TEST(Bleu, IsWorkedOutByHand) {
  // 6 of 7 words, 4 of 6 pairs, 2 of 5 triples and 1 of 4 quadruples match; 7 tokens against 8.
  const Bleu result = bleu(Lines{"a b c d x f g"}, Lines{"a b c d e f g h"});
  EXPECT_DOUBLE_EQ(result.precisions[0], 600.0 / 7);
  EXPECT_DOUBLE_EQ(result.precisions[1], 400.0 / 6);
  EXPECT_DOUBLE_EQ(result.precisions[2], 200.0 / 5);
  EXPECT_DOUBLE_EQ(result.precisions[3], 100.0 / 4);
  EXPECT_DOUBLE_EQ(result.brevity_penalty, std::exp(1.0 - 8.0 / 7.0));
  EXPECT_NEAR(result.score, 100 * std::exp(1.0 - 8.0 / 7.0) * std::pow(6.0 / 7 * 4 / 6 * 2 / 5 * 1 / 4, 0.25), 1e-9);
}

TEST(Bleu, SumsCountsOverTheCorpus) {
  const Lines hypotheses = {"a b c d", "x y"};
  const Lines references = {"a b c d", "x z"};
  const Bleu result = bleu(hypotheses, references);
  EXPECT_DOUBLE_EQ(result.precisions[0], 100.0 * 5 / 6);
  EXPECT_DOUBLE_EQ(result.precisions[1], 100.0 * 3 / 4);
  EXPECT_DOUBLE_EQ(result.precisions[2], 100.0);
  EXPECT_DOUBLE_EQ(result.precisions[3], 100.0);
}

TEST(Bleu, CountsEachSegmentOnce) {
  const Lines hypotheses = {"a b c d", "", "x y x", "b a"};
  const Lines references = {"a b c d", "a", "x y z x", ""};
  const std::vector<rapt::BleuStatistics> statistics = rapt::bleu_statistics(hypotheses, references);
  ASSERT_EQ(statistics.size(), 4u);
  using Counts = std::array<rapt::Index, 4>;
  EXPECT_EQ(statistics[0].matches, (Counts{4, 3, 2, 1}));
  EXPECT_EQ(statistics[0].totals, (Counts{4, 3, 2, 1}));
  EXPECT_EQ(statistics[1].totals, (Counts{0, 0, 0, 0}));
  EXPECT_EQ(statistics[1].reference_length, 1);
  EXPECT_EQ(statistics[2].matches, (Counts{3, 1, 0, 0}));
  EXPECT_EQ(statistics[2].totals, (Counts{3, 2, 1, 0}));
  EXPECT_EQ(statistics[2].hypothesis_length, 3);
  EXPECT_EQ(statistics[2].reference_length, 4);
  EXPECT_EQ(statistics[3].matches, (Counts{0, 0, 0, 0}));

  rapt::BleuStatistics sum;
  for (const rapt::BleuStatistics& one : statistics) sum += one;
  EXPECT_EQ(sum.totals, (Counts{9, 6, 3, 1}));
  EXPECT_EQ(to_string(sum.result()), to_string(bleu(hypotheses, references)));
  EXPECT_EQ(sum.score(), bleu(hypotheses, references).score);
}

TEST(Bleu, RefusesUnequalAndEmptyCorpora) {
  const auto message = [](const Lines& hypotheses, const Lines& references) {
    return error_text<rapt::ValueError>([&] { (void)bleu(hypotheses, references); });
  };
  EXPECT_EQ(message({"a", "b"}, {"a"}), "[bleu] each hypothesis needs one reference: hypotheses = 2, references = 1");
  EXPECT_EQ(message({}, {}), "[bleu] the corpus is empty: hypotheses = 0");
}

TEST(Bleu, BearsMalformedBytes) {
  EXPECT_NEAR(bleu(Lines{"a \xFF\xC3 \xE2\x82 d\x80"}, Lines{"a \xFF\xC3 \xE2\x82 d\x80"}, {.lowercase = true}).score,
              100.0, 1e-9);
}

TEST(Bleu, NamesItsSettings) {
  EXPECT_EQ(rapt::signature().rfind("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:rapt-", 0), 0u);
  EXPECT_EQ(rapt::signature({.tokenize = BleuOptions::Tokenize::none, .lowercase = true})
                .rfind("nrefs:1|case:lc|eff:no|tok:none|smooth:exp|version:rapt-", 0),
            0u);
}

}  // namespace
