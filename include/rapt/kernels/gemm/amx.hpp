/// \file
/// Products of bfloat16 pairs on AMX tiles. One instruction multiplies a tile of 16 rows x 16 pairs by a tile of 16
/// pairs x 16 columns and adds the 16 x 16 results to a tile of float32 sums (Intel SDM, TDPBF16PS).
///
/// A block of c has 32 x 32 elements: tiles 0 to 3 hold its sums, 4 and 5 two tiles of the left operand, 6 and 7 two of
/// the right one, so that four loads serve four multiplications. The instructions are written as assembly that declares
/// memory as clobbered, because the tile intrinsics of some compilers do not say which memory they read.
#pragma once

#include "rapt/kernels/gemm/bfloat16.hpp"

#if defined(__x86_64__)

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

namespace detail {

#define RAPT_TARGET_AMX gnu::target("amx-tile,amx-bf16")

/// The operand of LDTILECFG (Intel SDM) for palette 1: eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
inline constexpr TileConfig kTileConfig;

/// Configures the tiles of the calling thread as long as the object lives.
class Tiles {
 public:
  [[RAPT_TARGET_AMX]] Tiles() { asm volatile("ldtilecfg %0" : : "m"(kTileConfig) : "memory"); }
  [[RAPT_TARGET_AMX]] ~Tiles() { asm volatile("tilerelease" : : : "memory"); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

/// Computes a block, rows 0 .. 31 of a times the 32 columns of the panel, into `to`, whose rows are to_stride floats
/// apart. With `accumulate` the sums start from what is there, else from 0. The residuals' products r(a) l(b) and l(a)
/// r(b) stand around r(a) r(b), so that each tile that is loaded is used as long as it is there.
template <bool kResidual>
[[RAPT_TARGET_AMX, gnu::noinline]] void tile_block(const PairRows& a, const PairPanel& panel, float* to,
                                                   Index to_stride, bool accumulate) {
  const Index a_bytes = a.stride * Index{sizeof(Pair)}, b_bytes = kPairColumns * Index{sizeof(Pair)};
  const Index to_bytes = to_stride * Index{sizeof(float)};
  float* lower = to + 16 * to_stride;
  if (accumulate) {
    asm volatile(
        "tileloadd (%0,%2,1), %%tmm0\n tileloadd 64(%0,%2,1), %%tmm1\n"
        "tileloadd (%1,%2,1), %%tmm2\n tileloadd 64(%1,%2,1), %%tmm3"
        :
        : "r"(to), "r"(lower), "r"(to_bytes)
        : "memory");
  } else {
    asm volatile("tilezero %%tmm0\n tilezero %%tmm1\n tilezero %%tmm2\n tilezero %%tmm3" : : : "memory");
  }
  const Pair *left = a.data, *right = panel.data;
  for (Index p = 0; p < panel.pairs; p += kPairBlock, left += kPairBlock, right += kPairBlock * kPairColumns) {
    asm volatile("tileloadd (%0,%2,1), %%tmm4\n tileloadd (%1,%2,1), %%tmm5"
                 :
                 : "r"(left), "r"(left + 16 * a.stride), "r"(a_bytes)
                 : "memory");
    if constexpr (kResidual) {  // r(a) l(b)
      asm volatile(
          "tileloadd (%0,%1,1), %%tmm6\n tileloadd 64(%0,%1,1), %%tmm7\n"
          "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n"
          "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n tdpbf16ps %%tmm7, %%tmm5, %%tmm3"
          :
          : "r"(right + panel.plane), "r"(b_bytes)
          : "memory");
    }
    asm volatile(  // r(a) r(b)
        "tileloadd (%0,%1,1), %%tmm6\n tileloadd 64(%0,%1,1), %%tmm7\n"
        "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n"
        "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n tdpbf16ps %%tmm7, %%tmm5, %%tmm3"
        :
        : "r"(right), "r"(b_bytes)
        : "memory");
    if constexpr (kResidual) {  // l(a) r(b)
      asm volatile(
          "tileloadd (%0,%2,1), %%tmm4\n tileloadd (%1,%2,1), %%tmm5\n"
          "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n"
          "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n tdpbf16ps %%tmm7, %%tmm5, %%tmm3"
          :
          : "r"(left + a.plane), "r"(left + a.plane + 16 * a.stride), "r"(a_bytes)
          : "memory");
    }
  }
  asm volatile(
      "tilestored %%tmm0, (%0,%2,1)\n tilestored %%tmm1, 64(%0,%2,1)\n"
      "tilestored %%tmm2, (%1,%2,1)\n tilestored %%tmm3, 64(%1,%2,1)"
      :
      : "r"(to), "r"(lower), "r"(to_bytes)
      : "memory");
}

}  // namespace detail

/// c (+)= a * panel for c.columns <= 32 columns, as `multiply_pairs_portable`. Rows of a are read up to the next
/// multiple of 32, and a `detail::Tiles` must live on this thread.
inline void multiply_pairs_amx(PairRows a, const PairPanel& panel, BlockOutput<float> c) {
  const auto block = [&](float* to, Index stride, bool accumulate) {
    a.plane != 0 ? detail::tile_block<true>(a, panel, to, stride, accumulate)
                 : detail::tile_block<false>(a, panel, to, stride, accumulate);
  };
  for (; a.rows > 0; a.rows -= 32, a.data += 32 * a.stride, c.data += 32 * c.stride) {
    if (a.rows >= 32 && c.columns == 32 && (c.bias == nullptr || !c.accumulate)) {
      if (c.bias != nullptr) {  // The sums start from the bias.
        for (Index i = 0; i < 32; ++i) std::copy_n(c.bias, 32, c.data + i * c.stride);
      }
      block(c.data, c.stride, c.accumulate || c.bias != nullptr);
      continue;
    }
    alignas(64) float sums[32 * 32];  // a block at the edge of c, of which only a part is written
    block(sums, 32, false);
    for (Index i = 0; i < std::min<Index>(32, a.rows); ++i) {
      float* to = c.data + i * c.stride;
      for (Index j = 0; j < c.columns; ++j) {
        to[j] = sums[32 * i + j] + (c.bias != nullptr ? c.bias[j] : 0.f) + (c.accumulate ? to[j] : 0.f);
      }
    }
  }
}

}}}  // namespace rapt::RAPT_ABI::kernels

#undef RAPT_TARGET_AMX
#endif
