#include "rapt/text/chrf.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/text/golden_text.hpp"

namespace {

using golden::Lines;
using rapt::chrf;
using rapt::ChrfOptions;
using rapt::ChrfStatistics;
using rapt_test::error_text;

TEST(Chrf, EqualsSacrebleu) {
  const std::map<std::string, ChrfOptions> metrics = {
      {"chrf", {}},
      {"chrf lowercase", {.lowercase = true}},
      {"chrf whitespace", {.whitespace = true}},
      {"chrf eps", {.eps_smoothing = true}},
      {"chrf++", {.word_order = 2}},
      {"chrf++ lowercase whitespace eps",
       {.word_order = 2, .lowercase = true, .whitespace = true, .eps_smoothing = true}},
      {"chrf short", {.char_order = 3, .word_order = 1, .beta = 1}}};
  const golden::Metrics golden = golden::Metrics::read();
  for (const auto& [name, options] : metrics) {
    EXPECT_EQ(golden::settings_of(signature(options)), golden.signatures.at(name));
    for (const golden::Metrics::Set& set : golden.sets) {
      EXPECT_NEAR(chrf(set.hypotheses, set.references, options).score, set.scores.at(name), 1e-9)
          << set.name << ", " << name;
    }
  }
}

TEST(Chrf, IsWorkedOutByHand) {
  // Of "abcd", 3 of 4 characters and 1 of 3 pairs ("bc") are in "xbc d"; 5 characters without white space are 4.
  const rapt::Chrf result = chrf(Lines{"abcd"}, Lines{"xbc d"}, {.char_order = 2, .beta = 3});
  EXPECT_NEAR(result.precision, 100.0 * (3.0 / 4 + 2.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(result.recall, 100.0 * (3.0 / 4 + 2.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(result.score, result.precision, 1e-12);

  // "ab" against "abab": both characters of 2 and of 4, one pair of 1 and of 3. The longer orders lack a side.
  const rapt::Chrf shorter = chrf(Lines{"ab"}, Lines{"abab"});
  const double precision = 1.0, recall = (2.0 / 4 + 1.0 / 3) / 2;
  EXPECT_NEAR(shorter.precision, 100 * precision, 1e-12);
  EXPECT_NEAR(shorter.recall, 100 * recall, 1e-12);
  EXPECT_NEAR(shorter.score, 100 * 5 * precision * recall / (4 * precision + recall), 1e-12);
}

TEST(Chrf, WordsPartWithOnePunctuationMark) {
  const auto words = [](std::string_view text) {
    const std::vector<std::string_view> found = rapt::detail::chrf_words(text);
    return Lines(found.begin(), found.end());
  };
  EXPECT_EQ(words(" it's the end. "), (Lines{"it's", "the", "end", "."}));
  EXPECT_EQ(words("(so (so) ..."), (Lines{"(", "so", "(so", ")", "..", "."}));  // the one at the end first
  EXPECT_EQ(words("- a '"), (Lines{"-", "a", "'"}));
  EXPECT_EQ(words("\u00ABa\u00BB b\u3002"), (Lines{"\u00ABa\u00BB", "b\u3002"}));  // ASCII marks only
  EXPECT_EQ(words(""), Lines{});
}

TEST(Chrf, ACharacterIsACodePoint) {
  // An umlaut, a Chinese character and an emoji, of two, three and four bytes.
  const auto counts = rapt::chrf_statistics(Lines{"\u00FC\u5929\U0001F600"}, Lines{"\u00FC\u6C14\U0001F600"})[0].orders;
  EXPECT_EQ(counts[0].hypothesis, 3);
  EXPECT_EQ(counts[0].matches, 2);
  EXPECT_EQ(counts[1].hypothesis, 2);
  EXPECT_EQ(counts[1].matches, 0);
}

TEST(Chrf, SumsOfSegmentsAreTheCorpus) {
  const Lines hypotheses = {"a river runs", "", "near the house", "x"};
  const Lines references = {"a river ran", "slowly", "", "the old house"};
  for (const ChrfOptions& options :
       {ChrfOptions{}, ChrfOptions{.word_order = 2}, ChrfOptions{.word_order = 2, .eps_smoothing = true}}) {
    const std::vector<ChrfStatistics> statistics = rapt::chrf_statistics(hypotheses, references, options);
    ASSERT_EQ(statistics.size(), 4u);
    ChrfStatistics sum = statistics[0];
    for (std::size_t i = 1; i < 4; ++i) {
      EXPECT_EQ(statistics[i].score(),
                chrf(std::span(hypotheses).subspan(i, 1), std::span(references).subspan(i, 1), options).score);
      sum += statistics[i];
    }
    EXPECT_EQ(sum.score(), chrf(hypotheses, references, options).score);
    EXPECT_GT(sum.score(), 0.0);
  }
}

TEST(Chrf, RefusesWhatItCannotScore) {
  const auto refusal = [](const Lines& hypotheses, const Lines& references, const ChrfOptions& options) {
    return error_text<rapt::ValueError>([&] { (void)chrf(hypotheses, references, options); });
  };
  EXPECT_EQ(refusal({"a", "b"}, {"a"}, {}),
            "[chrf] each hypothesis needs one reference: hypotheses = 2, references = 1");
  EXPECT_EQ(refusal({}, {}, {}), "[chrf] the corpus is empty: hypotheses = 0");
  EXPECT_EQ(refusal({"a"}, {"a"}, {.char_order = 0}), "[chrf] char_order must be positive: char_order = 0");
  EXPECT_EQ(refusal({"a"}, {"a"}, {.word_order = -1}), "[chrf] word_order must not be negative: word_order = -1");
  EXPECT_EQ(refusal({"a"}, {"a"}, {.beta = 0}), "[chrf] beta must be positive: beta = 0");
  EXPECT_EQ(error_text<rapt::ValueError>([] {
              ChrfStatistics sum = rapt::chrf_statistics(Lines{"a"}, Lines{"a"})[0];
              sum += rapt::chrf_statistics(Lines{"a"}, Lines{"a"}, {.word_order = 2})[0];
            }),
            "[chrf] statistics of different orders cannot be added: 6 and 8");
}

TEST(Chrf, BearsMalformedBytes) {
  const Lines malformed = {"a \xFF\xC3 \xE2\x82 d\x80"}, others = {"a \xFE\xC3 \xE2\x82 d\x80"};
  EXPECT_NEAR(chrf(malformed, malformed, {.word_order = 2, .lowercase = true, .whitespace = true}).score, 100.0, 1e-9);
  EXPECT_LT(chrf(malformed, others).score, 99.0);
}

TEST(Chrf, NamesItselfAndItsSettings) {
  EXPECT_EQ(to_string(chrf(Lines{"abcdef"}, Lines{"abcdef"})), "chrF2 = 100.00");
  EXPECT_EQ(to_string(chrf(Lines{"a b"}, Lines{"c d"}, {.word_order = 2, .beta = 3})), "chrF3++ = 0.00");
  const std::string version = std::to_string(RAPT_VERSION_MAJOR) + "." + std::to_string(RAPT_VERSION_MINOR) + "." +
                              std::to_string(RAPT_VERSION_PATCH);
  EXPECT_EQ(signature(ChrfOptions{}), "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:rapt-" + version);
}

}  // namespace
