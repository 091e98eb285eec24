/// \file
/// The classes of characters that the tokenizers of pretrained models distinguish. Needs utf8proc.
///
/// Published vocabularies determine how text must be split, so that the classes are those of the tokenizers package
/// that made the vocabularies, and not those of the newest Unicode. That package uses Unicode 8 for BERT's punctuation,
/// marks and format characters, Unicode 9 for its decompositions, and Unicode 16 for GPT-2's letters and numbers. The
/// lists below are the characters for which utf8proc, which may have any version from Unicode 15 on, says something
/// else. Letters and numbers that are newer than Unicode 16 are classified by utf8proc.
#pragma once

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "rapt/core/first_use.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

struct CodePointRange {
  std::int32_t first, last;
};

/// Letters of Unicode 15.1 and 16, for a utf8proc that does not know them.
inline constexpr std::array<CodePointRange, 22> kNewLetters = {
    {{0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},   {0x105C0, 0x105F3}, {0x10D4A, 0x10D65},
     {0x10D6F, 0x10D85}, {0x10EC2, 0x10EC4}, {0x11380, 0x11389}, {0x1138B, 0x1138B}, {0x1138E, 0x1138E},
     {0x11390, 0x113B5}, {0x113B7, 0x113B7}, {0x113D1, 0x113D1}, {0x113D3, 0x113D3}, {0x11BC0, 0x11BE0},
     {0x13460, 0x143FA}, {0x16100, 0x1611D}, {0x16D40, 0x16D6C}, {0x18CFF, 0x18CFF}, {0x1E5D0, 0x1E5ED},
     {0x1E5F0, 0x1E5F0}, {0x2EBF0, 0x2EE5D}}};
inline constexpr std::array<CodePointRange, 7> kNewNumbers = {{{0x10D40, 0x10D49},
                                                               {0x116D0, 0x116E3},
                                                               {0x11BF0, 0x11BF9},
                                                               {0x16130, 0x16139},
                                                               {0x16D70, 0x16D79},
                                                               {0x1CCF0, 0x1CCF9},
                                                               {0x1E5F1, 0x1E5FA}}};
/// Punctuation that BERT takes for parts of words, as it is newer than Unicode 8.
inline constexpr std::array<CodePointRange, 41> kNewPunctuation = {
    {{0x61D, 0x61D},     {0x9FD, 0x9FD},     {0xA76, 0xA76},     {0xC77, 0xC77},     {0xC84, 0xC84},
     {0x1B4E, 0x1B4F},   {0x1B7D, 0x1B7F},   {0x2E43, 0x2E4F},   {0x2E52, 0x2E5D},   {0x2E60, 0x2E63},
     {0x10D6E, 0x10D6E}, {0x10EAD, 0x10EAD}, {0x10ED0, 0x10ED0}, {0x10F55, 0x10F59}, {0x10F86, 0x10F89},
     {0x113D4, 0x113D5}, {0x113D7, 0x113D8}, {0x1144B, 0x1144F}, {0x1145A, 0x1145B}, {0x1145D, 0x1145D},
     {0x11660, 0x1166C}, {0x116B9, 0x116B9}, {0x1183B, 0x1183B}, {0x11944, 0x11946}, {0x119E2, 0x119E2},
     {0x11A3F, 0x11A46}, {0x11A9A, 0x11A9C}, {0x11A9E, 0x11AA2}, {0x11B00, 0x11B09}, {0x11BE1, 0x11BE1},
     {0x11C41, 0x11C45}, {0x11C70, 0x11C71}, {0x11EF7, 0x11EF8}, {0x11F43, 0x11F4F}, {0x11FFF, 0x11FFF},
     {0x12FF1, 0x12FF2}, {0x16D6D, 0x16D6F}, {0x16E97, 0x16E9A}, {0x16FE2, 0x16FE2}, {0x1E5FF, 0x1E5FF},
     {0x1E95E, 0x1E95F}}};
/// Format characters that BERT keeps, for the same reason.
inline constexpr std::array<CodePointRange, 4> kNewFormat = {
    {{0x890, 0x891}, {0x8E2, 0x8E2}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}}};
