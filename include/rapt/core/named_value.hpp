/// \file
/// Names of an enumeration's values, as settings in files have them.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>

namespace rapt { inline namespace RAPT_ABI {

/// One value of an enumeration and its name.
template <class Value>
struct NamedValue {
  std::string_view name;
  Value value;
};

/// An enumeration with a function `named_values(Value)` beside it, which returns a list of NamedValue with all its
/// values, whatever its argument is.
template <class Value>
concept NamedEnum = requires(Value value) {
  named_values(value).begin()->name;
  named_values(value).begin()->value;
};

/// The name of a value, or "" for one that its list does not have.
template <NamedEnum Value>
[[nodiscard]] constexpr std::string_view name_of(Value value) {
  for (const auto& known : named_values(value)) {
    if (known.value == value) return known.name;
  }
  return {};
}

/// The names of all values, in the list's order.
template <NamedEnum Value>
[[nodiscard]] constexpr auto names_of() {
  constexpr auto kKnown = named_values(Value());
  std::array<std::string_view, std::tuple_size_v<decltype(named_values(Value()))>> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kKnown[i].name;
  return names;
}

}}  // namespace rapt::RAPT_ABI
