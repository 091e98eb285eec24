/// \file
/// The max-margin loss of constituency trees (Stern et al. 2017, section 4; Kitaev and Klein 2018, equation 4).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/record.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/span_chart.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = mean over sentences of max(0, max_T [s(T) + D(T, T*)] - s(T*)), a scalar   // x [S, L]
///
/// x has the scores of L labels of all spans, sentence by sentence, in the order of `kernels::span_number`; no label
/// has the score 0. s(T) is the sum over the labelled spans of a tree, T* the gold tree, and D counts the spans of
/// the binary tree T whose label, or whose lack of one, is not that of T*. `words`: row splits of the sentences'
/// words. `gold` [S]: the label of each span of the gold tree, -1 elsewhere. If a score is NaN, so is y. Throws
/// ShapeError for other sizes, and ValueError for a label outside of -1 .. L - 1, a sentence without words, one whose
/// span of all words has no label, and one whose gold spans cross.
template <class T>
[[nodiscard]] Variable<T> tree_margin_loss(const Variable<T>& x, const RowSplits& words,
                                           std::span<const std::int32_t> gold) {
  constexpr std::string_view kWhere = "tree_margin_loss";
  const Index sentences = words.sequences();
  const RowSplits spans = kernels::span_splits(words);
  require<ShapeError>(sentences > 0 && x.shape().rank() == 2 && x.rows() == spans.rows() && x.cols() > 0 &&
                          std::ssize(gold) == spans.rows(),
                      kWhere, "scores of shape ", x.shape(), " and ", gold.size(), " gold labels for ", spans.rows(),
                      " spans of ", sentences, " sentences");
  const Index labels = x.cols();
  for (std::size_t i = 0; i < gold.size(); ++i) {
    require(gold[i] >= -1 && gold[i] < labels, kWhere, "gold label ", gold[i], " of span ", i, " is outside of -1 .. ",
            labels - 1);
  }
  for (Index s = 0; s < sentences; ++s) {
    const Index n = words.length(s);
    require(n > 0, kWhere, "sentence ", s, " has no words");
    require(at(gold, spans.begin(s) + n - 1) >= 0, kWhere, "the span of all words of sentence ", s,
            " has no gold label");
    std::vector<Index> open;  // where gold spans end that have begun, the innermost last
    for (Index begin = 0; begin < n; ++begin) {
      while (!open.empty() && open.back() <= begin) open.pop_back();
      for (Index end = n; end > begin; --end) {  // a span before those inside of it
        if (at(gold, spans.begin(s) + kernels::span_number(begin, end, n)) < 0) continue;
        require(open.empty() || end <= open.back(), kWhere, "the gold span ", begin, " .. ", end, " of sentence ", s,
                " crosses another");
        open.push_back(end);
      }
    }
  }
  const bool keeps_gradient = will_record<T>({x});
  Tensor<T> gradient = keeps_gradient ? Tensor<T>(x.shape(), T(0)) : Tensor<T>();
  std::vector<double> losses(to_size(sentences), 0.0);
  const T weight = T(1) / static_cast<T>(sentences);
  parallel_parts(sentences, [&](Index s) {
    const Index first = spans.begin(s), n = words.length(s), count = spans.length(s);
    const T* scores = x.value().row(first);
    if (std::any_of(scores, scores + count * labels, [](T score) { return std::isnan(score); })) {
      at(losses, s) = std::numeric_limits<double>::quiet_NaN();
      return;
    }
    const std::int32_t* gold_labels = gold.data() + first;
    const kernels::SpanTree<T> worst = kernels::best_span_tree(scores, n, labels, gold_labels);
    double gold_score = 0;
    for (Index i = 0; i < count; ++i) {
      if (gold_labels[i] >= 0) gold_score += static_cast<double>(x.value()(first + i, gold_labels[i]));
    }
    const double loss = static_cast<double>(worst.score) - gold_score;
    if (loss <= 0) return;  // NaN, of infinite scores, goes on
    at(losses, s) = loss;
    if (!keeps_gradient) return;
    // dx = [the label is in T] - [it is in T*], over the number of sentences
    for (Index i = 0; i < count; ++i) {
      if (gold_labels[i] >= 0) gradient(first + i, gold_labels[i]) -= weight;
    }
    for (const kernels::SpanLabel& span : worst.spans) {
      gradient(first + kernels::span_number(span.begin, span.end, n), span.label) += weight;
    }
  });
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return record("tree_margin_loss", Tensor<T>(Shape{1}, static_cast<T>(sum / static_cast<double>(sentences))), {x},
                [gradient = std::move(gradient)](Node<T>& out) {
                  kernels::add_scaled(out.input(0).grad_sum().data(), gradient.data(), *out.grad.data(),
                                      gradient.size());
                });
}

}}  // namespace rapt::RAPT_ABI
