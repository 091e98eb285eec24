/// \file
/// The element types of safetensors files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rapt/version.hpp"

namespace rapt::inline RAPT_ABI {

/// How a file stores elements. rapt knows the size of each and reads all but the eight-bit floats and complex numbers.
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
  kC64
};

namespace detail {

struct DtypeFacts {
  Dtype dtype;
  std::string_view name;
  std::uint64_t bytes;
};

/// In the order of the enumerators.
inline constexpr std::array<DtypeFacts, 16> kDtypes = {{{Dtype::kF64, "F64", 8},
                                                        {Dtype::kF32, "F32", 4},
                                                        {Dtype::kF16, "F16", 2},
                                                        {Dtype::kBF16, "BF16", 2},
                                                        {Dtype::kI64, "I64", 8},
                                                        {Dtype::kI32, "I32", 4},
                                                        {Dtype::kI16, "I16", 2},
                                                        {Dtype::kI8, "I8", 1},
                                                        {Dtype::kU64, "U64", 8},
                                                        {Dtype::kU32, "U32", 4},
                                                        {Dtype::kU16, "U16", 2},
                                                        {Dtype::kU8, "U8", 1},
                                                        {Dtype::kBool, "BOOL", 1},
                                                        {Dtype::kF8E5M2, "F8_E5M2", 1},
                                                        {Dtype::kF8E4M3, "F8_E4M3", 1},
                                                        {Dtype::kC64, "C64", 8}}};

}  // namespace detail

/// The name that stands in files, e.g. "BF16".
[[nodiscard]] constexpr std::string_view to_string(Dtype dtype) {
  return detail::kDtypes[static_cast<std::size_t>(dtype)].name;
}
/// Bytes of one element.
[[nodiscard]] constexpr std::uint64_t size_of(Dtype dtype) {
  return detail::kDtypes[static_cast<std::size_t>(dtype)].bytes;
}

}  // namespace rapt::inline RAPT_ABI
