/// \file
/// The quantised types of GGUF files (llama.cpp, ggml-common.h): numbers of 4 to 8 bits in blocks that share scales.
/// The formulas give the bits of the reference reader (gguf-py, quants.py): d is a scale and m a minimum in float16,
/// q an integer, and every product is rounded once.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rapt/io/tensor_record.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

[[nodiscard]] inline float block_half(const std::byte* at) {
  Eigen::half value;
  std::memcpy(static_cast<void*>(&value), at, sizeof value);
  return static_cast<float>(value);
}
[[nodiscard]] inline int block_byte(const std::byte* at, int i) { return std::to_integer<int>(at[i]); }
[[nodiscard]] inline int signed_block_byte(const std::byte* at, int i) {
  return static_cast<std::int8_t>(std::to_integer<std::uint8_t>(at[i]));
}

/// Q4_0, Q5_0: d (q - middle); Q4_1, Q5_1: d q + m. Of 32 numbers the first 16 are the low halves of bytes; the fifth
/// bits of Q5 are a number of 32 bits.
template <int kBits, bool kHasMinimum>
void dequantize_simple(const std::byte* block, float* values) {
  const float d = block_half(block), m = kHasMinimum ? block_half(block + 2) : 0;
  block += kHasMinimum ? 4 : 2;
  std::uint32_t high = 0;
  if constexpr (kBits == 5) {
    std::memcpy(&high, block, sizeof high);
    block += sizeof high;
  }
  for (int i = 0; i < 32; ++i) {
    int q = block_byte(block, i % 16) >> (i / 16 * 4) & 15;
    if constexpr (kBits == 5) q |= static_cast<int>(high >> i & 1u) << 4;
    if constexpr (kHasMinimum) {
      values[i] = d * static_cast<float>(q) + m;
    } else {
      values[i] = d * static_cast<float>(q - (1 << (kBits - 1)));
    }
  }
}

/// Q8_0: d q.
inline void dequantize_q8_0(const std::byte* block, float* values) {
  const float d = block_half(block);
  for (int i = 0; i < 32; ++i) values[i] = d * static_cast<float>(signed_block_byte(block + 2, i));
}

/// Q4_K, Q5_K: (d s) q - (m t) in eight groups of 32 numbers, which have integers s and t of 6 bits. Those of groups 0
/// to 3 are the low bits of bytes 0 to 3 and 4 to 7; those of groups 4 to 7 the halves of bytes 8 to 11, below the high
/// bits of the former bytes.
template <int kBits>
void dequantize_k(const std::byte* block, float* values) {
  const float d = block_half(block), m = block_half(block + 2);
  const std::byte* const scales = block + 4;
  const std::byte* const high = block + 16;  // the fifth bits: of group g, bit g of 32 bytes
  const std::byte* const low = kBits == 5 ? high + 32 : high;
  for (int group = 0; group < 8; ++group) {
    const int g = group % 4, first = block_byte(scales, g), second = block_byte(scales, g + 4),
              third = block_byte(scales, g + 8);
    const int s = group < 4 ? first & 63 : (third & 15) | first >> 6 << 4;
    const int t = group < 4 ? second & 63 : third >> 4 | second >> 6 << 4;
    const float scale = d * static_cast<float>(s), minimum = m * static_cast<float>(t);
    for (int i = 0; i < 32; ++i) {
      int q = block_byte(low, group / 2 * 32 + i) >> (group % 2 * 4) & 15;
      if constexpr (kBits == 5) q |= (block_byte(high, i) >> group & 1) << 4;
      values[group * 32 + i] = scale * static_cast<float>(q) - minimum;
    }
  }
}

/// Q6_K: (d s) (q - 32) in sixteen groups of 16 numbers with integers s of 8 bits. The 256 numbers are two halves of
/// four rows of 32: byte i of a half's 64 has the low bits of rows 0 and 2 (or 1 and 3), byte i of its 32 the high bits
/// of all rows.
inline void dequantize_q6_k(const std::byte* block, float* values) {
  const std::byte *const low = block, *const high = block + 128, *const scales = block + 192;
  const float d = block_half(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, row = i % 128 / 32, column = i % 32;
    const int bits = block_byte(low, half * 64 + row % 2 * 32 + column) >> (row / 2 * 4) & 15;
    const int q = bits | (block_byte(high, half * 32 + column) >> (row * 2) & 3) << 4;
    values[i] = d * static_cast<float>(signed_block_byte(scales, i / 16)) * static_cast<float>(q - 32);
  }
}

inline constexpr BlockFormat kQ4_0{"Q4_0", 32, 18, dequantize_simple<4, false>};
inline constexpr BlockFormat kQ4_1{"Q4_1", 32, 20, dequantize_simple<4, true>};
inline constexpr BlockFormat kQ5_0{"Q5_0", 32, 22, dequantize_simple<5, false>};
inline constexpr BlockFormat kQ5_1{"Q5_1", 32, 24, dequantize_simple<5, true>};
inline constexpr BlockFormat kQ8_0{"Q8_0", 32, 34, dequantize_q8_0};
inline constexpr BlockFormat kQ4_K{"Q4_K", 256, 144, dequantize_k<4>};
inline constexpr BlockFormat kQ5_K{"Q5_K", 256, 176, dequantize_k<5>};
inline constexpr BlockFormat kQ6_K{"Q6_K", 256, 210, dequantize_q6_k};

/// The type of this number in GGUF files. Types that are not read have neither a format nor a known dtype.
struct GgufType {
  std::uint32_t number;
  std::string_view name;
  Dtype dtype = Dtype::kUnknown;
  const BlockFormat* blocks = nullptr;
};
inline constexpr auto kGgufTypes = std::to_array<GgufType>({{0, "F32", Dtype::kF32},
                                                            {1, "F16", Dtype::kF16},
                                                            {2, "Q4_0", Dtype::kUnknown, &kQ4_0},
                                                            {3, "Q4_1", Dtype::kUnknown, &kQ4_1},
                                                            {6, "Q5_0", Dtype::kUnknown, &kQ5_0},
                                                            {7, "Q5_1", Dtype::kUnknown, &kQ5_1},
                                                            {8, "Q8_0", Dtype::kUnknown, &kQ8_0},
                                                            {9, "Q8_1"},
                                                            {10, "Q2_K"},
                                                            {11, "Q3_K"},
                                                            {12, "Q4_K", Dtype::kUnknown, &kQ4_K},
                                                            {13, "Q5_K", Dtype::kUnknown, &kQ5_K},
                                                            {14, "Q6_K", Dtype::kUnknown, &kQ6_K},
                                                            {15, "Q8_K"},
                                                            {16, "IQ2_XXS"},
                                                            {17, "IQ2_XS"},
                                                            {18, "IQ3_XXS"},
                                                            {19, "IQ1_S"},
                                                            {20, "IQ4_NL"},
                                                            {21, "IQ3_S"},
                                                            {22, "IQ2_S"},
                                                            {23, "IQ4_XS"},
                                                            {24, "I8", Dtype::kI8},
                                                            {25, "I16", Dtype::kI16},
                                                            {26, "I32", Dtype::kI32},
                                                            {27, "I64", Dtype::kI64},
                                                            {28, "F64", Dtype::kF64},
                                                            {29, "IQ1_M"},
                                                            {30, "BF16", Dtype::kBF16},
                                                            {34, "TQ1_0"},
                                                            {35, "TQ2_0"},
                                                            {39, "MXFP4"}});

}}}  // namespace rapt::RAPT_ABI::detail
