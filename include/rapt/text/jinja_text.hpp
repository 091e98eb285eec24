/// \file
/// Values of templates in Jinja as text: as Python's str, repr and json.dumps write them, and parts of strings and
/// lists as Python's indices and slices take them.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <locale>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/jinja_lexer.hpp"
#include "rapt/text/jinja_value.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Where a template is computed, and how much work it may still do: a unit is about a byte that is made or a value that
/// is looked at, so that time and memory are limited.
struct JinjaContext {
  std::string_view name;  ///< of the template
  int line = 1;
  std::int64_t work_left = 0;
  int depth = 0;  ///< see JinjaLevel

  /// Throws ValueError `[jinja] name:line: ...`.
  template <class... Pieces>
  [[noreturn]] void refuse(const Pieces&... pieces) const {
    fail_in_template<ValueError>(name, line, pieces...);
  }
  /// Throws ValueError if there is less work left.
  void charge(std::int64_t work) {
    work_left -= work;
    if (work_left < 0) refuse("the template takes too much work: a loop or a text is too long");
  }
  /// Charges a search for a name that goes through so many others.
  void charge_search(std::size_t others, std::string_view of) {
    charge(1 + static_cast<std::int64_t>(others * (1 + of.size() / 64)));
  }
};

/// Counts what is computed within one another as long as it lives: expressions, statements, calls of macros, and, for
/// more as their calls take more of the stack, filters within filters.
class JinjaLevel {
 public:
  /// Throws ValueError if there is too much.
  explicit JinjaLevel(JinjaContext& context, int levels = 1) : context_(context), levels_(levels) {
    context_.charge(1);
    if (context_.depth + levels_ > kMost) context_.refuse("macros or filters call one another too deeply");
    context_.depth += levels_;
  }
  ~JinjaLevel() { context_.depth -= levels_; }
  JinjaLevel(const JinjaLevel&) = delete;
  JinjaLevel& operator=(const JinjaLevel&) = delete;

 private:
  static constexpr int kMost = 600;

  JinjaContext& context_;
  int levels_;
};

/// A number as Python writes it: the fewest digits that give it back.
[[nodiscard]] inline std::string python_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[64];
  const char* const end = std::to_chars(text, text + sizeof text, std::fabs(value), std::chars_format::scientific).ptr;
  const std::string_view written(text, static_cast<std::size_t>(end - text));
  const std::size_t e = written.find('e');
  std::string digits(written.substr(0, e));
  std::erase(digits, '.');
  int exponent = 0;
  std::from_chars(text + e + (written[e + 1] == '+' ? 2 : 1), end, exponent);
  std::string result = std::signbit(value) ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    result += digits.substr(0, 1) + (digits.size() > 1 ? "." + digits.substr(1) : "");
    const std::string number = std::to_string(std::abs(exponent));
    return result + (exponent < 0 ? "e-" : "e+") + (number.size() < 2 ? "0" : "") + number;
  }
  if (exponent < 0) return result + "0." + std::string(to_size(-exponent - 1), '0') + digits;
  const std::size_t whole = to_size(exponent + 1);
  if (digits.size() <= whole) return result + digits + std::string(whole - digits.size(), '0') + ".0";
  return result + digits.substr(0, whole) + "." + digits.substr(whole);
}

/// The double of decimal digits such as 1.5e-3, whatever the program's locale is.
[[nodiscard]] inline double read_decimal(const std::string& digits) {
  std::istringstream stream(digits);
  stream.imbue(std::locale::classic());
  double value = 0;
  stream >> value;
  return value == std::numeric_limits<double>::max() && stream.fail() ? HUGE_VAL : value;
}
/// The number that Python's float reads in a text without blanks around it, if there is one.
[[nodiscard]] inline std::optional<double> python_float(std::string_view text) {
  const bool has_sign = text.starts_with('-') || text.starts_with('+');
  const double sign = text.starts_with('-') ? -1 : 1;
  if (has_sign) text.remove_prefix(1);
  std::string digits;
  for (const char c : text.substr(0, text.size() <= 8 ? text.size() : 0)) {
    digits += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (digits == "inf" || digits == "infinity") return sign * HUGE_VAL;
  if (digits == "nan") return NAN;
  digits.clear();
  const auto is_digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  std::size_t i = 0;
  const auto read_digits = [&] {  // with single underscores between them
    const std::size_t begin = i;
    while (is_digit(i) || (i > begin && i < text.size() && text[i] == '_' && is_digit(i - 1) && is_digit(i + 1))) {
      if (text[i] != '_') digits += text[i];
      ++i;
    }
    return i > begin;
  };
  bool has_digits = read_digits();
  if (i < text.size() && text[i] == '.') {
    digits += text[i++];
    has_digits = read_digits() || has_digits;
  }
  if (!has_digits) return std::nullopt;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    digits += text[i++];
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) digits += text[i++];
    if (!read_digits()) return std::nullopt;
  }
  if (i < text.size()) return std::nullopt;
  return sign * read_decimal(digits);
}

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

