/// \file
/// Operands of products with weights of four bits: what the bits mean, and rounding.
/// nibble_products.hpp multiplies them.
///
/// The right operand is cut along its depth into groups of 32 numbers of one column. A number of group g of column j is
///   w ~ D_j a_gj q - M_j b_gj,
/// with q of four bits, a scale a and an offset b of eight bits for each group, and two float32 factors for each
/// column: 4.5 bits a weight, with scales and offsets quantised as in llama.cpp's "K" formats. b is at least 0, so that
/// zero is always inside a group's range.
///
/// The left operand is rounded to eight bits with one scale s_ig for each group of 32 numbers of a row, x ~ s_ig p.
/// Then, with t_ig = s_ig sum_k p_k,
///   c_ij ~ D_j sum_g a_gj s_ig (sum_k p_k q_k) - M_j sum_g b_gj t_ig,
/// where the inner sum is one of integers and exact.
///
/// Panels have 32 columns. A group of a panel is 144 words of 32 bits: four rows of 32 words, one for each column, of
/// which row h holds the quad of depths 4 h .. 4 h + 3 in the low halves of its bytes and that of depths 16 + 4 h ..
/// 19 + 4 h in the high halves; then 32 bytes of scales and 32 bytes of offsets.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/quads.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The number of depths of a group, and the words of 32 bits of a group of a panel.
inline constexpr Index kGroupDepth = 32, kGroupWords = 144;
/// The words of a group at which its scales and its offsets begin.
inline constexpr Index kScaleWord = 128, kOffsetWord = 136;

/// The number of groups that hold `depth` numbers; the last one is filled with zeros.
[[nodiscard]] constexpr Index groups_of(Index depth) { return (depth + kGroupDepth - 1) / kGroupDepth; }

/// A left operand: rows of signed quads [rows][8 groups], and for each row and group its scale and its sum
/// [rows][groups].
struct GroupedRows {
  const Quad* data = nullptr;                      ///< the integers p
  const float *scales = nullptr, *sums = nullptr;  ///< s, and t = s times the sum of the group's p
  Index rows = 0, groups = 0;
};

/// A panel of a right operand: words [groups][144], and the factors D and M of its columns [32].
struct NibblePanel {
  const std::uint32_t* data = nullptr;                ///< q, a and b of each group
  const float *scales = nullptr, *offsets = nullptr;  ///< D and M
  Index groups = 0;
};

namespace detail {

/// Rounds 32 numbers to eight quads of signed integers, and gives their scale and their sum after rounding. With an
/// infinity or a NaN among them, the scale is NaN, and so is this row of the product.
template <class Isa>
[[gnu::always_inline]] inline void quantize_group(Isa, const float* from, Quad* to, float& scale, float& sum) {
  constexpr int kWidth = simd::kLanes<Isa, float>;
  using V = simd::Vector<float, kWidth>;
  using Integers = simd::Vector<std::int32_t, kWidth>;
  V most = {}, none = {};
  for (Index k = 0; k < kGroupDepth; k += kWidth) {
    V x;
    simd::load(x, from + k);
    const V magnitude = x < 0.f ? -x : x;
    most = most > magnitude ? most : magnitude;
    none += x * 0.f;
  }
  const float largest = simd::max_lanes<kWidth>(most);
  scale = largest / 127 + simd::sum_lanes<kWidth>(none);
  const float factor = largest > 0 ? 127 / largest : 0.f;
  Integers total = {};
  for (Index k = 0; k < kGroupDepth; k += kWidth) {
    V x;
    simd::load(x, from + k);
    x = x * factor + kRoundingBits;
    const Integers q = ((Integers)x << 24) >> 24;
    total += q;
    simd::store(reinterpret_cast<std::int8_t*>(to) + k, __builtin_convertvector(q, simd::Vector<std::int8_t, kWidth>));
  }
  sum = scale * static_cast<float>(simd::sum_lanes<kWidth>(total));
}

/// The smallest and the largest of up to 32 numbers of a column and zero.
struct GroupRange {
  float low = 0, high = 0;
};

}  // namespace detail

