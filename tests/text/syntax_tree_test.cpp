/// \file
/// Trees as bracketed text, as symbols and as spans: there and back, and what is refused with its place.
// covers: text/tree_spans.hpp
#include "rapt/text/syntax_tree.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "rapt/core/rng.hpp"
#include "rapt/text/tree_spans.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::LabelledSpan;
using rapt::parse_trees;
using rapt::SyntaxTree;
using rapt_test::error_text;
using Strings = std::vector<std::string>;

const char* const kDogs = "(S (NP (DT The) (NNS dogs)) (VP (VBP bark) (ADVP (RB loudly))) (. .))";

SyntaxTree tree_of(const std::string& text) { return parse_trees(text).at(0); }

Strings words_of(const SyntaxTree& tree) {
  Strings words;
  for (const SyntaxTree* leaf : leaves_of(tree)) words.push_back(leaf->word);
  return words;
}
Strings tags_of(const SyntaxTree& tree) {
  Strings tags;
  for (const SyntaxTree* leaf : leaves_of(tree)) tags.push_back(leaf->label);
  return tags;
}

/// A tree over `words` words with chains of constituents over the same words.
SyntaxTree random_tree(rapt::Rng& rng, rapt::Index words, int chain = 0) {
  if (words == 1 && (chain > 1 || rng.below(3) > 0)) {
    return {.label = "T" + std::to_string(rng.below(3)), .word = "w" + std::to_string(rng.below(100))};
  }
  SyntaxTree tree{.label = "L" + std::to_string(rng.below(4))};
  if (words == 1 || (chain < 2 && rng.below(5) == 0)) {
    tree.children.push_back(random_tree(rng, words, chain + 1));
    return tree;
  }
  while (words > 0) {
    const rapt::Index most = tree.children.empty() ? words - 1 : words;
    const auto part = rng.below(most) + 1;
    tree.children.push_back(random_tree(rng, part));
    words -= part;
  }
  return tree;
}
SyntaxTree random_root(rapt::Rng& rng) {
  SyntaxTree root{.label = "ROOT"};
  root.children.push_back(random_tree(rng, rng.below(12) + 1));
  return root;
}

TEST(SyntaxTree, IsReadFromBracketsAndWritten) {
  const SyntaxTree tree = tree_of(kDogs);
  EXPECT_EQ(tree.label, "S");
  ASSERT_EQ(tree.children.size(), 3u);
  EXPECT_EQ(tree.children[0].children[1].label, "NNS");
  EXPECT_EQ(tree.children[0].children[1].word, "dogs");
  EXPECT_EQ(words_of(tree), (Strings{"The", "dogs", "bark", "loudly", "."}));
  EXPECT_EQ(to_string(tree), kDogs);
}

TEST(SyntaxTree, WhiteSpaceAndAMissingLabelOfTheRootAreAsInThePennTreebank) {
  const std::vector<SyntaxTree> trees =
      parse_trees("\n( (S\n    (NP-SBJ-1 (PRP It))\r\n\t(VP(VBZ is))) )\n\n(X (-LRB- -LRB-))");
  ASSERT_EQ(trees.size(), 2u);
  EXPECT_EQ(to_string(trees[0]), "( (S (NP-SBJ-1 (PRP It)) (VP (VBZ is))))");
  EXPECT_EQ(tree_of(to_string(trees[0])), trees[0]);
  EXPECT_EQ(to_string(without_functions(trees[0])), "( (S (NP (PRP It)) (VP (VBZ is))))");
  EXPECT_EQ(to_string(without_functions(trees[1])), "(X (-LRB- -LRB-))");
  EXPECT_TRUE(parse_trees(" \n").empty());
}

