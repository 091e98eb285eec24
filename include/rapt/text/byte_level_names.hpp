/// \file
/// The names of tokens in GPT-2's vocabularies, in which each byte is written as a printable character: "Ġthe" is "
/// the".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rapt/core/index.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The character that stands for each byte: the character with the same number if it is printable, else the next one
/// from U+0100 on.
struct ByteCharacters {
  std::array<std::int32_t, 256> of_byte{};
  std::array<std::int16_t, 512> byte_of{};  // -1 for characters that stand for no byte
  constexpr ByteCharacters() {
    byte_of.fill(-1);
    std::int32_t next = 256;
    for (std::size_t b = 0; b < 256; ++b) {
      const bool is_printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      of_byte[b] = is_printable ? static_cast<std::int32_t>(b) : next++;
      at(byte_of, of_byte[b]) = static_cast<std::int16_t>(b);
    }
  }
};
inline constexpr ByteCharacters kByteCharacters;

/// The name of a token with these bytes.
[[nodiscard]] inline std::string name_of_bytes(std::string_view bytes) {
  std::string name;
  for (const char byte : bytes) {
    append_code_point(name, kByteCharacters.of_byte[static_cast<unsigned char>(byte)]);
  }
  return name;
}

/// The bytes that a name stands for; empty for a name with a character that stands for no byte.
[[nodiscard]] inline std::string bytes_of_name(std::string_view name) {
  const auto& byte_of = kByteCharacters.byte_of;
  std::string bytes;
  for (std::size_t i = 0; i < name.size();) {
    const CodePoint point = code_point_at(name, i);
    const auto at = to_size(point.value);
    if (at >= byte_of.size() || byte_of[at] < 0) return {};
    bytes += static_cast<char>(byte_of[at]);
    i += point.length;
  }
  return bytes;
}

}}}  // namespace rapt::RAPT_ABI::detail
