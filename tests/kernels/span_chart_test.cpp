/// \file
/// The best tree by CKY against all trees there are, with and without margins.
#include "rapt/kernels/span_chart.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "rapt/core/rng.hpp"

namespace {

using rapt::at;
using rapt::Index;
using rapt::kernels::best_span_tree;
using rapt::kernels::span_count;
using rapt::kernels::span_number;
using rapt::kernels::SpanLabel;
using rapt::kernels::SpanTree;

std::vector<double> random_scores(Index words, Index labels, std::uint64_t seed) {
  std::vector<double> scores(rapt::to_size(span_count(words) * labels));
  rapt::Rng(seed).fill_normal(std::span(scores), -0.3, 1.0);
  return scores;
}

/// The scores of all binary trees over words begin .. end - 1 in which each span has its best label: by all splits.
double best_score(const std::vector<double>& of_spans, Index begin, Index end, Index words) {
  double best = at(of_spans, span_number(begin, end, words));
  if (end - begin == 1) return best;
  double parts = -1e300;
  for (Index k = begin + 1; k < end; ++k) {
    parts = std::max(parts, best_score(of_spans, begin, k, words) + best_score(of_spans, k, end, words));
  }
  return best + parts;
}

TEST(SpanChart, SpansAreNumberedInOrder) {
  for (const Index words : {1, 2, 7}) {
    Index number = 0;
    for (Index begin = 0; begin < words; ++begin) {
      for (Index end = begin + 1; end <= words; ++end) EXPECT_EQ(span_number(begin, end, words), number++);
    }
    EXPECT_EQ(span_count(words), number);
  }
}

TEST(SpanChart, FindsTheBestOfAllTrees) {
  for (const Index words : {1, 2, 3, 6, 9}) {
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      constexpr Index kLabels = 3;
      const std::vector<double> scores = random_scores(words, kLabels, seed);
      std::vector<std::int32_t> gold(rapt::to_size(span_count(words)), -1);
      rapt::Rng rng(seed);
      for (std::int32_t& label : gold) label = static_cast<std::int32_t>(rng.below(4) - 1);
      for (const bool has_margin : {false, true}) {
        std::vector<double> of_spans;  // the best score of a label or of none
        for (Index i = 0; i < span_count(words); ++i) {
          const auto margin = [&](Index label) { return has_margin && at(gold, i) != label ? 1.0 : 0.0; };
          double best = i == words - 1 ? -1e300 : margin(-1);  // the span of all words must have a label
          for (Index l = 0; l < kLabels; ++l) best = std::max(best, at(scores, i * kLabels + l) + margin(l));
          of_spans.push_back(best);
        }
        const SpanTree<double> tree = best_span_tree(scores.data(), words, kLabels, has_margin ? gold.data() : nullptr);
        EXPECT_NEAR(tree.score, best_score(of_spans, 0, words, words), 1e-12);
        ASSERT_FALSE(tree.spans.empty());
        EXPECT_EQ(tree.spans[0].begin, 0);
        EXPECT_EQ(tree.spans[0].end, words);
        double sum = 0;
        for (std::size_t i = 0; i < tree.spans.size(); ++i) {
          const SpanLabel& span = tree.spans[i];
          sum += at(scores, span_number(span.begin, span.end, words) * kLabels + span.label);
          for (std::size_t k = 0; k < i; ++k) {  // an earlier one holds it or ends before it
            const SpanLabel& other = tree.spans[k];
            EXPECT_TRUE(other.end <= span.begin || (other.begin <= span.begin && span.end <= other.end));
          }
        }
        if (!has_margin) {
          EXPECT_NEAR(tree.score, sum, 1e-12);
        }
      }
    }
  }
}

TEST(SpanChart, NoWordsHaveATreeWithoutSpans) {
  const SpanTree<double> tree = best_span_tree(static_cast<const double*>(nullptr), 0, 3);
  EXPECT_TRUE(tree.spans.empty());
  EXPECT_EQ(tree.score, 0);
}

TEST(SpanChart, NoLabelWinsTiesUnlessASpanNeedsOne) {
  const std::vector<double> scores{-1, 0, 0};
  EXPECT_EQ(rapt::kernels::best_label(scores.data(), 3, /*needs_label=*/false).label, -1);
  EXPECT_EQ(rapt::kernels::best_label(scores.data(), 3, /*needs_label=*/true).label, 1);
}

TEST(SpanChart, SpansOfSentencesLieEndToEnd) {
  const auto words = rapt::RowSplits::from_lengths(std::vector<Index>{3, 0, 1});
  EXPECT_EQ(rapt::kernels::span_splits(words), rapt::RowSplits::from_lengths(std::vector<Index>{6, 0, 1}));
}

TEST(SpanChart, TiesGoToTheSmallerLabelAndTheLeftSplit) {
  const std::vector<float> scores(rapt::to_size(span_count(4) * 2), 1.f);
  const SpanTree<float> tree = best_span_tree(scores.data(), 4, 2);
  EXPECT_EQ(tree.score, 7.f);
  const std::vector<SpanLabel> expected{{0, 4, 0}, {0, 1, 0}, {1, 4, 0}, {1, 2, 0}, {2, 4, 0}, {2, 3, 0}, {3, 4, 0}};
  EXPECT_EQ(tree.spans, expected);
}

}  // namespace