/// The characters of a text, as strings.
[[nodiscard]] inline JinjaValue::List characters_of(JinjaContext& context, std::string_view text) {
  context.charge(32 * std::ssize(text));
  JinjaValue::List characters;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = code_point_at(text, i).length;
    characters.emplace_back(text.substr(i, length));
    i += length;
  }
  return characters;
}

/// What a loop over a value goes through: the elements of a list, the keys of a dictionary, the characters of a string,
/// nothing of an undefined value. Throws ValueError for any other value.
[[nodiscard]] inline JinjaValue::List elements_of(JinjaContext& context, const JinjaValue& value) {
  if (value.is_undefined()) return {};
  if (const auto* const text = value.text()) return characters_of(context, *text);
  if (const auto* const list = value.list()) {
    context.charge(32 * std::ssize(*list));
    return *list;
  }
  JinjaValue::List keys;
  const auto* const map = value.map();
  if (map == nullptr) context.refuse(value.kind(), " has no elements");
  context.charge(value.weight() + 32 * std::ssize(*map));
  for (const auto& [key, one] : *map) keys.emplace_back(key);
  return keys;
}

/// The number of characters, elements or entries.
[[nodiscard]] inline std::int64_t length_of(JinjaContext& context, const JinjaValue& value) {
  if (value.is_undefined()) return 0;
  if (const auto* const text = value.text()) {
    context.charge(std::ssize(*text));
    return count_code_points(*text);
  }
  if (const auto* const list = value.list()) return std::ssize(*list);
  if (const auto* const map = value.map()) return std::ssize(*map);
  context.refuse(value.kind(), " has no length");
}

/// value[index] of a list or a string, counted from the end where it is negative; undefined outside.
[[nodiscard]] inline JinjaValue element_at(JinjaContext& context, const JinjaValue& value, std::int64_t index) {
  const std::int64_t length = length_of(context, value);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return {};
  if (const auto* const list = value.list()) return at(*list, index);
  std::size_t i = 0;
  for (; index > 0; --index) i += code_point_at(*value.text(), i).length;
  return value.text()->substr(i, code_point_at(*value.text(), i).length);
}

/// value[from:to:step] of a list or a string, where unset ends are those of the value.
[[nodiscard]] inline JinjaValue slice_of(JinjaContext& context, const JinjaValue& value,
                                         std::optional<std::int64_t> from, std::optional<std::int64_t> to,
                                         std::int64_t step) {
  if (value.list() == nullptr && value.text() == nullptr) context.refuse(value.kind(), " has no slices");
  if (step == 0) context.refuse("the step of a slice is 0");
  const std::int64_t length = length_of(context, value);
  const std::int64_t least = step > 0 ? 0 : -1, most = step > 0 ? length : length - 1;
  const auto place = [&](std::optional<std::int64_t> index, std::int64_t otherwise) {
    if (!index) return otherwise;
    return std::clamp(*index < 0 ? *index + length : *index, least, most);
  };
  const std::int64_t begin = place(from, step > 0 ? least : most), end = place(to, step > 0 ? most : least);
  const bool is_text = value.text() != nullptr;
  if (is_text && step == 1) {
    const std::string& text = *value.text();
    context.charge(std::ssize(text));
    std::size_t first = 0, last = 0;
    for (std::int64_t i = 0; i < end; ++i) {
      last += code_point_at(text, last).length;
      if (i + 1 == begin) first = last;
    }
    return begin < end ? text.substr(first, last - first) : std::string();
  }
  const JinjaValue::List all = elements_of(context, value);
  JinjaValue::List some;
  std::string text;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
    is_text ? void(text += *at(all, i).text()) : some.push_back(at(all, i));
    if (step > 0 ? step >= end - i : step <= end - i) break;
    i += step;
  }
  return is_text ? JinjaValue(std::move(text)) : JinjaValue(std::move(some));
}

}}}  // namespace rapt::RAPT_ABI::detail
