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

namespace rapt { inline namespace RAPT_ABI {

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

/// A piece of a message, whatever its type was: a few kinds instead of a function for every list of types, of which a
/// program would have hundreds.
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
        text += to_string(*static_cast<const T*>(object));  // found beside the type
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

}  // namespace detail

/// Throws `E("[where] " + pieces)`. Pieces are strings, numbers, or types with a `to_string` beside them.
template <class E = ValueError, class... Pieces>
[[noreturn, gnu::cold, gnu::noinline]] void fail(std::string_view where, const Pieces&... pieces) {
  const detail::TextPart parts[] = {detail::TextPart(pieces)..., detail::TextPart("")};  // never none
  detail::throw_error<E>(where, parts, sizeof...(pieces));
}

/// `fail` unless the condition holds; the text is put together only then.
template <class E = ValueError, class... Pieces>
void require(bool condition, std::string_view where, const Pieces&... pieces) {
  if (!condition) [[unlikely]] {
    fail<E>(where, pieces...);
  }
}

}}  // namespace rapt::RAPT_ABI