/// Marks that BERT does not strip, for the same reason.
inline constexpr std::array<CodePointRange, 113> kNewMarks = {
    {{0x5C8, 0x5C9},     {0x7FD, 0x7FD},     {0x897, 0x89F},     {0x8CA, 0x8E1},     {0x9FE, 0x9FE},
     {0xAFA, 0xAFF},     {0xB53, 0xB55},     {0xC04, 0xC04},     {0xC3C, 0xC3C},     {0xD00, 0xD00},
     {0xD3B, 0xD3C},     {0xD81, 0xD81},     {0xEBA, 0xEBA},     {0xECE, 0xECE},     {0x180F, 0x180F},
     {0x1885, 0x1886},   {0x1ABF, 0x1AF0},   {0x1DF6, 0x1DFB},   {0xA82C, 0xA82C},   {0xA8C5, 0xA8C5},
     {0xA8FF, 0xA8FF},   {0xA9BD, 0xA9BD},   {0x10D24, 0x10D27}, {0x10D69, 0x10D6D}, {0x10EAB, 0x10EAC},
     {0x10ECB, 0x10ECF}, {0x10EF0, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070},
     {0x11073, 0x11074}, {0x110C2, 0x110C2}, {0x111C9, 0x111C9}, {0x111CF, 0x111CF}, {0x1123E, 0x1123E},
     {0x11241, 0x11241}, {0x1133B, 0x1133B}, {0x113BB, 0x113C0}, {0x113CE, 0x113CE}, {0x113D0, 0x113D0},
     {0x113D2, 0x113D2}, {0x113E1, 0x113E2}, {0x11438, 0x1143F}, {0x11442, 0x11444}, {0x11446, 0x11446},
     {0x1145E, 0x1145E}, {0x1182F, 0x11837}, {0x11839, 0x1183A}, {0x1193B, 0x1193C}, {0x1193E, 0x1193E},
     {0x11943, 0x11943}, {0x119D4, 0x119D7}, {0x119DA, 0x119DB}, {0x119E0, 0x119E0}, {0x11A01, 0x11A0A},
     {0x11A33, 0x11A38}, {0x11A3B, 0x11A3E}, {0x11A47, 0x11A47}, {0x11A51, 0x11A56}, {0x11A59, 0x11A5B},
     {0x11A8A, 0x11A96}, {0x11A98, 0x11A99}, {0x11B60, 0x11B60}, {0x11B62, 0x11B64}, {0x11B66, 0x11B66},
     {0x11C30, 0x11C36}, {0x11C38, 0x11C3D}, {0x11C3F, 0x11C3F}, {0x11C92, 0x11CA7}, {0x11CAA, 0x11CB0},
     {0x11CB2, 0x11CB3}, {0x11CB5, 0x11CB6}, {0x11D31, 0x11D36}, {0x11D3A, 0x11D3A}, {0x11D3C, 0x11D3D},
     {0x11D3F, 0x11D45}, {0x11D47, 0x11D47}, {0x11D90, 0x11D91}, {0x11D95, 0x11D95}, {0x11D97, 0x11D97},
     {0x11DF0, 0x11DF0}, {0x11EF3, 0x11EF4}, {0x11F00, 0x11F01}, {0x11F36, 0x11F3A}, {0x11F40, 0x11F40},
     {0x11F42, 0x11F42}, {0x11F5A, 0x11F5A}, {0x13440, 0x13440}, {0x13447, 0x13455}, {0x1611E, 0x16129},
     {0x1612D, 0x1612F}, {0x16F4F, 0x16F4F}, {0x16FE4, 0x16FE4}, {0x1CF00, 0x1CF2D}, {0x1CF30, 0x1CF46},
     {0x1D127, 0x1D128}, {0x1D25B, 0x1D25C}, {0x1E000, 0x1E006}, {0x1E008, 0x1E018}, {0x1E01B, 0x1E021},
     {0x1E023, 0x1E024}, {0x1E026, 0x1E02A}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
     {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1E5EE, 0x1E5EF}, {0x1E6E3, 0x1E6E3}, {0x1E6E6, 0x1E6E6},
     {0x1E6EE, 0x1E6EF}, {0x1E6F5, 0x1E6F5}, {0x1E944, 0x1E94A}}};
