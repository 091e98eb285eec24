/// \file
/// Assertions of the tests of all rooms: results that are close or the same bit for bit, and errors with their text.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rapt/core/error.hpp"

#include "tests/common/allowed.hpp"

namespace rapt_test {

template <class T>
inline constexpr double kEpsilon = static_cast<double>(std::numeric_limits<T>::epsilon());

/// The elements of anything contiguous with data() and size().
template <class Values>
[[nodiscard]] auto elements(const Values& values) {
  return std::span(values.data(), static_cast<std::size_t>(values.size()));
}

/// Largest |actual - expected| over the largest finite |expected| (1 if there is none). Infinity where only one of the
/// two is finite, or signs of infinity or NaNs differ.
template <class Actual, class Expected>
[[nodiscard]] double relative_error(const Actual& actual, const Expected& expected) {
  double error = 0, magnitude = 0;
  if (elements(actual).size() != elements(expected).size()) return std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < elements(expected).size(); ++i) {
    const auto a = static_cast<double>(elements(actual)[i]), e = static_cast<double>(elements(expected)[i]);
    if (std::isfinite(a) && std::isfinite(e)) {
      error = std::max(error, std::abs(a - e));
      magnitude = std::max(magnitude, std::abs(e));
    } else if (a != e && !(std::isnan(a) && std::isnan(e))) {
      return std::numeric_limits<double>::infinity();
    }
  }
  return error / (magnitude > 0 ? magnitude : 1.0);
}

template <class Actual, class Expected>
[[nodiscard]] testing::AssertionResult close(const Actual& actual, const Expected& expected, double tolerance) {
  tolerance = allowed<std::remove_cvref_t<decltype(*actual.data())>>(tolerance);
  const double error = relative_error(actual, expected);
  if (error <= tolerance) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "largest relative error " << error << " of " << elements(expected).size()
                                     << " values (got " << elements(actual).size() << "), allowed " << tolerance;
}

template <class Actual, class Expected>
void expect_close(const Actual& actual, const Expected& expected, double tolerance) {
  EXPECT_TRUE(close(actual, expected, tolerance));
}

/// True if the shapes, where the values have one, and all elements are the same.
template <class Values>
[[nodiscard]] bool same_bits(const Values& a, const Values& b) {
  if constexpr (requires { a.shape(); }) {
    if (a.shape() != b.shape()) return false;
  }
  return elements(a).size() == elements(b).size() &&
         (elements(a).empty() || std::memcmp(a.data(), b.data(), elements(a).size_bytes()) == 0);
}

/// The text of the Exception that f throws; a failure and "" if it throws none.
template <class Exception, class F>
[[nodiscard]] std::string error_text(const F& f) {
  try {
    f();
  } catch (const Exception& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

/// Expects that f throws an Exception whose text contains all of `parts`.
template <class Exception = rapt::Error, class F>
void expect_message(const F& f, const std::vector<std::string>& parts) {
  const std::string text = error_text<Exception>(f);
  for (const std::string& part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks: " << part;
  }
}
template <class Exception = rapt::Error, class F>
void expect_message(const F& f, std::string_view part) {
  expect_message<Exception>(f, std::vector<std::string>{std::string(part)});
}

}  // namespace rapt_test
