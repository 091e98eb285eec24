/// \file
/// Fine-tuning of an encoder of a Hugging Face folder (BERT, RoBERTa, DistilBERT, ELECTRA, ALBERT) for classes of texts
/// or of pairs of texts, and for numbers.
///
/// ```cpp
/// rapt::finetune_classifier({.model = "minilm", .train = "train.tsv", .validation = "dev.tsv", .out = "tuned"});
/// ```
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/data/labelled_texts.hpp"
#include "rapt/finetune/encoder_start.hpp"
#include "rapt/finetune/finetune_options.hpp"
#include "rapt/finetune/tune.hpp"
#include "rapt/pipelines/labelled_lines.hpp"
#include "rapt/text/class_scores.hpp"
#include "rapt/text/encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The number of the greatest score of each row.
[[nodiscard]] inline std::vector<std::int32_t> best_columns(const Tensor<float>& scores) {
  std::vector<std::int32_t> best;
  for (Index i = 0; i < scores.rows(); ++i) {
    const float* const row = scores.row(i);
    best.push_back(static_cast<std::int32_t>(std::max_element(row, row + scores.cols()) - row));
  }
  return best;
}

/// f(batch, scores of its texts or tokens) for all texts, so many at a time, with the adapter if there is one.
template <class F>
void for_scored_texts(const Bert<float>& model, const WeightAdapter<float>* adapter, const LabelledText& texts,
                      const F& f) {
  constexpr Index kAtOnce = 64;
  const UseAdapter<float> use(adapter);
  const Inference scope;
  std::vector<Index> numbers;
  for (Index begin = 0; begin < texts.input.sequences(); begin += kAtOnce) {
    numbers.clear();
    for (Index i = begin; i < std::min(begin + kAtOnce, texts.input.sequences()); ++i) numbers.push_back(i);
    const LabelledText batch = select_texts(texts, numbers);
    f(batch, model.class_logits(model.hidden(batch.input, batch.token_types), batch.input.row_splits).value());
  }
}

[[nodiscard]] inline Measurement measure_numbers(const Bert<float>& model, const WeightAdapter<float>* adapter,
                                                 const LabelledText& texts) {
  double squares = 0;
  for_scored_texts(model, adapter, texts, [&](const LabelledText& batch, const Tensor<float>& scores) {
    for (Index i = 0; i < scores.rows(); ++i) {
      const double error = static_cast<double>(*scores.row(i)) - static_cast<double>(at(batch.values, i));
      squares += error * error;
    }
  });
  const double mean = squares / static_cast<double>(texts.input.sequences());
  char text[80];
  std::snprintf(text, sizeof text, "mean squared error %.4f", mean);
  return {.score = mean, .text = text, .entry = {{"mean_squared_error", mean}}};
}

[[nodiscard]] inline Measurement measure_classes(const Bert<float>& model, const WeightAdapter<float>* adapter,
                                                 const LabelledText& texts, const std::string& measure) {
  std::vector<std::int32_t> predicted;
  for_scored_texts(model, adapter, texts, [&](const LabelledText&, const Tensor<float>& scores) {
    const std::vector<std::int32_t> best = best_columns(scores);
    predicted.insert(predicted.end(), best.begin(), best.end());
  });
  const ClassScores found(predicted, texts.labels, std::ssize(model.config().labels));
  char text[80];
  std::snprintf(text, sizeof text, "accuracy %.2f %%  macro F1 %.4f", 100 * found.accuracy(), found.macro_f1());
  return {.score = measure == "f1" ? -found.macro_f1() : -found.accuracy(),
          .text = text,
          .entry = {{"accuracy", found.accuracy()}, {"macro_f1", found.macro_f1()}}};
}

/// The number of special tokens around the texts.
[[nodiscard]] inline Index special_tokens_of(const Encoding& tokens) {
  return std::count(tokens.texts.begin(), tokens.texts.end(), -1);
}

/// The texts of lines, or their pairs of texts, as tokens. Throws ValueError that names the line for a text that has no
/// token beside special ones, and ValueError if there is no room for both texts of a pair.
[[nodiscard]] inline LabelledText encode_lines(const FinetuneEncoding& encoding, const std::vector<LabelledLine>& lines,
                                               bool are_pairs) {
  std::vector<std::string> first, second;
  for (const LabelledLine& line : lines) first.push_back(line.text), second.push_back(line.second);
  LabelledText texts;
  if (!are_pairs) {
    texts.input = encoding.tokenizer.encode_batch(first, encoding.options);
    const Index special = special_tokens_of(encoding.tokenizer.encode_with_spans(""));
    for (Index i = 0; i < texts.input.sequences(); ++i) {
      require(texts.input.row_splits.length(i) > special, kFinetune, place_of(lines, to_size(i)),
              ": the text has no tokens");
    }
    return texts;
  }
  const Index longest = encoding.options.truncation->max_tokens;
  const Index special = special_tokens_of(encoding.tokenizer.encode_pair("", ""));
  require(longest >= special + 2, kFinetune, "pairs of texts have ", special, " special tokens: ", longest,
          " tokens have no room for both texts");
  PairBatch pairs = encoding.tokenizer.encode_pairs(first, second, encoding.options);
  texts.input = std::move(pairs.tokens);
  if (encoding.has_types) texts.token_types.assign(pairs.types.begin(), pairs.types.end());
  // The length of a pair does not tell the tokens of its texts apart.
  for (const std::vector<std::string>* const some : {&first, &second}) {
    const TokenBatch own = encoding.tokenizer.encode_batch(*some, {.add_special = false, .truncation = Truncation{}});
    for (Index i = 0; i < own.sequences(); ++i) {
      const bool is_text = some == &first || !at(second, i).empty();
      require(!is_text || own.row_splits.length(i) > 0, kFinetune, place_of(lines, to_size(i)),
              some == &first ? ": the text has no tokens" : ": the second text has no tokens");
    }
  }
  return texts;
}

