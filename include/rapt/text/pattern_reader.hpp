/// \file
/// Reading a regular expression of tokenizer.json or tiktoken, character by character, for its translation
/// (pattern_syntax.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/text/pattern_properties.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Who reads a pattern.
enum class PatternSyntax : std::uint8_t { oniguruma, rust };

/// A pattern and the place up to which it has been read.
struct PatternReader {
  static constexpr const char* kName = "pattern";

  std::string_view pattern;
  bool is_rust = false;
  std::size_t place = 0;  ///< of the next character

  [[noreturn]] void refuse(std::string_view what) const {
    fail(kName, "rapt does not support ", what, " in a regular expression: ", pattern);
  }
  [[nodiscard]] char next(std::size_t ahead = 0) const {
    return place + ahead < pattern.size() ? pattern[place + ahead] : '\0';
  }

  /// Reads one character.
  [[nodiscard]] std::string take_character() {
    const std::size_t begin = place++;
    while ((static_cast<unsigned char>(next()) & 0xC0u) == 0x80u) ++place;
    return std::string(pattern.substr(begin, place - begin));
  }

  /// Reads an escape of one character, behind its backslash.
  [[nodiscard]] std::string character_escape() {
    const char c = next();
    require(c != '\0', kName, "a backslash at the end: ", pattern);
    ++place;
    if (c == 'v') return "\\x{b}";
    if ((c == 'x' || (c == 'u' && is_rust)) && next() == '{') {
      const std::size_t end = std::min(pattern.find('}', place), pattern.size() - 1);
      const std::string_view braces = pattern.substr(place, end + 1 - place);
      place = end + 1;
      return "\\x" + std::string(braces);
    }
    if (c == 'u') {
      require(place + 4 <= pattern.size(), kName, "four digits must follow \\u: ", pattern);
      place += 4;
      return "\\x{" + std::string(pattern.substr(place - 4, 4)) + "}";
    }
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_rust && (c == '<' || c == '>')) refuse("the escape \\" + std::string(1, c));
    if (is_letter && std::string_view("nrtfaex").find(c) == std::string_view::npos)
      refuse("the escape \\" + std::string(1, c));
    return std::string("\\") + c;
  }

  /// The characters of words. For Oniguruma, Latin-1's superscripts and fractions are among them outside of brackets.
  [[nodiscard]] std::string word(bool is_in_set) const {
    return category_members("L") + category_members("M") + category_members("Nd") + category_members("Nl") +
           category_members("Pc") +
           (is_rust     ? R"(\x{200c}\x{200d})"
            : is_in_set ? ""
                        : R"(\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})") +
           R"(\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189})";
  }
};

}}}  // namespace rapt::RAPT_ABI::detail