TEST(SyntaxTree, ErrorsNameTheLineAndTheColumn) {
  const auto error = [](const std::string& text) {
    return error_text<rapt::IoError>([&] { static_cast<void>(parse_trees(text, "f")); });
  };
  EXPECT_EQ(error("word"), "[syntax_tree] f:1:1: a tree must begin with \"(\"");
  EXPECT_EQ(error("(S (NN é))\n (S (NN é)) )"), "[syntax_tree] f:2:13: a tree must begin with \"(\"");
  EXPECT_EQ(error("(S (NN a b))"), "[syntax_tree] f:1:10: a bracket holds one word or other brackets");
  EXPECT_EQ(error("(S (NN a) b)"), "[syntax_tree] f:1:11: a bracket holds one word or other brackets");
  EXPECT_EQ(error("(S a (NN b))"), "[syntax_tree] f:1:6: a bracket holds one word or other brackets");
  EXPECT_EQ(error("(S (NP ))"), "[syntax_tree] f:1:8: a bracket must hold a word or other brackets");
  EXPECT_EQ(error("(S ((NN a)))"), "[syntax_tree] f:1:5: a bracket inside of a tree must have a label");
  EXPECT_EQ(error("( a)"), "[syntax_tree] f:1:3: a word must have a tag");
  EXPECT_EQ(error("(S\n(NN a)"), "[syntax_tree] f:2:7: the text ends within a tree: 1 brackets are open");
  EXPECT_EQ(error("(S (NN \xFF))"), "[syntax_tree] f:1:8: the text is not UTF-8");
  std::string deep;
  for (int i = 0; i <= rapt::kDeepestTree; ++i) deep += "(A ";
  EXPECT_NE(error(deep).find("the tree has more than 1000 levels"), std::string::npos);
}

TEST(SyntaxTree, FilesOfTrees) {
  const auto path = std::filesystem::temp_directory_path() / "rapt_syntax_tree_test.trees";
  std::ofstream(path) << kDogs << "\n" << kDogs << "\n";
  EXPECT_EQ(rapt::read_trees(path), (std::vector<SyntaxTree>{tree_of(kDogs), tree_of(kDogs)}));
  std::ofstream(path) << "\n";
  EXPECT_NE(error_text<rapt::IoError>([&] { static_cast<void>(rapt::read_trees(path)); }).find("there are no trees"),
            std::string::npos);
  std::filesystem::remove(path);
}

TEST(SyntaxTree, TracesAreRemovedWithWhatHoldsNothingElse) {
  const SyntaxTree tree = tree_of("(S (NP (-NONE- *)) (VP (VB Go) (NP (NP (-NONE- *T*)))))");
  EXPECT_EQ(to_string(without_traces(tree)), "(S (VP (VB Go)))");
  EXPECT_NE(error_text<rapt::ValueError>([] { (void)without_traces(tree_of("(S (-NONE- *))")); }), "");
}

TEST(SyntaxTree, LabelsOfMarksAloneStay) {
  EXPECT_EQ(rapt::without_functions(std::string_view("NP-SBJ=2")), "NP");
  EXPECT_EQ(rapt::without_functions(std::string_view("=2")), "=2");
  EXPECT_EQ(rapt::without_functions(std::string_view("-LRB-")), "-LRB-");
  EXPECT_EQ(rapt::without_functions(std::string_view("")), "");
  const SyntaxTree tree = without_functions(tree_of("(S (=2 (NN a)))"));
  EXPECT_EQ(tree_of(to_string(tree)), tree);
}

TEST(SyntaxTree, WhatCannotBeReadAgainIsNotWritten) {
  const auto error = [](const std::string& label, const std::string& word, const std::string& root = "S") {
    SyntaxTree tree{.label = root};
    tree.children.push_back({.label = label, .word = word});
    return error_text<rapt::ValueError>([&] { static_cast<void>(to_string(tree)); });
  };
  const std::string why = " cannot be written: it is empty, or has white space, a bracket or bytes that are not UTF-8";
  EXPECT_EQ(error("NN", "(Bob)"), "[syntax_tree] the word \"(Bob)\"" + why);
  EXPECT_EQ(error("NN", ""), "[syntax_tree] the word \"\"" + why);
  EXPECT_EQ(error("NN", "a b"), "[syntax_tree] the word \"a b\"" + why);
  EXPECT_EQ(error("", "a"), "[syntax_tree] the label \"\"" + why);
  EXPECT_EQ(error("N)", "a"), "[syntax_tree] the label \"N)\"" + why);
  EXPECT_EQ(error("NN", "a", "S\n"), "[syntax_tree] the label \"S\n\"" + why);
  EXPECT_NE(error("NN", "\xFF").find("UTF-8"), std::string::npos);
  EXPECT_EQ(to_string(tree_of("( (NN a))")), "( (NN a))");  // the root may lack a label
  const auto error_of = [](const SyntaxTree& tree) {
    return error_text<rapt::ValueError>([&] { static_cast<void>(to_string(tree)); });
  };
  EXPECT_EQ(error_of({.label = "", .word = "a"}), "[syntax_tree] the label \"\"" + why);
  SyntaxTree both = tree_of("(S (NN a))");
  both.word = "b";
  EXPECT_EQ(error_of(both), "[syntax_tree] a node has both a word, \"b\", and children");
}

