/// \file
/// Labelled brackets counted as evalb counts them: against PYEVALB (tests/golden/make_bracket_scores.py), and by hand.
#include "rapt/text/bracket_scores.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rapt/text/lines.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::BracketCounts;
using rapt::Index;
using rapt::SyntaxTree;
using rapt_test::error_text;

SyntaxTree tree(std::string_view text) { return rapt::parse_trees(text).at(0); }
BracketCounts counts(std::string_view predicted, std::string_view gold) {
  return rapt::bracket_counts(tree(predicted), tree(gold));
}

TEST(BracketScores, AreThoseOfPyevalb) {
  std::vector<SyntaxTree> predicted, gold;
  BracketCounts total;
  for (const std::string& line : rapt::read_lines(RAPT_GOLDEN_DIR "/bracket_scores.tsv")) {
    std::vector<std::string> fields(1);
    for (const char c : line) {
      if (c == '\t') {
        fields.emplace_back();
      } else {
        fields.back() += c;
      }
    }
    ASSERT_EQ(fields.size(), 8u) << line;
    gold.push_back(tree(fields[0]));
    predicted.push_back(tree(fields[1]));
    const BracketCounts found = rapt::bracket_counts(predicted.back(), gold.back());
    const std::vector<Index> numbers{found.matched,  found.gold,         found.predicted,
                                     found.crossing, found.correct_tags, found.tagged};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      EXPECT_EQ(std::to_string(numbers[i]), fields[i + 2]) << "number " << i << " of\n" << line;
    }
    total += found;
  }
  ASSERT_EQ(gold.size(), 60u);
  const BracketCounts all = rapt::bracket_counts(predicted, gold);
  EXPECT_EQ(all.matched, total.matched);
  EXPECT_EQ(all.complete, total.complete);
  EXPECT_GT(all.complete, 5);
  EXPECT_LT(all.complete, 30);
  EXPECT_EQ(all.sentences, 60);
}

TEST(BracketScores, OfOneSentenceByHand) {
  // Gold: S 0-4, NP 0-2, VP 2-4, NP 3-4. Predicted: S 0-4, NP 0-2, VP 2-4 and NP 2-4, which is another one.
  const BracketCounts c = counts("(ROOT (S (NP (DT a) (NN b)) (VP (NP (VB c) (NN d)))))",
                                 "(ROOT (S (NP (DT a) (NN b)) (VP (VB c) (NP (NN d)))))");
  EXPECT_EQ(c.matched, 3);
  EXPECT_EQ(c.gold, 4);
  EXPECT_EQ(c.predicted, 4);
  EXPECT_EQ(c.complete, 0);
  EXPECT_DOUBLE_EQ(c.precision(), 0.75);
  EXPECT_DOUBLE_EQ(c.recall(), 0.75);
  EXPECT_DOUBLE_EQ(c.f1(), 0.75);
  EXPECT_DOUBLE_EQ(c.tag_accuracy(), 1);
}

TEST(BracketScores, RootsPunctuationFunctionsAndParticlesDoNotCount) {
  const BracketCounts c = counts("(TOP (S (NP (NN a)) (. .) (VP (VB b) (PRT (RP c)) (PRN (: -)))))",
                                 "(ROOT (S (NP-SBJ (NN a) (. .)) (VP (VB b) (ADVP=2 (RP c)) (: -))))");
  EXPECT_EQ(c.matched, 4);
  EXPECT_EQ(c.gold, 4);
  EXPECT_EQ(c.predicted, 4);
  EXPECT_EQ(c.complete, 1);
  EXPECT_EQ(c.tagged, 3);
  const BracketCounts nothing = counts("(ROOT (. .))", "(ROOT (. .))");
  EXPECT_EQ(nothing.gold, 0);
  EXPECT_EQ(nothing.f1(), 0);
  EXPECT_EQ(nothing.complete_match(), 1);
}

TEST(BracketScores, EqualBracketsMatchOneEach) {
  const BracketCounts c = counts("(NP (NP (NN a)))", "(NP (NP (NP (NN a))))");
  EXPECT_EQ(c.matched, 2);
  EXPECT_EQ(c.gold, 3);
  EXPECT_EQ(c.predicted, 2);
}

TEST(BracketScores, CrossingBracketsAndWrongTags) {
  const BracketCounts c = counts("(S (A (X a) (B b)) (C c))", "(S (A a) (D (B b) (C c)))");
  EXPECT_EQ(c.crossing, 1);
  EXPECT_EQ(c.correct_tags, 2);
  EXPECT_EQ(c.tagged, 3);
}

TEST(BracketScores, TreesOfOtherWordsAreRefused) {
  EXPECT_NE(error_text<rapt::ValueError>([] { (void)counts("(S (A a))", "(S (A b))"); }).find("word 0 is \"a\""),
            std::string::npos);
  const std::vector<SyntaxTree> one{tree("(S (A a))")}, two{tree("(S (A a))"), tree("(S (A a) (B b))")};
  EXPECT_THROW((void)rapt::bracket_counts(one, two), rapt::ShapeError);
  const std::vector<SyntaxTree> wrong{one[0], one[0]};
  EXPECT_NE(error_text<rapt::ValueError>([&] { (void)rapt::bracket_counts(wrong, two); }).find("sentence 1: "),
            std::string::npos);
}

}  // namespace
