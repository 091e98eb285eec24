/// \file
/// Properties of characters in regular expressions, as members of a set in PCRE2's syntax. Oniguruma and Rust have the
/// properties of Unicode 16.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A range of characters that Unicode 15 or 16 has given a category.
struct CategoryAddition {
  std::string_view category;
  std::pair<std::int32_t, std::int32_t> range;
};
/// Those that Oniguruma knows and a PCRE2 of Unicode 14 does not. (A newer PCRE2 agrees.)
inline constexpr std::array<CategoryAddition, 127> kCategoryAdditions = {
    {{"Lu", {0x1C89, 0x1C89}},   {"Lu", {0xA7CB, 0xA7CC}},   {"Lu", {0xA7DA, 0xA7DA}},   {"Lu", {0xA7DC, 0xA7DC}},
     {"Lu", {0x10D50, 0x10D65}}, {"Ll", {0x1C8A, 0x1C8A}},   {"Ll", {0xA7CD, 0xA7CD}},   {"Ll", {0xA7DB, 0xA7DB}},
     {"Ll", {0x10D70, 0x10D85}}, {"Ll", {0x1DF25, 0x1DF2A}}, {"Lm", {0x10D4E, 0x10D4E}}, {"Lm", {0x10D6F, 0x10D6F}},
     {"Lm", {0x16D40, 0x16D42}}, {"Lm", {0x16D6B, 0x16D6C}}, {"Lm", {0x1E030, 0x1E06D}}, {"Lm", {0x1E4EB, 0x1E4EB}},
     {"Lo", {0x105C0, 0x105F3}}, {"Lo", {0x10D4A, 0x10D4D}}, {"Lo", {0x10D4F, 0x10D4F}}, {"Lo", {0x10EC2, 0x10EC4}},
     {"Lo", {0x1123F, 0x11240}}, {"Lo", {0x11380, 0x11389}}, {"Lo", {0x1138B, 0x1138B}}, {"Lo", {0x1138E, 0x1138E}},
     {"Lo", {0x11390, 0x113B5}}, {"Lo", {0x113B7, 0x113B7}}, {"Lo", {0x113D1, 0x113D1}}, {"Lo", {0x113D3, 0x113D3}},
     {"Lo", {0x11BC0, 0x11BE0}}, {"Lo", {0x11F02, 0x11F02}}, {"Lo", {0x11F04, 0x11F10}}, {"Lo", {0x11F12, 0x11F33}},
     {"Lo", {0x1342F, 0x1342F}}, {"Lo", {0x13441, 0x13446}}, {"Lo", {0x13460, 0x143FA}}, {"Lo", {0x16100, 0x1611D}},
     {"Lo", {0x16D43, 0x16D6A}}, {"Lo", {0x18CFF, 0x18CFF}}, {"Lo", {0x1B132, 0x1B132}}, {"Lo", {0x1B155, 0x1B155}},
     {"Lo", {0x1E4D0, 0x1E4EA}}, {"Lo", {0x1E5D0, 0x1E5ED}}, {"Lo", {0x1E5F0, 0x1E5F0}}, {"Lo", {0x2B739, 0x2B739}},
     {"Lo", {0x2EBF0, 0x2EE5D}}, {"Lo", {0x31350, 0x323AF}}, {"Mn", {0x897, 0x897}},     {"Mn", {0xECE, 0xECE}},
     {"Mn", {0x10D69, 0x10D6D}}, {"Mn", {0x10EFC, 0x10EFF}}, {"Mn", {0x11241, 0x11241}}, {"Mn", {0x113BB, 0x113C0}},
     {"Mn", {0x113CE, 0x113CE}}, {"Mn", {0x113D0, 0x113D0}}, {"Mn", {0x113D2, 0x113D2}}, {"Mn", {0x113E1, 0x113E2}},
     {"Mn", {0x11F00, 0x11F01}}, {"Mn", {0x11F36, 0x11F3A}}, {"Mn", {0x11F40, 0x11F40}}, {"Mn", {0x11F42, 0x11F42}},
     {"Mn", {0x11F5A, 0x11F5A}}, {"Mn", {0x13440, 0x13440}}, {"Mn", {0x13447, 0x13455}}, {"Mn", {0x1611E, 0x16129}},
     {"Mn", {0x1612D, 0x1612F}}, {"Mn", {0x1E08F, 0x1E08F}}, {"Mn", {0x1E4EC, 0x1E4EF}}, {"Mn", {0x1E5EE, 0x1E5EF}},
     {"Mc", {0xCF3, 0xCF3}},     {"Mc", {0x113B8, 0x113BA}}, {"Mc", {0x113C2, 0x113C2}}, {"Mc", {0x113C5, 0x113C5}},
     {"Mc", {0x113C7, 0x113CA}}, {"Mc", {0x113CC, 0x113CD}}, {"Mc", {0x113CF, 0x113CF}}, {"Mc", {0x1171E, 0x1171E}},
     {"Mc", {0x11F03, 0x11F03}}, {"Mc", {0x11F34, 0x11F35}}, {"Mc", {0x11F3E, 0x11F3F}}, {"Mc", {0x11F41, 0x11F41}},
     {"Mc", {0x1612A, 0x1612C}}, {"Nd", {0x10D40, 0x10D49}}, {"Nd", {0x116D0, 0x116E3}}, {"Nd", {0x11BF0, 0x11BF9}},
     {"Nd", {0x11F50, 0x11F59}}, {"Nd", {0x16130, 0x16139}}, {"Nd", {0x16D70, 0x16D79}}, {"Nd", {0x1CCF0, 0x1CCF9}},
     {"Nd", {0x1E4F0, 0x1E4F9}}, {"Nd", {0x1E5F1, 0x1E5FA}}, {"No", {0x1D2C0, 0x1D2D3}}, {"Pd", {0x10D6E, 0x10D6E}},
     {"Po", {0x1B4E, 0x1B4F}},   {"Po", {0x1B7F, 0x1B7F}},   {"Po", {0x113D4, 0x113D5}}, {"Po", {0x113D7, 0x113D8}},
     {"Po", {0x11B00, 0x11B09}}, {"Po", {0x11BE1, 0x11BE1}}, {"Po", {0x11F43, 0x11F4F}}, {"Po", {0x16D6D, 0x16D6F}},
     {"Po", {0x1E5FF, 0x1E5FF}}, {"Sm", {0x10D8E, 0x10D8F}}, {"So", {0x2427, 0x2429}},   {"So", {0x2FFC, 0x2FFF}},
     {"So", {0x31E4, 0x31E5}},   {"So", {0x31EF, 0x31EF}},   {"So", {0x1CC00, 0x1CCEF}}, {"So", {0x1CD00, 0x1CEB3}},
     {"So", {0x1F6DC, 0x1F6DC}}, {"So", {0x1F774, 0x1F776}}, {"So", {0x1F77B, 0x1F77F}}, {"So", {0x1F7D9, 0x1F7D9}},
     {"So", {0x1F8B2, 0x1F8BB}}, {"So", {0x1F8C0, 0x1F8C1}}, {"So", {0x1FA75, 0x1FA77}}, {"So", {0x1FA87, 0x1FA89}},
     {"So", {0x1FA8F, 0x1FA8F}}, {"So", {0x1FAAD, 0x1FAAF}}, {"So", {0x1FABB, 0x1FABF}}, {"So", {0x1FAC6, 0x1FAC6}},
     {"So", {0x1FACE, 0x1FACF}}, {"So", {0x1FADA, 0x1FADC}}, {"So", {0x1FADF, 0x1FADF}}, {"So", {0x1FAE8, 0x1FAE9}},
     {"So", {0x1FAF7, 0x1FAF8}}, {"So", {0x1FBCB, 0x1FBEF}}, {"Cf", {0x13439, 0x1343F}}}};

