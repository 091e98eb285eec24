/// \file
/// The axis of a chart: its range, and the round numbers that are written on it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The decimal number mantissa * 10^exponent. It is exact, so that its text is short.
struct Decimal {
  std::int64_t mantissa = 0;
  int exponent = 0;

  [[nodiscard]] double value() const {
    const auto m = static_cast<double>(mantissa);
    return exponent < 0 ? m / std::pow(10.0, -exponent) : m * std::pow(10.0, exponent);
  }
};

/// The number as text, e.g. "0.0005", "20,000" or "-2.5×10⁻⁷".
[[nodiscard]] inline std::string to_string(Decimal number) {
  if (number.mantissa == 0) return "0";
  while (number.mantissa % 10 == 0) {
    number.mantissa /= 10;
    ++number.exponent;
  }
  std::string digits = std::to_string(std::abs(number.mantissa));
  const std::string sign = number.mantissa < 0 ? "\u2212" : "";
  const int leading = static_cast<int>(digits.size()) + number.exponent - 1;  // the power of ten of the first digit
  if (leading < -4 || leading > 5) {
    constexpr const char* kSuperscripts[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    std::string text = digits == "1" ? "10" : digits.substr(0, 1);
    if (digits.size() > 1) text += "." + digits.substr(1);
    if (digits != "1") text += "×10";
    if (leading < 0) text += "⁻";
    for (const char digit : std::to_string(std::abs(leading))) text += kSuperscripts[digit - '0'];
    return sign + text;
  }
  if (number.exponent >= 0) {
    digits.append(to_size(number.exponent), '0');
    if (digits.size() > 4) digits.insert(digits.size() - 3, ",");  // at most six digits
    return sign + digits;
  }
  if (leading < 0) digits.insert(0, to_size(-leading), '0');
  digits.insert(digits.size() - to_size(-number.exponent), ".");
  return sign + digits;
}

/// The step of 1, 2 or 5 times a power of ten that divides a length into about `parts` parts, or fewer.
[[nodiscard]] inline Decimal round_step(double length, Index parts) {
  const double raw = length / static_cast<double>(parts);
  Decimal step{1, static_cast<int>(std::floor(std::log10(raw)))};
  for (const std::int64_t mantissa : {1, 2, 5, 10}) {
    step.mantissa = mantissa;
    if (step.value() >= raw * (1 - 1e-9)) break;
  }
  return step;
}

/// The range of an axis and its ticks, which are the values written beside it.
class ChartAxis {
 public:
  /// An axis for the values from `low` to `high` with about `parts` + 1 ticks. With `to_ticks` it is widened so that it
  /// begins and ends with a tick. A logarithmic axis needs values above zero.
  ChartAxis(double low, double high, Index parts, bool logarithmic, bool to_ticks) : logarithmic_(logarithmic) {
    require(std::abs(low) <= kLargest && std::abs(high) <= kLargest && low <= high, "chart_axis", "from ", low, " to ",
            high);
    require(!logarithmic || low >= kSmallest, "chart_axis", "a logarithmic axis cannot begin at ", low);
    // A single value, or two that differ by rounding alone, as doubles have 16 digits: the range needs a margin.
    if (high - low <= 1e-12 * std::max(std::abs(low), std::abs(high)) || high - low < kSmallest) {
      const double margin = std::max(0.1 * std::abs(low), low == 0 ? 1.0 : kSmallest);
      low = std::max(low - margin, -kLargest);
      high = std::min(high + margin, kLargest);
    }
    low_ = low;
    high_ = high;
    if (logarithmic && high / low >= 4) {
      add_powers(parts);
    } else {
      add_multiples(parts);
    }
    if (logarithmic) std::erase_if(ticks_, [](const Decimal& tick) { return tick.value() <= 0; });
    if (to_ticks) {  // the last tick at or below the range, and the first at or above it
      for (const Decimal& tick : ticks_) low_ = tick.value() <= low ? tick.value() : low_;
      const auto end =
          std::find_if(ticks_.begin(), ticks_.end(), [&](const Decimal& tick) { return tick.value() >= high; });
      if (end != ticks_.end()) high_ = end->value();
    }
    std::erase_if(ticks_, [&](const Decimal& tick) { return tick.value() < low_ || tick.value() > high_; });
  }

  [[nodiscard]] double low() const { return low_; }
  [[nodiscard]] double high() const { return high_; }
  [[nodiscard]] const std::vector<Decimal>& ticks() const { return ticks_; }
  /// The place of a value on the axis, from 0 at the low end to 1 at the high end.
  [[nodiscard]] double position(double value) const {
    if (!logarithmic_) return (value - low_) / (high_ - low_);
    return (std::log10(value) - std::log10(low_)) / (std::log10(high_) - std::log10(low_));
  }

  /// Values of magnitudes beyond these are not drawn, as the lengths of ranges would overflow.
  static constexpr double kSmallest = 1e-300, kLargest = 1e300;

 private:
  void add_multiples(Index parts) {
    const Decimal step = round_step(high_ - low_, parts);
    const auto first = static_cast<std::int64_t>(std::floor(low_ / step.value()));
    const auto last = static_cast<std::int64_t>(std::ceil(high_ / step.value()));
    for (std::int64_t i = first; i <= last; ++i) ticks_.push_back({i * step.mantissa, step.exponent});
  }

  /// Powers of ten; with enough room also 2 and 5 times them, with little room only every second, third, ... power.
  void add_powers(Index parts) {
    const int first = static_cast<int>(std::floor(std::log10(low_))),
              last = static_cast<int>(std::ceil(std::log10(high_)));
    const int every = std::max(1, static_cast<int>((last - first + parts - 1) / parts));
    const bool fine = 3 * (last - first) <= 2 * parts;
    for (int power = first; power < last + every; power += every) {
      for (const std::int64_t mantissa : {1, 2, 5}) {
        if (mantissa == 1 || fine) ticks_.push_back({mantissa, power});
      }
    }
  }

  bool logarithmic_;
  double low_ = 0, high_ = 1;
  std::vector<Decimal> ticks_;
};

}}}  // namespace rapt::RAPT_ABI::detail
