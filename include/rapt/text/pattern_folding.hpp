/// \file
/// Characters of regular expressions that are several letters without regard to case, as Oniguruma takes them: "ß" is
/// "ss". Of those of Unicode, these are the ones of Latin that are still written.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The characters in UTF-8, and their letters.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kSeveralLetters = {
    {{"\xC3\x9F", "ss"},  // sharp s, small and capital
     {"\xE1\xBA\x9E", "ss"},
     {"\xEF\xAC\x80", "ff"},  // ligatures
     {"\xEF\xAC\x81", "fi"},
     {"\xEF\xAC\x82", "fl"},
     {"\xEF\xAC\x83", "ffi"},
     {"\xEF\xAC\x84", "ffl"},
     {"\xEF\xAC\x85", "st"},
     {"\xEF\xAC\x86", "st"}}};

/// The letters of a character: its own if it is one of these, an ASCII letter in lower case, or itself.
[[nodiscard]] inline std::string letters_of(std::string_view character) {
  for (const auto& [one, letters] : kSeveralLetters) {
    if (character == one) return std::string(letters);
  }
  const bool is_capital = character.size() == 1 && character[0] >= 'A' && character[0] <= 'Z';
  return is_capital ? std::string(1, static_cast<char>(character[0] - 'A' + 'a')) : std::string(character);
}

/// An expression that matches the letters and the characters that are these letters. Oniguruma takes the most letters
/// that are one character from left to right, and all of them for that one alone: "ffi" for the ligature of three, but
/// not for that of two and "i".
[[nodiscard]] inline std::string in_any_case(std::string_view letters) {
  std::string expression;
  while (!letters.empty()) {
    std::size_t most = 0;
    for (const auto& [character, several] : kSeveralLetters) {
      if (letters.starts_with(several)) most = std::max(most, several.size());
    }
    if (most == 0) {
      expression += letters.front();
      letters.remove_prefix(1);
      continue;
    }
    const std::string_view folded = letters.substr(0, most);
    (expression += "(?:") += folded;
    for (const auto& [character, several] : kSeveralLetters) {
      if (several == folded) (expression += '|') += character;
    }
    expression += ')';
    letters.remove_prefix(most);
  }
  return expression;
}

}}}  // namespace rapt::RAPT_ABI::detail
