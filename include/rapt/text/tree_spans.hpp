/// \file
/// Constituents as labelled spans of words, which parsers score and evaluations count, and trees made of them.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/syntax_tree.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A constituent over the words begin .. end - 1.
struct LabelledSpan {
  Index begin = 0, end = 0;
  std::string label = {};  ///< such as "NP"

  friend bool operator==(const LabelledSpan&, const LabelledSpan&) = default;
};

/// All constituents of a tree, each before those inside of it and before those to its right, without leaves.
[[nodiscard]] inline std::vector<LabelledSpan> spans_of(const SyntaxTree& tree) {
  std::vector<LabelledSpan> spans;
  Index words = 0;
  const auto visit = [&](const auto& self, const SyntaxTree& node) -> void {
    if (node.is_leaf()) {
      ++words;
      return;
    }
    const std::size_t number = spans.size();
    spans.push_back({words, 0, node.label});
    for (const SyntaxTree& child : node.children) self(self, child);
    spans[number].end = words;
  };
  visit(visit, tree);
  return spans;
}

/// What joins the labels of a unary chain in `chain_spans_of`; labels must not contain it.
inline constexpr char kChainSeparator = '+';

/// The spans of a tree with one label each: constituents over the same words have their labels joined from the outer
/// to the inner one, "ROOT+S" (Stern et al. 2017, section 2).
[[nodiscard]] inline std::vector<LabelledSpan> chain_spans_of(const SyntaxTree& tree) {
  std::vector<LabelledSpan> chains;
  for (LabelledSpan& span : spans_of(tree)) {
    require(span.label.find(kChainSeparator) == std::string::npos, "tree_spans", "a label must not contain \"",
            kChainSeparator, "\": ", span.label);
    if (!chains.empty() && chains.back().begin == span.begin && chains.back().end == span.end) {
      chains.back().label += kChainSeparator + span.label;
    } else {
      chains.push_back(std::move(span));
    }
  }
  return chains;
}

/// The tree of spans such as those of `chain_spans_of`, in any order, over words with their tags. Throws ValueError
/// unless there is a span over all words, no two spans cross or are the same, and all are within the words; and for a
/// tree of more than `kDeepestTree` levels.
[[nodiscard]] inline SyntaxTree tree_of_chain_spans(std::vector<LabelledSpan> spans, std::span<const std::string> words,
                                                    std::span<const std::string> tags) {
  constexpr std::string_view kWhere = "tree_of_chain_spans";
  const Index count = std::ssize(words);
  require<ShapeError>(words.size() == tags.size(), kWhere, tags.size(), " tags for ", words.size(), " words");
  std::sort(spans.begin(), spans.end(), [](const LabelledSpan& a, const LabelledSpan& b) {
    return std::tuple(a.begin, -a.end) < std::tuple(b.begin, -b.end);  // a span before those inside of it
  });
  require(!spans.empty() && spans.front().begin == 0 && spans.front().end == count, kWhere,
          "no span has all of the words, of which there are ", count);
  std::size_t next = 0;
  // The children of a node over begin .. end - 1: spans that are next in the list, and words between them.
  // `level`: how many constituents the node is in, with itself.
  const auto children = [&](const auto& self, Index begin, Index end, Index level) -> std::vector<SyntaxTree> {
    std::vector<SyntaxTree> nodes;
    while (begin < end) {
      if (next == spans.size() || spans[next].begin != begin) {
        nodes.push_back({.label = at(tags, begin), .word = at(words, begin)});
        ++begin;
        continue;
      }
      const LabelledSpan& span = spans[next];
      require(span.end > begin && span.end <= end &&
                  (next == 0 || std::tie(span.begin, span.end) != std::tie(spans[next - 1].begin, spans[next - 1].end)),
              kWhere, "the span ", span.begin, " .. ", span.end, " of ", span.label,
              " is empty, is there twice or crosses another");
      const Index inner_level = level + 1 + std::count(span.label.begin(), span.label.end(), kChainSeparator);
      require(inner_level < kDeepestTree, kWhere, "the words of the span ", span.begin, " .. ", span.end,
              " are deeper than ", kDeepestTree, " levels");
      ++next;
      std::vector<SyntaxTree> inner = self(self, span.begin, span.end, inner_level);
      std::string_view labels = span.label;
      for (;;) {  // from the inner label to the outer one
        const std::size_t cut = labels.rfind(kChainSeparator);
        SyntaxTree node{.label = std::string(labels.substr(cut + 1))};  // npos + 1 is 0
        node.children = std::move(inner);
        inner.clear();
        inner.push_back(std::move(node));
        if (cut == labels.npos) break;
        labels = labels.substr(0, cut);
      }
      nodes.push_back(std::move(inner.front()));
      begin = span.end;
    }
    return nodes;
  };
  std::vector<SyntaxTree> roots = children(children, 0, count, 0);
  require(next == spans.size(), kWhere, "the span ", next < spans.size() ? spans[next].begin : 0, " .. ",
          next < spans.size() ? spans[next].end : 0, " crosses another or is outside of the words");
  return std::move(roots.front());
}

}}  // namespace rapt::RAPT_ABI
