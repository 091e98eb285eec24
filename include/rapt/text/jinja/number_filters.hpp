/// \file
/// Jinja's filters of numbers: values as whole numbers and as floating-point ones, rounded, without their sign.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/numbers.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

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
[[nodiscard]] inline JinjaValue round_filter(const JinjaContext& context, const JinjaValue& value,
                                             const JinjaArguments& arguments) {
  arguments.expect(context, "round", {"precision", "method"});
  if (!value.is_number()) context.refuse(value.kind(), " cannot be rounded");
  const JinjaValue precision = arguments.get(0, "precision"), method = arguments.get(1, "method");
  return rounded(context, value, precision.is_undefined() ? 0 : integer_in(context, precision, "a precision"),
                 method.text() == nullptr ? "common" : *method.text());
}

/// abs.
[[nodiscard]] inline JinjaValue absolute_value(const JinjaContext& context, const JinjaValue& value) {
  if (!value.is_number()) context.refuse(value.kind(), " has no absolute value");
  if (value.is_float()) return std::abs(value.number());
  const std::int64_t number = integer_in(context, value, "a number");
  if (number == std::numeric_limits<std::int64_t>::min()) context.refuse("a number is too large: ", number);
  return std::abs(number);
}

}}}  // namespace rapt::RAPT_ABI::detail
