/// \file
/// Vocabulary: from tokens to their ids and back.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The names of the special tokens, which stand for no text of their own.
struct SpecialTokens {
  std::string unknown = "<unk>";          ///< what stands for text without a token
  std::string begin_of_sentence = "<s>";  ///< what sentences begin with
  std::string end_of_sentence = "</s>";   ///< may be the same as begin_of_sentence
  std::vector<std::string> others = {};   ///< other special tokens, such as "<pad>" and "<mask>"
};

/// An immutable list of distinct tokens. A token's id is its place in the list. One token may be empty, as in some
/// published vocabularies, and is treated as any other. Many threads may use one object.
class Vocabulary {
 public:
  /// The vocabulary of the three special tokens alone.
  Vocabulary() : Vocabulary(std::span<const std::string>{}) {}

  /// The special tokens "<unk>", "<s>" and "</s>" with the ids 0, 1 and 2, then the ordinary tokens from 3 on. Throws
  /// ValueError with the token and its position (from 0) if one occurs twice or has the name of a special token.
  explicit Vocabulary(std::span<const std::string> ordinary_tokens) {
    const SpecialTokens special;
    tokens_ = {special.unknown, special.begin_of_sentence, special.end_of_sentence};
    tokens_.insert(tokens_.end(), ordinary_tokens.begin(), ordinary_tokens.end());
    index(special, 3);
  }

  /// A vocabulary of another program: all its tokens in their order, with the special ones at any place. Throws
  /// ValueError as above, and if a special token is missing.
  [[nodiscard]] static Vocabulary from_tokens(std::vector<std::string> tokens, const SpecialTokens& special = {}) {
    Vocabulary vocabulary{Unindexed{}};
    vocabulary.tokens_ = std::move(tokens);
    vocabulary.index(special, 0);
    return vocabulary;
  }

  [[nodiscard]] Index size() const { return std::ssize(tokens_); }
  /// True if the token is in the vocabulary.
  [[nodiscard]] bool contains(std::string_view token) const { return ids_.find(token) != ids_.end(); }
  /// The id of a token, or unknown() if it is not in the vocabulary.
  [[nodiscard]] TokenId id(std::string_view token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? unknown_ : found->second;
  }
  /// Throws ValueError unless 0 <= id < size().
  [[nodiscard]] const std::string& token(TokenId id) const {
    require(id >= 0 && id < size(), "vocabulary", "token id ", id, " is outside the vocabulary of ", size());
    return at(tokens_, id);
  }
  [[nodiscard]] std::span<const std::string> tokens() const { return tokens_; }

  /// The id of the token for what is not in the vocabulary.
  [[nodiscard]] TokenId unknown() const { return unknown_; }
  /// The id of the token that sentences begin with.
  [[nodiscard]] TokenId begin_of_sentence() const { return begin_of_sentence_; }
  /// The id of the token that sentences end with.
  [[nodiscard]] TokenId end_of_sentence() const { return end_of_sentence_; }
  /// True for the special tokens, which stand for no text of their own.
  [[nodiscard]] bool is_special(TokenId id) const {
    return std::find(special_.begin(), special_.end(), id) != special_.end();
  }

 private:
  struct Unindexed {};
  explicit Vocabulary(Unindexed) {}

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  /// Fills ids_ and the special ids; positions in messages count from `first`.
  void index(const SpecialTokens& special, std::size_t first) {
    require(tokens_.size() <= to_size(std::numeric_limits<TokenId>::max()), "vocabulary",
            "too many tokens: ", tokens_.size());
    ids_.reserve(tokens_.size());
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const std::string& token = tokens_[i];
      const auto [at, is_new] = ids_.try_emplace(token, static_cast<TokenId>(i));
      if (is_new) continue;
      const auto earlier = to_size(at->second);
      require(earlier >= first, "vocabulary", "an ordinary token must not be called as a special one: \"", token,
              "\" at position ", i - first);
      fail("vocabulary", "a token must occur once: \"", token, "\" at positions ", earlier - first, " and ", i - first);
    }
    const auto place = [this](const std::string& name, std::string_view role) {
      const auto found = ids_.find(name);
      require(found != ids_.end(), "vocabulary", "the ", role, " token is missing: \"", name, "\" is none of ",
              tokens_.size(), " tokens");
      special_.push_back(found->second);
      return found->second;
    };
    unknown_ = place(special.unknown, "unknown");
    begin_of_sentence_ = place(special.begin_of_sentence, "begin-of-sentence");
    end_of_sentence_ = place(special.end_of_sentence, "end-of-sentence");
    for (const std::string& name : special.others) place(name, "special");
  }

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
  std::vector<TokenId> special_;
  TokenId unknown_ = 0;
  TokenId begin_of_sentence_ = 1;
  TokenId end_of_sentence_ = 2;
};

}}  // namespace rapt::RAPT_ABI