/// The marks among them that nevertheless have a combining class, as they are in Unicode 9.
inline constexpr std::array<CodePointRange, 11> kNewMarksWithClass = {{{0x8D4, 0x8E1},
                                                                       {0x1DFB, 0x1DFB},
                                                                       {0x11442, 0x11442},
                                                                       {0x11446, 0x11446},
                                                                       {0x11C3F, 0x11C3F},
                                                                       {0x1E000, 0x1E006},
                                                                       {0x1E008, 0x1E018},
                                                                       {0x1E01B, 0x1E021},
                                                                       {0x1E023, 0x1E024},
                                                                       {0x1E026, 0x1E02A},
                                                                       {0x1E944, 0x1E94A}}};
/// Spacing marks without a combining class, as they are newer.
inline constexpr std::array<CodePointRange, 8> kNewSpacingMarks = {{{0x1715, 0x1715},
                                                                    {0x113CF, 0x113CF},
                                                                    {0x1193D, 0x1193D},
                                                                    {0x11F41, 0x11F41},
                                                                    {0x16FF0, 0x16FF1},
                                                                    {0x1D250, 0x1D252},
                                                                    {0x1D25F, 0x1D25F},
                                                                    {0x1D280, 0x1D281}}};
/// Letters that do not decompose, as they are newer than Unicode 9.
inline constexpr std::array<CodePointRange, 11> kNewDecompositions = {{{0x105C9, 0x105C9},
                                                                       {0x105E4, 0x105E4},
                                                                       {0x11383, 0x11383},
                                                                       {0x11385, 0x11385},
                                                                       {0x1138E, 0x1138E},
                                                                       {0x11391, 0x11391},
                                                                       {0x113C5, 0x113C5},
                                                                       {0x113C7, 0x113C8},
                                                                       {0x11938, 0x11938},
                                                                       {0x16121, 0x16128},
                                                                       {0x16D68, 0x16D6A}}};

[[nodiscard]] inline bool is_in(std::span<const CodePointRange> ranges, std::int32_t value) {
  const auto at = std::lower_bound(ranges.begin(), ranges.end(), value,
                                   [](const CodePointRange& range, std::int32_t v) { return range.last < v; });
  return at != ranges.end() && at->first <= value;
}

/// Unicode's property White_Space.
[[nodiscard]] constexpr bool is_white_space(std::int32_t value) {
  return is_whitespace(value) && !(value >= 0x1C && value <= 0x1F);
}

/// The Chinese characters around which BERT puts spaces. These are not all blocks of today's Unicode.
[[nodiscard]] constexpr bool is_bert_ideograph(std::int32_t value) {
  return (value >= 0x3400 && value <= 0x4DBF) || (value >= 0x4E00 && value <= 0x9FFF) ||
         (value >= 0xF900 && value <= 0xFAFF) || (value >= 0x20000 && value <= 0x2A6DF) ||
         (value >= 0x2A700 && value <= 0x2B81F) || (value >= 0x2B920 && value <= 0x2CEAF) ||
         (value >= 0x2F800 && value <= 0x2FA1F);
}

/// The combining class, by which marks are ordered in decompositions.
[[nodiscard]] inline int combining_class(std::int32_t value) {
  const int known = utf8proc_get_property(value)->combining_class;
  if (known == 0 || is_in(kNewSpacingMarks, value)) return 0;
  return is_in(kNewMarks, value) && !is_in(kNewMarksWithClass, value) ? 0 : known;
}

