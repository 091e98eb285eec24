/// \file
/// Values of templates in Jinja as text: as Python's str and repr write them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/numbers.hpp"
#include "rapt/text/jinja/value.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A string as Python's repr writes it, but characters beyond ASCII as they are.
inline void append_repr(std::string& result, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  static constexpr char kHex[] = "0123456789abcdef";
  result += quote;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      result += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      result += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      result += c;
    }
  }
  result += quote;
}

/// Appends a value as Python's repr writes it, or a string as it is where it is not `quoted`.
inline void append_value(std::string& result, const JinjaValue& value, bool quoted) {
  if (value.is_undefined()) return;
  if (value.is_none()) {
    result += "None";
  } else if (value.is_bool()) {
    result += value.truth() ? "True" : "False";
  } else if (const auto* const integer = value.integer()) {
    result += std::to_string(*integer);
  } else if (value.is_float()) {
    result += python_number(value.number());
  } else if (const auto* const text = value.text()) {
    quoted ? append_repr(result, *text) : void(result += *text);
  } else if (const auto* const list = value.list()) {
    result += value.is_tuple() ? '(' : '[';
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (i > 0) result += ", ";
      append_value(result, (*list)[i], true);
    }
    result += !value.is_tuple() ? "]" : list->size() == 1 ? ",)" : ")";
  } else if (const auto* const map = value.map()) {
    result += '{';
    for (std::size_t i = 0; i < map->size(); ++i) {
      if (i > 0) result += ", ";
      append_repr(result, (*map)[i].first);
      result += ": ";
      append_value(result, (*map)[i].second, true);
    }
    result += '}';
  } else {
    fail<JinjaValueError>("jinja", value.kind(), " has no text");
  }
}
/// A value as Python's str makes it a text; nothing of an undefined one.
[[nodiscard]] inline std::string jinja_string(JinjaContext& context, const JinjaValue& value) {
  context.charge(value.weight());
  std::string text;
  append_value(text, value, false);
  return text;
}

}}}  // namespace rapt::RAPT_ABI::detail