TEST(SyntaxTree, TreesOfAllFormsHaveTheSameLimitOfDepth) {
  const auto nested = [](rapt::Index levels) {  // the last of them is the word's
    Strings symbols;
    for (rapt::Index i = 1; i < levels; ++i) symbols.push_back("(A");
    symbols.push_back("XX");
    for (rapt::Index i = 1; i < levels; ++i) symbols.push_back(")A");
    return symbols;
  };
  const SyntaxTree deepest = rapt::delinearize(nested(1000), Strings{"a"});
  EXPECT_EQ(tree_of(to_string(deepest)), deepest);
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)rapt::delinearize(nested(1001), Strings{"a"}); }),
            "[delinearize] the tree has more than 1000 levels");
  SyntaxTree deeper{.label = "A"};
  deeper.children.push_back(deepest);
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)to_string(deeper); }),
            "[syntax_tree] the tree has more than 1000 levels");
}

TEST(SyntaxTree, IsLinearizedAsInThePaper) {
  const SyntaxTree tree = tree_of(kDogs);
  const Strings symbols = linearize(tree);
  EXPECT_EQ(symbols, (Strings{"(S", "(NP", "XX", "XX", ")NP", "(VP", "XX", "(ADVP", "XX", ")ADVP", ")VP", "XX", ")S"}));
  EXPECT_EQ(tags_of(rapt::delinearize(symbols, words_of(tree))), Strings(5, "XX"));
  EXPECT_EQ(rapt::delinearize(linearize(tree, /*keep_tags=*/true), words_of(tree)), tree);
}

TEST(SyntaxTree, SymbolsThatAreNoTreeAreRefused) {
  const auto error = [](const Strings& symbols) {
    return error_text<rapt::ValueError>([&] { static_cast<void>(rapt::delinearize(symbols, Strings{"a", "b"})); });
  };
  EXPECT_EQ(error({"(S", "XX", "XX"}), "[delinearize] the symbols end within a tree: 1 brackets are open");
  EXPECT_EQ(error({"(S", "XX", ")S"}), "[delinearize] the symbols have 1 words, given are 2");
  EXPECT_EQ(error({"(S", "XX", "XX", "XX"}),
            "[delinearize] symbol 3, \"XX\", stands for one word more than the 2 given");
  EXPECT_EQ(error({"(S", "XX", ")NP"}), "[delinearize] symbol 2, \")NP\", closes \"(S\"");
  EXPECT_EQ(error({")S"}), "[delinearize] symbol 0, \")S\", closes nothing");
  EXPECT_EQ(error({"(S", ")S"}), "[delinearize] symbol 1, \")S\", closes a bracket without words");
  EXPECT_EQ(error({"(S", "XX", ")S", "XX"}), "[delinearize] the tree ends before symbol 3, \"XX\"");
  EXPECT_NE(error({}), "");
}

