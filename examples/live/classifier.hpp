// A classifier of texts: from a Hugging Face folder, or a small one that knows nothing yet; and how it is kept.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <rapt/finetune/encoder_start.hpp>
#include <rapt/pipelines/tokenizer.hpp>
#include <rapt/pretrained/bert.hpp>
#include <rapt/pretrained/save_tokenizer.hpp>
#include <rapt/rapt.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using Model = rapt::Bert<float>;

/// An encoder with a head for the labels of texts, and its tokenizer.
struct Classifier {
  Model model;
  rapt::AnyTokenizer tokenizer;

  [[nodiscard]] const std::vector<std::string>& labels() const { return model.config().labels; }
  /// The tokens of a text, as one sequence; a text that is too long is cut off.
  [[nodiscard]] rapt::TokenBatch encode(const std::string& text) const {
    rapt::Truncation truncation = tokenizer.truncation();
    truncation.max_tokens = std::min<rapt::Index>(model.config().positions, 128);
    return tokenizer.encode_batch(std::span(&text, 1), {.truncation = truncation});
  }
};

/// The number of the label that the model gives to the one text of a batch.
inline std::int32_t label_of(const Model& model, const rapt::TokenBatch& text) {
  const rapt::Tensor<float> scores = model.class_logits(model.hidden(text), text.row_splits).value();  // [1, labels]
  const float* const row = scores.row(0);
  return static_cast<std::int32_t>(std::max_element(row, row + scores.cols()) - row);
}

/// The encoder of a model with a new head for these labels.
inline Model with_new_head(const Model& encoder, const std::vector<std::string>& labels, std::uint64_t seed) {
  rapt::BertConfig config = rapt::without_heads(encoder.config());
  config.pooler = true;
  config.labels = labels;
  config.problem = rapt::LabelProblem::single_label;
  return rapt::with_config(encoder, config, {"classifier.*"}, seed);
}

/// The classifier of a folder, with a new head if `labels` are others than the folder's; empty: the folder's.
inline Classifier open_classifier(const std::string& folder, const std::vector<std::string>& labels,
                                  std::uint64_t seed) {
  auto model = rapt::from_pretrained<Model>(folder);
  const rapt::BertConfig& config = model.config();
  const bool has_head = config.labels.size() > 1 && !config.labels_tokens() &&
                        config.problem.value_or(rapt::LabelProblem::single_label) == rapt::LabelProblem::single_label;
  rapt::require<rapt::IoError>(has_head || !labels.empty(), "live", folder,
                               ": the model does not tell labels of texts apart: --labels must name those to learn");
  if (!labels.empty() && (!has_head || config.labels != labels)) model = with_new_head(model, labels, seed);
  auto tokenizer = rapt::AnyTokenizer::load(folder);
  rapt::require<rapt::IoError>(tokenizer.size() <= model.config().vocabulary, "live", folder, ": the tokenizer has ",
                               tokenizer.size(), " tokens, the model ", model.config().vocabulary);
  return {.model = std::move(model), .tokenizer = std::move(tokenizer)};
}

/// A classifier of two layers that has learned nothing. Its vocabulary are the words of `texts`, and letters and
/// digits, of which other words are made.
inline Classifier new_classifier(const std::vector<std::string>& texts, const std::vector<std::string>& labels,
                                 std::uint64_t seed) {
  std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  std::set<std::string> words;
  for (char c = '!'; c <= '~'; ++c) {
    if (c < 'A' || c > 'Z') words.insert({std::string(1, c), std::string("##") + c});
  }
  for (std::string text : texts) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    for (const std::string_view piece : rapt::split_whitespace(text)) {
      const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
      if (std::all_of(piece.begin(), piece.end(), is_letter)) words.insert(std::string(piece));
    }
  }
  vocabulary.insert(vocabulary.end(), words.begin(), words.end());
  rapt::WordPiece tokenizer(std::move(vocabulary));
  rapt::Rng rng(seed);
  return {.model = Model({.vocabulary = tokenizer.size(),
                          .positions = 128,
                          .d_model = 64,
                          .layers = 2,
                          .heads = 4,
                          .d_ff = 256,
                          .labels = labels,
                          .problem = rapt::LabelProblem::single_label},
                         rng),
          .tokenizer = rapt::AnyTokenizer(rapt::PretrainedTokenizer(std::move(tokenizer)))};
}

/// Writes a folder that `open_classifier`, the program `tasks classify` and transformers open.
inline void save_classifier(const std::filesystem::path& folder, const Classifier& classifier) {
  std::filesystem::create_directories(folder);
  rapt::save_pretrained(folder, classifier.model);
  std::visit(
      [&](const auto& tokenizer) {
        if constexpr (requires { rapt::save_tokenizer(folder, tokenizer); }) {
          rapt::save_tokenizer(folder, tokenizer);
        } else {
          rapt::fail<rapt::IoError>("live", folder.string(),
                                    ": a tokenizer of SentencePiece is not written: copy the model's tokenizer there");
        }
      },
      classifier.tokenizer.tokenizer());
}
