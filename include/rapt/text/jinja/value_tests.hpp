/// \file
/// Jinja's tests of values, as far as templates of dialogues use them.
#pragma once

#include <cstdint>
#include <string_view>

#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/comparison.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/string_methods.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/jinja/written_values.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// value is name(arguments), where `name` is one of kJinjaTests. Throws ValueError for other arguments.
[[nodiscard]] inline bool apply_jinja_test(JinjaContext& context, std::string_view name, const JinjaValue& value,
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

}}}  // namespace rapt::RAPT_ABI::detail