/// What the tuning of an encoder on labelled texts is given.
struct LabelTuning {
  std::string adapter_task;  ///< see TuningTask
  LabelledText training = {}, validation = {};
  std::function<Measurement(const WeightAdapter<float>* adapter, const LabelledText& validation)> measure = {};
};

inline JobSummary tune_on_labels(EncoderStart& start, LabelTuning tuning, const FinetuneOptions& options) {
  const std::vector<std::string>& labels = start.model.config().labels;
  Fingerprint fingerprint;
  for (const std::string& label : labels) fingerprint.add(label + "\n");
  for (const LabelledText* texts : {&tuning.training, &tuning.validation}) add_texts(fingerprint, *texts);
  const Index count = tuning.training.input.sequences();
  LabelledTextStream batches(std::move(tuning.training), {.texts = options.batch, .seed = options.seed});
  return tune(start.model, batches, options,
              TuningTask<LabelledText>{
                  .adapter_task = tuning.adapter_task,
                  .head = start.head,
                  .examples = std::to_string(count) + " + " + std::to_string(tuning.validation.input.sequences()) +
                              " texts, " + std::to_string(labels.size()) + " labels",
                  .corpus = corpus_text(count, "texts", fingerprint),
                  .measure = [&](const TunedModel<LabelledText>&, const WeightAdapter<float>* adapter) {
                    return tuning.measure(adapter, tuning.validation);
                  }});
}

}  // namespace detail

/// Fine-tunes an encoder on labelled texts (see read_labelled_lines). A head of the folder for the same labels is gone
/// on with; otherwise there is a new one. `is_regression`: labels are numbers, and the measure is the mean squared
/// error ("error"); else it is "accuracy" or "f1", the macro average. Throws ValueError and IoError for options, files
/// and folders that cannot be used, and as a TrainingJob.
inline JobSummary finetune_classifier(const FinetuneOptions& options, bool is_regression = false) {
  using detail::kFinetune;
  detail::require_finetune_options(options);
  const std::string measure = detail::chosen_measure(
      options, is_regression ? std::vector<std::string>{"error"} : std::vector<std::string>{"accuracy", "f1"});
  require(!is_regression || options.label_smoothing == 0, kFinetune, options.option_prefix, "label-smoothing ",
          options.label_smoothing, " has no effect on numbers: it is of losses over classes");
  for (const std::string& pattern : options.freeze) {
    require(!pattern.starts_with("classifier"), kFinetune, options.option_prefix, "freeze ", pattern,
            " has no effect: the head is always trained");
  }
  const auto lines = read_labelled_lines(options.train), held_out = read_labelled_lines(options.validation);
  const std::vector<std::string> wanted = is_regression ? std::vector<std::string>{"LABEL_0"} : distinct_labels(lines);
  if (!is_regression) detail::require_two_labels(options, wanted);
  detail::EncoderStart start = detail::sequence_classifier(options, wanted, is_regression);
  Bert<float>& model = start.model;
  const std::vector<std::string>& labels = model.config().labels;
  const auto is_pair = [](const LabelledLine& line) { return !line.second.empty(); };
  const bool are_pairs =
      std::any_of(lines.begin(), lines.end(), is_pair) || std::any_of(held_out.begin(), held_out.end(), is_pair);
  const detail::FinetuneEncoding encoding = detail::encoding_of(options, model.config());
  const auto encode = [&](const std::vector<LabelledLine>& from) {
    LabelledText texts = detail::encode_lines(encoding, from, are_pairs);
    if (is_regression) {
      texts.values = label_values(from);
    } else {
      texts.labels = label_numbers(from, labels);
    }
    return texts;
  };
  return detail::tune_on_labels(start,
                                {.adapter_task = "SEQ_CLS",
                                 .training = encode(lines),
                                 .validation = encode(held_out),
                                 .measure =
                                     [&](const WeightAdapter<float>* adapter, const LabelledText& validation) {
                                       return is_regression
                                                  ? detail::measure_numbers(model, adapter, validation)
                                                  : detail::measure_classes(model, adapter, validation, measure);
                                     }},
                                options);
}

}}  // namespace rapt::RAPT_ABI
