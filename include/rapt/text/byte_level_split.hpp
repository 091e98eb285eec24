/// \file
/// Splitting text into pieces, within which byte-level byte pair encoding joins bytes. The regular expressions of
/// published tokenizers are written as code. The pieces one after the other are the whole text.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "rapt/text/character_classes.hpp"
#include "rapt/text/letter_cases.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How a byte-level tokenizer splits a text into pieces.
enum class ByteLevelPattern {
  gpt2,    ///< contractions; letters, numbers or other characters, each with the space before them; white space
  llama3,  ///< as Llama 3: any one character before letters, numbers of three digits, line ends apart
  none,    ///< the whole text is one piece
  cl100k,  ///< as GPT-4: Llama 3's pattern, but the white space at the end of the text is one piece
  qwen2,   ///< as Qwen: Llama 3's pattern, but each digit is a piece
  o200k,   ///< as GPT-4o: words end before a capital letter that follows a small one, and with their contraction
};

namespace detail {

/// The patterns as regular expressions, as they are in published files.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kO200kPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
/// Those that tiktoken writes otherwise, in the syntax of Rust.
inline constexpr std::string_view kTiktokenGpt2Pattern =
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)";
inline constexpr std::string_view kCl100kPattern =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|)"
    R"(\s++$|\s*[\r\n]|\s+(?!\S)|\s)";

/// The pattern of a regular expression of a tokenizer.json, if there is code for it.
[[nodiscard]] inline std::optional<ByteLevelPattern> pattern_of_expression(std::string_view expression) {
  if (expression == kGpt2Pattern) return ByteLevelPattern::gpt2;
  if (expression == kLlama3Pattern) return ByteLevelPattern::llama3;
  if (expression == kQwen2Pattern) return ByteLevelPattern::qwen2;
  if (expression == kO200kPattern) return ByteLevelPattern::o200k;
  return std::nullopt;
}
/// The regular expression of a pattern in a tokenizer.json; empty if the pattern is no Split.
[[nodiscard]] inline std::string_view expression_of_pattern(ByteLevelPattern pattern) {
  switch (pattern) {
    case ByteLevelPattern::llama3:
      return kLlama3Pattern;
    case ByteLevelPattern::qwen2:
      return kQwen2Pattern;
    case ByteLevelPattern::o200k:
      return kO200kPattern;
    default:
      return {};
  }
}
/// The pattern of a regular expression in the syntax of Rust.
[[nodiscard]] inline std::optional<ByteLevelPattern> pattern_of_rust_expression(std::string_view expression) {
  if (expression == kTiktokenGpt2Pattern) return ByteLevelPattern::gpt2;
  if (expression == kCl100kPattern) return ByteLevelPattern::cl100k;
  return pattern_of_expression(expression);
}

/// Splits texts by the kinds of their characters: kLetter, kNumber, kSpace, or 0 for all others.
class PieceSplitter {
 public:
  explicit PieceSplitter(CharacterClasses classes) : classes_(classes) {}