/// What characters a property has that PCRE2 lacks, as members of a set. The names are folded (folded_name).
struct PropertyAddition {
  std::string_view name, short_name, members;
};
/// What Unicode 15 and 16 have added to other properties and to scripts, as members of a set, and what PCRE2 lacks of
/// the former otherwise.
inline constexpr std::array<PropertyAddition, 20> kPropertyAdditions = {
    {{"alphabetic", "alpha",
      R"(\x{363}-\x{36f}\x{897}\x{c04}\x{cf3}\x{f82}-\x{f83}\x{1dd3}-\x{1de6}\x{10d69})"
      R"(\x{10efc}\x{11080}-\x{11081}\x{11241}\x{113b8}-\x{113c0}\x{113c2}\x{113c5}\x{113c7}-\x{113ca})"
      R"(\x{113cc}-\x{113cd}\x{11f00}-\x{11f01}\x{11f03}\x{11f34}-\x{11f3a}\x{11f3e}-\x{11f40})"
      R"(\x{1611e}-\x{1612e}\x{1e08f})"},
     {"lowercase", "lower", R"(\x{10fc}\x{a7f2}-\x{a7f4}\x{ab69}\x{1e030}-\x{1e06d})"},
     {"emoji", "emoji",
      R"(\x{1f6dc}\x{1fa75}-\x{1fa77}\x{1fa87}-\x{1fa89}\x{1fa8f}\x{1faad}-\x{1faaf}\x{1fabb}-\x{1fabf})"
      R"(\x{1fac6}\x{1face}-\x{1facf}\x{1fada}-\x{1fadc}\x{1fadf}\x{1fae8}-\x{1fae9}\x{1faf7}-\x{1faf8})"},
     {"emojipresentation", "epres",
      R"(\x{1f6dc}\x{1fa75}-\x{1fa77}\x{1fa87}-\x{1fa89}\x{1fa8f}\x{1faad}-\x{1faaf}\x{1fabb}-\x{1fabf})"
      R"(\x{1fac6}\x{1face}-\x{1facf}\x{1fada}-\x{1fadc}\x{1fadf}\x{1fae8}-\x{1fae9}\x{1faf7}-\x{1faf8})"},
     {"emojimodifierbase", "ebase", R"(\x{1faf7}-\x{1faf8})"},
     {"arabic", "arab", R"(\x{897}\x{10ec2}-\x{10ec4}\x{10efc}-\x{10eff})"},
     {"balinese", "bali", R"(\x{1b4e}-\x{1b4f}\x{1b7f})"},
     {"common", "zyyy",
      R"(\x{2427}-\x{2429}\x{2ffc}-\x{2fff}\x{31e4}-\x{31e5}\x{31ef}\x{1cc00}-\x{1ccf9})"
      R"(\x{1cd00}-\x{1ceb3}\x{1d2c0}-\x{1d2d3}\x{1f6dc}\x{1f774}-\x{1f776}\x{1f77b}-\x{1f77f})"
      R"(\x{1f7d9}\x{1f8b2}-\x{1f8bb}\x{1f8c0}-\x{1f8c1}\x{1fa75}-\x{1fa77}\x{1fa87}-\x{1fa89})"
      R"(\x{1fa8f}\x{1faad}-\x{1faaf}\x{1fabb}-\x{1fabf}\x{1fac6}\x{1face}-\x{1facf}\x{1fada}-\x{1fadc})"
      R"(\x{1fadf}\x{1fae8}-\x{1fae9}\x{1faf7}-\x{1faf8}\x{1fbcb}-\x{1fbef})"},
     {"cyrillic", "cyrl", R"(\x{1c89}-\x{1c8a}\x{1e030}-\x{1e06d}\x{1e08f})"},
     {"devanagari", "deva", R"(\x{11b00}-\x{11b09})"},
     {"egyptianhieroglyphs", "egyp", R"(\x{1342f}\x{13439}-\x{13455}\x{13460}-\x{143fa})"},
     {"han", "hani", R"(\x{2b739}\x{2ebf0}-\x{2ee5d}\x{31350}-\x{323af})"},
     {"hiragana", "hira", R"(\x{1b132})"},
     {"kannada", "knda", R"(\x{cf3})"},
     {"katakana", "kana", R"(\x{1b155})"},
     {"khitansmallscript", "kits", R"(\x{18cff})"},
     {"khojki", "khoj", R"(\x{1123f}-\x{11241})"},
     {"lao", "laoo", R"(\x{ece})"},
     {"latin", "latn", R"(\x{a7cb}-\x{a7cd}\x{a7da}-\x{a7dc}\x{1df25}-\x{1df2a})"},
     {"myanmar", "mymr", R"(\x{116d0}-\x{116e3})"}}};

