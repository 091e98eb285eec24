/// \file
/// Texts in upper case and with capitals, as Python and Jinja write them. Needs utf8proc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// In upper case by Unicode's simple mapping, and the sharp s as "SS".
[[nodiscard]] inline std::string to_upper(std::string_view text) {
  std::string upper;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    if (point.value == 0xDF) {
      upper += "SS";
    } else {
      append_code_point(upper, utf8proc_toupper(point.value));
    }
    i += point.length;
  }
  return upper;
}
/// The first character in upper case, the others in lower case.
[[nodiscard]] inline std::string capitalized(std::string_view text) {
  if (text.empty()) return {};
  const std::size_t first = code_point_at(text, 0).length;
  return to_upper(text.substr(0, first)) + to_lower(text.substr(first));
}
/// The first character of each word in upper case, the others in lower case. Words begin behind the characters for
/// which begins_word(code point, its bytes) is true.
template <class BeginsWord>
[[nodiscard]] std::string title_of(std::string_view text, const BeginsWord& begins_word) {
  std::string title;
  bool begins = true;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    const std::string_view one = text.substr(i, point.length);
    title += begins ? to_upper(one) : to_lower(one);
    begins = begins_word(point.value, one);
    i += point.length;
  }
  return title;
}
/// As Python's title: words begin behind characters that have no case.
[[nodiscard]] inline std::string python_title(std::string_view text) {
  return title_of(text, [](std::int32_t point, std::string_view) { return !is_cased(point); });
}
/// As Jinja's filter title: words begin behind white space, hyphens and opening brackets.
[[nodiscard]] inline std::string jinja_title(std::string_view text) {
  return title_of(text, [](std::int32_t point, std::string_view one) {
    return is_whitespace(point) || std::string_view("-({[<").find(one) != std::string_view::npos;
  });
}

}}}  // namespace rapt::RAPT_ABI::detail
