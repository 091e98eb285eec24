/// \file
/// Jinja's filters, as far as templates of dialogues use them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "rapt/core/index.hpp"
#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/dictionaries.hpp"
#include "rapt/text/jinja/json.hpp"
#include "rapt/text/jinja/letter_case.hpp"
#include "rapt/text/jinja/list_filters.hpp"
#include "rapt/text/jinja/number_filters.hpp"
#include "rapt/text/jinja/sequences.hpp"
#include "rapt/text/jinja/string_search.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/jinja/written_values.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// indent: white space, or another text, before all lines but the first, or before that, too.
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

/// value | name(arguments), where `name` is one of kJinjaFilters. Throws ValueError for other arguments.
[[nodiscard]] inline JinjaValue apply_jinja_filter(JinjaContext& context, std::string_view name,
                                                   const JinjaValue& value, const JinjaArguments& arguments) {
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
  if (name == "map") {
    return map_elements(context, value, arguments,
                        [&](std::string_view filter, const JinjaValue& one, const JinjaArguments& others) {
                          return apply_jinja_filter(context, filter, one, others);
                        });
  }
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
  if (name == "join") return join_elements(context, value, arguments);
  if (name == "int") {
    expect({"default"});
    return to_integer(context, value, arguments.values.empty() ? JinjaValue(0) : arguments.get(0, "default"));
  }
  if (name == "float") {
    expect({"default"});
    return to_float(context, value, arguments.values.empty() ? JinjaValue(0.0) : arguments.get(0, "default"));
  }
  if (name == "round") return round_filter(context, value, arguments);
  if (name == "indent") return indented(context, value, arguments);
  if (name == "dictsort") return sorted_items(context, value, arguments);
  if (name == "sum") return sum_elements(context, value, arguments);
  expect({});
  if (name == "length" || name == "count") return length_of(context, value);
  if (name == "upper") return to_upper(text());
  if (name == "lower") return to_lower(text());
  if (name == "capitalize") return capitalized(text());
  if (name == "title") return jinja_title(text());
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
  return absolute_value(context, value);  // abs
}

}}}  // namespace rapt::RAPT_ABI::detail
