/// \file
/// Fine-tuning of an encoder of a Hugging Face folder for the labels of words, such as names of persons and places.
///
/// ```cpp
/// rapt::FinetuneOptions options{.model = "minilm", .train = "train.jsonl", .validation = "dev.jsonl"};
/// options.out = "ner";
/// rapt::finetune_token_classifier(options);
/// ```
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/data/labelled_texts.hpp"
#include "rapt/finetune/classifier.hpp"
#include "rapt/finetune/encoder_start.hpp"
#include "rapt/finetune/finetune_options.hpp"
#include "rapt/finetune/tune.hpp"
#include "rapt/io/json.hpp"
#include "rapt/pipelines/labelled_lines.hpp"
#include "rapt/text/class_scores.hpp"
#include "rapt/text/entity_scores.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The words of a text and a label for each.
struct LabelledWords {
  /// The words, and the label of each.
  std::vector<std::string> words = {}, labels = {};
  std::string place = {};  ///< "train.jsonl:3", the file and the line, from 1
};

/// A file of JSON objects with lists "tokens" and "labels" of strings, one a line; blank lines count for nothing.
/// Throws IoError with the file and the line for what is no such object, lists of different or of no length, empty
/// words or labels, and a file without texts.
[[nodiscard]] inline std::vector<LabelledWords> read_labelled_words(const std::filesystem::path& path) {
  constexpr std::string_view kWhere = "labelled_words";
  std::vector<LabelledWords> found;
  std::size_t number = 0;
  for (const std::string& line : read_lines(path)) {
    ++number;
    if (is_blank(line)) continue;
    LabelledWords one{.place = path.string() + ":" + std::to_string(number)};
    const nlohmann::json json = detail::parse_json_object(line, one.place, kWhere);
    for (const auto& [key, list] : {std::pair{"tokens", &one.words}, std::pair{"labels", &one.labels}}) {
      const auto values = json.find(key);
      require<IoError>(values != json.end() && values->is_array(), kWhere, one.place, ": \"", key,
                       "\" must be a list of strings: ",
                       values == json.end() ? std::string("there is none") : detail::describe(*values));
      for (const nlohmann::json& value : *values) {
        require<IoError>(value.is_string() && !strip_ends(value.get_ref<const std::string&>()).empty(), kWhere,
                         one.place, ": \"", key, "\" must be strings that are not blank: ", detail::describe(value));
        list->push_back(value.get_ref<const std::string&>());
      }
    }
    require<IoError>(one.words.size() == one.labels.size() && !one.words.empty(), kWhere, one.place, ": ",
                     one.words.size(), " tokens have ", one.labels.size(), " labels");
    found.push_back(std::move(one));
  }
  require<IoError>(!found.empty(), kWhere, path.string(), ": there are no texts");
  return found;
}

