/// \file
/// The max-margin loss of constituency trees (Stern et al. 2017, section 4; Kitaev and Klein 2018, equation 4).
#pragma once

#include <cstdint>
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
/// words. `gold` [S]: the label of each span of the gold tree, -1 elsewhere. Throws ShapeError for other sizes, and
/// ValueError for a label that there is not, a sentence without words, and one whose span of all words has no label.
template <class T>
[[nodiscard]] Variable<T> tree_margin_loss(const Variable<T>& x, const RowSplits& words,
                                           std::span<const std::int32_t> gold) {
  constexpr std::string_view kWhere = "tree_margin_loss";
  const Index sentences = words.sequences();
  std::vector<Index> starts{0};  // the first span of each sentence
  for (Index s = 0; s < sentences; ++s) starts.push_back(starts.back() + kernels::span_count(words.length(s)));
  require<ShapeError>(sentences > 0 && x.shape().rank() == 2 && x.rows() == starts.back() && x.cols() > 0 &&
                          std::ssize(gold) == starts.back(),
                      kWhere, "scores of shape ", x.shape(), " and ", gold.size(), " gold labels for ", starts.back(),
                      " spans of ", sentences, " sentences");
  const Index labels = x.cols();
  for (std::size_t i = 0; i < gold.size(); ++i) {
    require(gold[i] >= -1 && gold[i] < labels, kWhere, "gold label ", gold[i], " of span ", i, " is outside of -1 .. ",
            labels - 1);
  }
  for (Index s = 0; s < sentences; ++s) {
    const Index n = words.length(s);
    require(n > 0, kWhere, "sentence ", s, " has no words");
    require(at(gold, at(starts, s) + n - 1) >= 0, kWhere, "the span of all words of sentence ", s,
            " has no gold label");
  }
  Tensor<T> gradient(x.shape(), T(0));
  std::vector<double> losses(to_size(sentences), 0.0);
  const T weight = T(1) / static_cast<T>(sentences);
  parallel_parts(sentences, [&](Index s) {
    const Index first = at(starts, s), n = words.length(s), count = kernels::span_count(n);
    const std::int32_t* right = gold.data() + first;
    const kernels::SpanTree<T> worst = kernels::best_span_tree(x.value().row(first), n, labels, right);
    double gold_score = 0;
    for (Index i = 0; i < count; ++i) {
      if (right[i] >= 0) gold_score += static_cast<double>(x.value()(first + i, right[i]));
    }
    const double loss = static_cast<double>(worst.score) - gold_score;
    if (loss <= 0) return;  // NaN goes on
    at(losses, s) = loss;
    // dx = [the label is in T] - [it is in T*], over the number of sentences
    for (Index i = 0; i < count; ++i) {
      if (right[i] >= 0) gradient(first + i, right[i]) -= weight;
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
