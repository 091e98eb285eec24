/// \file
/// Characters of words, combining marks and numbers as the tokenizers package of Hugging Face classifies them. Needs
/// utf8proc.
///
/// The package has Unicode 16 for the characters of words (the class \w of its regular expressions), Unicode 9 for
/// marks and Unicode 17 for numbers. The lists are the characters for which utf8proc may say something else
/// (character_classes.hpp says more).
#pragma once

#include <utf8proc.h>

#include <array>
#include <cstdint>
#include <memory>

#include "rapt/core/first_use.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/character_classes.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Letters, marks and digits of Unicode 15.1 and 16, for a utf8proc that does not know them.
inline constexpr std::array<CodePointRange, 32> kNewWordCharacters = {
    {{0x897, 0x897},     {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},   {0x105C0, 0x105F3},
     {0x10D40, 0x10D65}, {0x10D69, 0x10D6D}, {0x10D6F, 0x10D85}, {0x10EC2, 0x10EC4}, {0x10EFC, 0x10EFC},
     {0x11380, 0x11389}, {0x1138B, 0x1138B}, {0x1138E, 0x1138E}, {0x11390, 0x113B5}, {0x113B7, 0x113C0},
     {0x113C2, 0x113C2}, {0x113C5, 0x113C5}, {0x113C7, 0x113CA}, {0x113CC, 0x113D3}, {0x113E1, 0x113E2},
     {0x116D0, 0x116E3}, {0x11BC0, 0x11BE0}, {0x11BF0, 0x11BF9}, {0x11F5A, 0x11F5A}, {0x13460, 0x143FA},
     {0x16100, 0x16139}, {0x16D40, 0x16D6C}, {0x16D70, 0x16D79}, {0x18CFF, 0x18CFF}, {0x1CCF0, 0x1CCF9},
     {0x1E5D0, 0x1E5FA}, {0x2EBF0, 0x2EE5D}}};
/// Marks that are newer than Unicode 9.
inline constexpr std::array<CodePointRange, 87> kNewCombiningMarks = {
    {{0x7FD, 0x7FD},     {0x897, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xAFA, 0xAFF},
     {0xB55, 0xB55},     {0xC04, 0xC04},     {0xC3C, 0xC3C},     {0xCF3, 0xCF3},     {0xD00, 0xD00},
     {0xD3B, 0xD3C},     {0xD81, 0xD81},     {0xEBA, 0xEBA},     {0xECE, 0xECE},     {0x1715, 0x1715},
     {0x180F, 0x180F},   {0x1ABF, 0x1ACE},   {0x1CF7, 0x1CF7},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},
     {0xA8FF, 0xA8FF},   {0x10D24, 0x10D27}, {0x10D69, 0x10D6D}, {0x10EAB, 0x10EAC}, {0x10EFC, 0x10EFF},
     {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x11073, 0x11074}, {0x110C2, 0x110C2},
     {0x11145, 0x11146}, {0x111C9, 0x111C9}, {0x111CE, 0x111CF}, {0x11241, 0x11241}, {0x1133B, 0x1133B},
     {0x113B8, 0x113C0}, {0x113C2, 0x113C2}, {0x113C5, 0x113C5}, {0x113C7, 0x113CA}, {0x113CC, 0x113D0},
     {0x113D2, 0x113D2}, {0x113E1, 0x113E2}, {0x1145E, 0x1145E}, {0x1182C, 0x1183A}, {0x11930, 0x11935},
     {0x11937, 0x11938}, {0x1193B, 0x1193E}, {0x11940, 0x11940}, {0x11942, 0x11943}, {0x119D1, 0x119D7},
     {0x119DA, 0x119E0}, {0x119E4, 0x119E4}, {0x11A01, 0x11A0A}, {0x11A33, 0x11A39}, {0x11A3B, 0x11A3E},
     {0x11A47, 0x11A47}, {0x11A51, 0x11A5B}, {0x11A8A, 0x11A99}, {0x11D31, 0x11D36}, {0x11D3A, 0x11D3A},
     {0x11D3C, 0x11D3D}, {0x11D3F, 0x11D45}, {0x11D47, 0x11D47}, {0x11D8A, 0x11D8E}, {0x11D90, 0x11D91},
     {0x11D93, 0x11D97}, {0x11EF3, 0x11EF6}, {0x11F00, 0x11F01}, {0x11F03, 0x11F03}, {0x11F34, 0x11F3A},
     {0x11F3E, 0x11F42}, {0x11F5A, 0x11F5A}, {0x13440, 0x13440}, {0x13447, 0x13455}, {0x1611E, 0x1612F},
     {0x16F4F, 0x16F4F}, {0x16F7F, 0x16F87}, {0x16FE4, 0x16FE4}, {0x16FF0, 0x16FF1}, {0x1CF00, 0x1CF2D},
     {0x1CF30, 0x1CF46}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF},
     {0x1E4EC, 0x1E4EF}, {0x1E5EE, 0x1E5EF}}};

/// True for a combining mark of Unicode 9, spacing or not.
[[nodiscard]] inline bool is_combining_mark(std::int32_t value) {
  if (value < 0x300) return false;
  const utf8proc_category_t category = utf8proc_category(value);
  return (category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME && !is_in(kNewCombiningMarks, value)) ||
         value == 0x1CF2 || value == 0x1CF3;
}

/// True for a character of the general category N.
[[nodiscard]] inline bool is_numeric(CharacterClasses classes, std::int32_t value) {
  return (classes[value] & kNumber) != 0 || (value >= 0x11DE0 && value <= 0x11DE9) ||
         (value >= 0x16FF4 && value <= 0x16FF6);
}

/// True for letters, marks, decimal digits, numerals that are letters, connecting punctuation and joiners.
[[nodiscard]] inline bool compute_is_word(std::int32_t value) {
  const utf8proc_category_t category = utf8proc_category(value);
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) || category == UTF8PROC_CATEGORY_PC ||
         value == 0x200C || value == 0x200D || (value >= 0x24B6 && value <= 0x24E9) ||
         (value >= 0x1F130 && value <= 0x1F149) || (value >= 0x1F150 && value <= 0x1F169) ||
         (value >= 0x1F170 && value <= 0x1F189) || is_in(kNewWordCharacters, value);
}

/// The characters of words. The table is made once; objects are cheap to copy.
class WordCharacters {
 public:
  [[nodiscard]] bool contains(std::int32_t value) const {
    return value < kTabled ? at(table_, value) != 0 : compute_is_word(value);
  }

 private:
  static constexpr std::int32_t kTabled = 0x10000;

  [[nodiscard]] static const std::uint8_t* shared() {
    static constinit FirstUse<std::array<std::uint8_t, kTabled>> table;
    const auto make = [] {
      auto words = std::make_unique<std::array<std::uint8_t, kTabled>>();
      for (std::int32_t i = 0; i < kTabled; ++i) at(*words, i) = compute_is_word(i) ? 1 : 0;
      return words;
    };
    return table.get(make).data();
  }

  const std::uint8_t* table_ = shared();
};

}}}  // namespace rapt::RAPT_ABI::detail
