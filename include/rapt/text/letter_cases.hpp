/// \file
/// The cases of letters and marks, by which GPT-4o's tokenizer splits words. Needs utf8proc.
#pragma once

#include <utf8proc.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "rapt/core/first_use.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/pattern_properties.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Where in a word a character may be, as bits.
enum LetterCase : std::uint8_t {
  kBeginsWord = 1,     // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
  kContinuesWord = 2,  // [\p{Ll}\p{Lm}\p{Lo}\p{M}]
};

/// The bits of a category, such as "Lu".
[[nodiscard]] constexpr std::uint8_t letter_case_of(std::string_view category) {
  if (category == "Lu" || category == "Lt") return kBeginsWord;
  if (category == "Ll") return kContinuesWord;
  return category == "Lm" || category == "Lo" || category.starts_with('M') ? kBeginsWord | kContinuesWord : 0;
}

/// The bits of all code points, of Unicode 16. The table is made once; objects are cheap to copy.
class LetterCases {
 public:
  [[nodiscard]] std::uint8_t operator[](std::int32_t value) const {
    return value < kTabled ? at(table_, value) : compute(value);
  }

 private:
  static constexpr std::int32_t kTabled = 0x20000;  // later blocks are rare and not in the table

  [[nodiscard]] static std::uint8_t compute(std::int32_t value) {
    const std::uint8_t known = letter_case_of(utf8proc_category_string(value));
    if (known != 0) return known;
    for (const CategoryAddition& addition : kCategoryAdditions) {
      if (value >= addition.range.first && value <= addition.range.second) return letter_case_of(addition.category);
    }
    return 0;
  }
  [[nodiscard]] static const std::uint8_t* shared() {
    static constinit FirstUse<std::array<std::uint8_t, kTabled>> table;
    const auto make = [] {
      auto cases = std::make_unique<std::array<std::uint8_t, kTabled>>();
      for (std::int32_t i = 0; i < kTabled; ++i) at(*cases, i) = letter_case_of(utf8proc_category_string(i));
      for (const auto& [category, range] : kCategoryAdditions) {
        for (std::int32_t i = range.first; i <= range.second && i < kTabled; ++i) {
          at(*cases, i) = letter_case_of(category);
        }
      }
      return cases;
    };
    return table.get(make).data();
  }

  const std::uint8_t* table_ = shared();
};

}}}  // namespace rapt::RAPT_ABI::detail
