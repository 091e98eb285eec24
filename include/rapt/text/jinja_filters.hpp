/// \file
/// Jinja's filters and tests, as far as templates of dialogues use them.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/text/jinja_strings.hpp"
#include "rapt/text/jinja_text.hpp"
#include "rapt/text/jinja_value.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// a == b.
[[nodiscard]] inline bool equal_values(JinjaContext& context, const JinjaValue& a, const JinjaValue& b) {
  context.charge(std::min(a.weight(), b.weight()));
  return a == b;
}
/// a < b, of two numbers, two strings or two lists. Throws ValueError for other values.
[[nodiscard]] inline bool less_value(JinjaContext& context, const JinjaValue& a, const JinjaValue& b) {
  if (a.is_number() && b.is_number()) {
    if (a.integer() != nullptr && b.integer() != nullptr) return *a.integer() < *b.integer();
    return a.number() < b.number();
  }
  context.charge(std::min(a.weight(), b.weight()));
  if (a.text() != nullptr && b.text() != nullptr) return *a.text() < *b.text();
  if (a.list() != nullptr && b.list() != nullptr) {
    return std::lexicographical_compare(
        a.list()->begin(), a.list()->end(), b.list()->begin(), b.list()->end(),
        [&](const JinjaValue& x, const JinjaValue& y) { return less_value(context, x, y); });
  }
  context.refuse(a.kind(), " and ", b.kind(), " cannot be ordered");
}
/// part in whole.
[[nodiscard]] inline bool contains_value(JinjaContext& context, const JinjaValue& whole, const JinjaValue& part) {
  context.charge(whole.weight());
  if (const auto* const text = whole.text()) {
    const std::string& looked_for = string_in(context, part, "what is looked for in a string");
    return place_of(context, *text, looked_for) != std::string_view::npos;
  }
  if (const auto* const list = whole.list()) return std::find(list->begin(), list->end(), part) != list->end();
  if (whole.map() != nullptr) {
    if (part.text() == nullptr) return false;
    context.charge_search(whole.map()->size(), *part.text());
    return whole.find(*part.text()) != nullptr;
  }
  if (!whole.is_undefined()) context.refuse(whole.kind(), " has no elements");
  return false;
}

/// The attribute of a value by a name with dots, or its element by a number; undefined if there is none.
[[nodiscard]] inline JinjaValue attribute_of(JinjaContext& context, JinjaValue value, std::string_view path) {
  while (!path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    const std::string_view name = path.substr(0, dot);
    context.charge_search(value.map() == nullptr ? 0 : value.map()->size(), name);
    std::int64_t index = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), index);
    JinjaValue next;
    if (const JinjaValue* const found = value.find(name)) {
      next = *found;
    } else if (value.map() != nullptr && !value.is_loop()) {
      next = map_method(name);
    } else if (read.ec == std::errc() && read.ptr == name.data() + name.size() &&
               (value.list() != nullptr || value.text() != nullptr)) {
      next = element_at(context, value, index);
    }
    value = std::move(next);
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return value;
}

[[nodiscard]] inline bool apply_jinja_test(JinjaContext& context, std::string_view name, const JinjaValue& value,
                                           const JinjaArguments& arguments);
[[nodiscard]] inline JinjaValue apply_jinja_filter(JinjaContext& context, std::string_view name,
                                                   const JinjaValue& value, const JinjaArguments& arguments);

inline constexpr auto kJinjaTests = std::to_array<std::string_view>(
    {"defined", "undefined",   "none",    "boolean",  "true",     "false",       "string", "number",
     "integer", "float",       "mapping", "iterable", "sequence", "equalto",     "eq",     "ne",
     "lt",      "le",          "gt",      "ge",       "lessthan", "greaterthan", "in",     "odd",
     "even",    "divisibleby", "upper",   "lower",    "callable", "sameas"});
[[nodiscard]] inline bool is_jinja_test(std::string_view name) {
  return std::find(kJinjaTests.begin(), kJinjaTests.end(), name) != kJinjaTests.end();
}
inline constexpr auto kJinjaFilters = std::to_array<std::string_view>(
    {"trim",       "tojson", "default", "d",      "length",     "count",      "upper", "lower",  "title",
     "capitalize", "join",   "first",   "last",   "list",       "string",     "int",   "float",  "replace",
     "items",      "map",    "select",  "reject", "selectattr", "rejectattr", "sort",  "unique", "reverse",
     "dictsort",   "safe",   "indent",  "abs",    "round",      "min",        "max",   "sum"});
