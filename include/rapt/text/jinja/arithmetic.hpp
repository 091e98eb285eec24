/// \file
/// Arithmetic of templates in Jinja, as Python computes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/value.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A string or a list so many times behind itself.
[[nodiscard]] inline JinjaValue repeated_value(JinjaContext& context, const JinjaValue& value, std::int64_t times) {
  times = std::max<std::int64_t>(0, times);
  const std::int64_t of_each = value.weight() + (value.list() == nullptr ? 0 : 32 * std::ssize(*value.list()));
  if (times > context.work_left / of_each) context.charge(context.work_left + 1);
  context.charge(times * of_each);
  std::string text;
  JinjaValue::List list;
  for (std::int64_t i = 0; i < times; ++i) {
    if (value.text() != nullptr) text += *value.text();
    if (value.list() != nullptr) list.insert(list.end(), value.list()->begin(), value.list()->end());
  }
  if (value.text() != nullptr) return text;
  return value.is_tuple() ? JinjaValue::tuple(std::move(list)) : JinjaValue(std::move(list));
}

/// a sign b of numbers of which one is a floating-point one, or a / b.
[[nodiscard]] inline JinjaValue float_arithmetic(const JinjaContext& context, std::string_view sign, double a,
                                                 double b) {
  if (sign == "+") return a + b;
  if (sign == "-") return a - b;
  if (sign == "*") return a * b;
  if (sign == "**") {
    const double power = std::pow(a, b);
    if (!std::isfinite(power) && std::isfinite(a) && std::isfinite(b)) {
      context.refuse("there is no number ", a, " ** ", b);
    }
    return power;
  }
  if (b == 0) context.refuse("division by zero");
  if (sign == "/") return a / b;
  // As Python: the remainder has the sign of b, and the quotient follows from it.
  double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder == 0) {
    remainder = std::copysign(0.0, b);
  } else if ((b < 0) != (remainder < 0)) {
    remainder += b;
    quotient -= 1;
  }
  if (sign == "%") return remainder;
  if (quotient == 0) return std::copysign(0.0, a / b);
  return std::floor(quotient) + (quotient - std::floor(quotient) > 0.5 ? 1 : 0);
}

/// a sign b of whole numbers: + - * // % **. Throws ValueError for a result that has more than 64 bits.
[[nodiscard]] inline JinjaValue integer_arithmetic(const JinjaContext& context, std::string_view sign, std::int64_t a,
                                                   std::int64_t b) {
  std::int64_t result = 0;
  bool overflows = false;
  if (sign == "+") {
    overflows = __builtin_add_overflow(a, b, &result);
  } else if (sign == "-") {
    overflows = __builtin_sub_overflow(a, b, &result);
  } else if (sign == "*") {
    overflows = __builtin_mul_overflow(a, b, &result);
  } else if (sign == "**") {
    if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
    result = 1;
    for (std::int64_t i = 0; i < b && !overflows && result != 0 && (a != 1 && a != -1); ++i) {
      overflows = __builtin_mul_overflow(result, a, &result);
    }
    if (a == -1 && b % 2 != 0) result = -1;
  } else {
    if (b == 0) context.refuse("division by zero");
    if (b == -1) return sign == "//" ? integer_arithmetic(context, "-", 0, a) : JinjaValue(0);
    result = a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);  // rounded down
    if (sign == "%") result = a - result * b;
  }
  if (overflows) context.refuse("a number is too large: ", a, " ", sign, " ", b);
  return result;
}

/// a sign b, of + - * / // % **: of numbers, and of texts and lists what Python adds and repeats. Throws ValueError for
/// other values.
[[nodiscard]] inline JinjaValue compute_arithmetic(JinjaContext& context, std::string_view sign, const JinjaValue& a,
                                                   const JinjaValue& b) {
  if (a.is_number() && b.is_number()) {
    const bool is_float = a.is_float() || b.is_float() || sign == "/";
    return is_float ? float_arithmetic(context, sign, a.number(), b.number())
                    : integer_arithmetic(context, sign, integer_in(context, a, "a number"),
                                         integer_in(context, b, "a number"));
  }
  if (sign == "+" && a.text() != nullptr && b.text() != nullptr) {
    context.charge(a.weight() + b.weight());
    return *a.text() + *b.text();
  }
  if (sign == "+" && a.list() != nullptr && b.list() != nullptr) {
    context.charge(32 * (std::ssize(*a.list()) + std::ssize(*b.list())));
    JinjaValue::List list = *a.list();
    list.insert(list.end(), b.list()->begin(), b.list()->end());
    return a.is_tuple() && b.is_tuple() ? JinjaValue::tuple(std::move(list)) : JinjaValue(std::move(list));
  }
  if (sign == "*" && (b.is_integer() || b.is_bool())) {
    if (a.text() != nullptr || a.list() != nullptr)
      return repeated_value(context, a, integer_in(context, b, "a number"));
  } else if (sign == "*" && (a.is_integer() || a.is_bool())) {
    if (b.text() != nullptr || b.list() != nullptr)
      return repeated_value(context, b, integer_in(context, a, "a number"));
  }
  context.refuse(a.kind(), " ", sign, " ", b.kind(), " is not possible");
}

}}}  // namespace rapt::RAPT_ABI::detail
