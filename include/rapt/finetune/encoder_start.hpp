/// \file
/// The encoder that fine-tuning begins with: the folder's model with a head for the task, a new one if it has none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/data/fingerprint.hpp"
#include "rapt/finetune/finetune_options.hpp"
#include "rapt/models/bert.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/nn/transfer.hpp"
#include "rapt/pipelines/task_folder.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pretrained/bert.hpp"
#include "rapt/text/encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The same encoder with other settings, as heads: parameters that both have are copied, but for those that match a
/// pattern of `renewed`, and all others are new. Throws ShapeError that names a parameter which would have another
/// shape.
[[nodiscard]] inline Bert<float> with_config(const Bert<float>& from, const BertConfig& config,
                                             const std::vector<std::string>& renewed, std::uint64_t seed) {
  std::set<std::string> known, copied;
  for_each_parameter(from, [&](const std::string& name, const auto&) { known.insert(name); });
  const auto is_renewed = [&](const std::string& name) {
    return std::any_of(renewed.begin(), renewed.end(),
                       [&](const std::string& pattern) { return matches_pattern(name, pattern); });
  };
  Rng rng(seed);
  Bert<float> model(config, rng, [&](const std::string& name) { return !known.contains(name) || is_renewed(name); });
  for_each_parameter(model, [&](const std::string& name, const auto&) {
    if (known.contains(name) && !is_renewed(name)) copied.insert(name);
  });
  std::ignore = copy_parameters(from, model, [&](const std::string& name) { return copied.contains(name); });
  return model;
}

/// A config without heads, to which one is added.
[[nodiscard]] inline BertConfig without_heads(BertConfig config) {
  config.masked_language_head = config.next_sentence_head = config.replaced_token_head = config.question_head = false;
  config.token_labels = false;
  config.labels.clear();
  return config;
}

namespace detail {

/// The encoder that is trained.
struct EncoderStart {
  Bert<float> model;
  /// Patterns of the parameters of its head, and of a pooler that the folder did not have: those that are trained
  /// beside an adapter, and whatever is frozen.
  std::vector<std::string> head;
};

[[nodiscard]] inline std::vector<std::string> sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return names;
}

/// A model with a head that tells these labels apart, which are sorted: its own head if that is for the same labels, in
/// the order in which the model has them, and otherwise a new one. For regression any head of one label is right.
[[nodiscard]] inline EncoderStart sequence_classifier(const FinetuneOptions& options,
                                                      const std::vector<std::string>& labels, bool is_regression) {
  EncoderStart start{.model = from_pretrained<Bert<float>>(options.model), .head = {"classifier.*"}};
  BertConfig config = start.model.config();
  const auto problem = is_regression ? LabelProblem::regression : LabelProblem::single_label;
  const bool has_head =
      !config.labels_tokens() && (is_regression ? config.labels.size() == 1 : sorted(config.labels) == labels);
  // The head of RoBERTa, DistilBERT and ELECTRA has the pooler in it (classifier.dense or pre_classifier in files).
  const bool pooler_in_head = config.family != BertFamily::bert && config.family != BertFamily::albert;
  if (pooler_in_head || !config.pooler) start.head.push_back("pooler.*");
  if (has_head && config.problem.value_or(problem) == problem) return start;
  if (!has_head) {
    config = without_heads(std::move(config));
    config.pooler = true;
    config.labels = labels;
  }
  config.problem = problem;
  const std::vector<std::string> renewed =
      has_head ? std::vector<std::string>() : std::vector<std::string>{"classifier.*"};
  start.model = with_config(start.model, config, renewed, options.seed);
  return start;
}

/// How texts become tokens: as the tasks do it with the folder that is written, except that `longest` may cut off more
/// of them.
struct FinetuneEncoding {
  AnyTokenizer tokenizer;
  EncodeOptions options;
  bool has_types;
};

[[nodiscard]] inline FinetuneEncoding encoding_of(const FinetuneOptions& options, const BertConfig& config) {
  const TaskFolder folder(options.model, kFinetune);
  AnyTokenizer tokenizer = AnyTokenizer::load(options.model);
  require<IoError>(tokenizer.size() <= config.vocabulary, kFinetune, options.model.string(), ": the tokenizer has ",
                   tokenizer.size(), " tokens, the model ", config.vocabulary);
  const Truncation truncation{.max_tokens = std::min(options.longest, folder.longest(config.positions)),
                              .left = folder.cuts_left().value_or(tokenizer.truncation().left)};
  return {.tokenizer = std::move(tokenizer),
          .options = {.truncation = truncation},
          .has_types = config.token_types > 1 && folder.takes_token_types()};
}

/// The number of special tokens around a text, or around the texts of a pair. Throws ValueError if an example has no
/// room for a token of each text beside them. A tokenizer cuts nothing off to as few tokens as a pair's special ones,
/// not even single texts.
[[nodiscard]] inline Index special_tokens(const FinetuneEncoding& encoding, bool are_pairs) {
  const auto count = [](const Encoding& tokens) { return std::count(tokens.texts.begin(), tokens.texts.end(), -1); };
  const Index single = count(encoding.tokenizer.encode_with_spans("")),
              pair = count(encoding.tokenizer.encode_pair("", ""));
  const Index special = are_pairs ? pair : single, least = are_pairs ? pair + 2 : std::max(single, pair) + 1;
  const Index longest = encoding.options.truncation->max_tokens;
  require(longest >= least, kFinetune, are_pairs ? "pairs of texts" : "texts", " have ", special,
          " special tokens: examples must have at least ", least, " tokens with this tokenizer, not ", longest);
  return special;
}

/// Throws ValueError unless there are labels to tell apart.
inline void require_two_labels(const FinetuneOptions& options, const std::vector<std::string>& labels) {
  require(labels.size() > 1, kFinetune, options.train.string(), " has ", labels.size(),
          " different labels: two are the least");
}

inline void add_texts(Fingerprint& fingerprint, const LabelledText& texts) {
  fingerprint.add(texts.input.row_splits.offsets());
  fingerprint.add(std::span<const TokenId>(texts.input.tokens));
  fingerprint.add(std::span<const std::int32_t>(texts.token_types));
  fingerprint.add(std::span<const std::int32_t>(texts.labels));
  fingerprint.add(std::span<const float>(texts.values));
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