TEST(SyntaxTree, RandomTreesComeBackFromEveryForm) {
  rapt::Rng rng(5);
  for (int i = 0; i < 200; ++i) {
    const SyntaxTree tree = random_root(rng);
    EXPECT_EQ(tree_of(to_string(tree)), tree);
    EXPECT_EQ(rapt::delinearize(linearize(tree, true), words_of(tree)), tree);
    std::vector<LabelledSpan> chains = chain_spans_of(tree);
    rng.shuffle(std::span(chains));  // their order does not matter
    EXPECT_EQ(rapt::tree_of_chain_spans(chains, words_of(tree), tags_of(tree)), tree) << to_string(tree);
  }
}

TEST(TreeSpans, ConstituentsAreSpansAndUnaryChainsOneSpan) {
  const SyntaxTree tree = tree_of("(ROOT (S (NP (NN Time)) (VP (VBZ flies))))");
  EXPECT_EQ(spans_of(tree), (std::vector<LabelledSpan>{{0, 2, "ROOT"}, {0, 2, "S"}, {0, 1, "NP"}, {1, 2, "VP"}}));
  EXPECT_EQ(chain_spans_of(tree), (std::vector<LabelledSpan>{{0, 2, "ROOT+S"}, {0, 1, "NP"}, {1, 2, "VP"}}));
  EXPECT_TRUE(spans_of(tree_of("(NN a)")).empty());
  EXPECT_NE(error_text<rapt::ValueError>([] { (void)rapt::chain_spans_of(tree_of("(A+B (NN a))")); }), "");
}

TEST(TreeSpans, SpansThatAreNoTreeAreRefused) {
  const Strings words{"a", "b", "c"};
  const auto error = [&](std::vector<LabelledSpan> spans) {
    return error_text<rapt::ValueError>([&] { (void)rapt::tree_of_chain_spans(std::move(spans), words, words); });
  };
  EXPECT_EQ(error({}), "[tree_of_chain_spans] no span has all of the words, of which there are 3");
  EXPECT_NE(error({{0, 2, "A"}}), "");
  EXPECT_NE(error({{0, 3, "A"}, {0, 2, "B"}, {1, 3, "C"}}), "");
  EXPECT_NE(error({{0, 3, "A"}, {0, 3, "B"}}), "");
  EXPECT_NE(error({{0, 3, "A"}, {1, 1, "B"}}), "");
  EXPECT_NE(error({{0, 3, "A"}, {2, 4, "B"}}), "");
  EXPECT_NE(error({{0, 3, "A"}, {3, 4, "B"}}), "");
  EXPECT_NE(error({{-1, 3, "A"}}), "");
}

TEST(TreeSpans, DeepTreesAreRefusedBeforeTheyAreMade) {
  const auto chain = [](rapt::Index labels) {
    std::string label = "A";
    for (rapt::Index i = 1; i < labels; ++i) label += "+A";
    return label;
  };
  const Strings one{"a"};
  const auto tree = [&](rapt::Index labels) { return rapt::tree_of_chain_spans({{0, 1, chain(labels)}}, one, one); };
  const SyntaxTree deepest = tree(999);  // and the word's level
  EXPECT_EQ(chain_spans_of(deepest), (std::vector<LabelledSpan>{{0, 1, chain(999)}}));
  EXPECT_EQ(tree_of(to_string(deepest)), deepest);
  const auto error = [](const auto& make) { return error_text<rapt::ValueError>([&] { (void)make(); }); };
  EXPECT_EQ(error([&] { return tree(1000); }),
            "[tree_of_chain_spans] the words of the span 0 .. 1 are deeper than 1000 levels");
  EXPECT_NE(error([&] { return tree(1'000'000); }), "");
  // Spans 0 .. n, 1 .. n and so on: each is in all before it.
  const auto staircase = [](rapt::Index levels) {
    std::vector<LabelledSpan> spans;
    for (rapt::Index i = 0; i < levels; ++i) spans.push_back({i, levels, "A"});
    const Strings words(rapt::to_size(levels), "a");
    return rapt::tree_of_chain_spans(std::move(spans), words, words);
  };
  EXPECT_EQ(spans_of(staircase(999)).size(), 999u);
  EXPECT_EQ(error([&] { return staircase(1001); }),
            "[tree_of_chain_spans] the words of the span 999 .. 1001 are deeper than 1000 levels");
}

}  // namespace
