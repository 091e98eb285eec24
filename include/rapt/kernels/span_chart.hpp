/// \file
/// The best constituency tree of a sentence given a score of each label of each span: CKY over binary trees (Stern et
/// al. 2017, "A Minimal Span-Based Neural Constituency Parser", section 3).
#pragma once

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The spans of n words are (0, 1), (0, 2) .. (0, n), (1, 2) .. (n - 1, n): how many there are.
[[nodiscard]] constexpr Index span_count(Index words) { return words * (words + 1) / 2; }
/// The number of the span of words begin .. end - 1 of n, counted from 0.
[[nodiscard]] constexpr Index span_number(Index begin, Index end, Index words) {
  return begin * words - begin * (begin - 1) / 2 + (end - begin - 1);
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
  T score = 0;
};

/// The tree with the highest sum of scores. `scores` [span_count(words), labels], in the order of `span_number`. The
/// absence of a label has the score 0, so that binary trees stand for trees with any number of children; the span of
/// all words must have a label. Takes O(n^3 + n^2 labels) steps; ties go to the smaller label, then to the left split.
///
/// If not null, `gold` has the gold label of each span, -1 where there is none, and 1 is added to the score of every
/// other label, and of no label where there is one: the Hamming-augmented tree of margin-based training.
template <class T>
[[nodiscard]] SpanTree<T> best_span_tree(const T* scores, Index words, Index labels,
                                         const std::int32_t* gold = nullptr) {
  const auto spans = to_size(span_count(words));
  std::vector<std::int32_t> label(spans), split(spans);
  // best[i][j], and its transpose: splits of a span read one row of each.
  const auto n = to_size(words + 1);
  std::vector<T> by_begin(n * n), by_end(n * n);
  for (Index length = 1; length <= words; ++length) {
    for (Index begin = 0; begin + length <= words; ++begin) {
      const Index end = begin + length, number = span_number(begin, end, words);
      const T* row = scores + number * labels;
      const std::int32_t right = gold == nullptr ? -1 : gold[number];
      const T margin = gold == nullptr ? T(0) : T(1);
      std::int32_t best_label = -1;
      T best = length == words ? -std::numeric_limits<T>::infinity() : right >= 0 ? margin : T(0);
      for (Index l = 0; l < labels; ++l) {
        const T score = row[l] + (l == right ? T(0) : margin);
        if (score > best) best = score, best_label = static_cast<std::int32_t>(l);
      }
      at(label, number) = best_label;
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
    if (at(label, number) >= 0) {
      tree.spans.push_back({static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end), at(label, number)});
    }
    if (end - begin == 1) continue;
    const Index middle = at(split, number);
    pending.emplace_back(middle, end);
    pending.emplace_back(begin, middle);
  }
  return tree;
}

}}}  // namespace rapt::RAPT_ABI::kernels
