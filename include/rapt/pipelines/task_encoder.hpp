/// \file
/// An encoder with its tokenizer, opened for one task: texts become tokens, batches of like length, and scores.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/length_batches.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/pipelines/encoder_model.hpp"
#include "rapt/pipelines/task_folder.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/text/encoding.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// An encoder and its tokenizer. A const one may be used from many threads.
class TaskEncoder {
 public:
  /// Opens a folder. Throws IoError that says what the folder's model is if it lacks the head that the task needs, and
  /// as `load_encoder` and `load_tokenizer`. `where` is for messages and must live as long as this.
  TaskEncoder(const std::filesystem::path& path, EncoderHead head, std::string_view where)
      : TaskEncoder(path, load_encoder(path), head, where) {}
  /// The same with a model in place of the folder's, as one that is trained, of which the folder has what else is
  /// needed.
  TaskEncoder(const std::filesystem::path& path, std::shared_ptr<const EncoderModel> model, EncoderHead head,
              std::string_view where)
      : folder_(path, where),
        where_(where),
        head_(head),
        model_(std::move(model)),
        tokenizer_(AnyTokenizer::load(path)),
        takes_token_types_(folder_.takes_token_types()),
        cuts_left_(folder_.cuts_left().value_or(tokenizer_.truncation().left)),
        longest_(folder_.longest(model_->longest())) {
    if (!model_->has(head)) {
      const std::string architecture = folder_.architecture();
      fail<IoError>(where, path.string(), ": ", architecture.empty() ? folder_.model_type() : architecture,
                    " has no head for this task; needed is ", needed(head));
    }
    require<IoError>(tokenizer_.size() <= model_->vocabulary(), where, path.string(), ": the tokenizer has ",
                     tokenizer_.size(), " tokens, the model ", model_->vocabulary());
  }

  [[nodiscard]] const TaskFolder& folder() const { return folder_; }
  [[nodiscard]] const AnyTokenizer& tokenizer() const { return tokenizer_; }
  [[nodiscard]] const std::vector<std::string>& labels() const { return model_->labels(); }
  /// The number of tokens of the longest sequence, special tokens included, that both model and tokenizer take.
  [[nodiscard]] Index longest() const { return longest_; }
  /// True if texts that are too long lose their beginnings: by tokenizer_config.json or else by the tokenizer's file.
  [[nodiscard]] bool cuts_left() const { return cuts_left_; }
  /// The id of a special token: the one that the folder names by `key`, or else the first of the usual ones that the
  /// vocabulary has; -1 if there is none.
  [[nodiscard]] TokenId special_token(const char* key, std::initializer_list<std::string_view> usual) const {
    if (const auto named = folder_.special_token(key)) return tokenizer_.id(*named);
    for (const std::string_view name : usual) {
      if (const TokenId id = tokenizer_.id(name); id >= 0) return id;
    }
    return -1;
  }

  /// Tokens of texts, of which those that are too long are cut off.
  [[nodiscard]] PairBatch encode(std::span<const std::string> texts) const {
    return {tokenizer_.encode_batch(texts, {.truncation = truncation(Truncation::Strategy::longest_first)}), {}};
  }
  /// Tokens of pairs of texts; `strategy`: which one is cut off.
  [[nodiscard]] PairBatch encode(std::span<const std::string> first, std::span<const std::string> second,
                                 Truncation::Strategy strategy) const {
    return tokenizer_.encode_pairs(first, second, {.truncation = truncation(strategy)});
  }

  /// The tokens of text `number` with their spans, cut off if they are too many.
  [[nodiscard]] Encoding encode_with_spans(std::string_view text, std::size_t number) const {
    const EncodeOptions options{.truncation = truncation(Truncation::Strategy::longest_first)};
    return naming(number, [&] { return tokenizer_.encode_with_spans(text, options); });
  }
  /// All tokens of text `number` with their spans, nothing cut off.
  [[nodiscard]] Encoding encode_whole(std::string_view text, std::size_t number) const {
    return naming(number, [&] { return tokenizer_.encode_with_spans(text, {.truncation = Truncation{}}); });
  }
  /// The same of pair `number` of texts.
  [[nodiscard]] Encoding encode_whole(std::string_view first, std::string_view second, std::size_t number) const {
    return naming(number, [&] { return tokenizer_.encode_pair(first, second, {.truncation = Truncation{}}); });
  }

