/// \file
/// Classification of texts by a model of a Hugging Face folder, as transformers' pipeline "text-classification".
///
/// ```cpp
/// const auto classify = rapt::text_classifier("distilbert-sst-2");
/// for (const auto& labels : classify(lines)) use(labels.front().label, labels.front().score);
/// ```
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/pipelines/label_scores.hpp"
#include "rapt/pipelines/task_encoder.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Which labels are returned, and how logits become scores.
struct TextClassifierOptions {
  std::optional<Index> top_k = 1;                       ///< labels for each text; unset: all
  std::optional<ScoreFunction> function_to_apply = {};  ///< unset: by the folder's "problem_type"
};

/// Tells the labels of texts, or of pairs of texts. A const one may be used from many threads.
class TextClassifier {
 public:
  /// Throws IoError for a folder whose model does not classify sequences.
  explicit TextClassifier(const std::filesystem::path& folder)
      : encoder_(folder, EncoderHead::sequence_classes, kWhere),
        function_(detail::default_function(encoder_.folder().problem_type(), encoder_.labels().size())) {}

  /// The labels of each text with their scores, the best first; of equal scores the label with the smaller
  /// number. A text with more tokens than the model takes is cut
  /// off. Throws ValueError that names the text for one that is not UTF-8.
  [[nodiscard]] std::vector<std::vector<LabelScore>> operator()(std::span<const std::string> texts,
                                                                const TextClassifierOptions& options = {}) const {
    return classify(encoder_.encode(texts), options);
  }
  /// The same of pairs, such as a premise and a hypothesis. Of a pair that is too long the longer text is cut off.
  [[nodiscard]] std::vector<std::vector<LabelScore>> operator()(std::span<const std::string> first,
                                                                std::span<const std::string> second,
                                                                const TextClassifierOptions& options = {}) const {
    return classify(encoder_.encode(first, second, Truncation::Strategy::longest_first), options);
  }

  [[nodiscard]] const std::vector<std::string>& labels() const { return encoder_.labels(); }

 private:
  static constexpr std::string_view kWhere = "text_classifier";

  [[nodiscard]] std::vector<std::vector<LabelScore>> classify(const PairBatch& batch,
                                                              const TextClassifierOptions& options) const {
    require_top_k(options.top_k, kWhere);
    const ScoreFunction function = options.function_to_apply.value_or(function_);
    std::vector<std::vector<LabelScore>> found(to_size(batch.tokens.sequences()));
    encoder_.score(batch, [&](Index i, TensorView<const float> logits) {
      const auto scores = detail::scores_of({logits.row(0), to_size(logits.cols())}, function);
      at(found, i) = detail::best_labels(labels(), scores, options.top_k);
    });
    return found;
  }

  detail::TaskEncoder encoder_;
  ScoreFunction function_;
};

/// The classifier of a folder.
[[nodiscard]] inline TextClassifier text_classifier(const std::filesystem::path& folder) {
  return TextClassifier(folder);
}

}}  // namespace rapt::RAPT_ABI
