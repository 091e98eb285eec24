/// \file
/// The arguments of calls, filters and tests of templates in Jinja, and what kind of value each must be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/value.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The arguments of a call; the last ones have names.
struct JinjaArguments {
  std::vector<JinjaValue> values = {};
  std::vector<std::string> names = {};

  [[nodiscard]] std::size_t positional() const { return values.size() - names.size(); }
  /// The argument at a place or of a name; undefined if there is none.
  [[nodiscard]] JinjaValue get(std::size_t place, std::string_view name) const {
    if (place < positional()) return values[place];
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == name) return values[positional() + i];
    }
    return {};
  }
  /// Throws ValueError for more arguments, or for one of another name.
  void expect(const JinjaContext& context, std::string_view of, std::initializer_list<std::string_view> known) const {
    if (positional() > known.size()) {
      context.refuse(of, " takes at most ", known.size(), " arguments: there are ", positional());
    }
    for (const std::string& name : names) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        context.refuse(of, " has no argument ", name);
      }
    }
  }
};

[[nodiscard]] inline const std::string& string_in(const JinjaContext& context, const JinjaValue& value,
                                                  std::string_view what) {
  if (value.text() == nullptr) context.refuse(what, " must be a string: there is ", value.kind());
  return *value.text();
}
/// A whole number; a truth value is 0 or 1.
[[nodiscard]] inline std::int64_t integer_in(const JinjaContext& context, const JinjaValue& value,
                                             std::string_view what) {
  if (value.is_bool()) return value.truth() ? 1 : 0;
  if (value.integer() == nullptr) context.refuse(what, " must be a whole number: there is ", value.kind());
  return *value.integer();
}

}}}  // namespace rapt::RAPT_ABI::detail