  /// Calls use(begin, end) for each piece of a text that is UTF-8.
  template <class Use>
  void split(std::string_view text, ByteLevelPattern pattern, const Use& use) const {
    const auto walk = [&](const auto& end_of) {
      for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = end_of(begin);
        use(begin, end);
        begin = end;
      }
    };
    switch (pattern) {
      case ByteLevelPattern::gpt2:
        return walk([&](std::size_t begin) { return gpt2_end(text, begin); });
      case ByteLevelPattern::llama3:
        return walk([&](std::size_t begin) { return llama3_end<3, false>(text, begin); });
      case ByteLevelPattern::cl100k:
        return walk([&](std::size_t begin) { return llama3_end<3, true>(text, begin); });
      case ByteLevelPattern::qwen2:
        return walk([&](std::size_t begin) { return llama3_end<1, false>(text, begin); });
      case ByteLevelPattern::o200k: {
        const LetterCases cases;
        return walk([&](std::size_t begin) { return o200k_end(text, begin, cases); });
      }
      case ByteLevelPattern::none:
        return walk([&](std::size_t) { return text.size(); });
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

  [[nodiscard]] static bool is_line_end(char c) { return c == '\r' || c == '\n'; }

  /// Llama 3's pattern with numbers of so many digits. With `is_end_whole`, the white space at the end of the text is
  /// one piece, whatever is in it.
  template <std::size_t most_digits, bool is_end_whole>
  [[nodiscard]] std::size_t llama3_end(std::string_view text, std::size_t begin) const {
    if (const std::size_t end = contraction_end(text, begin, true); end > begin) return end;
    const Character first = character_at(text, begin);
    if (first.kind == kLetter) return run_end(text, begin + first.length, kLetter);
    if (first.kind == kNumber) return run_end(text, begin, kNumber, most_digits);
    const std::size_t second = begin + first.length;
    if (!is_line_end(text[begin])) {
      const std::size_t letters = run_end(text, second, kLetter);
      if (letters > second) return letters;
    }
    if (const std::size_t end = others_end(text, begin, is_line_end); end > begin) return end;
    return lines_end<is_end_whole>(text, begin);
  }
  /// The end of ` ?[^\s\p{L}\p{N}]+` and of what may follow it, or `begin` if there is none.
  template <class MayFollow>
  [[nodiscard]] std::size_t others_end(std::string_view text, std::size_t begin, const MayFollow& may_follow) const {
    const std::size_t others = begin + (text[begin] == ' ' ? 1 : 0);
    std::size_t end = run_end(text, others, 0);
    if (end == others) return begin;
    while (end < text.size() && may_follow(text[end])) ++end;
    return end;
  }
  /// The end of `\s*[\r\n]+|\s+(?!\S)|\s+`: up to the last line end of the white space if there is one.
  template <bool is_end_whole>
  [[nodiscard]] std::size_t lines_end(std::string_view text, std::size_t begin) const {
    const std::size_t space_end = run_end(text, begin, kSpace);
    if (is_end_whole && space_end == text.size()) return space_end;
    for (std::size_t i = space_end; i > begin; --i) {
      if (is_line_end(text[i - 1])) return i;
    }
    return white_space_end(text, begin, space_end);
  }

  /// The end of `A*B+` at `at`, where A are the characters that may begin a word and B those that may continue one; or
  /// `at` if there is none. A* first takes what it can, and then gives back all behind the last character of both sets.
  [[nodiscard]] static std::size_t word_end(std::string_view text, std::size_t at, const LetterCases& cases) {
    std::size_t end = at, behind_both = at;
    std::uint8_t found = 0;
    for (CodePoint point; end < text.size(); end += point.length) {
      point = known_code_point_at(text, end);
      found = cases[point.value];
      if ((found & kBeginsWord) == 0) break;
      if ((found & kContinuesWord) != 0) behind_both = end + point.length;
      found = 0;
    }
    if ((found & kContinuesWord) == 0) return behind_both;
    while (end < text.size()) {
      const CodePoint point = known_code_point_at(text, end);
      if ((cases[point.value] & kContinuesWord) == 0) break;
      end += point.length;
    }
    return end;
  }
  /// The end of the run of capital letters at `at`.
  [[nodiscard]] static std::size_t capitals_end(std::string_view text, std::size_t at, const LetterCases& cases) {
    while (at < text.size()) {
      const CodePoint point = known_code_point_at(text, at);
      if ((cases[point.value] & kBeginsWord) == 0) break;
      at += point.length;
    }
    return at;
  }
  [[nodiscard]] std::size_t o200k_end(std::string_view text, std::size_t begin, const LetterCases& cases) const {
    const Character first = character_at(text, begin);
    const bool is_prefix = first.kind != kLetter && first.kind != kNumber && !is_line_end(text[begin]);
    const std::size_t second = is_prefix ? begin + first.length : begin;
    // The alternatives in their order: a word with a prefix; without one, which is left if a mark was taken for the
    // prefix; and if there is no small letter, capital letters with a prefix or without.
    std::size_t from = second, end = word_end(text, second, cases);
    if (end == from && is_prefix) end = word_end(text, from = begin, cases);
    if (end == from) end = capitals_end(text, from = second, cases);
    if (end > from) return end < text.size() ? contraction_end(text, end, true) : end;
    if (first.kind == kNumber) return run_end(text, begin, kNumber, 3);
    end = others_end(text, begin, [](char c) { return is_line_end(c) || c == '/'; });
    return end > begin ? end : lines_end<false>(text, begin);
  }

  CharacterClasses classes_;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
