/// \file
/// What pipelines need of a tokenizer, and a tokenizer of whatever kind a folder has.
#pragma once

#include <concepts>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/pretrained/tokenizer_files.hpp"

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
class AnyTokenizer {
 public:
  AnyTokenizer(PretrainedTokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
  AnyTokenizer(TokenizerPair pair) : tokenizer_(std::move(pair.source)), target_(std::move(pair.target)) {}

  /// Throws as `load_tokenizer`.
  [[nodiscard]] static AnyTokenizer load(const std::filesystem::path& path) { return {load_tokenizers(path)}; }

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const {
    return std::visit([&](const auto& one) { return one.encode(text); }, tokenizer_);
  }
  /// The tokens of a text in the language of targets.
  [[nodiscard]] std::vector<TokenId> encode_target(std::string_view text) const {
    return std::visit([&](const auto& one) { return one.encode(text); }, target());
  }
  /// The text of targets. Special tokens give no text.
  [[nodiscard]] std::string decode(std::span<const TokenId> tokens) const {
    return std::visit([&](const auto& one) { return one.decode(tokens); }, target());
  }
  /// The number of different tokens of sources.
  [[nodiscard]] Index size() const {
    return std::visit([](const auto& one) { return one.size(); }, tokenizer_);
  }
  /// The name of a token, as its file writes it. Throws ValueError for an id outside of the vocabulary.
  [[nodiscard]] const std::string& token(TokenId id) const {
    return std::visit([&](const auto& one) -> const std::string& { return one.token(id); }, tokenizer_);
  }
  /// The number of the token of sources that has this name; negative if there is none.
  [[nodiscard]] TokenId id(std::string_view name) const {
    return std::visit([&](const auto& one) { return one.id(name); }, tokenizer_);
  }
  /// True if `decode` removes spaces before punctuation.
  [[nodiscard]] bool cleans_up_spaces() const {
    return std::visit([](const auto& one) { return one.options().clean_up_spaces; }, target());
  }
  [[nodiscard]] const PretrainedTokenizer& tokenizer() const { return tokenizer_; }
  [[nodiscard]] const PretrainedTokenizer& target() const { return target_ ? *target_ : tokenizer_; }

 private:
  PretrainedTokenizer tokenizer_;
  std::optional<PretrainedTokenizer> target_;
};
static_assert(TextTokenizer<AnyTokenizer> && TextTokenizer<ByteLevelBpe> && TextTokenizer<WordPiece> &&
              TextTokenizer<SentencePiece>);

}}  // namespace rapt::RAPT_ABI
