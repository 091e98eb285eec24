/// \file
/// From elements as a file stores them to those of a program: rounded where the program computes with them, refused
/// where a mask or an id would become another one.
#pragma once

#include <Eigen/Core>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "rapt/core/tensor.hpp"
#include "rapt/io/dtype.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The element of type Stored that lies at some bytes, as a type that C++ computes with: halves become float, and every
/// byte of a bool but 0 is true.
template <class Stored>
[[nodiscard]] auto stored_element(const char* bytes) {
  if constexpr (std::is_same_v<Stored, bool>) {
    return *bytes != 0;  // a byte other than 0 and 1 must not become a bool
  } else {
    Stored value;
    std::memcpy(static_cast<void*>(&value), bytes, sizeof value);
    if constexpr (std::is_arithmetic_v<Stored>) return value;
    if constexpr (!std::is_arithmetic_v<Stored>) return static_cast<float>(value);
  }
}

/// True if T holds the value; float and double take every value, rounded.
template <FileElement T, class Value>
[[nodiscard]] bool holds(Value value) {
  if constexpr (std::is_floating_point_v<T> || std::is_same_v<Value, bool>) {
    return true;
  } else if constexpr (std::is_same_v<T, bool>) {
    return value == Value{0} || value == Value{1};
  } else if constexpr (std::is_floating_point_v<Value>) {
    // Both bounds are powers of two, or 0, and exact; NaN is within none.
    constexpr auto kLeast = static_cast<Value>(std::numeric_limits<T>::min());
    constexpr Value kBeyond = 2 * static_cast<Value>(T{1} << (std::numeric_limits<T>::digits - 1));
    return value >= kLeast && value < kBeyond && static_cast<Value>(static_cast<T>(value)) == value;
  } else {
    return std::in_range<T>(value);
  }
}

/// The value with all its digits, for a message.
template <class Value>
[[nodiscard]] std::string exact_text(Value value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// C++'s name of the type, for a message.
template <FileElement T>
[[nodiscard]] constexpr std::string_view element_name() {
  return std::same_as<T, float>          ? "float"
         : std::same_as<T, double>       ? "double"
         : std::same_as<T, bool>         ? "bool"
         : std::same_as<T, std::int64_t> ? "std::int64_t"
         : std::same_as<T, std::int32_t> ? "std::int32_t"
                                         : "std::uint8_t";
}

}}}  // namespace rapt::RAPT_ABI::detail
