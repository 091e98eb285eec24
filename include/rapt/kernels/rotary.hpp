/// \file
/// Rotary positions (Su et al. 2021): pairs of columns of queries and keys turn by angles that grow with the position,
/// so that the product of a query and a key depends on how far apart they are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Which columns of a head make pairs. Of r rotated columns, pair i is
enum class RotaryLayout {
  halves,       ///< (i, i + r / 2): GPT-NeoX, Llama's weights at Hugging Face
  interleaved,  ///< (2i, 2i + 1): the paper, GPT-J, Llama's weights as Meta published them, GLM
};

/// `count` heads of `head_dim` columns side by side, from column `first` on; the first columns of each are rotated, as
/// many as the table has.
struct RotaryHeads {
  Index first = 0, count = 1, head_dim = 0;
  RotaryLayout layout = RotaryLayout::halves;
};

namespace detail {

/// Elements 0, 2, .. and 1, 3, .. of 2 kCount neighbours, and the way back.
template <int kCount, class T, class V>
[[gnu::always_inline]] inline void load_pairs(V& a, V& b, const T* from) {
  if constexpr (kCount == 1) {
    a[0] = from[0], b[0] = from[1];
  } else {
    V low, high;
    simd::load(low, from);
    simd::load(high, from + kCount);
    [&]<std::size_t... kI>(std::index_sequence<kI...>) __attribute__((always_inline)) {
      a = __builtin_shufflevector(low, high, static_cast<int>(2 * kI)...);
      b = __builtin_shufflevector(low, high, static_cast<int>(2 * kI + 1)...);
    }
    (std::make_index_sequence<kCount>{});
  }
}
template <int kCount, class T, class V>
[[gnu::always_inline]] inline void store_pairs(const V& a, const V& b, T* to) {
  if constexpr (kCount == 1) {
    to[0] = a[0], to[1] = b[0];
  } else {
    [&]<std::size_t... kI>(std::index_sequence<kI...>) __attribute__((always_inline)) {
      const V low = __builtin_shufflevector(a, b, static_cast<int>(kI % 2 * kCount + kI / 2)...);
      const V high = __builtin_shufflevector(a, b, static_cast<int>(kI % 2 * kCount + kCount / 2 + kI / 2)...);
      simd::store(to, low);
      simd::store(to + kCount, high);
    }
    (std::make_index_sequence<kCount>{});
  }
}

/// (a, b) <- (a cos - b sin, b cos + a sin) for the pairs of one head; `sign` is that of the sines.
template <RotaryLayout kLayout, class Isa, class T>
[[gnu::always_inline]] inline void rotate_head(Isa isa, T* x, const T* cosines, const T* sines, Index pairs, T sign) {
  simd::for_lanes<T>(
      isa, pairs, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> a, b, c, s;
        simd::load(c, cosines + i);
        simd::load(s, sines + i);
        s *= sign;
        if constexpr (kLayout == RotaryLayout::halves) {
          simd::load(a, x + i);
          simd::load(b, x + pairs + i);
        } else {
          load_pairs<lanes>(a, b, x + 2 * i);
        }
        const simd::Vector<T, lanes> turned_a = a * c - b * s, turned_b = b * c + a * s;
        if constexpr (kLayout == RotaryLayout::halves) {
          simd::store(x + i, turned_a);
          simd::store(x + pairs + i, turned_b);
        } else {
          store_pairs<lanes>(turned_a, turned_b, x + 2 * i);
        }
      });
}

}  // namespace detail

/// Rotates the heads of x [N, ..] in place. Row i of x is at row `positions[i]` of the table [P, r], which has the
/// cosines of the r / 2 angles and then their sines. `backward`: by the negative angles, which is the transpose.
template <class T>
void rotate(TensorView<T> x, TensorView<const T> table, std::span<const std::int32_t> positions,
            const RotaryHeads& heads, bool backward = false) {
  const Index pairs = table.cols() / 2, grain = std::max<Index>(1, kElementGrain / std::max<Index>(1, x.cols()));
  const T sign = backward ? T(-1) : T(1);
  parallel_for(x.rows(), grain, [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        const T* cosines = table.row(positions[static_cast<std::size_t>(i)]);
        for (Index head = 0; head < heads.count; ++head) {
          T* columns = x.row(i) + heads.first + head * heads.head_dim;
          if (heads.layout == RotaryLayout::halves) {
            detail::rotate_head<RotaryLayout::halves>(isa, columns, cosines, cosines + pairs, pairs, sign);
          } else {
            detail::rotate_head<RotaryLayout::interleaved>(isa, columns, cosines, cosines + pairs, pairs, sign);
          }
        }
      }
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
