/// \file
/// Escaping text for HTML, SVG and JSON. The result is well-formed for any bytes, and the text cannot be taken for
/// markup.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// The number of bytes of the well-formed UTF-8 character that begins at `position`, or 0 if there is none.
[[nodiscard]] inline std::size_t utf8_length(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return position + i < text.size() ? static_cast<unsigned char>(text[position + i]) : 0u;
  };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  std::uint32_t value = first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return 0;
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};  // a smaller value would be an overlong form
  const bool valid = first >= 0xC0 && first < 0xF8 && value >= kSmallest[length] && value <= 0x10FFFF &&
                     (value < 0xD800 || value > 0xDFFF);
  return valid ? length : 0;
}

/// Calls append(character) for each character of the text. Malformed bytes, and control characters that XML forbids,
/// are passed as U+FFFD.
template <class Append>
void for_each_character(std::string_view text, const Append& append) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text, i);
    const std::string_view character = text.substr(i, length);
    const auto first = static_cast<unsigned char>(text[i]);
    const bool control = first == 0x7F || (first < 0x20 && first != '\t' && first != '\n' && first != '\r');
    const bool forbidden = length == 0 || control || character == "\xEF\xBF\xBE" || character == "\xEF\xBF\xBF";
    append(forbidden ? kReplacementCharacter : character);
    i += length == 0 ? 1 : length;
  }
}

/// The text as the content of an element or of an attribute in quotes, in HTML and XML.
[[nodiscard]] inline std::string escape_markup(std::string_view text) {
  std::string escaped;
  for_each_character(text, [&](std::string_view character) {
    switch (character[0]) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += character;
    }
  });
  return escaped;
}

/// The text as a JSON string that may stand inside an HTML script element: none of its characters can end or begin
/// markup.
[[nodiscard]] inline std::string json_string(std::string_view text) {
  std::string json = "\"";
  for_each_character(text, [&](std::string_view character) {
    constexpr std::string_view kHex = "0123456789abcdef", kEscaped = "\"\\<>&'\t\n\r";
    if (kEscaped.find(character[0]) != std::string_view::npos) {
      const auto value = static_cast<unsigned char>(character[0]);
      json += "\\u00";
      json += kHex[value >> 4];
      json += kHex[value & 15];
    } else {
      json += character;
    }
  });
  return json + '"';
}

}}}  // namespace rapt::RAPT_ABI::detail