/// The categories with their folded long names.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 38> kCategoryNames = {
    {{"L", "letter"},
     {"LC", "casedletter"},
     {"Lu", "uppercaseletter"},
     {"Ll", "lowercaseletter"},
     {"Lt", "titlecaseletter"},
     {"Lm", "modifierletter"},
     {"Lo", "otherletter"},
     {"M", "mark"},
     {"Mn", "nonspacingmark"},
     {"Mc", "spacingmark"},
     {"Me", "enclosingmark"},
     {"N", "number"},
     {"Nd", "decimalnumber"},
     {"Nl", "letternumber"},
     {"No", "othernumber"},
     {"P", "punctuation"},
     {"Pc", "connectorpunctuation"},
     {"Pd", "dashpunctuation"},
     {"Ps", "openpunctuation"},
     {"Pe", "closepunctuation"},
     {"Pi", "initialpunctuation"},
     {"Pf", "finalpunctuation"},
     {"Po", "otherpunctuation"},
     {"S", "symbol"},
     {"Sm", "mathsymbol"},
     {"Sc", "currencysymbol"},
     {"Sk", "modifiersymbol"},
     {"So", "othersymbol"},
     {"Z", "separator"},
     {"Zs", "spaceseparator"},
     {"Zl", "lineseparator"},
     {"Zp", "paragraphseparator"},
     {"C", "other"},
     {"Cc", "control"},
     {"Cf", "format"},
     {"Cs", "surrogate"},
     {"Co", "privateuse"},
     {"Cn", "unassigned"}}};

