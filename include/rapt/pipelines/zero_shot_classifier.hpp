/// \file
/// Classification by labels that are chosen at the call (Yin et al. 2019, arXiv:1909.00161), as transformers' pipeline
/// "zero-shot-classification": a model for natural language inference tells how far a text entails "This example is
/// <label>."
///
/// ```cpp
/// const auto classify = rapt::zero_shot_classifier("bart-large-mnli");
/// const auto found = classify(lines, {{"politics", "sports"}}, {.hypothesis_template = "This is about {}."});
/// ```
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/pipelines/candidate_labels.hpp"
#include "rapt/pipelines/label_scores.hpp"
#include "rapt/pipelines/task_encoder.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How labels become hypotheses, and entailment becomes scores.
struct ZeroShotOptions {
  std::string hypothesis_template = "This example is {}.";  ///< the label takes the place of "{}"
  bool multi_label =
      false;  ///< several labels may be right: each is judged by itself, entailment against contradiction
};

/// Judges texts by labels. A const one may be used from many threads.
class ZeroShotClassifier {
 public:
  /// Throws IoError for a folder whose model does not classify sequences, or has no label that begins with "entail".
  explicit ZeroShotClassifier(const std::filesystem::path& folder)
      : encoder_(folder, EncoderHead::sequence_classes, kWhere), entailment_(find_entailment()) {}

  /// All labels of each text with their scores, the best first; of equal scores the label that was given first. Of
  /// labels of which one is right, the scores are the softmax of their entailment; with `multi_label`, or of one label,
  /// each is softmax of entailment and contradiction. A text that is too long for its hypothesis is cut off. Throws
  /// ValueError without labels, for a template without "{}" or with several, and for a text that is not UTF-8.
  [[nodiscard]] std::vector<std::vector<LabelScore>> operator()(std::span<const std::string> texts,
                                                                std::span<const std::string> candidate_labels,
                                                                const ZeroShotOptions& options = {}) const {
    const auto hypotheses = detail::hypotheses(candidate_labels, options.hypothesis_template, kWhere);
    const PairBatch batch = encoder_.encode_product(texts, hypotheses, Truncation::Strategy::only_first);
    const Index labels = std::ssize(candidate_labels);
    const bool each_by_itself = options.multi_label || labels == 1;
    std::vector<float> entailment(to_size(batch.tokens.sequences()));  // [texts, labels]
    encoder_.score(batch, [&](Index i, TensorView<const float> logits) {
      const float* row = logits.row(0);
      // A logistic function of the difference is the softmax of two logits.
      at(entailment, i) = each_by_itself ? row[entailment_] - row[contradiction()] : row[entailment_];
    });
    std::vector<std::vector<LabelScore>> found;
    for (Index t = 0; t < std::ssize(texts); ++t) {
      const auto logits = std::span<const float>(entailment).subspan(to_size(t * labels), to_size(labels));
      const auto function = each_by_itself ? ScoreFunction::sigmoid : ScoreFunction::softmax;
      found.push_back(detail::best_labels(candidate_labels, detail::scores_of(logits, function), std::nullopt));
    }
    return found;
  }

 private:
  static constexpr std::string_view kWhere = "zero_shot_classifier";

  [[nodiscard]] Index find_entailment() const {
    std::string names;
    for (Index i = 0; i < std::ssize(encoder_.labels()); ++i) {
      const std::string& name = at(encoder_.labels(), i);
      names += (names.empty() ? "" : ", ") + name;
      if (to_lower(name).starts_with("entail") && encoder_.labels().size() > 1) return i;
    }
    fail<IoError>(kWhere, encoder_.folder().file("config.json"),
                  ": a model for natural language inference has a label \"entailment\" among others, this one has ",
                  names);
  }
  /// As in transformers: the first label or, where that is entailment, the last.
  [[nodiscard]] Index contradiction() const { return entailment_ == 0 ? std::ssize(encoder_.labels()) - 1 : 0; }

  detail::TaskEncoder encoder_;
  Index entailment_;
};

/// The classifier of a folder.
[[nodiscard]] inline ZeroShotClassifier zero_shot_classifier(const std::filesystem::path& folder) {
  return ZeroShotClassifier(folder);
}

}}  // namespace rapt::RAPT_ABI