/// Rounds up to 32 columns of a right operand to a panel [groups_of(b.rows)][144] with the factors of each column [32].
/// Columns behind the last one of b are zeros. A column with an infinity or a NaN gives NaN in every product.
inline void quantize_nibble_panel(const Operand<float>& b, std::uint32_t* to, float* scales, float* offsets) {
  const Index groups = groups_of(b.rows);
  std::fill_n(to, groups * kGroupWords, std::uint32_t{0});
  for (Index j = 0; j < kQuadColumns; ++j) {
    scales[j] = 0, offsets[j] = 0;
    if (j >= b.cols) continue;
    const float* column = b.data + j * b.col_stride;
    const auto depth_end = [&](Index g) { return std::min(b.rows, (g + 1) * kGroupDepth); };
    const auto range_of = [&](Index g) {
      detail::GroupRange range;
      for (Index k = g * kGroupDepth; k < depth_end(g); ++k) {
        range.low = std::min(range.low, column[k * b.row_stride]);
        range.high = std::max(range.high, column[k * b.row_stride]);
      }
      return range;
    };
    // Offsets are rounded downwards and then scales upwards, so that no number of a group is outside its 16 steps. The
    // widest range is one unit of the offsets wider than the numbers.
    float bad = 0, lowest = 0, widest = 0;
    for (Index k = 0; k < b.rows; ++k) bad += column[k * b.row_stride] * 0;
    if (bad != 0) {  // NaN is not 0
      scales[j] = std::numeric_limits<float>::quiet_NaN();
      continue;
    }
    for (Index g = 0; g < groups; ++g) {
      const detail::GroupRange range = range_of(g);
      lowest = std::min(lowest, range.low);
      widest = std::max(widest, range.high - range.low);
    }
    offsets[j] = -lowest / 255;
    scales[j] = (widest + offsets[j]) / (15 * 255);
    const auto in_units = [](float x, float unit) {
      return unit > 0 ? std::min(255.f, std::ceil(x / unit)) : 0.f;  // at most 255, but for rounding
    };
    for (Index g = 0; g < groups; ++g) {
      const detail::GroupRange range = range_of(g);
      const float b_g = in_units(-range.low, offsets[j]), offset = b_g * offsets[j];
      const float a_g = in_units((range.high + offset) / 15, scales[j]), step = a_g * scales[j];
      std::uint32_t* group = to + g * kGroupWords;
      reinterpret_cast<std::uint8_t*>(group + kScaleWord)[j] = static_cast<std::uint8_t>(a_g);
      reinterpret_cast<std::uint8_t*>(group + kOffsetWord)[j] = static_cast<std::uint8_t>(b_g);
      const float factor = step > 0 ? 1 / step : 0.f;
      for (Index k = g * kGroupDepth; k < depth_end(g); ++k) {
        const float q = std::min(15.f, (column[k * b.row_stride] + offset) * factor + 0.5f);
        const Index quad = k % kGroupDepth / 4;
        group[quad % 4 * kQuadColumns + j] |= static_cast<std::uint32_t>(q) << (8 * (k % 4) + (quad < 4 ? 0 : 4));
      }
    }
  }
}

/// The numbers that a panel holds of a column   // to [depth]
inline void read_nibble_column(const NibblePanel& panel, Index column, Index depth, float* to) {
  for (Index k = 0; k < depth; ++k) {
    const std::uint32_t* group = panel.data + k / kGroupDepth * kGroupWords;
    const Index quad = k % kGroupDepth / 4;
    const std::uint32_t q = group[quad % 4 * kQuadColumns + column] >> (8 * (k % 4) + (quad < 4 ? 0 : 4)) & 15u;
    const auto scale = static_cast<float>(reinterpret_cast<const std::uint8_t*>(group + kScaleWord)[column]);
    const auto offset = static_cast<float>(reinterpret_cast<const std::uint8_t*>(group + kOffsetWord)[column]);
    to[k] = panel.scales[column] * scale * static_cast<float>(q) - panel.offsets[column] * offset;
  }
}

/// A left operand rounded to groups by all threads.
class QuantizedGroups {
 public:
  explicit QuantizedGroups(const Operand<float>& a) : groups_(groups_of(a.cols)) {
    data_ = Tensor<Quad>(Shape{a.rows, 8 * groups_});
    scales_ = Tensor<float>(Shape{a.rows, groups_});
    sums_ = Tensor<float>(Shape{a.rows, groups_});
    parallel_for(a.rows, std::max<Index>(1, 16384 / a.cols), [&](Index begin, Index end) {
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index i = begin; i < end; ++i) {
          for (Index g = 0; g < groups_; ++g) {
            const float* from = a.data + i * a.row_stride + g * kGroupDepth * a.col_stride;
            const Index depth = std::min(kGroupDepth, a.cols - g * kGroupDepth);
            float copy[kGroupDepth] = {};
            if (a.col_stride != 1 || depth < kGroupDepth) {
              for (Index k = 0; k < depth; ++k) copy[k] = from[k * a.col_stride];
              from = copy;
            }
            detail::quantize_group(isa, from, data_.row(i) + 8 * g, scales_(i, g), sums_(i, g));
          }
        }
      });
    });
  }

  /// Rows i .. i + rows. This object must outlive what it returns.
  [[nodiscard]] GroupedRows part(Index i, Index rows) const {
    return {.data = data_.row(i), .scales = scales_.row(i), .sums = sums_.row(i), .rows = rows, .groups = groups_};
  }

 private:
  Index groups_;
  Tensor<Quad> data_;  // [rows, 8 groups]
  Tensor<float> scales_, sums_;
};

}}}  // namespace rapt::RAPT_ABI::kernels
