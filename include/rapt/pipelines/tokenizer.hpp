/// \file
/// What pipelines need of a tokenizer, and a tokenizer of whatever kind a folder has.
#pragma once

#include <concepts>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/pretrained/languages.hpp"
#include "rapt/pretrained/tokenizer_files.hpp"
#include "rapt/text/encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Makes tokens of a text and text of tokens; `size` is how many different tokens there are.
template <class Text>
concept TextTokenizer = requires(const Text& tokenizer, std::string_view text, std::span<const TokenId> tokens) {
  { tokenizer.encode(text) } -> std::same_as<std::vector<TokenId>>;
  { tokenizer.decode(tokens) } -> std::same_as<std::string>;
  { tokenizer.size() } -> std::convertible_to<Index>;
};

/// The tokenizer of a folder, or the two tokenizers of a translator's folder: sources are encoded by one, and targets
/// encoded and decoded by the other. A const one may be used from many threads.
///
/// A multilingual model's tokenizer puts the token of a text's language beside the text (see languages.hpp). Each call
/// may say which, in place of the languages that were given to `load`; those of another model throw ValueError.
class AnyTokenizer {
 public:
  AnyTokenizer(PretrainedTokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
  AnyTokenizer(TokenizerPair pair)
      : tokenizer_(std::move(pair.source)), target_(std::move(pair.target)), scheme_(std::move(pair.languages)) {}

  /// Throws as `load_tokenizer`, and ValueError for languages that the tokenizer does not have.
  [[nodiscard]] static AnyTokenizer load(const std::filesystem::path& path, Languages languages = {}) {
    AnyTokenizer tokenizer{load_tokenizers(path)};
    tokenizer.use_languages(std::move(languages));
    return tokenizer;
  }
  /// From now on texts are in these languages where a call names no others. Throws ValueError for languages that the
  /// tokenizer does not have.
  void use_languages(Languages languages) {
    for (const std::string& language : {languages.source, languages.target}) {
      if (!language.empty()) std::ignore = language_id(language);
    }
    languages_ = std::move(languages);
  }

  /// The tokens of a text in the language of sources.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text, const Languages& languages = {}) const {
    return encode_in(languages.source.empty() ? languages_.source : languages.source, tokenizer_, text);
  }
  /// The tokens of one text or of many, with their spans or without (see TextEncoder).
  [[nodiscard]] Encoding encode_with_spans(std::string_view text, const EncodeOptions& options = {}) const {
    return std::visit([&](const auto& one) { return one.encode_with_spans(text, options); }, tokenizer_);
  }
  /// As `TextEncoder::encode_pair`.
  [[nodiscard]] Encoding encode_pair(std::string_view first, std::string_view second,
                                     const EncodeOptions& options = {}) const {
    return std::visit([&](const auto& one) { return one.encode_pair(first, second, options); }, tokenizer_);
  }
  /// As `TextEncoder::encode_batch`.
  [[nodiscard]] TokenBatch encode_batch(std::span<const std::string> texts, const EncodeOptions& options = {}) const {
    return std::visit([&](const auto& one) { return one.encode_batch(texts, options); }, tokenizer_);
  }
  /// As `TextEncoder::encode_pairs`.
  [[nodiscard]] PairBatch encode_pairs(std::span<const std::string> first, std::span<const std::string> second,
                                       const EncodeOptions& options = {}) const {
    return std::visit([&](const auto& one) { return one.encode_pairs(first, second, options); }, tokenizer_);
  }
  /// As `TextEncoder::encode_product`.
  [[nodiscard]] PairBatch encode_product(std::span<const std::string> first, std::span<const std::string> second,
                                         const EncodeOptions& options = {}) const {
    return std::visit([&](const auto& one) { return one.encode_product(first, second, options); }, tokenizer_);
  }
  /// The tokens of a text in the language of targets.
  [[nodiscard]] std::vector<TokenId> encode_target(std::string_view text, const Languages& languages = {}) const {
    return encode_in(languages.target.empty() ? languages_.target : languages.target, target(), text);
  }
  /// The marks of a model for targets in the language that is asked for, if one is.
  [[nodiscard]] SequenceMarks marks(SequenceMarks model, const Languages& languages = {}) const {
    const std::string& language = languages.target.empty() ? languages_.target : languages.target;
    if (language.empty()) return model;
    const TokenId id = language_id(language);
    return scheme_->marks(std::move(model), id);
  }
  /// Where the model expects tokens of languages; nothing for a tokenizer without languages.
  [[nodiscard]] const std::optional<LanguageScheme>& language_scheme() const { return scheme_; }
  /// The text of targets, in which special tokens give no text unless they are wanted.
  [[nodiscard]] std::string decode(std::span<const TokenId> tokens, bool skip_special = true) const {
    return std::visit([&](const auto& one) { return one.decode(tokens, skip_special); }, target());
  }
  /// The number of different tokens of sources.
  [[nodiscard]] Index size() const {
    return std::visit([](const auto& one) { return one.size(); }, tokenizer_);
  }
  /// The name of a token, as its file writes it. Throws ValueError for an id outside of the vocabulary.
  [[nodiscard]] const std::string& token(TokenId id) const {
    return std::visit([&](const auto& one) -> const std::string& { return one.token(id); }, tokenizer_);
  }
  /// The id of a token by its name, or -1 if it is not in the vocabulary.
  [[nodiscard]] TokenId id(std::string_view name) const {
    return std::visit([&](const auto& one) { return one.id(name); }, tokenizer_);
  }
  /// How texts are cut off where a call does not say.
  [[nodiscard]] const Truncation& truncation() const {
    return std::visit([](const auto& one) -> const Truncation& { return one.truncation(); }, tokenizer_);
  }
  /// True if `decode` removes spaces before punctuation.
  [[nodiscard]] bool cleans_up_spaces() const {
    return std::visit([](const auto& one) { return one.options().clean_up_spaces; }, target());
  }
  [[nodiscard]] const PretrainedTokenizer& tokenizer() const { return tokenizer_; }
  /// The tokenizer of targets, which is that of sources where there is one alone.
  [[nodiscard]] const PretrainedTokenizer& target() const { return target_ ? *target_ : tokenizer_; }

