// Numbers of three digits and what they are in Roman numerals, as tokens: a character is one.
#pragma once

#include <rapt/data/batching.hpp>
#include <string>
#include <string_view>
#include <vector>

// The place of a character is its token. 1 and 2 are the tokens that begin and end a sequence, 0 is not used.
inline constexpr std::string_view kCharacters = "???0123456789IVXLCDM";

inline std::vector<rapt::TokenId> tokens_of(const std::string& text) {
  std::vector<rapt::TokenId> tokens;
  for (const char c : text) tokens.push_back(static_cast<rapt::TokenId>(kCharacters.find(c)));
  return tokens;
}

inline rapt::TokenPair example(rapt::Index number) {
  const char* const hundreds[] = {"", "C", "CC", "CCC", "CD", "D", "DC", "DCC", "DCCC", "CM"};
  const char* const tens[] = {"", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"};
  const char* const ones[] = {"", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"};
  const std::string roman = std::string(hundreds[number / 100]) + tens[number / 10 % 10] + ones[number % 10];
  return {tokens_of(std::to_string(number)), tokens_of(roman)};
}

inline std::string text_of(const std::vector<rapt::TokenId>& tokens) {
  std::string text;
  for (const rapt::TokenId token : tokens) text += kCharacters[static_cast<std::size_t>(token)];
  return text;
}
