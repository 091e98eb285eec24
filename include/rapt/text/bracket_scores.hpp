/// \file
/// How well a parser finds constituents: precision, recall and F1 of labelled brackets, as the program evalb (Sekine
/// and Collins) counts them with its parameter file COLLINS.prm.
///
///   P = matched / predicted brackets,  R = matched / gold brackets,  F1 = 2 P R / (P + R)
///
/// A bracket is a constituent's label, without functions, and its words. It matches if the other tree has the same one;
/// of equal brackets in a tree each matches one in the other tree. Before brackets are counted, words whose tag is
/// punctuation are removed, then brackets without words and those of the root.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/syntax_tree.hpp"
#include "rapt/text/tree_spans.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What is not counted, and which labels count as one. The defaults are those of COLLINS.prm, with more names of roots.
struct BracketOptions {
  /// Words with one of these tags in the gold tree are left out.
  std::vector<std::string> removed_tags = {"-NONE-", ",", ":", "``", "''", "."};
  /// Brackets with one of these labels are left out.
  std::vector<std::string> removed_labels = {"", "TOP", "ROOT", "S1"};
  /// A bracket of the first label counts as one of the second.
  std::vector<std::pair<std::string, std::string>> equal_labels = {{"PRT", "ADVP"}};
};

/// The counts of one sentence or of many.
struct BracketCounts {
  Index matched = 0, gold = 0, predicted = 0;  ///< brackets
  Index sentences = 0;                         ///< that were counted
  Index complete = 0;                          ///< sentences whose brackets all match
  Index correct_tags = 0, tagged = 0;          ///< words, without those that are removed
  Index crossing = 0;                          ///< predicted brackets that cross a bracket of the gold tree

  /// Adds the counts of other sentences.
  BracketCounts& operator+=(const BracketCounts& other) {
    matched += other.matched, gold += other.gold, predicted += other.predicted;
    sentences += other.sentences, complete += other.complete;
    correct_tags += other.correct_tags, tagged += other.tagged, crossing += other.crossing;
    return *this;
  }
  /// matched / predicted. As the other ratios, from 0 to 1, and 0 where there is nothing to count.
  [[nodiscard]] double precision() const { return ratio(matched, predicted); }
  /// matched / gold.
  [[nodiscard]] double recall() const { return ratio(matched, gold); }
  /// 2 P R / (P + R) of precision and recall.
  [[nodiscard]] double f1() const { return ratio(2 * matched, predicted + gold); }
  /// The ratio of sentences whose brackets all match.
  [[nodiscard]] double complete_match() const { return ratio(complete, sentences); }
  /// The ratio of words with the right tag, without those that are removed.
  [[nodiscard]] double tag_accuracy() const { return ratio(correct_tags, tagged); }

 private:
  [[nodiscard]] static double ratio(Index part, Index whole) {  // 0 of nothing
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  }
};

namespace detail {

/// The brackets of a tree that count. Words are removed where `is_removed` is true.
[[nodiscard]] inline std::vector<LabelledSpan> counted_brackets(const SyntaxTree& tree,
                                                                const std::vector<bool>& is_removed,
                                                                const BracketOptions& options) {
  std::vector<Index> places{0};  // of each word among those that stay, and the number of all that stay
  for (const bool removed : is_removed) places.push_back(places.back() + (removed ? 0 : 1));
  std::vector<LabelledSpan> counted;
  for (const LabelledSpan& span : spans_of(tree)) {
    std::string label(without_functions(span.label));
    for (const auto& [name, other] : options.equal_labels) {
      if (label == name) label = other;
    }
    const auto& removed = options.removed_labels;
    const bool is_root = std::find(removed.begin(), removed.end(), label) != removed.end();
    const Index begin = at(places, span.begin), end = at(places, span.end);
    if (begin < end && !is_root) counted.push_back({begin, end, std::move(label)});
  }
  return counted;
}

}  // namespace detail

/// The counts of one predicted tree. Which words are removed is decided by the gold tree's tags, so that a wrong tag of
/// a punctuation mark costs no bracket (evalb drops sentences for that). Throws ValueError for trees of different
/// words.
[[nodiscard]] inline BracketCounts bracket_counts(const SyntaxTree& predicted, const SyntaxTree& gold,
                                                  const BracketOptions& options = {}) {
  const auto ours = leaves_of(predicted), theirs = leaves_of(gold);
  require(ours.size() == theirs.size(), "bracket_scores", "the predicted tree has ", ours.size(),
          " words, the gold tree ", theirs.size());
  BracketCounts counts{.sentences = 1};
  std::vector<bool> is_removed;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    require(ours[i]->word == theirs[i]->word, "bracket_scores", "word ", i, " is \"", ours[i]->word,
            "\" in the predicted tree and \"", theirs[i]->word, "\" in the gold tree");
    const auto& tags = options.removed_tags;
    is_removed.push_back(std::find(tags.begin(), tags.end(), theirs[i]->label) != tags.end());
    if (is_removed.back()) continue;
    ++counts.tagged;
    counts.correct_tags += ours[i]->label == theirs[i]->label ? 1 : 0;
  }
  const auto wanted = detail::counted_brackets(gold, is_removed, options);
  const auto found = detail::counted_brackets(predicted, is_removed, options);
  counts.gold = std::ssize(wanted);
  counts.predicted = std::ssize(found);
  std::map<std::tuple<Index, Index, std::string>, Index> left;  // how often each bracket of the gold tree may match
  for (const LabelledSpan& span : wanted) ++left[{span.begin, span.end, span.label}];
  for (const LabelledSpan& span : found) {
    const auto same = left.find({span.begin, span.end, span.label});
    if (same != left.end() && same->second > 0) {
      --same->second;
      ++counts.matched;
    }
    counts.crossing += std::any_of(wanted.begin(), wanted.end(), [&](const LabelledSpan& other) {
      return (other.begin < span.begin && other.end > span.begin && other.end < span.end) ||
             (other.begin > span.begin && other.begin < span.end && other.end > span.end);
    });
  }
  counts.complete = counts.matched == counts.gold && counts.matched == counts.predicted ? 1 : 0;
  return counts;
}

/// The sum of the counts of many sentences. Throws ShapeError for different numbers of trees, and ValueError as above,
/// with the number of the sentence.
[[nodiscard]] inline BracketCounts bracket_counts(std::span<const SyntaxTree> predicted,
                                                  std::span<const SyntaxTree> gold,
                                                  const BracketOptions& options = {}) {
  require<ShapeError>(predicted.size() == gold.size(), "bracket_scores", predicted.size(), " predicted trees for ",
                      gold.size());
  BracketCounts total;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    try {
      total += bracket_counts(predicted[i], gold[i], options);
    } catch (const ValueError& error) {
      fail("bracket_scores", "sentence ", i, ": ", std::string_view(error.what()));
    }
  }
  return total;
}

}}  // namespace rapt::RAPT_ABI
