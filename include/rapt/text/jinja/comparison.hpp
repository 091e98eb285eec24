/// \file
/// How values of templates in Jinja compare: equal, less, and one within the other.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/string_search.hpp"
#include "rapt/text/jinja/value.hpp"

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
/// left sign right, of ==, !=, <, <=, >, >=, in and not in.
[[nodiscard]] inline bool compare_values(JinjaContext& context, std::string_view sign, const JinjaValue& left,
                                         const JinjaValue& right) {
  if (sign == "==" || sign == "!=") return equal_values(context, left, right) == (sign == "==");
  if (sign == "in" || sign == "not in") return contains_value(context, right, left) == (sign == "in");
  if (sign == "<" || sign == ">=") return less_value(context, left, right) == (sign == "<");
  return less_value(context, right, left) == (sign == ">");
}

}}}  // namespace rapt::RAPT_ABI::detail