/// A name as Oniguruma and Rust compare names: without regard to case, underscores, hyphens and spaces.
[[nodiscard]] inline std::string folded_name(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (c != '_' && c != '-' && c != ' ') result += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return result;
}

/// The category with a folded short or long name: "Lu" for "lu" and "uppercaseletter". Empty if there is none.
[[nodiscard]] inline std::string_view category_of_name(std::string_view folded) {
  const auto known = std::find_if(kCategoryNames.begin(), kCategoryNames.end(), [&](const auto& one) {
    return folded == one.second || folded == folded_name(one.first);
  });
  return known == kCategoryNames.end() ? std::string_view() : known->first;
}

/// The members of a set for a category: "L", "Lu", ...
[[nodiscard]] inline std::string category_members(std::string_view name) {
  if (name == "LC") return category_members("Lu") + category_members("Ll") + category_members("Lt");
  std::string members = "\\p{" + std::string(name) + "}";
  for (const CategoryAddition& addition : kCategoryAdditions) {
    if (addition.category.starts_with(name)) {
      std::array<char, 32> range{};
      std::snprintf(range.data(), range.size(), "\\x{%x}-\\x{%x}", static_cast<unsigned>(addition.range.first),
                    static_cast<unsigned>(addition.range.second));
      members += range.data();
    }
  }
  return members;
}
[[nodiscard]] inline std::string_view property_additions(std::string_view folded) {
  const auto known = std::find_if(kPropertyAdditions.begin(), kPropertyAdditions.end(),
                                  [&](const auto& one) { return one.name == folded || one.short_name == folded; });
  return known == kPropertyAdditions.end() ? std::string_view() : known->members;
}

/// The members of a set for the script with a folded name, long ("han") or short ("hani"). PCRE2 refuses the pattern if
/// there is no such script.
[[nodiscard]] inline std::string script_members(std::string_view folded) {
  return "\\p{sc:" + std::string(folded) + "}" + std::string(property_additions(folded));
}

/// White space, as \s has it.
inline constexpr std::string_view kSpaceMembers = R"(\t-\r \x{85}\p{Z})";

