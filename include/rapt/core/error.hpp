/// \file
/// Errors: one root, and texts of the form `[where] rule: values`, the same in every build.
#pragma once

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "rapt/version.hpp"

namespace rapt::inline RAPT_ABI {

/// Root of everything rapt throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Shapes that do not fit one another; the text names them.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// A value, an id or an option outside its range.
class ValueError : public Error {
 public:
  using Error::Error;
};

/// Files and bytes from outside: missing, unreadable, truncated, malformed, not writable.
class IoError : public Error {
 public:
  using Error::Error;
};

namespace detail {

template <class T>
void append_text(std::string& text, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    text += value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, char>) {
    text += value;
  } else if constexpr (std::is_integral_v<T>) {
    text += std::to_string(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    char digits[32];  // std::to_string would print 1e-9 as 0.000000
    std::snprintf(digits, sizeof digits, "%g", static_cast<double>(value));
    text += digits;
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    text += std::string_view(value);
  } else {
    text += to_string(value);  // found beside the type
  }
}

}  // namespace detail

/// Throws `E("[where] " + pieces)`. Pieces are strings, numbers, or types with a `to_string` beside them.
template <class E = ValueError, class... Pieces>
[[noreturn]] void fail(std::string_view where, const Pieces&... pieces) {
  std::string text = "[";
  text += where;
  text += "] ";
  (detail::append_text(text, pieces), ...);
  throw E(text);
}

/// `fail` unless the condition holds; the text is put together only then.
template <class E = ValueError, class... Pieces>
void require(bool condition, std::string_view where, const Pieces&... pieces) {
  if (!condition) [[unlikely]] {
    fail<E>(where, pieces...);
  }
}

}  // namespace rapt::inline RAPT_ABI
