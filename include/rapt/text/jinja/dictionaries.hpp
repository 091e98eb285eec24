/// \file
/// Dictionaries of templates in Jinja: their entries, Python's methods of them, and paths of attributes.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/sequences.hpp"
#include "rapt/text/jinja/value.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The value of a name, or null. Charges the search.
[[nodiscard]] inline const JinjaValue* find_entry(JinjaContext& context, const JinjaValue::Map& map,
                                                  std::string_view name) {
  context.charge_search(map.size(), name);
  const auto found = std::find_if(map.begin(), map.end(), [&](const auto& one) { return one.first == name; });
  return found == map.end() ? nullptr : &found->second;
}
/// map[name] = value. Charges the search.
inline void assign_entry(JinjaContext& context, JinjaValue::Map& map, std::string_view name, JinjaValue value) {
  context.charge_search(map.size(), name);
  const auto found = std::find_if(map.begin(), map.end(), [&](const auto& one) { return one.first == name; });
  if (found == map.end()) {
    map.emplace_back(name, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

/// A method of a dictionary as a value, which Python finds in place of an entry that a template names behind a dot, and
/// else where there is no such entry; undefined for other names.
[[nodiscard]] inline JinjaValue map_method(std::string_view name) {
  static constexpr std::string_view kMethods[] = {"copy", "fromkeys", "get", "items", "keys", "values"};
  if (std::find(std::begin(kMethods), std::end(kMethods), name) == std::end(kMethods)) return {};
  return JinjaValue::Function{"the method " + std::string(name)};
}
/// True for those that change a dictionary: behind a dot Jinja's sandbox finds neither them nor an entry.
[[nodiscard]] inline bool changes_map(std::string_view name) {
  static constexpr std::string_view kMethods[] = {"clear", "pop", "popitem", "setdefault", "update"};
  return std::find(std::begin(kMethods), std::end(kMethods), name) != std::end(kMethods);
}

/// map.name(arguments). Throws ValueError for a method that rapt does not have.
[[nodiscard]] inline JinjaValue call_map_method(JinjaContext& context, const JinjaValue& value, std::string_view name,
                                                const JinjaArguments& arguments) {
  const JinjaValue::Map& map = *value.map();
  if (name == "get") {
    arguments.expect(context, name, {"key", "default"});
    const JinjaValue key = arguments.get(0, "key");
    context.charge_search(map.size(), key.text() == nullptr ? std::string_view() : *key.text());
    const JinjaValue* const found = key.text() == nullptr ? nullptr : value.find(*key.text());
    if (found != nullptr) return *found;
    const JinjaValue otherwise = arguments.get(1, "default");
    return otherwise.is_undefined() ? JinjaValue(JinjaValue::None()) : otherwise;
  }
  if (name != "items" && name != "keys" && name != "values") {
    context.refuse("the method ", name, " of dictionaries is not supported");
  }
  arguments.expect(context, name, {});
  context.charge(64 * std::ssize(map) + value.weight());
  JinjaValue::List list;
  for (const auto& [key, one] : map) {
    if (name == "items") {
      list.push_back(JinjaValue::tuple({key, one}));
    } else if (name == "keys") {
      list.emplace_back(key);
    } else if (name == "values") {
      list.push_back(one);
    }
  }
  return list;
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

}}}  // namespace rapt::RAPT_ABI::detail