[[nodiscard]] inline bool is_jinja_filter(std::string_view name) {
  return std::find(kJinjaFilters.begin(), kJinjaFilters.end(), name) != kJinjaFilters.end();
}

inline bool apply_jinja_test(JinjaContext& context, std::string_view name, const JinjaValue& value,
                             const JinjaArguments& arguments) {
  arguments.expect(context, name, {"other"});
  const JinjaValue other = arguments.get(0, "other");
  const bool has_length =
      value.is_undefined() || value.is_string() || value.list() != nullptr || value.map() != nullptr;
  const auto integer = [&] { return integer_in(context, value, "a tested number"); };
  if (name == "defined") return !value.is_undefined();
  if (name == "undefined") return value.is_undefined();
  if (name == "none") return value.is_none();
  if (name == "boolean") return value.is_bool();
  if (name == "true" || name == "false") return value.is_bool() && value.truth() == (name == "true");
  if (name == "string") return value.is_string();
  if (name == "number") return value.is_number();
  if (name == "integer") return value.is_integer();
  if (name == "float") return value.is_float();
  if (name == "mapping") return value.map() != nullptr;
  if (name == "iterable" || name == "sequence") return has_length;
  if (name == "callable") return value.function() != nullptr || value.macro() != nullptr;
  if (name == "upper" || name == "lower") {
    return call_string_method(context, jinja_string(context, value), name == "upper" ? "isupper" : "islower", {})
        .truth();
  }
  if (name == "odd" || name == "even") return (integer() % 2 != 0) == (name == "odd");
  if (arguments.values.empty()) context.refuse("the test ", name, " needs an argument");
  if (name == "equalto" || name == "eq" || name == "sameas") return equal_values(context, value, other);
  if (name == "ne") return !equal_values(context, value, other);
  if (name == "lt" || name == "lessthan") return less_value(context, value, other);
  if (name == "gt" || name == "greaterthan") return less_value(context, other, value);
  if (name == "le") return !less_value(context, other, value);
  if (name == "ge") return !less_value(context, value, other);
  if (name == "in") return contains_value(context, other, value);
  const std::int64_t divisor = integer_in(context, other, "a divisor");  // divisibleby
  if (divisor == 0) context.refuse("division by zero");
  return divisor == -1 || integer() % divisor == 0;
}

/// select, reject, selectattr and rejectattr.
[[nodiscard]] inline JinjaValue select_elements(JinjaContext& context, std::string_view name, const JinjaValue& value,
                                                JinjaArguments arguments) {
  context.charge(32 * std::ssize(arguments.values));
  const bool of_attribute = name.ends_with("attr"), keeps = name.starts_with("select");
  std::string path;
  if (of_attribute) {
    path = string_in(context, arguments.get(0, ""), "the name of an attribute");
    arguments.values.erase(arguments.values.begin());
  }
  std::string test;
  if (arguments.positional() == 0) {
    arguments.expect(context, name, {});
  } else {
    test = string_in(context, arguments.values.front(), "the name of a test");
    arguments.values.erase(arguments.values.begin());
    if (test == "==" || test == "!=") test = test == "==" ? "eq" : "ne";
    if (!is_jinja_test(test)) context.refuse("the test ", test, " is not supported");
  }
  JinjaValue::List some;
  for (JinjaValue& one : elements_of(context, value)) {
    const JinjaValue tested = of_attribute ? attribute_of(context, one, path) : one;
    const bool is_right = test.empty() ? tested.truth() : apply_jinja_test(context, test, tested, arguments);
    if (is_right == keeps) some.push_back(std::move(one));
  }
  return some;
}

/// map(attribute=..., default=...) or map(filter, arguments...).
[[nodiscard]] inline JinjaValue map_elements(JinjaContext& context, const JinjaValue& value, JinjaArguments arguments) {
  const JinjaLevel level(context, /*levels=*/8);
  context.charge(32 * std::ssize(arguments.values));
  JinjaValue::List results;
  if (arguments.positional() == 0) {
    arguments.expect(context, "map", {"attribute", "default"});
    const std::string path = jinja_string(context, arguments.get(0, "attribute"));
    const JinjaValue otherwise = arguments.get(1, "default");
    for (const JinjaValue& one : elements_of(context, value)) {
      JinjaValue found = attribute_of(context, one, path);
      results.push_back(found.is_undefined() ? otherwise : std::move(found));
    }
    return results;
  }
  const std::string filter = string_in(context, arguments.values.front(), "the name of a filter");
  if (!is_jinja_filter(filter)) context.refuse("the filter ", filter, " is not supported");
  arguments.values.erase(arguments.values.begin());
  for (const JinjaValue& one : elements_of(context, value)) {
    results.push_back(apply_jinja_filter(context, filter, one, arguments));
  }
  return results;
}

