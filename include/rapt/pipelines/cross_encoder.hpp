/// \file
/// How well pairs of texts fit one another, such as a question and a passage, by a model that reads both together
/// (Nogueira and Cho 2019, arXiv:1901.04085), as sentence-transformers' CrossEncoder.
///
/// ```cpp
/// const auto rank = rapt::cross_encoder("ms-marco-MiniLM-L6-v2");
/// for (const auto& hit : rank.rank("How many people live in Berlin?", passages, {.top_k = 3})) use(hit.index);
/// ```
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/pipelines/label_scores.hpp"
#include "rapt/pipelines/task_encoder.hpp"
#include "rapt/pipelines/task_folder.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a ranking of texts returns.
struct RankOptions {
  std::optional<Index> top_k = {};  ///< documents to return; unset: all
  std::optional<ScoreFunction> activation_fn =
      {};  ///< sigmoid or none; unset: by the folder, which names one or else means sigmoid
};

/// A document and how well it fits.
struct RankedText {
  std::size_t index = 0;  ///< of the document
  double score = 0;       ///< as `CrossEncoder::score` gives it
};

/// Scores pairs of texts. A default prompt that the folder's config_sentence_transformers.json names is put before the
/// first text of each pair. A const one may be used from many threads.
class CrossEncoder {
 public:
  /// Throws IoError for a folder whose model does not classify sequences or has several labels.
  explicit CrossEncoder(const std::filesystem::path& folder)
      : encoder_(folder, EncoderHead::sequence_classes, kWhere),
        function_(named_function()),
        prompt_(detail::default_prompt(folder, kWhere)) {
    require<IoError>(encoder_.labels().size() == 1, kWhere, folder.string(),
                     ": a model that ranks has one label, this one has ", encoder_.labels().size(),
                     ": TextClassifier takes it");
  }

  /// A score for each pair. Of a pair that is too long the longer text is cut off. Throws ValueError for lists of
  /// different lengths, and that names the text for one that is not UTF-8.
  [[nodiscard]] std::vector<double> score(std::span<const std::string> first, std::span<const std::string> second,
                                          std::optional<ScoreFunction> activation_fn = {}) const {
    const std::vector<std::string> prompted = detail::with_prompt(prompt_, first);
    if (!prompt_.empty()) first = prompted;
    return scores_of(encoder_.encode(first, second, Truncation::Strategy::longest_first), activation_fn);
  }

  /// The documents that fit a query best, the best first; of equal scores the one that was given first.
  [[nodiscard]] std::vector<RankedText> rank(const std::string& query, std::span<const std::string> documents,
                                             const RankOptions& options = {}) const {
    require_top_k(options.top_k, kWhere);
    const std::string prompted = prompt_ + query;
    const PairBatch pairs = encoder_.encode_product({&prompted, 1}, documents, Truncation::Strategy::longest_first);
    const std::vector<double> scores = scores_of(pairs, options.activation_fn);
    std::vector<RankedText> ranked;
    for (const std::size_t i : detail::best_of(scores, options.top_k)) ranked.push_back({i, scores[i]});
    return ranked;
  }

 private:
  static constexpr std::string_view kWhere = "cross_encoder";

  [[nodiscard]] std::vector<double> scores_of(const PairBatch& pairs,
                                              std::optional<ScoreFunction> activation_fn) const {
    const ScoreFunction function = activation_fn.value_or(function_);
    require(function != ScoreFunction::softmax, kWhere, "the softmax of one score is always 1: sigmoid or none");
    std::vector<double> scores(to_size(pairs.tokens.sequences()));
    encoder_.score(pairs, [&](Index i, TensorView<const float> logits) {
      at(scores, i) = detail::scores_of({logits.row(0), 1}, function).front();
    });
    return scores;
  }

  /// The class of PyTorch that config.json names, in either of sentence-transformers' places.
  [[nodiscard]] ScoreFunction named_function() const {
    const nlohmann::json& config = encoder_.folder().config();
    nlohmann::json named;
    if (const auto own = config.find("sentence_transformers"); own != config.end() && own->is_object()) {
      named = own->value("activation_fn", nlohmann::json());
    }
    if (named.is_null()) named = config.value("sbert_ce_default_activation_function", nlohmann::json());
    if (named.is_null()) return ScoreFunction::sigmoid;
    const std::string name = named.is_string() ? named.get<std::string>() : detail::describe(named);
    require<IoError>(name.ends_with(".Identity") || name.ends_with(".Sigmoid"), kWhere,
                     encoder_.folder().file("config.json"),
                     ": the activation function must be Identity or Sigmoid: ", detail::quote_name(name));
    return name.ends_with(".Identity") ? ScoreFunction::none : ScoreFunction::sigmoid;
  }

  detail::TaskEncoder encoder_;
  ScoreFunction function_;
  std::string prompt_;
};

/// The ranker of a folder.
[[nodiscard]] inline CrossEncoder cross_encoder(const std::filesystem::path& folder) { return CrossEncoder(folder); }

}}  // namespace rapt::RAPT_ABI
