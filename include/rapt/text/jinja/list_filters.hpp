/// \file
/// Jinja's filters of lists: elements that are selected, mapped, put in order, joined or added.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/comparison.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/dictionaries.hpp"
#include "rapt/text/jinja/filter_names.hpp"
#include "rapt/text/jinja/sequences.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/jinja/value_tests.hpp"
#include "rapt/text/jinja/written_values.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

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

/// map(attribute=..., default=...) or map(filter, arguments...), whose filters are computed by
/// `apply_filter(name, element, arguments)`.
template <class F>
[[nodiscard]] JinjaValue map_elements(JinjaContext& context, const JinjaValue& value, JinjaArguments arguments,
                                      const F& apply_filter) {
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
    results.push_back(apply_filter(filter, one, arguments));
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

/// dictsort: the entries of a dictionary in the order of their keys, or of their values.
[[nodiscard]] inline JinjaValue sorted_items(JinjaContext& context, const JinjaValue& value,
                                             const JinjaArguments& arguments) {
  arguments.expect(context, "dictsort", {"case_sensitive", "by", "reverse"});
  if (value.map() == nullptr) context.refuse("dictsort needs a dictionary: there is ", value.kind());
  const JinjaValue items = call_map_method(context, value, "items", {});
  const std::size_t part = arguments.get(1, "by") == JinjaValue("value") ? 1 : 0;
  JinjaValue::List keys;
  for (const JinjaValue& item : *items.list()) {
    keys.push_back(sort_key(context, (*item.list())[part], {}, arguments.get(0, "case_sensitive").truth()));
  }
  return sorted_by(context, *items.list(), keys, arguments.get(2, "reverse").truth());
}

/// join: the elements, or their attributes, as one text with a separator between them.
[[nodiscard]] inline JinjaValue join_elements(JinjaContext& context, const JinjaValue& value,
                                              const JinjaArguments& arguments) {
  arguments.expect(context, "join", {"d", "attribute"});
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
/// sum: of the elements, or of their attributes.
[[nodiscard]] inline JinjaValue sum_elements(JinjaContext& context, const JinjaValue& value,
                                             const JinjaArguments& arguments) {
  arguments.expect(context, "sum", {"attribute", "start"});
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

}}}  // namespace rapt::RAPT_ABI::detail