/// What sort, unique, min, max and dictsort compare: texts without their case, unless that counts.
[[nodiscard]] inline JinjaValue sort_key(JinjaContext& context, JinjaValue value, const JinjaValue& attribute,
                                         bool case_counts) {
  if (!attribute.is_undefined() && !attribute.is_none()) {
    value = attribute_of(context, std::move(value), jinja_string(context, attribute));
  }
  if (value.text() == nullptr || case_counts) return value;
  context.charge(value.weight());
  return to_lower(*value.text());
}
/// The elements in the order of their keys, equal ones in the order in which they stand.
[[nodiscard]] inline JinjaValue::List sorted_by(JinjaContext& context, const JinjaValue::List& list,
                                                const JinjaValue::List& keys, bool is_reverse) {
  std::vector<std::size_t> order(list.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    context.charge(1);
    return is_reverse ? less_value(context, keys[b], keys[a]) : less_value(context, keys[a], keys[b]);
  });
  JinjaValue::List sorted;
  for (const std::size_t i : order) sorted.push_back(list[i]);
  return sorted;
}

/// sort, unique, min and max.
[[nodiscard]] inline JinjaValue order_elements(JinjaContext& context, std::string_view name, const JinjaValue& value,
                                               const JinjaArguments& arguments) {
  const bool sorts = name == "sort";
  if (sorts) {
    arguments.expect(context, name, {"reverse", "case_sensitive", "attribute"});
  } else {
    arguments.expect(context, name, {"case_sensitive", "attribute"});
  }
  const JinjaValue attribute = arguments.get(sorts ? 2 : 1, "attribute");
  const bool case_counts = arguments.get(sorts ? 1 : 0, "case_sensitive").truth();
  const JinjaValue::List list = elements_of(context, value);
  JinjaValue::List keys, kept, kept_keys;
  for (const JinjaValue& one : list) keys.push_back(sort_key(context, one, attribute, case_counts));
  if (sorts) return sorted_by(context, list, keys, arguments.get(0, "reverse").truth());
  if (name != "unique") {
    if (list.empty()) return {};
    const auto less = [&](const JinjaValue& a, const JinjaValue& b) { return less_value(context, a, b); };
    const auto best = name == "min" ? std::min_element(keys.begin(), keys.end(), less)
                                    : std::max_element(keys.begin(), keys.end(), less);
    return at(list, best - keys.begin());
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool is_known = std::any_of(kept_keys.begin(), kept_keys.end(),
                                      [&](const JinjaValue& key) { return equal_values(context, key, keys[i]); });
    if (is_known) continue;
    kept.push_back(list[i]);
    kept_keys.push_back(keys[i]);
  }
  return kept;
}

/// The whole number that a value says, or another value.
[[nodiscard]] inline JinjaValue to_integer(JinjaContext& context, const JinjaValue& value,
                                           const JinjaValue& otherwise) {
  if (value.is_integer()) return value;
  if (value.is_bool()) return value.truth() ? 1 : 0;
  double number = 0;
  if (const auto* const text = value.text()) {
    context.charge(std::ssize(*text));
    const std::string_view stripped = strip_ends(*text);
    const std::optional<double> read = python_float(stripped);
    if (!read) return otherwise;
    std::string digits(stripped.substr(stripped.starts_with('+') ? 1 : 0));
    std::erase(digits, '_');
    std::int64_t whole = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), whole);
    if (error == std::errc() && end == digits.data() + digits.size()) return whole;
    number = *read;
  } else if (value.is_float()) {
    number = value.number();
  } else {
    return otherwise;
  }
  return std::abs(number) < 9e18 ? JinjaValue(static_cast<std::int64_t>(number)) : otherwise;
}
[[nodiscard]] inline JinjaValue to_float(JinjaContext& context, const JinjaValue& value, const JinjaValue& otherwise) {
  if (value.is_number()) return value.number();
  if (value.text() == nullptr) return otherwise;
  context.charge(std::ssize(*value.text()));
  const std::optional<double> number = python_float(strip_ends(*value.text()));
  return number ? JinjaValue(*number) : otherwise;
}

