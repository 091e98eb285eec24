/// \file
/// Splitting text into pieces, within which byte-level byte pair encoding joins bytes. The regular expressions of GPT-2
/// and of Llama 3 are written as code. The pieces one after the other are the whole text.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "rapt/text/character_classes.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How a byte-level tokenizer splits a text into pieces.
enum class ByteLevelPattern {
  gpt2,    ///< contractions; letters, numbers or other characters, each with the space before them; white space
  llama3,  ///< as GPT-4 and Llama 3: any one character before letters, numbers of three digits, line ends apart
  none,    ///< the whole text is one piece
};

namespace detail {

/// The patterns as regular expressions, as they are in published files.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The pattern of a regular expression, if there is code for it.
[[nodiscard]] inline std::optional<ByteLevelPattern> pattern_of_expression(std::string_view expression) {
  if (expression == kGpt2Pattern) return ByteLevelPattern::gpt2;
  if (expression == kLlama3Pattern) return ByteLevelPattern::llama3;
  return std::nullopt;
}

/// Splits texts by the kinds of their characters: kLetter, kNumber, kSpace, or 0 for all others.
class PieceSplitter {
 public:
  explicit PieceSplitter(CharacterClasses classes) : classes_(classes) {}

  /// Calls use(begin, end) for each piece of a text that is UTF-8.
  template <class Use>
  void split(std::string_view text, ByteLevelPattern pattern, const Use& use) const {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = pattern == ByteLevelPattern::gpt2     ? gpt2_end(text, begin)
                              : pattern == ByteLevelPattern::llama3 ? llama3_end(text, begin)
                                                                    : text.size();
      use(begin, end);
      begin = end;
    }
  }

 private:
  static constexpr std::size_t kNoLimit = ~std::size_t{0};

  struct Character {
    std::uint8_t kind;
    std::size_t length;
  };
  [[nodiscard]] Character character_at(std::string_view text, std::size_t at) const {
    const CodePoint point = known_code_point_at(text, at);
    return {static_cast<std::uint8_t>(classes_[point.value] & kKindOfPiece), point.length};
  }
  /// The end of the run of characters of a kind that begins at `at`, of at most `limit` characters.
  [[nodiscard]] std::size_t run_end(std::string_view text, std::size_t at, std::uint8_t kind,
                                    std::size_t limit = kNoLimit) const {
    for (; at < text.size() && limit > 0; --limit) {
      const Character character = character_at(text, at);
      if (character.kind != kind) break;
      at += character.length;
    }
    return at;
  }

  /// The end of 's|'t|'re|'ve|'m|'ll|'d at `at`, or `at` if there is none. A long s counts as an s if case is ignored.
  [[nodiscard]] static std::size_t contraction_end(std::string_view text, std::size_t at, bool any_case) {
    const auto letter = [&](std::size_t i) {
      const char c = i < text.size() ? text[i] : '\0';
      return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    if (text[at] != '\'') return at;
    const char first = letter(at + 1), second = letter(at + 2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
    if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l')) {
      return at + 3;
    }
    if (any_case && text.substr(at + 1).starts_with("\xC5\xBF")) return at + 3;
    return at;
  }

  /// The end of the match of `\s+(?!\S)|\s+` for white space that ends at `end`. At the end of the text it is all white
  /// space. Elsewhere it is all but the last character, which belongs to the next piece, or this character if it is the
  /// only one.
  [[nodiscard]] static std::size_t white_space_end(std::string_view text, std::size_t begin, std::size_t end) {
    if (end == text.size()) return end;
    const std::size_t last = previous_code_point(text, end);
    return last > begin ? last : end;
  }

  [[nodiscard]] std::size_t gpt2_end(std::string_view text, std::size_t begin) const {
    if (const std::size_t end = contraction_end(text, begin, false); end > begin) return end;
    const std::size_t word = begin + (text[begin] == ' ' ? 1 : 0);  // behind ` ?`
    if (word < text.size()) {
      const Character first = character_at(text, word);
      if (first.kind != kSpace) return run_end(text, word + first.length, first.kind);
    }
    return white_space_end(text, begin, run_end(text, begin, kSpace));
  }

  [[nodiscard]] std::size_t llama3_end(std::string_view text, std::size_t begin) const {
    if (const std::size_t end = contraction_end(text, begin, true); end > begin) return end;
    const Character first = character_at(text, begin);
    if (first.kind == kLetter) return run_end(text, begin + first.length, kLetter);
    if (first.kind == kNumber) return run_end(text, begin, kNumber, 3);
    const auto is_line_end = [&](std::size_t i) { return text[i] == '\r' || text[i] == '\n'; };
    const std::size_t second = begin + first.length;
    if (!is_line_end(begin)) {
      const std::size_t letters = run_end(text, second, kLetter);
      if (letters > second) return letters;
    }
    const std::size_t others = begin + (text[begin] == ' ' ? 1 : 0);
    std::size_t end = run_end(text, others, 0);
    if (end > others) {
      while (end < text.size() && is_line_end(end)) ++end;
      return end;
    }
    const std::size_t space_end = run_end(text, begin, kSpace);
    for (std::size_t i = space_end; i > begin; --i) {
      if (is_line_end(i - 1)) return i;  // `\s*[\r\n]+`: up to the last line end of the white space
    }
    return white_space_end(text, begin, space_end);
  }

  CharacterClasses classes_;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
