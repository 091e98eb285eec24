/// \file
/// The element types of safetensors files.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How a file stores elements. rapt reads the types from kF64 to kBool and knows the size of the others, so that a file
/// with such tensors can be checked, listed and copied. Every other name is kUnknown.
enum class Dtype {
  kF64,
  kF32,
  kF16,
  kBF16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU64,
  kU32,
  kU16,
  kU8,
  kBool,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E5M2FNUZ,
  kF8E4M3FNUZ,
  kF6E2M3,
  kF6E3M2,
  kF4,
  kC64,
  kUnknown
};

namespace detail {

struct DtypeFacts {
  Dtype dtype;
  std::string_view name;
  std::uint64_t bits;
};

/// In the order of the enumerators.
inline constexpr std::array<DtypeFacts, 23> kDtypes = {{{Dtype::kF64, "F64", 64},
                                                        {Dtype::kF32, "F32", 32},
                                                        {Dtype::kF16, "F16", 16},
                                                        {Dtype::kBF16, "BF16", 16},
                                                        {Dtype::kI64, "I64", 64},
                                                        {Dtype::kI32, "I32", 32},
                                                        {Dtype::kI16, "I16", 16},
                                                        {Dtype::kI8, "I8", 8},
                                                        {Dtype::kU64, "U64", 64},
                                                        {Dtype::kU32, "U32", 32},
                                                        {Dtype::kU16, "U16", 16},
                                                        {Dtype::kU8, "U8", 8},
                                                        {Dtype::kBool, "BOOL", 8},
                                                        {Dtype::kF8E5M2, "F8_E5M2", 8},
                                                        {Dtype::kF8E4M3, "F8_E4M3", 8},
                                                        {Dtype::kF8E8M0, "F8_E8M0", 8},
                                                        {Dtype::kF8E5M2FNUZ, "F8_E5M2FNUZ", 8},
                                                        {Dtype::kF8E4M3FNUZ, "F8_E4M3FNUZ", 8},
                                                        {Dtype::kF6E2M3, "F6_E2M3", 6},
                                                        {Dtype::kF6E3M2, "F6_E3M2", 6},
                                                        {Dtype::kF4, "F4", 4},
                                                        {Dtype::kC64, "C64", 64},
                                                        {Dtype::kUnknown, "unknown", 0}}};

}  // namespace detail

/// The name that stands in files, e.g. "BF16".
[[nodiscard]] constexpr std::string_view to_string(Dtype dtype) {
  return detail::kDtypes[static_cast<std::size_t>(dtype)].name;
}
/// The type of which a file's name speaks, kUnknown for a name that rapt does not know.
[[nodiscard]] constexpr Dtype dtype_from(std::string_view name) {
  for (const detail::DtypeFacts& facts : detail::kDtypes) {
    if (facts.name == name && facts.dtype != Dtype::kUnknown) return facts.dtype;
  }
  return Dtype::kUnknown;
}
/// Bits of one element, 0 for kUnknown.
[[nodiscard]] constexpr std::uint64_t bits_of(Dtype dtype) {
  return detail::kDtypes[static_cast<std::size_t>(dtype)].bits;
}
/// True for the types whose elements rapt reads.
[[nodiscard]] constexpr bool is_readable(Dtype dtype) { return dtype <= Dtype::kBool; }

/// The types in which a program reads and writes a file's elements: numbers to compute with, masks, ids and bytes.
template <class T>
concept FileElement = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, bool> ||
    std::same_as<T, std::int64_t> || std::same_as<T, std::int32_t> || std::same_as<T, std::uint8_t>;

/// The type in which a file stores a program's elements as they are.
template <FileElement T>
inline constexpr Dtype kDtypeOf = std::same_as<T, float>          ? Dtype::kF32
                                  : std::same_as<T, double>       ? Dtype::kF64
                                  : std::same_as<T, bool>         ? Dtype::kBool
                                  : std::same_as<T, std::int64_t> ? Dtype::kI64
                                  : std::same_as<T, std::int32_t> ? Dtype::kI32
                                                                  : Dtype::kU8;

}}  // namespace rapt::RAPT_ABI
