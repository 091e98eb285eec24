/// \file
/// Products of bfloat16 pairs by AArch64's instruction BFMMLA, which multiplies 2 x 4 by 4 x 2 bfloat16 and adds the
/// products to 2 x 2 float32 sums.
#pragma once

#include "rapt/kernels/gemm/bfloat16.hpp"
#include "rapt/kernels/gemm/neon.hpp"

#if defined(__aarch64__)

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

namespace detail {

/// c[rows, columns] (+)= a * panel, eight columns at a time; rows are 2 kRowPairs, or 1.
template <int kRowPairs, bool kResidual>
void multiply_pair_tiles(const PairRows& a, const PairPanel& panel, const BlockOutput<float>& c, Index rows) {
  for (Index j = 0; j < c.columns; j += 8) {
    Floats4 sums[kRowPairs][4];
    multiply_tiles<Bfloat16Tile, kRowPairs, kResidual>({.left = a.data,
                                                        .right = panel.data + j,
                                                        .stride = rows > 1 ? a.stride : 0,
                                                        .words = panel.pairs,
                                                        .left_plane = a.plane,
                                                        .right_plane = panel.plane},
                                                       sums);
    for (Index r = 0; r < rows; ++r) {
      const auto& tiles = sums[r / 2];
      Floats4 low, high;
      tile_row(tiles[0], tiles[1], static_cast<int>(r % 2), low);
      tile_row(tiles[2], tiles[3], static_cast<int>(r % 2), high);
      write_four(low, c, r, j);
      write_four(high, c, r, j + 4);
    }
  }
}

}  // namespace detail

/// c (+)= a * panel for c.columns <= 32 columns, as `multiply_pairs_portable`. Blocks have 10 rows and eight columns,
/// whose 20 vectors of sums, four of columns and one of rows fit the 32 registers; with residuals they have eight rows.
inline void multiply_pairs_neon(const PairRows& a, const PairPanel& panel, const BlockOutput<float>& c) {
  const auto multiply = [&]<int kMostPairs, bool kResidual>(std::integral_constant<int, kMostPairs>,
                                                            std::bool_constant<kResidual>) {
    detail::for_row_pairs<kMostPairs>(
        a.rows, [&]<int kRowPairs>(std::integral_constant<int, kRowPairs>, Index first, Index rows) {
          PairRows some = a;
          some.data += first * a.stride;
          BlockOutput<float> part = c;
          part.data += first * c.stride;
          detail::multiply_pair_tiles<kRowPairs, kResidual>(some, panel, part, rows);
        });
  };
  if (a.plane != 0) {
    multiply(std::integral_constant<int, 4>{}, std::true_type{});
  } else {
    multiply(std::integral_constant<int, 5>{}, std::false_type{});
  }
}

}}}  // namespace rapt::RAPT_ABI::kernels

#endif
