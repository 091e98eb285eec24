/// \file
/// Rotary positions (Su et al. 2021, arXiv:2104.09864): each pair of columns of a query or key is rotated by an angle
/// that is proportional to the position, so that the product of a query and a key depends on the distance of their
/// positions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Which columns of a head are pairs: of r rotated columns, pair i consists of columns
enum class RotaryLayout {
  halves,       ///< (i, i + r / 2): GPT-NeoX, Llama's weights at Hugging Face
  interleaved,  ///< (2i, 2i + 1): the paper, GPT-J, Llama's weights as Meta published them, GLM
};

/// The heads to rotate: `count` heads of `head_dim` columns side by side, from column `first` on. Of each head, as many
/// columns are rotated as the table of angles has, from its first column on.
struct RotaryHeads {
  Index first = 0, count = 1, head_dim = 0;
  RotaryLayout layout = RotaryLayout::halves;  ///< which columns of a head are pairs
};

namespace detail {

/// Reads 2 kCount consecutive elements, those at even places into a and those at odd places into b; store_pairs writes
/// them back in the same way.
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

/// (a, b) <- (a cos - b sin, b cos + a sin) for the pairs of one head; the sines are multiplied by `sign`.
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
        const simd::Vector<T, lanes> rotated_a = a * c - b * s, rotated_b = b * c + a * s;
        if constexpr (kLayout == RotaryLayout::halves) {
          simd::store(x + i, rotated_a);
          simd::store(x + pairs + i, rotated_b);
        } else {
          store_pairs<lanes>(rotated_a, rotated_b, x + 2 * i);
        }
      });
}

}  // namespace detail

/// Rotates heads of x in place   // x [N, columns], table [P, r], positions [N]
/// Row p of the table has the cosines of the r / 2 angles of position p and then their sines; row i of x has the
/// position positions[i]. With `backward`, x is a gradient and is rotated by the negative angles, which is the
/// transposed rotation.
template <class T>
void rotate(TensorView<T> x, TensorView<const T> table, std::span<const std::int32_t> positions,
            const RotaryHeads& heads, bool backward = false) {
  const Index pairs = table.cols() / 2, grain = std::max<Index>(1, kElementGrain / std::max<Index>(1, x.cols()));
  const T sign = backward ? T(-1) : T(1);
  parallel_for(x.rows(), grain, [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        const T* cosines = table.row(at(positions, i));
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
