/// \file
/// Unicode text: checking UTF-8, lower case, splitting at white space. Needs utf8proc.
///
/// Text is UTF-8 in std::string everywhere. `find_invalid_utf8` checks text that comes from outside; the other
/// functions leave malformed bytes as they are and never read past the end.
#pragma once

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A code point in UTF-8 text: its value, or -1 for a malformed byte, and the number of its bytes, at least 1.
struct CodePoint {
  std::int32_t value;
  std::size_t length;  ///< in bytes
};

/// The code point that begins at a byte of the text; `position` must be less than `text.size()`.
[[nodiscard]] inline CodePoint code_point_at(std::string_view text, std::size_t position) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data() + position);
  if (bytes[0] < 0x80) return {bytes[0], 1};
  const std::size_t available = std::min<std::size_t>(text.size() - position, 4);
  utf8proc_int32_t value = -1;
  const utf8proc_ssize_t length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(available), &value);
  if (length <= 0) return {-1, 1};
  return {value, to_size(length)};
}

/// The number of code points of a text that is UTF-8.
[[nodiscard]] inline std::ptrdiff_t count_code_points(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0u) != 0x80u; });
}

/// Appends a valid code point to UTF-8 text.
inline void append_code_point(std::string& text, std::int32_t value) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const utf8proc_ssize_t length = utf8proc_encode_char(value, bytes.data());
  text.append(reinterpret_cast<const char*>(bytes.data()), to_size(length));
}

/// The offset of the first byte that is not well-formed UTF-8 (a stray or missing continuation, an overlong form, a
/// surrogate, a value beyond U+10FFFF), or std::nullopt if there is none.
[[nodiscard]] inline std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    if (point.value < 0) return i;
    i += point.length;
  }
  return std::nullopt;
}

/// The text with U+FFFD for what is not well-formed UTF-8: one for each longest part that begins a character, and one
/// for each other byte, as by Python's bytes.decode(errors="replace").
[[nodiscard]] inline std::string replace_malformed(std::string_view text) {
  // A part begins a character if it does with the least or the greatest bytes behind it.
  const auto begins_character = [](std::string_view part) {
    for (const char fill : {'\x80', '\xBF'}) {
      std::string whole(part);
      while (whole.size() < 4) {
        whole += fill;
        if (const CodePoint point = code_point_at(whole, 0); point.value >= 0 && point.length == whole.size())
          return true;
      }
    }
    return false;
  };
  std::string replaced;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    std::size_t length = point.length;
    if (point.value >= 0) {
      replaced += text.substr(i, length);
    } else {
      replaced += "\xEF\xBF\xBD";
      while (i + length < text.size() && begins_character(text.substr(i, length + 1))) ++length;
    }
    i += length;
  }
  return replaced;
}

/// White space as in Python's str.split(): Unicode's White_Space and the separators U+001C .. U+001F.
[[nodiscard]] constexpr bool is_whitespace(std::int32_t value) {
  if (value < 0x80) return (value >= 0x09 && value <= 0x0D) || (value >= 0x1C && value <= 0x20);
  return value == 0x85 || value == 0xA0 || value == 0x1680 || (value >= 0x2000 && value <= 0x200A) || value == 0x2028 ||
         value == 0x2029 || value == 0x202F || value == 0x205F || value == 0x3000;
}

/// The non-empty pieces between runs of white space, as views of the text.
[[nodiscard]] inline std::vector<std::string_view> split_whitespace(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t begin = 0;
  const auto end_word = [&](std::size_t end) {
    if (end > begin) words.push_back(text.substr(begin, end - begin));
  };
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    if (is_whitespace(point.value)) {
      end_word(i);
      begin = i + point.length;
    }
    i += point.length;
  }
  end_word(text.size());
  return words;
}