/// The members of a set for the property with a folded name. What is no category and none of the names below is taken
/// for a script.
[[nodiscard]] inline std::string property_members(std::string_view name) {
  if (const std::string_view category = category_of_name(name); !category.empty()) return category_members(category);
  const auto with_additions = [&](std::string members) { return members += property_additions(name); };
  if (name == "alpha" || name == "alphabetic") {
    return with_additions("\\p{Alphabetic}" + category_members("L") + category_members("Nl"));
  }
  if (name == "alnum") return property_members("alpha") + category_members("Nd");
  if (name == "upper" || name == "uppercase") return "\\p{Uppercase}" + category_members("Lu");
  if (name == "lower" || name == "lowercase") return with_additions("\\p{Lowercase}" + category_members("Ll"));
  if (name == "cntrl") return "\\p{Cc}";
  if (name == "blank") return "\\t\\p{Zs}";
  if (name == "space" || name == "whitespace") return std::string(kSpaceMembers);
  if (name == "ascii") return "\\x{0}-\\x{7f}";
  if (name == "any") return "\\x{0}-\\x{10ffff}";
  if (name == "punct") return category_members("P");
  for (const std::string_view emoji :
       {"emoji", "emojipresentation", "epres", "emojimodifier", "emod", "emojimodifierbase", "ebase", "emojicomponent",
        "ecomp", "extendedpictographic", "extpict"}) {
    if (name == emoji) return with_additions("\\p{" + std::string(emoji) + "}");
  }
  return script_members(name);
}

/// An expression of one character for what belongs to a property without regard to case beside the property's own
/// characters, as simple case folding of Unicode 16 has it; with `is_negated`, for what belongs to the characters that
/// do not have the property. Empty if there is nothing. It must stand where case has no regard, so that PCRE2 adds the
/// other cases of the characters that are listed. `name` is folded.
[[nodiscard]] inline std::string other_cases(std::string_view name, bool is_negated) {
  // Characters whose other case is several letters are no letters of one case that have another one.
  constexpr std::string_view kUpper =
      R"((?![\x{131}\x{149}\x{1f0}\x{390}\x{3b0}\x{587}\x{1e96}-\x{1e9a}\x{1f50}\x{1f52}\x{1f54}\x{1f56})"
      R"(\x{1f80}-\x{1faf}\x{1fb2}-\x{1fb4}\x{1fb6}-\x{1fb7}\x{1fbc}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fc7}\x{1fcc})"
      R"(\x{1fd2}-\x{1fd3}\x{1fd6}-\x{1fd7}\x{1fe2}-\x{1fe4}\x{1fe6}-\x{1fe7}\x{1ff2}-\x{1ff4})"
      R"(\x{1ff6}-\x{1ff7}\x{1ffc}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}])(?=\p{Changes_When_Uppercased})[\p{Ll}\p{Lt}])"
      R"(|[\x{19b}\x{264}\x{345}\x{1c8a}\x{a7cd}\x{a7db}\x{10d70}-\x{10d85}])";
  constexpr std::string_view kLower = R"((?!\x{130})(?=\p{Changes_When_Lowercased})[\p{Lu}\p{Lt}])"
                                      R"(|[\x{345}\x{1c89}\x{a7cb}-\x{a7cc}\x{a7da}\x{a7dc}\x{10d50}-\x{10d65}])";
  constexpr std::string_view kTitle = R"([\x{1c4}-\x{1cc}\x{1f1}-\x{1f3}\x{1f80}-\x{1faf}\x{1fb3}\x{1fc3}\x{1ff3}])";
  constexpr const char* kCircledAndNumerals = R"([\x{2160}-\x{216f}\x{24b6}-\x{24cf}]|)";
  const std::string_view category = category_of_name(name);
  const bool is_any_upper = name == "upper" || name == "uppercase",
             is_any_lower = name == "lower" || name == "lowercase";
  if (category == "Lu" || category == "Ll" || is_any_upper || is_any_lower) {
    const std::string all = is_any_upper || is_any_lower ? kCircledAndNumerals : "";
    const bool is_upper = category == "Lu" || is_any_upper;
    if (is_upper == is_negated) return all + std::string(kLower);  // capital letters that have a small one
    // Small letters that have a capital one. Some have a title case alone, which is neither.
    return all + std::string(kUpper) + (is_negated ? "|" + std::string(kTitle) : "");
  }
  if (category == "Lt") return std::string(kTitle);
  if (category == "L" || category == "LC" || category == "M" || category == "Mn") return "\\x{345}";
  if (name == "greek" || name == "grek") return R"([\x{b5}\x{345}])";
  if (name == "emoji" || name == "extendedpictographic" || name == "extpict") return "\\x{24c2}";
  if (name == "common" || name == "zyyy") return "\\x{b5}";
  if (name == "inherited" || name == "zinh" || name == "qaai") return "\\x{345}";
  return {};
}

}}}  // namespace rapt::RAPT_ABI::detail
