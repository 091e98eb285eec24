/// \file
/// Fingerprint: a number that tells training data apart, so that a run is not resumed on other data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// FNV-1a (Fowler, Noll and Vo) over all bytes that are added, in their order. No protection against forgery.
class Fingerprint {
 public:
  /// Adds bytes, or those of a text.
  void add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) value_ = (value_ ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3ull;
  }
  void add(std::string_view text) { add(std::as_bytes(std::span(text.data(), text.size()))); }
  /// The bytes of numbers, as they lie in memory.
  template <class T>
  requires std::is_arithmetic_v<T>
  void add(std::span<const T> numbers) { add(std::as_bytes(numbers)); }

  /// The fingerprint of all that has been added.
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325ull;
};

}}  // namespace rapt::RAPT_ABI
