/// \file
/// Elements of lists, strings and dictionaries: as Python's loops, indices and slices take them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/core/index.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

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