/// A number with so many digits behind the point (negative: before it); whole numbers stay whole, where `method` is
/// "common", and halves go to the even neighbour.
[[nodiscard]] inline JinjaValue rounded(const JinjaContext& context, const JinjaValue& value, std::int64_t digits,
                                        std::string_view method) {
  if (method != "common" && method != "ceil" && method != "floor") {
    context.refuse("a method of rounding is common, ceil or floor: there is ", method);
  }
  const bool stays_whole = method == "common" && !value.is_float();
  if (stays_whole && digits >= 0) return integer_in(context, value, "a number");
  const double power = std::pow(10.0, std::abs(static_cast<double>(digits)));
  const double scaled = digits < 0 ? value.number() / power : value.number() * power;
  if (!std::isfinite(scaled)) return value;  // all its digits are before that one
  const double nearest = method == "ceil"    ? std::ceil(scaled)
                         : method == "floor" ? std::floor(scaled)
                                             : std::nearbyint(scaled);
  if (nearest == 0) return stays_whole ? JinjaValue(0) : JinjaValue(nearest);
  const double result = digits < 0 ? nearest * power : nearest / power;
  if (!stays_whole) return result;
  if (std::abs(result) >= 0x1p53) context.refuse("a number is too large to be rounded: ", result);
  return static_cast<std::int64_t>(result);
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

[[nodiscard]] inline JinjaValue indented(JinjaContext& context, const JinjaValue& value,
                                         const JinjaArguments& arguments) {
  arguments.expect(context, "indent", {"width", "first", "blank"});
  const JinjaValue width = arguments.get(0, "width");
  const std::string indent =
      width.is_string() ? *width.text()
                        : std::string(to_size(std::clamp<std::int64_t>(
                                          width.is_undefined() ? 4 : integer_in(context, width, "width"), 0, 1000)),
                                      ' ');
  const std::string text = jinja_string(context, value) + "\n";
  std::string result = arguments.get(1, "first").truth() ? indent : "";
  bool is_first = true;
  for (const std::string_view line : split_lines(text, false)) {
    context.charge(std::ssize(line) + std::ssize(indent) + 1);
    if (!is_first) {
      result += '\n';
      if (!line.empty() || arguments.get(2, "blank").truth()) result += indent;
    }
    result += line;
    is_first = false;
  }
  return result;
}

/// Words begin behind white space and at hyphens and opening brackets.
[[nodiscard]] inline std::string title_of(std::string_view text) {
  std::string title;
  bool begins = true;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    const std::string_view one = text.substr(i, point.length);
    title += begins ? to_upper(one) : to_lower(one);
    begins = is_whitespace(point.value) || std::string_view("-({[<").find(one) != std::string_view::npos;
    i += point.length;
  }
  return title;
}