 private:
  [[nodiscard]] TokenId language_id(const std::string& language) const {
    require(scheme_.has_value(), "tokenizer", "the tokenizer has no languages: ", detail::quote_name(language),
            " is asked for");
    const std::string token = scheme_->token(language);
    const TokenId id = this->id(token);  // a piece of text is no language, even if it reads as one
    const bool is_language = std::visit([&](const auto& one) { return one.is_special(id); }, tokenizer_);
    require(is_language, "tokenizer", "the vocabulary has no token of the language ", detail::quote_name(language),
            ": ", detail::quote_name(token));
    return id;
  }
  /// The tokens of a text with that of its language; without one, those that the tokenizer puts there by itself.
  [[nodiscard]] std::vector<TokenId> encode_in(const std::string& language, const PretrainedTokenizer& tokenizer,
                                               std::string_view text) const {
    if (language.empty()) return std::visit([&](const auto& one) { return one.encode(text); }, tokenizer);
    const TokenId id = language_id(language);
    const std::vector<TokenId> inner =
        std::visit([&](const auto& one) { return one.encode(text, {.add_special = false}); }, tokenizer);
    std::vector<TokenId> tokens;
    tokens.reserve(inner.size() + 2);
    for (const TemplatePiece& piece : scheme_->pieces(language)) {
      if (piece.text == "$A") {
        tokens.insert(tokens.end(), inner.begin(), inner.end());
      } else if (piece.text == scheme_->end) {
        tokens.push_back(std::visit([&](const auto& one) { return one.id(scheme_->end); }, tokenizer));
      } else {
        tokens.push_back(id);
      }
    }
    return tokens;
  }

  PretrainedTokenizer tokenizer_;
  std::optional<PretrainedTokenizer> target_;
  std::optional<LanguageScheme> scheme_;
  Languages languages_;  // of calls that name none
};
static_assert(TextTokenizer<AnyTokenizer> && TextTokenizer<ByteLevelBpe> && TextTokenizer<WordPiece> &&
              TextTokenizer<SentencePiece>);

}}  // namespace rapt::RAPT_ABI
