/// \file
/// Values of templates in Jinja as JSON: as Python's json.dumps and transformers' filter tojson write them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/jinja/written_values.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// How json.dumps writes.
struct JsonStyle {
  std::optional<std::string> indent = {};  ///< of one level; unset: all on one line
  std::string item_separator = ", ", key_separator = ": ";
  bool ascii = false;  ///< other characters as \uXXXX
  bool sorted = false;
};

inline void append_json_string(std::string& result, std::string_view text, bool ascii) {
  static constexpr char kHex[] = "0123456789abcdef";
  const auto unit = [&](std::int32_t value) {
    result += "\\u";
    for (const int shift : {12, 8, 4, 0}) result += kHex[(value >> shift) & 15];
  };
  result += '"';
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    static constexpr std::pair<char, char> kShort[] = {{'"', '"'},  {'\\', '\\'}, {'\n', 'n'}, {'\r', 'r'},
                                                       {'\t', 't'}, {'\b', 'b'},  {'\f', 'f'}};
    const auto* const known = std::find_if(std::begin(kShort), std::end(kShort), [&](const auto& one) {
      return point.value == static_cast<unsigned char>(one.first);
    });
    if (known != std::end(kShort)) {
      result += '\\';
      result += known->second;
    } else if (point.value < 0x20 || (ascii && point.value > 0x7E && point.value < 0x10000)) {
      if (point.value == 0x7F) {
        result += '\x7F';
      } else {
        unit(point.value);
      }
    } else if (ascii && point.value >= 0x10000) {
      unit(0xD800 + ((point.value - 0x10000) >> 10));
      unit(0xDC00 + ((point.value - 0x10000) & 0x3FF));
    } else {
      result += text.substr(i, point.length);
    }
    i += point.length;
  }
  result += '"';
}

/// Appends a value as json.dumps writes it. Throws ValueError for what JSON does not have.
inline void append_json(std::string& result, const JinjaValue& value, const JsonStyle& style, int level = 0) {
  const auto new_line = [&](int of_level) {
    if (!style.indent) return;
    result += '\n';
    for (int i = 0; i < of_level; ++i) result += *style.indent;
  };
  if (value.is_none() || value.is_bool()) {
    result += value.is_none() ? "null" : value.truth() ? "true" : "false";
  } else if (value.is_float() && !std::isfinite(value.number())) {
    result += std::isnan(value.number()) ? "NaN" : value.number() > 0 ? "Infinity" : "-Infinity";
  } else if (value.is_number()) {
    append_value(result, value, false);
  } else if (const auto* const text = value.text()) {
    append_json_string(result, *text, style.ascii);
  } else if (const auto* const list = value.list()) {
    result += '[';
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (i > 0) result += style.item_separator;
      new_line(level + 1);
      append_json(result, (*list)[i], style, level + 1);
    }
    if (!list->empty()) new_line(level);
    result += ']';
  } else if (const auto* const map = value.map()) {
    std::vector<const std::pair<std::string, JinjaValue>*> entries;
    for (const auto& entry : *map) entries.push_back(&entry);
    if (style.sorted) std::sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return a->first < b->first; });
    result += '{';
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) result += style.item_separator;
      new_line(level + 1);
      append_json_string(result, entries[i]->first, style.ascii);
      result += style.key_separator;
      append_json(result, entries[i]->second, style, level + 1);
    }
    if (!map->empty()) new_line(level);
    result += '}';
  } else {
    fail<JinjaValueError>("jinja", value.kind(), " cannot be written as JSON");
  }
}

[[nodiscard]] inline JinjaValue to_json_filter(JinjaContext& context, const JinjaValue& value,
                                               const JinjaArguments& arguments) {
  arguments.expect(context, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  // These are the arguments of transformers' filter; Jinja's own takes the indent first.
  JsonStyle style;
  const JinjaValue indent = arguments.get(1, "indent"), separators = arguments.get(2, "separators");
  if (const auto* const text = indent.text()) {
    style.indent = *text;
  } else if (!indent.is_undefined() && !indent.is_none()) {
    style.indent = std::string(to_size(std::clamp<std::int64_t>(integer_in(context, indent, "indent"), 0, 64)), ' ');
  }
  if (style.indent) style.item_separator = ",";
  if (separators.list() != nullptr) {
    if (separators.list()->size() != 2) context.refuse("separators are two");
    style.item_separator = string_in(context, separators.list()->front(), "a separator");
    style.key_separator = string_in(context, separators.list()->back(), "a separator");
  }
  style.ascii = arguments.get(0, "ensure_ascii").truth();
  style.sorted = arguments.get(3, "sort_keys").truth();
  const std::int64_t of_each = 8 + (style.indent ? JinjaValue::kMostNested * std::ssize(*style.indent) : 0) +
                               std::ssize(style.item_separator) + std::ssize(style.key_separator);
  if (value.weight() > context.work_left / of_each) context.charge(context.work_left + 1);
  std::string json;
  append_json(json, value, style);
  context.charge(std::ssize(json) + value.weight());
  return json;
}

}}}  // namespace rapt::RAPT_ABI::detail