/// The full canonical decomposition; returns the number of its code points.
[[nodiscard]] inline std::size_t decompose(std::int32_t value, std::array<std::int32_t, 8>& parts) {
  parts[0] = value;
  if (is_in(kNewDecompositions, value)) return 1;
  int boundary = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(value, parts.data(), static_cast<utf8proc_ssize_t>(parts.size()),
                              static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
  if (count >= 1 && count <= static_cast<utf8proc_ssize_t>(parts.size())) return to_size(count);
  parts[0] = value;
  return 1;
}

/// Unicode's simple mapping to lower case, with that of Unicode 16 and 17.
[[nodiscard]] inline std::int32_t lower(std::int32_t value) {
  const std::int32_t known = utf8proc_tolower(value);
  if (known != value || value < 0x1C89) return known;
  if (value == 0x1C89 || value == 0xA7CC || value == 0xA7CE || value == 0xA7D2 || value == 0xA7D4 || value == 0xA7DA) {
    return value + 1;
  }
  if (value == 0xA7CB) return 0x264;
  if (value == 0xA7DC) return 0x19B;
  if (value >= 0x10D50 && value <= 0x10D65) return value + 0x20;
  if (value >= 0x16EA0 && value <= 0x16EB8) return value + 0x1B;
  return value;
}

/// The classes of a code point as bits. At most one of the first three is set.
enum CharacterClass : std::uint8_t {
  kLetter = 1,
  kNumber = 2,
  kSpace = 4,        // White_Space
  kPunctuation = 8,  // BERT's: ASCII's symbols, too
  kRemoved = 16,     // what BERT cleans away: control, format, private use, U+FFFD; white space among it, too
  kMark = 32,        // what BERT strips: nonspacing marks
  kIdeograph = 64,   // what BERT cuts into single characters
  kChanges = 128,    // may decompose, be reordered, or have a lower case
};
inline constexpr std::uint8_t kKindOfPiece = kLetter | kNumber | kSpace;

[[nodiscard]] inline std::uint8_t compute_character_class(std::int32_t value) {
  std::uint8_t bits = 0;
  const auto set = [&bits](bool condition, CharacterClass bit) {
    if (condition) bits = static_cast<std::uint8_t>(bits | bit);
  };
  const utf8proc_category_t category = utf8proc_category(value);
  set((category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
          (category == UTF8PROC_CATEGORY_CN && is_in(kNewLetters, value)),
      kLetter);
  set((category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) ||
          (category == UTF8PROC_CATEGORY_CN && is_in(kNewNumbers, value)),
      kNumber);
  set(is_white_space(value), kSpace);
  const bool is_punctuation = category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
  const bool is_ascii_symbol = value < 0x80 && category >= UTF8PROC_CATEGORY_SM && category <= UTF8PROC_CATEGORY_SO;
  set((is_punctuation && !is_in(kNewPunctuation, value)) || is_ascii_symbol || value == 0x166D || value == 0x111C9,
      kPunctuation);
  set(category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CO || value == 0xFFFD ||
          (category == UTF8PROC_CATEGORY_CF && !is_in(kNewFormat, value)),
      kRemoved);
  set((category == UTF8PROC_CATEGORY_MN && !is_in(kNewMarks, value)) || value == 0x1734 || value == 0x1171E, kMark);
  set(is_bert_ideograph(value), kIdeograph);
  std::array<std::int32_t, 8> parts{};
  set(combining_class(value) != 0 || lower(value) != value || decompose(value, parts) != 1 || parts[0] != value,
      kChanges);
  return bits;
}

/// The classes of all code points. The table is made once; objects are cheap to copy.
class CharacterClasses {
 public:
  [[nodiscard]] std::uint8_t operator[](std::int32_t value) const {
    return value < kTabled ? at(table_, value) : compute_character_class(value);
  }

 private:
  static constexpr std::int32_t kTabled = 0x20000;  // later blocks are rare and not in the table

  [[nodiscard]] static const std::uint8_t* shared() {
    static constinit FirstUse<std::array<std::uint8_t, kTabled>> table;
    const auto make = [] {
      auto classes = std::make_unique<std::array<std::uint8_t, kTabled>>();
      for (std::int32_t i = 0; i < kTabled; ++i) at(*classes, i) = compute_character_class(i);
      return classes;
    };
    return table.get(make).data();
  }

  const std::uint8_t* table_ = shared();
};

/// As code_point_at, for text that is known to be UTF-8.
[[nodiscard]] inline CodePoint known_code_point_at(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::int32_t>(static_cast<unsigned char>(text[position + i]));
  };
  const std::int32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

}}}  // namespace rapt::RAPT_ABI::detail
