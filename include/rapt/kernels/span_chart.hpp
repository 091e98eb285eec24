/// \file
/// The best constituency tree of a sentence given a score of each label of each span: CKY over binary trees (Stern et
/// al. 2017, "A Minimal Span-Based Neural Constituency Parser", section 3).
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The spans of n words are (0, 1), (0, 2) .. (0, n), (1, 2) .. (n - 1, n): how many there are.
[[nodiscard]] constexpr Index span_count(Index words) { return words * (words + 1) / 2; }
/// The number of the span of words begin .. end - 1 of n, counted from 0.
[[nodiscard]] constexpr Index span_number(Index begin, Index end, Index words) {
  return begin * words - begin * (begin - 1) / 2 + (end - begin - 1);
}

/// The offsets of the spans of sentences, given those of their words.
[[nodiscard]] inline RowSplits span_splits(const RowSplits& words) {
  RowSplits spans;
  for (Index s = 0; s < words.sequences(); ++s) spans.push_back(span_count(words.length(s)));
  return spans;
}

/// A span with a label from 0 on.
struct SpanLabel {
  std::int32_t begin = 0, end = 0, label = 0;
  friend bool operator==(const SpanLabel&, const SpanLabel&) = default;
};

/// A tree as its labelled spans, each before those inside of it and to its right, and the sum of their scores.
template <class T>
struct SpanTree {
  std::vector<SpanLabel> spans = {};
  T score = 0;  ///< 0 for a tree without spans
};

/// What a span adds to the score of a tree at best: its label, or -1 for none, and the score.
template <class T>
struct BestLabel {
  T score = 0;
  std::int32_t label = -1;
};

/// The best of a span's labels, whose scores are `scores` [labels], and of no label, which has the score 0 and may win
/// unless `needs_label`. Ties go to no label, then to the smaller one. If not null, `gold` is the gold label, -1 for
/// none, and 1 is added to the score of all that differs from it. Needs labels >= 1.
template <class T>
[[nodiscard]] BestLabel<T> best_label(const T* scores, Index labels, bool needs_label,
                                      const std::int32_t* gold = nullptr) {
  const std::int32_t gold_label = gold == nullptr ? -1 : *gold;
  const T margin = gold == nullptr ? T(0) : T(1);
  BestLabel<T> best{needs_label ? -std::numeric_limits<T>::infinity() : gold_label >= 0 ? margin : T(0), -1};
  for (Index l = 0; l < labels; ++l) {
    const T score = scores[l] + (l == gold_label ? T(0) : margin);
    if (score > best.score) best = {score, static_cast<std::int32_t>(l)};
  }
  return best;
}

/// The tree with the highest sum of scores over `words` words, given the best label of each span
/// [span_count(words)], in the order of `span_number`. A span without a label is part of the binary tree alone, so that
/// binary trees stand for trees with any number of children. Takes O(n^3) steps; ties go to the left split. The tree of
/// no words has no spans.
template <class T>
[[nodiscard]] SpanTree<T> best_span_tree(std::span<const BestLabel<T>> spans, Index words) {
  if (words <= 0) return {};
  std::vector<std::int32_t> split(to_size(span_count(words)));
  // The best score of a tree over words i .. j - 1 at [i][j], and its transpose: splits of a span read a row of each.
  const auto n = to_size(words + 1);
  std::vector<T> by_begin(n * n), by_end(n * n);
  for (Index length = 1; length <= words; ++length) {
    for (Index begin = 0; begin + length <= words; ++begin) {
      const Index end = begin + length, number = span_number(begin, end, words);
      T best = at(spans, number).score;
      if (length > 1) {
        const T* left_part = &by_begin[to_size(begin) * n];  // [k]: words begin .. k - 1
        const T* right_part = &by_end[to_size(end) * n];     // [k]: words k .. end - 1
        T best_parts = -std::numeric_limits<T>::infinity();
        Index best_split = begin + 1;
        for (Index k = begin + 1; k < end; ++k) {
          const T parts = left_part[k] + right_part[k];
          if (parts > best_parts) best_parts = parts, best_split = k;
        }
        best += best_parts;
        at(split, number) = static_cast<std::int32_t>(best_split);
      }
      by_begin[to_size(begin) * n + to_size(end)] = by_end[to_size(end) * n + to_size(begin)] = best;
    }
  }
  SpanTree<T> tree{.spans = {}, .score = by_begin[to_size(words)]};
  std::vector<std::pair<Index, Index>> pending{{0, words}};
  while (!pending.empty()) {
    const auto [begin, end] = pending.back();
    pending.pop_back();
    const Index number = span_number(begin, end, words);
    const std::int32_t label = at(spans, number).label;
    if (label >= 0) tree.spans.push_back({static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end), label});
    if (end - begin == 1) continue;
    const Index middle = at(split, number);
    pending.emplace_back(middle, end);
    pending.emplace_back(begin, middle);
  }
  return tree;
}

/// The same given the scores of all labels of all spans [span_count(words), labels]. The span of all words must have a
/// label. Takes O(n^3 + n^2 labels) steps.
///
/// If not null, `gold` has the gold label of each span, -1 where there is none, and 1 is added to the score of every
/// other label, and of no label where there is one: the Hamming-augmented tree of margin-based training.
template <class T>
[[nodiscard]] SpanTree<T> best_span_tree(const T* scores, Index words, Index labels,
                                         const std::int32_t* gold = nullptr) {
  std::vector<BestLabel<T>> best(to_size(span_count(words)));
  for (Index number = 0; number < std::ssize(best); ++number) {
    at(best, number) = best_label(scores + number * labels, labels, /*needs_label=*/number == words - 1,
                                  gold == nullptr ? nullptr : gold + number);
  }
  return best_span_tree(std::span<const BestLabel<T>>(best), words);
}

}}}  // namespace rapt::RAPT_ABI::kernels