namespace detail {

/// The beginning of the code point that ends at `position`, which must be positive.
[[nodiscard]] inline std::size_t previous_code_point(std::string_view text, std::size_t position) {
  const std::size_t lowest = position > 4 ? position - 4 : 0;
  do {
    --position;
  } while (position > lowest && (static_cast<unsigned char>(text[position]) & 0xC0u) == 0x80u);
  return position;
}

/// Unicode's property Case_Ignorable: marks, modifiers, and punctuation inside words.
[[nodiscard]] inline bool is_case_ignorable(std::int32_t value) {
  switch (value) {
    case '\'':
    case '.':
    case ':':
    case 0xB7:
    case 0x387:
    case 0x55F:
    case 0x5F4:
    case 0x2018:
    case 0x2019:
    case 0x2024:
    case 0x2027:
    case 0xFE13:
    case 0xFE52:
    case 0xFE55:
    case 0xFF07:
    case 0xFF0E:
    case 0xFF1A:
      return true;
    default:
      break;
  }
  const utf8proc_category_t category = utf8proc_category(value);
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_LM || category == UTF8PROC_CATEGORY_SK;
}

/// Unicode's property Cased, for code points that are not Case_Ignorable: letters with case, and the numerals and
/// enclosed letters that have a case without being letters.
[[nodiscard]] inline bool is_cased(std::int32_t value) {
  const utf8proc_category_t category = utf8proc_category(value);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT ||
         value == 0xAA || value == 0xBA || (value >= 0x2160 && value <= 0x217F) ||
         (value >= 0x24B6 && value <= 0x24E9) || (value >= 0x1F130 && value <= 0x1F149) ||
         (value >= 0x1F150 && value <= 0x1F169) || (value >= 0x1F170 && value <= 0x1F189);
}

/// Unicode's condition Final_Sigma for the sigma (two bytes) at `position`: it has a cased letter before it in the word
/// and none after it.
[[nodiscard]] inline bool is_final_sigma(std::string_view text, std::size_t position) {
  bool letter_before = false;
  for (std::size_t i = position; i > 0;) {
    i = previous_code_point(text, i);
    const std::int32_t value = code_point_at(text, i).value;
    if (value >= 0 && is_case_ignorable(value)) continue;
    letter_before = value >= 0 && is_cased(value);
    break;
  }
  if (!letter_before) return false;
  for (std::size_t i = position + 2; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    if (point.value < 0 || !is_case_ignorable(point.value)) return point.value < 0 || !is_cased(point.value);
    i += point.length;
  }
  return true;
}

}  // namespace detail

/// The text in lower case, as by Python's str.lower(): Unicode's simple mapping, but U+0130 becomes "i" and a dot
/// above, and a capital sigma at the end of a word becomes the final form.
[[nodiscard]] inline std::string to_lower(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    if (point.value < 0x80) {
      const char byte = text[i];  // ASCII, or a malformed byte
      lower += byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
    } else if (point.value == 0x130) {
      lower += "i\xCC\x87";
    } else if (point.value == 0x3A3) {
      lower += detail::is_final_sigma(text, i) ? "\xCF\x82" : "\xCF\x83";
    } else {
      append_code_point(lower, utf8proc_tolower(point.value));
    }
    i += point.length;
  }
  return lower;
}

namespace detail {

/// The text without the characters at its end for which is_stripped(value) is true.
template <class Predicate>
[[nodiscard]] std::string_view strip_end_if(std::string_view text, const Predicate& is_stripped) {
  while (!text.empty()) {
    const std::size_t last = previous_code_point(text, text.size());
    const CodePoint point = code_point_at(text, last);
    if (!is_stripped(point.value) || last + point.length != text.size()) break;
    text = text.substr(0, last);
  }
  return text;
}

}  // namespace detail

/// The text without white space at its end.
[[nodiscard]] inline std::string_view strip_end(std::string_view text) {
  return detail::strip_end_if(text, is_whitespace);
}

/// The text without white space at its beginning and its end, as by Python's str.strip().
[[nodiscard]] inline std::string_view strip_ends(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = code_point_at(text, 0);
    if (!is_whitespace(point.value)) break;
    text.remove_prefix(point.length);
  }
  return strip_end(text);
}

/// True for Chinese characters: the CJK ideographs of Unicode's blocks.
[[nodiscard]] constexpr bool is_han(std::int32_t value) {
  return (value >= 0x3400 && value <= 0x4DBF) || (value >= 0x4E00 && value <= 0x9FFF) ||
         (value >= 0xF900 && value <= 0xFAFF) || (value >= 0x20000 && value <= 0x3134F);
}
/// True for Chinese characters and the punctuation that is written with them, with full-width forms.
[[nodiscard]] constexpr bool is_wide(std::int32_t value) {
  return is_han(value) || (value >= 0x3001 && value <= 0x303F) || (value >= 0xFF01 && value <= 0xFF65);
}

/// The text with a space on each side of every Chinese character and its punctuation, so that these are words.
[[nodiscard]] inline std::string separate_han(std::string_view text) {
  std::string separated;
  bool space_due = false;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    const bool wide = is_wide(point.value);
    if ((wide || space_due) && !separated.empty() && separated.back() != ' ' && text[at] != ' ') separated += ' ';
    separated += text.substr(at, point.length);
    space_due = wide;
    at += point.length;
  }
  return separated;
}
/// Undoes separate_han as far as possible: removes spaces beside Chinese characters and their punctuation.
[[nodiscard]] inline std::string join_han(std::string_view text) {
  std::string joined;
  bool after_wide = false, space = false;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    if (point.value == ' ') {
      space = true;
    } else {
      const bool wide = is_wide(point.value);
      if (space && !wide && !after_wide) joined += ' ';
      joined += text.substr(at, point.length);
      after_wide = wide;
      space = false;
    }
    at += point.length;
  }
  return joined;
}

}}  // namespace rapt::RAPT_ABI