  /// Tokens of the pairs of each first text with each second one: pair (i, j) is sequence i * second.size() + j.
  /// Each text is cut into tokens once. `strategy`: which text of a pair is cut off.
  [[nodiscard]] PairBatch encode_product(std::span<const std::string> first, std::span<const std::string> second,
                                         Truncation::Strategy strategy) const {
    return tokenizer_.encode_product(first, second, {.truncation = truncation(strategy)});
  }

  /// Calls take(i, scores) for every sequence, from several threads. The scores are those of the head (see
  /// EncoderModel): a row for the sequence   // [1, labels]
  /// a row for each token   // [length, labels] or [length, 2]
  /// or, of the vocabulary, a row for each token that is `asked`   // [asked, V]
  template <class Take>
  void score(const PairBatch& pairs, const Take& take, TokenId asked = -1) const {
    const RowSplits& splits = pairs.tokens.row_splits;
    const bool has_types = takes_token_types_ && !pairs.types.empty();
    for_batches_of_like_length(splits, kTokensAtOnce, [&](std::span<const Index> numbers) {
      TokenBatch batch;
      std::vector<std::int32_t> types, rows;
      std::vector<Index> ends;  // of the sequences' rows of scores
      for (const Index i : numbers) {
        const std::span<const TokenId> tokens = pairs.tokens.sequence(i);
        for (std::size_t t = 0; t < tokens.size() && head_ == EncoderHead::vocabulary; ++t) {
          if (tokens[t] == asked) rows.push_back(static_cast<std::int32_t>(batch.size() + static_cast<Index>(t)));
        }
        batch.push_back(tokens);
        if (has_types) {
          types.insert(types.end(), pairs.types.begin() + splits.begin(i), pairs.types.begin() + splits.end(i));
        }
        ends.push_back(head_ == EncoderHead::sequence_classes ? batch.sequences()
                       : head_ == EncoderHead::vocabulary     ? std::ssize(rows)
                                                              : batch.size());
      }
      const Tensor<float> scores = model_->scores(head_, batch, types, rows);
      for (Index n = 0, begin = 0; n < std::ssize(numbers); begin = at(ends, n++)) {
        take(at(numbers, n), scores.view().middle_rows(begin, at(ends, n) - begin));
      }
    });
  }

 private:
  static constexpr Index kTokensAtOnce = 1024;  // activations of so many stay in the cache

  [[nodiscard]] Truncation truncation(Truncation::Strategy strategy) const {
    return {.max_tokens = longest_, .strategy = strategy, .left = cuts_left_};
  }

  template <class F>
  [[nodiscard]] Encoding naming(std::size_t number, const F& encode) const {
    try {
      return encode();
    } catch (const ValueError& error) {
      fail(where_, "text ", number, ": ", error.what());
    }
  }

  [[nodiscard]] static std::string_view needed(EncoderHead head) {
    switch (head) {
      case EncoderHead::sequence_classes:
        return "a model for the classification of sequences (...ForSequenceClassification)";
      case EncoderHead::token_classes:
        return "a model for the classification of tokens (...ForTokenClassification)";
      case EncoderHead::spans:
        return "a model that answers questions (...ForQuestionAnswering)";
      case EncoderHead::vocabulary:
        return "a masked-language model (...ForMaskedLM)";
    }
    return "";
  }

  TaskFolder folder_;
  std::string_view where_;
  EncoderHead head_;
  std::shared_ptr<const EncoderModel> model_;
  AnyTokenizer tokenizer_;
  bool takes_token_types_;
  bool cuts_left_;
  Index longest_;
};

}}}  // namespace rapt::RAPT_ABI::detail
