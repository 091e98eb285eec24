/// \file
/// Numbers of templates in Jinja: written and read as in Python, whatever the program's locale is.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <locale>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A number as Python writes it: the fewest digits that give it back.
[[nodiscard]] inline std::string python_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[64];
  const char* const end = std::to_chars(text, text + sizeof text, std::fabs(value), std::chars_format::scientific).ptr;
  const std::string_view written(text, static_cast<std::size_t>(end - text));
  const std::size_t e = written.find('e');
  std::string digits(written.substr(0, e));
  std::erase(digits, '.');
  int exponent = 0;
  std::from_chars(text + e + (written[e + 1] == '+' ? 2 : 1), end, exponent);
  std::string result = std::signbit(value) ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    result += digits.substr(0, 1) + (digits.size() > 1 ? "." + digits.substr(1) : "");
    const std::string number = std::to_string(std::abs(exponent));
    return result + (exponent < 0 ? "e-" : "e+") + (number.size() < 2 ? "0" : "") + number;
  }
  if (exponent < 0) return result + "0." + std::string(to_size(-exponent - 1), '0') + digits;
  const std::size_t whole = to_size(exponent + 1);
  if (digits.size() <= whole) return result + digits + std::string(whole - digits.size(), '0') + ".0";
  return result + digits.substr(0, whole) + "." + digits.substr(whole);
}

/// The double of decimal digits such as 1.5e-3, whatever the program's locale is.
[[nodiscard]] inline double read_decimal(const std::string& digits) {
  std::istringstream stream(digits);
  stream.imbue(std::locale::classic());
  double value = 0;
  stream >> value;
  return value == std::numeric_limits<double>::max() && stream.fail() ? HUGE_VAL : value;
}
/// The number that Python's float reads in a text without blanks around it, if there is one.
[[nodiscard]] inline std::optional<double> python_float(std::string_view text) {
  const bool has_sign = text.starts_with('-') || text.starts_with('+');
  const double sign = text.starts_with('-') ? -1 : 1;
  if (has_sign) text.remove_prefix(1);
  std::string digits;
  for (const char c : text.substr(0, text.size() <= 8 ? text.size() : 0)) {
    digits += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (digits == "inf" || digits == "infinity") return sign * HUGE_VAL;
  if (digits == "nan") return NAN;
  digits.clear();
  const auto is_digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  std::size_t i = 0;
  const auto read_digits = [&] {  // with single underscores between them
    const std::size_t begin = i;
    while (is_digit(i) || (i > begin && i < text.size() && text[i] == '_' && is_digit(i - 1) && is_digit(i + 1))) {
      if (text[i] != '_') digits += text[i];
      ++i;
    }
    return i > begin;
  };
  bool has_digits = read_digits();
  if (i < text.size() && text[i] == '.') {
    digits += text[i++];
    has_digits = read_digits() || has_digits;
  }
  if (!has_digits) return std::nullopt;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    digits += text[i++];
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) digits += text[i++];
    if (!read_digits()) return std::nullopt;
  }
  if (i < text.size()) return std::nullopt;
  return sign * read_decimal(digits);
}

}}}  // namespace rapt::RAPT_ABI::detail