inline JinjaValue apply_jinja_filter(JinjaContext& context, std::string_view name, const JinjaValue& value,
                                     const JinjaArguments& arguments) {
  context.charge(1);
  const auto expect = [&](std::initializer_list<std::string_view> known) { arguments.expect(context, name, known); };
  const auto text = [&] { return jinja_string(context, value); };
  if (name == "default" || name == "d") {
    expect({"default_value", "boolean"});
    const bool is_missing = value.is_undefined() || (arguments.get(1, "boolean").truth() && !value.truth());
    if (!is_missing) return value;
    return arguments.values.empty() ? JinjaValue("") : arguments.get(0, "default_value");
  }
  if (name == "tojson") return to_json_filter(context, value, arguments);
  if (name == "map") return map_elements(context, value, arguments);
  if (name.starts_with("select") || name.starts_with("reject")) {
    return select_elements(context, name, value, arguments);
  }
  if (name == "sort" || name == "unique" || name == "min" || name == "max") {
    return order_elements(context, name, value, arguments);
  }
  if (name == "trim") {
    expect({"chars"});
    return stripped_of(context, text(), arguments.get(0, "chars"), true, true);
  }
  if (name == "replace") {
    expect({"old", "new", "count"});
    const JinjaValue count = arguments.get(2, "count");
    const std::int64_t most = count.is_undefined() || count.is_none() ? -1 : integer_in(context, count, "count");
    return replaced(context, text(), jinja_string(context, arguments.get(0, "old")),
                    jinja_string(context, arguments.get(1, "new")), most);
  }
  if (name == "join") {
    expect({"d", "attribute"});
    const std::string separator = jinja_string(context, arguments.get(0, "d"));
    const JinjaValue attribute = arguments.get(1, "attribute");
    const std::string path = jinja_string(context, attribute);
    std::string joined;
    bool is_first = true;
    for (const JinjaValue& one : elements_of(context, value)) {
      context.charge(std::ssize(separator));
      joined += is_first ? "" : separator;
      joined += jinja_string(context, path.empty() ? one : attribute_of(context, one, path));
      is_first = false;
    }
    return joined;
  }
  if (name == "int") {
    expect({"default"});
    return to_integer(context, value, arguments.values.empty() ? JinjaValue(0) : arguments.get(0, "default"));
  }
  if (name == "float") {
    expect({"default"});
    return to_float(context, value, arguments.values.empty() ? JinjaValue(0.0) : arguments.get(0, "default"));
  }
  if (name == "round") {
    expect({"precision", "method"});
    if (!value.is_number()) context.refuse(value.kind(), " cannot be rounded");
    const JinjaValue precision = arguments.get(0, "precision"), method = arguments.get(1, "method");
    return rounded(context, value, precision.is_undefined() ? 0 : integer_in(context, precision, "a precision"),
                   method.text() == nullptr ? "common" : *method.text());
  }
  if (name == "indent") return indented(context, value, arguments);
  if (name == "dictsort") {
    expect({"case_sensitive", "by", "reverse"});
    if (value.map() == nullptr) context.refuse("dictsort needs a dictionary: there is ", value.kind());
    const JinjaValue items = call_map_method(context, value, "items", {});
    const std::size_t part = arguments.get(1, "by") == JinjaValue("value") ? 1 : 0;
    JinjaValue::List keys;
    for (const JinjaValue& item : *items.list()) {
      keys.push_back(sort_key(context, (*item.list())[part], {}, arguments.get(0, "case_sensitive").truth()));
    }
    return sorted_by(context, *items.list(), keys, arguments.get(2, "reverse").truth());
  }
  if (name == "sum") {
    expect({"attribute", "start"});
    double sum = 0;
    bool is_whole = true;
    std::vector<JinjaValue> parts = elements_of(context, value);
    parts.push_back(arguments.get(1, "start"));
    if (parts.back().is_undefined()) parts.back() = 0;
    for (const JinjaValue& one : parts) {
      const JinjaValue attribute = arguments.get(0, "attribute");
      const JinjaValue number = attribute.is_undefined() || &one == &parts.back()
                                    ? one
                                    : attribute_of(context, one, jinja_string(context, attribute));
      if (!number.is_number()) context.refuse(number.kind(), " cannot be added");
      is_whole = is_whole && !number.is_float();
      sum += number.number();
    }
    if (is_whole && std::abs(sum) >= 0x1p53) context.refuse("a sum is too large: ", sum);
    return is_whole ? JinjaValue(static_cast<std::int64_t>(sum)) : JinjaValue(sum);
  }
  expect({});
  if (name == "length" || name == "count") return length_of(context, value);
  if (name == "upper") return to_upper(text());
  if (name == "lower") return to_lower(text());
  if (name == "capitalize") return capitalized(text());
  if (name == "title") return title_of(text());
  if (name == "string") return value.is_string() ? value : JinjaValue(text());
  if (name == "safe") return value;
  if (name == "list") return elements_of(context, value);
  if (name == "first") {
    const JinjaValue::List list = elements_of(context, value);
    return list.empty() ? JinjaValue() : list.front();
  }
  if (name == "last") {
    const JinjaValue::List list = elements_of(context, value);
    return list.empty() ? JinjaValue() : list.back();
  }
  if (name == "reverse") {
    if (value.is_string()) return slice_of(context, value, {}, {}, -1);
    JinjaValue::List list = elements_of(context, value);
    std::reverse(list.begin(), list.end());
    return list;
  }
  if (name == "items") {
    if (value.is_undefined()) return JinjaValue::List();
    if (value.map() == nullptr) context.refuse("items needs a dictionary: there is ", value.kind());
    return call_map_method(context, value, "items", {});
  }
  if (!value.is_number()) context.refuse(value.kind(), " has no absolute value");  // abs
  if (value.is_float()) return std::abs(value.number());
  const std::int64_t number = integer_in(context, value, "a number");
  if (number == std::numeric_limits<std::int64_t>::min()) context.refuse("a number is too large: ", number);
  return std::abs(number);
}

}}}  // namespace rapt::RAPT_ABI::detail
