/// \file
/// Scores of unigram pieces as the package tokenizers reads them from tokenizer.json.
///
/// Its reader of JSON makes a double of a number's decimal digits by one multiplication or division by a power of ten,
/// without the care that the nearest double takes; one score in five is off by a unit in the last place. Which of two
/// equally probable segmentations has the larger sum depends on that unit, so that equal ids ask for equal scores.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// What that reader makes of the shortest decimal digits of a finite number d_1.d_2 ... d_n x 10^e:
/// the double d_1 d_2 ... d_n, times 10^(e - n + 1) or divided by 10^(n - 1 - e). Numbers whose power of ten is above
/// 10^22, as no log-probability of use has, stay as they are.
[[nodiscard]] inline double score_as_read(double written) {
  constexpr int kMostExactPower = 22;  // of ten, in a double
  char text[32];
  const char* const end =
      std::to_chars(text, text + sizeof text, std::fabs(written), std::chars_format::scientific).ptr;
  std::uint64_t digits = 0;  // at most 17 of them
  int exponent = 0;
  const char* c = text;
  for (bool is_fraction = false; c != end && *c != 'e'; ++c) {
    if (*c == '.') {
      is_fraction = true;
    } else {
      digits = 10 * digits + static_cast<std::uint64_t>(*c - '0');
      exponent -= is_fraction ? 1 : 0;
    }
  }
  int written_exponent = 0;
  if (c != end) std::from_chars(c + (c[1] == '+' ? 2 : 1), end, written_exponent);
  exponent += written_exponent;
  if (std::abs(exponent) > kMostExactPower) return written;
  const double power = std::pow(10.0, std::abs(exponent));
  const double value = exponent < 0 ? static_cast<double>(digits) / power : static_cast<double>(digits) * power;
  return std::copysign(value, written);
}

}}}  // namespace rapt::RAPT_ABI::detail