namespace detail {

/// The words with a space between them, as TokenClassifier will read such texts, and their labels: the first token of a
/// word has the word's label, all others have kIgnoredLabel. Words that are cut off have none. Throws ValueError that
/// names the line for a label that is not known, and for a line whose words have no tokens; and ValueError if there is
/// no room for words.
[[nodiscard]] inline LabelledText encode_words(const FinetuneEncoding& encoding,
                                               const std::vector<LabelledWords>& examples,
                                               const std::vector<std::string>& labels) {
  std::unordered_map<std::string_view, std::int32_t> numbers;
  for (std::size_t i = 0; i < labels.size(); ++i) numbers.emplace(labels[i], static_cast<std::int32_t>(i));
  LabelledText texts;
  (void)special_tokens(encoding, /*are_pairs=*/false);
  for (const LabelledWords& example : examples) {
    std::string text;
    std::vector<std::size_t> ends;  // of the words in the text
    for (const std::string& word : example.words) {
      if (!text.empty()) text += ' ';
      text += word;
      ends.push_back(text.size());
    }
    const Encoding tokens = encoding.tokenizer.encode_with_spans(text, encoding.options);
    texts.input.push_back(tokens.ids);
    std::size_t labelled = 0;  // words whose first token has come
    for (std::size_t t = 0; t < tokens.ids.size(); ++t) {
      std::int32_t& label = texts.labels.emplace_back(kIgnoredLabel);
      // A token's last byte tells its word, as its first one may be the space before it.
      if (tokens.texts[t] < 0 || tokens.spans[t].end == tokens.spans[t].begin) continue;
      const auto word = to_size(std::upper_bound(ends.begin(), ends.end(), tokens.spans[t].end - 1) - ends.begin());
      if (word < labelled || word >= ends.size()) continue;
      labelled = word + 1;
      const auto found = numbers.find(example.labels[word]);
      require(found != numbers.end(), kFinetune, example.place, " has the label ", quote_name(example.labels[word]),
              ", which is none of those that are known: ", some_of(labels));
      label = found->second;
    }
    require(labelled > 0, kFinetune, example.place, ": none of ", example.words.size(),
            " words has a token that could be learned from, the first is ", quote_name(example.words.front()));
  }
  return texts;
}

/// A model with a head for these labels of tokens: its own if it has one for the same labels, and otherwise a new one.
[[nodiscard]] inline EncoderStart token_labeller(const FinetuneOptions& options,
                                                 const std::vector<std::string>& labels) {
  EncoderStart start{.model = from_pretrained<Bert<float>>(options.model), .head = {"classifier.*"}};
  BertConfig config = start.model.config();
  if (config.labels_tokens() && sorted(config.labels) == labels) return start;
  config = without_heads(std::move(config));
  config.pooler = false;
  config.token_labels = true;
  config.labels = labels;
  config.problem.reset();
  start.model = with_config(start.model, config, {"classifier.*"}, options.seed);
  return start;
}

/// F1 of entities and the accuracy of labels, over the words that have a token.
[[nodiscard]] inline Measurement measure_words(const Bert<float>& model, const WeightAdapter<float>* adapter,
                                               const LabelledText& texts, const std::string& measure) {
  const std::vector<std::string>& names = model.config().labels;
  std::vector<std::int32_t> all_predicted, all_right;
  std::vector<std::vector<std::string>> predicted, right;
  for_scored_texts(model, adapter, texts, [&](const LabelledText& batch, const Tensor<float>& scores) {
    const std::vector<std::int32_t> best = best_columns(scores);
    for (Index s = 0; s < batch.input.sequences(); ++s) {
      predicted.emplace_back(), right.emplace_back();
      for (Index t = batch.input.row_splits.begin(s); t < batch.input.row_splits.end(s); ++t) {
        if (at(batch.labels, t) == kIgnoredLabel) continue;
        all_predicted.push_back(at(best, t)), all_right.push_back(at(batch.labels, t));
        predicted.back().push_back(at(names, at(best, t))), right.back().push_back(at(names, at(batch.labels, t)));
      }
    }
  });
  const double accuracy = ClassScores(all_predicted, all_right, std::ssize(names)).accuracy();
  const LabelCounts entities = EntityScores(predicted, right).total();
  char text[120];
  std::snprintf(text, sizeof text, "F1 %.4f  precision %.4f  recall %.4f  accuracy %.2f %%", entities.f1(),
                entities.precision(), entities.recall(), 100 * accuracy);
  return {.score = measure == "accuracy" ? -accuracy : -entities.f1(),
          .text = text,
          .entry = {{"f1", entities.f1()},
                    {"precision", entities.precision()},
                    {"recall", entities.recall()},
                    {"accuracy", accuracy}}};
}

}  // namespace detail

/// Fine-tunes an encoder on words with labels (see read_labelled_words). Measured by "f1", that of whole entities (see
/// entity_scores.hpp), or by the "accuracy" of labels. Throws as `finetune_classifier`, and ValueError that names the
/// line for a label that the training file does not have, and for words that the tokenizer maps to nothing.
inline JobSummary finetune_token_classifier(const FinetuneOptions& options) {
  detail::require_finetune_options(options);
  const std::string measure = detail::chosen_measure(options, {"f1", "accuracy"});
  const auto lines = read_labelled_words(options.train), held_out = read_labelled_words(options.validation);
  std::vector<std::string> wanted;
  for (const LabelledWords& line : lines) wanted.insert(wanted.end(), line.labels.begin(), line.labels.end());
  wanted = distinct_labels(std::move(wanted));
  detail::require_two_labels(options, wanted);
  detail::EncoderStart start = detail::token_labeller(options, wanted);
  Bert<float>& model = start.model;
  const std::vector<std::string>& labels = model.config().labels;
  const detail::FinetuneEncoding encoding = detail::encoding_of(options, model.config());
  return detail::tune_on_labels(start,
                                {.adapter_task = "TOKEN_CLS",
                                 .training = detail::encode_words(encoding, lines, labels),
                                 .validation = detail::encode_words(encoding, held_out, labels),
                                 .measure =
                                     [&](const WeightAdapter<float>* adapter, const LabelledText& validation) {
                                       return detail::measure_words(model, adapter, validation, measure);
                                     }},
                                options);
}

}}  // namespace rapt::RAPT_ABI
