/// \file
/// The names of Jinja's filters and tests that templates may use.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace rapt { inline namespace RAPT_ABI { namespace detail {

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

}}}  // namespace rapt::RAPT_ABI::detail
