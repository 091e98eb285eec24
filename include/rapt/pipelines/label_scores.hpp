/// \file
/// Labels with their scores, as classifiers of texts and of images give them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A label and the score that a classifier gives it.
struct LabelScore {
  std::string label;
  double score = 0;
};

/// What makes scores of the model's logits.
enum class ScoreFunction {
  softmax,  ///< probabilities of labels of which one is right
  sigmoid,  ///< a probability for each label by itself
  none,     ///< the logits themselves
};

[[nodiscard]] constexpr auto named_values(ScoreFunction) {
  return std::to_array<NamedValue<ScoreFunction>>(
      {{"softmax", ScoreFunction::softmax}, {"sigmoid", ScoreFunction::sigmoid}, {"none", ScoreFunction::none}});
}

/// Throws ValueError unless an unset or positive number of results is asked for.
inline void require_top_k(std::optional<Index> top_k, std::string_view where) {
  require(!top_k || *top_k > 0, where, "top_k must be positive: ", top_k.value_or(0));
}

namespace detail {

/// What transformers computes where no function is asked for: by config.json's "problem_type", or else softmax of
/// several labels and sigmoid of one.
[[nodiscard]] inline ScoreFunction default_function(const std::optional<std::string>& problem_type,
                                                    std::size_t labels) {
  if (problem_type == "regression") return ScoreFunction::none;
  if (problem_type == "multi_label_classification" || labels == 1) return ScoreFunction::sigmoid;
  return ScoreFunction::softmax;
}

/// Scores of one row of logits.
[[nodiscard]] inline std::vector<double> scores_of(std::span<const float> logits, ScoreFunction function) {
  std::vector<double> scores(logits.begin(), logits.end());
  if (function == ScoreFunction::softmax && !scores.empty()) {
    const double most = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& score : scores) sum += score = std::exp(score - most);
    for (double& score : scores) score /= sum;
  } else if (function == ScoreFunction::sigmoid) {
    for (double& score : scores) score = 1 / (1 + std::exp(-score));
  }
  return scores;
}

/// The places of the `top_k` greatest scores, the greatest first; of equal ones the first. Unset: of all.
[[nodiscard]] inline std::vector<std::size_t> best_of(std::span<const double> scores, std::optional<Index> top_k) {
  std::vector<std::size_t> order(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto kept = std::min(order.size(), top_k ? static_cast<std::size_t>(*top_k) : order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
      [&](std::size_t a, std::size_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
  order.resize(kept);
  return order;
}

/// The `top_k` best labels, the best first; of equal scores the label with the smaller number.
[[nodiscard]] inline std::vector<LabelScore> best_labels(std::span<const std::string> labels,
                                                         std::span<const double> scores, std::optional<Index> top_k) {
  std::vector<LabelScore> best;
  for (const std::size_t i : best_of(scores, top_k)) best.push_back({labels[i], scores[i]});
  return best;
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
