/// \file
/// Added tokens, which are found in a text before it is split into words, such as "<|endoftext|>" and "[MASK]".
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/byte_trie.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/word_characters.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A token that stands for itself wherever its text occurs. The flags are those of Hugging Face's tokenizer.json.
struct AddedToken {
  std::string text;
  bool special = true;       ///< decoding may leave it out, and encoding may treat it as plain text
  bool normalized = false;   ///< its normalised text is looked for in the normalised instead of the original text
  bool strip_left = false;   ///< includes the white space before it
  bool strip_right = false;  ///< includes the white space after it
  bool single_word = false;  ///< it is no token beside a character of a word
};

namespace detail {

/// Finds tokens in texts from left to right; of several tokens at one place it takes the longest, and of several with
/// the same text the first that was added.
class AddedTokenFinder {
 public:
  /// Adds a token with the text that is looked for. `finish` must be called after the last one.
  void add(std::string_view text, TokenId id, const AddedToken& token) {
    if (!text.empty()) {
      tokens_.push_back({std::string(text), id, token.special, token.strip_left, token.strip_right, token.single_word});
    }
  }
  void finish() {
    const auto first = [](const Token& token) { return static_cast<unsigned char>(token.text.front()); };
    std::stable_sort(tokens_.begin(), tokens_.end(), [](const Token& a, const Token& b) { return a.text < b.text; });
    const auto same = [](const Token& a, const Token& b) { return a.text == b.text; };
    tokens_.erase(std::unique(tokens_.begin(), tokens_.end(), same), tokens_.end());
    std::vector<ByteTrie::Key> keys;
    for (const Token& token : tokens_) keys.push_back({token.text, static_cast<std::int32_t>(keys.size())});
    trie_ = ByteTrie(std::move(keys), "added_tokens");
    only_first_ = tokens_.empty() || first(tokens_.front()) != first(tokens_.back()) ? -1 : first(tokens_.front());
  }

  [[nodiscard]] bool empty() const { return tokens_.empty(); }

  /// Calls use(begin, end, id) for the pieces of the text in order: tokens that are found, and the parts between them
  /// with the id -1. Special tokens are found only with find_special.
  template <class Use>
  void split(std::string_view text, bool find_special, const Use& use) const {
    std::size_t done = 0;
    for (std::size_t at = next_candidate(text, 0); at < text.size(); at = next_candidate(text, at)) {
      const Token* token = token_at(text, at);
      if (token == nullptr) {
        ++at;
        continue;
      }
      const std::size_t behind = at + token->text.size();
      if ((token->special && !find_special) || (token->single_word && is_beside_word(text, at, behind))) {
        at = behind;
        continue;
      }
      const std::size_t begin = token->strip_left ? before_white_space(text, done, at) : at;
      at = token->strip_right ? behind_white_space(text, behind) : behind;
      if (begin > done) use(done, begin, TokenId{-1});
      use(begin, at, token->id);
      done = at;
    }
    if (done < text.size()) use(done, text.size(), TokenId{-1});
  }

 private:
  struct Token {
    std::string text;
    TokenId id;
    bool special, strip_left, strip_right, single_word;
  };

  /// The offset of the first byte from `at` on with which a token begins, or the text's size if there is none.
  [[nodiscard]] std::size_t next_candidate(std::string_view text, std::size_t at) const {
    if (tokens_.empty() || at >= text.size()) return text.size();
    if (only_first_ >= 0) {
      const void* found = std::memchr(text.data() + at, only_first_, text.size() - at);
      return found == nullptr ? text.size() : to_size(static_cast<const char*>(found) - text.data());
    }
    for (; at < text.size(); ++at) {
      if (trie_.has_first(static_cast<unsigned char>(text[at]))) break;
    }
    return at;
  }
  [[nodiscard]] const Token* token_at(std::string_view text, std::size_t at) const {
    const ByteTrie::Match found = trie_.longest(text.substr(at));
    return found.length == 0 ? nullptr : &rapt::at(tokens_, found.value);
  }

  [[nodiscard]] static bool is_beside_word(std::string_view text, std::size_t begin, std::size_t end) {
    return (begin > 0 && compute_is_word(code_point_at(text, previous_code_point(text, begin)).value)) ||
           (end < text.size() && compute_is_word(code_point_at(text, end).value));
  }
  [[nodiscard]] static std::size_t before_white_space(std::string_view text, std::size_t begin, std::size_t end) {
    while (end > begin) {
      const std::size_t last = previous_code_point(text, end);
      if (!is_white_space(code_point_at(text, last).value)) break;
      end = last;
    }
    return end;
  }
  [[nodiscard]] static std::size_t behind_white_space(std::string_view text, std::size_t begin) {
    while (begin < text.size()) {
      const CodePoint point = code_point_at(text, begin);
      if (!is_white_space(point.value)) break;
      begin += point.length;
    }
    return begin;
  }

  std::vector<Token> tokens_;  // sorted by text
  ByteTrie trie_;              // their texts
  int only_first_ = -1;        // the byte that all tokens begin with, or -1
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
