/// \file
/// Searches in strings, and what follows from them: parts replaced, cut off or split, as in Python.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Calls `f(place)` for the places at which a part of at least one byte stands in a text, as long as it returns true:
/// without overlaps, from the left or from the right. The work is linear in the text and the part, whatever they are:
/// D. E. Knuth, J. H. Morris and V. R. Pratt, "Fast pattern matching in strings", SIAM Journal on Computing 6(2), 1977.
template <class F>
void for_each_place(JinjaContext& context, std::string_view text, std::string_view part, bool from_right, const F& f) {
  context.charge(std::ssize(text));
  if (part.empty() || part.size() > text.size()) return;
  context.charge(8 * std::ssize(part));
  const auto byte = [&](std::string_view of, std::size_t i) { return of[from_right ? of.size() - 1 - i : i]; };
  // border[n]: the length of the longest proper beginning of the part's first n + 1 bytes that is their end, too.
  std::vector<std::size_t> border(part.size());
  const auto extended = [&](std::size_t matched, char next) {
    while (matched > 0 && byte(part, matched) != next) matched = border[matched - 1];
    return byte(part, matched) == next ? matched + 1 : 0;
  };
  for (std::size_t i = 1; i < part.size(); ++i) border[i] = extended(border[i - 1], byte(part, i));
  std::size_t matched = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    matched = extended(matched, byte(text, i));
    if (matched < part.size()) continue;
    if (!f(from_right ? text.size() - 1 - i : i + 1 - part.size())) return;
    matched = 0;
  }
}
/// The first such place, or npos; of an empty part the end at which the search begins.
[[nodiscard]] inline std::size_t place_of(JinjaContext& context, std::string_view text, std::string_view part,
                                          bool from_right = false) {
  if (part.empty()) return from_right ? text.size() : 0;
  std::size_t found = std::string_view::npos;
  for_each_place(context, text, part, from_right, [&](std::size_t place) {
    found = place;
    return false;
  });
  return found;
}

/// The text without those of the characters `stripped` (white space, where it is undefined) that stand at its ends.
[[nodiscard]] inline std::string_view stripped_of(JinjaContext& context, std::string_view text,
                                                  const JinjaValue& stripped, bool left, bool right) {
  std::vector<std::int32_t> characters;
  const bool is_blank = stripped.is_undefined() || stripped.is_none();
  if (!is_blank) {
    const std::string& all = string_in(context, stripped, "what is stripped");
    context.charge(16 * std::ssize(all));
    for (std::size_t i = 0; i < all.size(); i += code_point_at(all, i).length) {
      characters.push_back(code_point_at(all, i).value);
    }
    std::sort(characters.begin(), characters.end());
  }
  const auto is_stripped = [&](std::string_view one) {
    const std::int32_t character = code_point_at(one, 0).value;
    return is_blank ? is_whitespace(character) : std::binary_search(characters.begin(), characters.end(), character);
  };
  while (left && !text.empty()) {
    const std::size_t length = code_point_at(text, 0).length;
    if (!is_stripped(text.substr(0, length))) break;
    text.remove_prefix(length);
  }
  while (right && !text.empty()) {
    const std::size_t last = previous_code_point(text, text.size());
    if (!is_stripped(text.substr(last))) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

/// The text with `from` replaced by `to`, at most so many times (negative: everywhere).
[[nodiscard]] inline std::string replaced(JinjaContext& context, std::string_view text, std::string_view from,
                                          std::string_view to, std::int64_t most) {
  if (most == 0) return std::string(text);
  most = std::max<std::int64_t>(most, -1);
  std::string result;
  std::size_t behind = 0;
  const auto replace = [&](std::size_t place) {
    context.charge(1 + std::ssize(to));
    result += text.substr(behind, place - behind);
    result += to;
    behind = place + from.size();
    return --most != 0;
  };
  if (from.empty()) {  // between all characters
    for (std::size_t i = 0; replace(i) && i < text.size();) i += code_point_at(text, i).length;
  } else {
    for_each_place(context, text, from, /*from_right=*/false, replace);
  }
  return result += text.substr(behind);
}

/// The parts of a text between separators, at most `most` cuts (negative: all), from the left or from the right.
[[nodiscard]] inline JinjaValue::List split_text(JinjaContext& context, std::string_view text,
                                                 const JinjaValue& separator, std::int64_t most, bool from_right) {
  context.charge(32 * std::ssize(text));
  std::vector<std::string_view> parts;
  const bool is_blank = separator.is_undefined() || separator.is_none();
  most = std::max<std::int64_t>(most, -1);
  if (is_blank) {
    parts = split_whitespace(text);
    if (most >= 0 && std::ssize(parts) - 1 > most) {  // what is left is one part, as it stands
      const std::size_t cuts = to_size(most);
      const auto offset = [&](std::string_view part) { return to_size(part.data() - text.data()); };
      if (from_right) {
        const std::string_view last = parts[parts.size() - cuts - 1];
        parts.erase(parts.begin(), parts.end() - static_cast<std::ptrdiff_t>(cuts) - 1);
        parts.front() = text.substr(0, offset(last) + last.size());
      } else {
        parts[cuts] = text.substr(offset(parts[cuts]));
        parts.resize(cuts + 1);
      }
    }
  } else {
    const std::string_view cut = string_in(context, separator, "a separator");
    if (cut.empty()) context.refuse("a separator must not be empty");
    std::size_t begin = 0, end = text.size();  // of what is not cut yet
    const auto add = [&](std::size_t place) {
      parts.push_back(from_right ? text.substr(place + cut.size(), end - place - cut.size())
                                 : text.substr(begin, place - begin));
      from_right ? void(end = place) : void(begin = place + cut.size());
      return --most != 0;
    };
    if (most != 0) for_each_place(context, text, cut, from_right, add);
    parts.push_back(text.substr(begin, end - begin));
    if (from_right) std::reverse(parts.begin(), parts.end());
  }
  JinjaValue::List list;
  for (const std::string_view part : parts) list.emplace_back(part);
  return list;
}
/// As Python's splitlines.
[[nodiscard]] inline std::vector<std::string_view> split_lines(std::string_view text, bool keeps_ends) {
  std::vector<std::string_view> lines;
  for (std::size_t i = 0, begin = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    const std::int32_t c = point.value;
    std::size_t end = i + point.length;
    const bool is_end = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (c == '\r' && end < text.size() && text[end] == '\n') ++end;
    if (is_end) {
      lines.push_back(text.substr(begin, (keeps_ends ? end : i) - begin));
      begin = end;
    }
    i = is_end ? end : i + point.length;
    if (i == text.size() && begin < i) lines.push_back(text.substr(begin));
  }
  return lines;
}

/// True if the text begins (or ends) with a string, or with one of a list of strings.
[[nodiscard]] inline bool has_affix(JinjaContext& context, std::string_view text, const JinjaValue& affix,
                                    bool at_begin) {
  if (const auto* const list = affix.list()) {
    return std::any_of(list->begin(), list->end(),
                       [&](const JinjaValue& one) { return has_affix(context, text, one, at_begin); });
  }
  const std::string& part = string_in(context, affix, "what a text begins or ends with");
  context.charge(std::min(std::ssize(text), std::ssize(part)));
  return at_begin ? text.starts_with(part) : text.ends_with(part);
}

}}}  // namespace rapt::RAPT_ABI::detail
