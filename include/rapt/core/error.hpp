/// \file
/// Errors. All of them derive from rapt::Error and have texts of the form `[where] rule: values`, in every build.
#pragma once

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The base class of all exceptions that rapt throws.
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

/// A piece of a message with its type erased. A function template over the types of all pieces would be instantiated
/// hundreds of times in a program; pieces of a few kinds are put together by one function.
class TextPart {
 public:
  template <class T>
  explicit TextPart(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      *this = TextPart(std::string_view(value ? "true" : "false"));
    } else if constexpr (std::is_same_v<T, char>) {
      *this = TextPart(std::string_view(&value, 1));
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      kind_ = Kind::integer;
      integer_ = value;
    } else if constexpr (std::is_integral_v<T>) {
      kind_ = Kind::natural;
      natural_ = value;
    } else if constexpr (std::is_floating_point_v<T>) {
      kind_ = Kind::number;
      number_ = static_cast<double>(value);
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      const std::string_view text = value;
      text_ = text.data();
      size_ = text.size();
    } else {
      kind_ = Kind::other;
      text_ = &value;
      append_ = [](std::string& text, const void* object) {
        text += to_string(*static_cast<const T*>(object));  // found in the type's namespace
      };
    }
  }

  void append_to(std::string& text) const {
    char digits[32];  // std::to_string would print 1e-9 as 0.000000
    switch (kind_) {
      case Kind::integer:
        text += std::to_string(integer_);
        return;
      case Kind::natural:
        text += std::to_string(natural_);
        return;
      case Kind::number:
        std::snprintf(digits, sizeof digits, "%g", number_);
        text += digits;
        return;
      case Kind::other:
        append_(text, text_);
        return;
      case Kind::text:
        text.append(static_cast<const char*>(text_), size_);
    }
  }

 private:
  enum class Kind { text, integer, natural, number, other };
  Kind kind_ = Kind::text;
  const void* text_ = nullptr;
  union {
    std::size_t size_;
    std::int64_t integer_;
    std::uint64_t natural_;
    double number_;
    void (*append_)(std::string& text, const void* object);
  };
};

template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void throw_error(std::string_view where, const TextPart* parts,
                                                        std::size_t count) {
  std::string text = "[";
  text += where;
  text += "] ";
  for (std::size_t i = 0; i < count; ++i) parts[i].append_to(text);
  throw E(text);
}

/// How a piece of type T is handed on: numbers by value as the widest of their kind, texts of any length as a pointer
/// or a view, so that messages with pieces of the same kinds share one function; other values by reference.
template <class T>
struct PassedPiece {
  static constexpr bool kIsCharacters = std::is_convertible_v<const T&, const char*>;
  static constexpr bool kIsText = std::is_convertible_v<const T&, std::string_view>;
  static constexpr bool kIsCounted = std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>;
  using Text = std::conditional_t<kIsCharacters, const char*, std::string_view>;
  using Integer = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
  using Number = std::conditional_t<kIsCounted, Integer, std::conditional_t<std::is_floating_point_v<T>, double, T>>;
  using Type = std::conditional_t<kIsText, Text, std::conditional_t<std::is_arithmetic_v<T>, Number, const T&>>;
};

template <class E, class... Passed>
[[noreturn, gnu::cold, gnu::noinline]] void throw_pieces(std::string_view where, Passed... pieces) {
  const TextPart parts[] = {TextPart(pieces)..., TextPart("")};  // so that the array is never empty
  throw_error<E>(where, parts, sizeof...(pieces));
}

}  // namespace detail

/// Throws E with the text "[where] " and the pieces, which are strings, numbers, or values of types whose namespace has
/// a `to_string`.
template <class E = ValueError, class... Pieces>
[[noreturn, gnu::always_inline]] inline void fail(std::string_view where, const Pieces&... pieces) {
  detail::throw_pieces<E, typename detail::PassedPiece<Pieces>::Type...>(where, pieces...);
}

/// Throws as `fail` does unless the condition holds. The text is put together only if it does not.
template <class E = ValueError, class... Pieces>
void require(bool condition, std::string_view where, const Pieces&... pieces) {
  if (!condition) [[unlikely]] {
    fail<E>(where, pieces...);
  }
}

}}  // namespace rapt::RAPT_ABI
