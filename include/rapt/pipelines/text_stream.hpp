/// \file
/// The text of tokens while they come, one after the other.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Gives each part of a growing text once, as soon as no further token can change it: whole characters, and where the
/// tokenizer removes spaces before punctuation, what lies far enough before the end. All parts together are what
/// `decode` makes of all tokens.
template <TextTokenizer Text>
class TextStream {
 public:
  /// The tokenizer must outlive it.
  explicit TextStream(const Text& tokenizer) : tokenizer_(tokenizer) {}

  /// The text that is certain now and was not before; often none.
  [[nodiscard]] std::string add(TokenId token) {
    tokens_.push_back(token);
    std::string text = tokenizer_.decode(tokens_);
    return take(text, certain(text));
  }
  /// The rest, when no further token comes.
  [[nodiscard]] std::string finish() {
    std::string text = tokenizer_.decode(tokens_);
    return take(text, text.size());
  }
  [[nodiscard]] const std::vector<TokenId>& tokens() const { return tokens_; }

 private:
  static constexpr std::size_t kMostCleanedUp = 32;  // ten replacements, each of at most three bytes before its place

  [[nodiscard]] bool cleans_up() const {
    if constexpr (requires { tokenizer_.cleans_up_spaces(); }) {
      return tokenizer_.cleans_up_spaces();
    } else if constexpr (requires { tokenizer_.options().clean_up_spaces; }) {
      return tokenizer_.options().clean_up_spaces;
    } else {
      return false;
    }
  }

  /// Where the text ends that no further token changes: before a character whose last bytes are still to come.
  [[nodiscard]] std::size_t certain(std::string_view text) const {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    std::size_t end = text.size();
    if (cleans_up()) end -= std::min(end, kMostCleanedUp);
    std::size_t first = end;  // of the last character
    while (first > 0 && end - first < 4 && (byte(first - 1) & 0xC0u) == 0x80u) --first;
    if (first > 0 && (byte(first - 1) & 0x80u) != 0) --first;
    const bool is_whole = first == end || !find_invalid_utf8(text.substr(first, end - first));
    return is_whole ? end : first;
  }

  [[nodiscard]] std::string take(std::string& text, std::size_t end) {
    if (end <= given_) return {};
    std::string part = text.substr(given_, end - given_);
    given_ = end;
    return part;
  }

  const Text& tokenizer_;
  std::vector<TokenId> tokens_;
  std::size_t given_ = 0;  // bytes of the text
};

}}  // namespace rapt::RAPT_ABI
