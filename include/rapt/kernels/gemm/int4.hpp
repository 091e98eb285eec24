/// \file
/// Products with weights of four bits, for decoding, where the time goes into reading the weights from memory.
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
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <type_traits>

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/int8.hpp"
#include "rapt/kernels/gemm/product_blocks.hpp"
#include "rapt/kernels/gemm/stored_matrix.hpp"

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
  const Quad* data = nullptr;
  const float *scales = nullptr, *sums = nullptr;
  Index rows = 0, groups = 0;
};

/// A panel of a right operand: words [groups][144], and the factors D and M of its columns [32].
struct NibblePanel {
  const std::uint32_t* data = nullptr;
  const float *scales = nullptr, *offsets = nullptr;
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

  [[nodiscard]] GroupedRows part(Index i, Index rows) const {
    return {.data = data_.row(i), .scales = scales_.row(i), .sums = sums_.row(i), .rows = rows, .groups = groups_};
  }

 private:
  Index groups_;
  Tensor<Quad> data_;  // [rows, 8 groups]
  Tensor<float> scales_, sums_;
};

/// c (+)= a * panel for c.columns <= 32 columns, on the compiler's portable vectors.
inline void multiply_nibbles_portable(const GroupedRows& a, const NibblePanel& panel, const BlockOutput<float>& c) {
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    constexpr int kWidth = simd::kLanes<decltype(isa), std::int32_t>;
    using Integers = simd::Vector<std::int32_t, kWidth>;
    using Bytes = simd::Vector<std::uint8_t, kWidth>;
    using V = simd::Vector<float, kWidth>;
    for (Index i = 0; i < a.rows; ++i) {
      for (Index j = 0; j < c.columns; j += kWidth) {
        V sum = {}, shift = {};
        for (Index g = 0; g < a.groups; ++g) {
          const std::uint32_t* group = panel.data + g * kGroupWords;
          const auto* row = reinterpret_cast<const std::int8_t*>(a.data + (i * a.groups + g) * 8);
          Integers dot = {};
          for (Index h = 0; h < 4; ++h) {
            Integers b;
            simd::load(b, group + h * kQuadColumns + j);
#pragma GCC unroll 4
            for (int byte = 0; byte < 4; ++byte) {
              dot += static_cast<std::int32_t>(row[4 * h + byte]) * ((b >> 8 * byte) & 15);
              dot += static_cast<std::int32_t>(row[16 + 4 * h + byte]) * ((b >> (8 * byte + 4)) & 15);
            }
          }
          Bytes scale, offset;
          simd::load(scale, reinterpret_cast<const std::uint8_t*>(group + kScaleWord) + j);
          simd::load(offset, reinterpret_cast<const std::uint8_t*>(group + kOffsetWord) + j);
          sum += __builtin_convertvector(dot, V) * a.scales[i * a.groups + g] * __builtin_convertvector(scale, V);
          shift += a.sums[i * a.groups + g] * __builtin_convertvector(offset, V);
        }
        float products[kWidth];
        for (int lane = 0; lane < kWidth; ++lane) {
          products[lane] = sum[lane] * panel.scales[j + lane] - shift[lane] * panel.offsets[j + lane];
        }
        detail::write_part(products, kWidth, 1,
                           BlockOutput<float>{.data = c.data + i * c.stride + j,
                                              .stride = c.stride,
                                              .columns = std::min<Index>(kWidth, c.columns - j),
                                              .bias = c.bias != nullptr ? c.bias + j : nullptr,
                                              .accumulate = c.accumulate});
      }
    }
  });
}

#if defined(__x86_64__)
namespace detail {

#define RAPT_TARGET_AVX512_VNNI gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")

/// c[kRows, up to 32] (+)= a[kRows, groups] * panel by AVX-512's dot products of bytes, with all sums in registers.
template <int kRows>
[[RAPT_TARGET_AVX512_VNNI, gnu::noinline]] void dot_nibbles_avx512(const GroupedRows& a, const NibblePanel& panel,
                                                                   const BlockOutput<float>& c) {
  __m512 sum[kRows][2], shift[kRows][2];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    sum[r][0] = sum[r][1] = shift[r][0] = shift[r][1] = _mm512_setzero_ps();
  }
  constexpr __mmask16 all = 0xffff;  // g++ 12 warns of the conversions without a mask
  const __m512i nibble = _mm512_set1_epi8(15);
  const std::uint32_t* group = panel.data;
  for (Index g = 0; g < a.groups; ++g, group += kGroupWords) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      __m512i low[4], high[4];
#pragma GCC unroll 4
      for (int h = 0; h < 4; ++h) {
        const __m512i b = _mm512_loadu_si512(group + h * kQuadColumns + 16 * j);
        low[h] = _mm512_and_si512(b, nibble);
        high[h] = _mm512_and_si512(_mm512_srli_epi16(b, 4), nibble);
      }
      const __m128i scales = _mm_loadu_si128(reinterpret_cast<const __m128i*>(group + kScaleWord + 4 * j));
      const __m128i offsets = _mm_loadu_si128(reinterpret_cast<const __m128i*>(group + kOffsetWord + 4 * j));
      const __m512 scale = _mm512_maskz_cvtepi32_ps(all, _mm512_maskz_cvtepu8_epi32(all, scales));
      const __m512 offset = _mm512_maskz_cvtepi32_ps(all, _mm512_maskz_cvtepu8_epi32(all, offsets));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const Quad* x = a.data + (r * a.groups + g) * 8;
        __m512i dot = _mm512_setzero_si512();
#pragma GCC unroll 4
        for (int h = 0; h < 4; ++h) {
          dot = _mm512_dpbusd_epi32(dot, low[h], _mm512_set1_epi32(static_cast<int>(x[h])));
          dot = _mm512_dpbusd_epi32(dot, high[h], _mm512_set1_epi32(static_cast<int>(x[h + 4])));
        }
        const __m512 factor = _mm512_mul_ps(scale, _mm512_set1_ps(a.scales[r * a.groups + g]));
        sum[r][j] = _mm512_fmadd_ps(_mm512_maskz_cvtepi32_ps(all, dot), factor, sum[r][j]);
        shift[r][j] = _mm512_fmadd_ps(offset, _mm512_set1_ps(a.sums[r * a.groups + g]), shift[r][j]);
      }
    }
  }
  float products[kRows][kQuadColumns];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      const __m512 shifted = _mm512_mul_ps(shift[r][j], _mm512_loadu_ps(panel.offsets + 16 * j));
      _mm512_storeu_ps(products[r] + 16 * j,
                       _mm512_fmsub_ps(sum[r][j], _mm512_loadu_ps(panel.scales + 16 * j), shifted));
    }
  }
  write_part(products[0], kQuadColumns, kRows, c);
}

#undef RAPT_TARGET_AVX512_VNNI

/// As above for kVectors vectors of eight columns from column `first` on, by AVX2: products of bytes are added in pairs
/// to 16 bits, of which the eight of a group fit, as 8 * 2 * 15 * 127 < 2^15.
template <int kRows, int kVectors>
[[gnu::target("avx2,fma"), gnu::noinline]] void dot_nibbles_avx2(const GroupedRows& a, const NibblePanel& panel,
                                                                 Index first, float* products) {
  __m256 sum[kRows][kVectors], shift[kRows][kVectors];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[r][j] = shift[r][j] = _mm256_setzero_ps();
  }
  const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
  const std::uint32_t* group = panel.data + first;
  const auto* scale_bytes = reinterpret_cast<const char*>(panel.data + kScaleWord) + first;
  for (Index g = 0; g < a.groups; ++g, group += kGroupWords, scale_bytes += 4 * kGroupWords) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      __m256i dot[kRows];
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) dot[r] = _mm256_setzero_si256();
#pragma GCC unroll 4
      for (int h = 0; h < 4; ++h) {
        const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(group + h * kQuadColumns + 8 * j));
        const __m256i low = _mm256_and_si256(b, nibble), high = _mm256_and_si256(_mm256_srli_epi16(b, 4), nibble);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          const Quad* x = a.data + (r * a.groups + g) * 8;
          const __m256i x_low = _mm256_set1_epi32(static_cast<int>(x[h]));
          const __m256i x_high = _mm256_set1_epi32(static_cast<int>(x[h + 4]));
          dot[r] = _mm256_add_epi16(dot[r], _mm256_maddubs_epi16(low, x_low));
          dot[r] = _mm256_add_epi16(dot[r], _mm256_maddubs_epi16(high, x_high));
        }
      }
      const __m128i scales = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(scale_bytes + 8 * j));
      const __m128i offsets = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(scale_bytes + kQuadColumns + 8 * j));
      const __m256 scale = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(scales));
      const __m256 offset = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(offsets));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m256 factor = _mm256_mul_ps(scale, _mm256_set1_ps(a.scales[r * a.groups + g]));
        sum[r][j] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_madd_epi16(dot[r], ones)), factor, sum[r][j]);
        shift[r][j] = _mm256_fmadd_ps(offset, _mm256_set1_ps(a.sums[r * a.groups + g]), shift[r][j]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const Index column = first + 8 * j;
      const __m256 shifted = _mm256_mul_ps(shift[r][j], _mm256_loadu_ps(panel.offsets + column));
      _mm256_storeu_ps(products + r * kQuadColumns + column,
                       _mm256_fmsub_ps(sum[r][j], _mm256_loadu_ps(panel.scales + column), shifted));
    }
  }
}

}  // namespace detail
#endif

/// c (+)= a * panel for c.columns <= 32 columns, on the fastest unit that the processor has.
inline void multiply_nibbles(GroupedRows a, const NibblePanel& panel, BlockOutput<float> c) {
#if defined(__x86_64__)
  if (simd_level() != SimdLevel::baseline) {
    const bool has_dot_products = has_int8_dot_products();
    const auto step = [&]<int kRows>(std::integral_constant<int, kRows>) {
      for (; a.rows >= kRows; a.rows -= kRows) {
        if (has_dot_products) {
          detail::dot_nibbles_avx512<kRows>(a, panel, c);
        } else {
          float products[kRows][kQuadColumns];
          constexpr int kVectors = kRows == 1 ? 4 : 2;
          for (Index j = 0; j < kQuadColumns; j += 8 * kVectors) {
            detail::dot_nibbles_avx2<kRows, kVectors>(a, panel, j, products[0]);
          }
          detail::write_part(products[0], kQuadColumns, kRows, c);
        }
        a.data += 8 * kRows * a.groups, a.scales += kRows * a.groups, a.sums += kRows * a.groups;
        c.data += kRows * c.stride;
      }
    };
    step(std::integral_constant<int, 4>{});
    step(std::integral_constant<int, 2>{});
    step(std::integral_constant<int, 1>{});
    return;
  }
#endif
  multiply_nibbles_portable(a, panel, c);
}

/// The format of this file.
[[nodiscard]] inline std::shared_ptr<const StoredMatrix> store_int4(const Operand<float>& b);

/// A right operand in panels of 32 columns, which have the whole depth.
class Int4Matrix final : public StoredMatrix {
 public:
  explicit Int4Matrix(const Operand<float>& b) : StoredMatrix(b.rows, b.cols) {
    if (rows() == 0 || cols() == 0) return;
    const Index panels = (cols() + kQuadColumns - 1) / kQuadColumns;
    data_ = Tensor<std::uint32_t>(Shape{panels, groups_of(rows()) * kGroupWords});
    factors_ = Tensor<float>(Shape{2, panels * kQuadColumns});  // of scales, then of offsets
    parallel_for(panels, std::max<Index>(1, 2048 / rows()), [&](Index first, Index last) {
      for (Index i = first; i < last; ++i) {
        const Index j = i * kQuadColumns;
        quantize_nibble_panel(b.part(0, j, rows(), std::min(kQuadColumns, cols() - j)), data_.row(i),
                              factors_.row(0) + j, factors_.row(1) + j);
      }
    });
  }

  [[nodiscard]] MatrixFormat format() const override { return store_int4; }
  [[nodiscard]] NibblePanel panel(Index i) const {
    const Index column = i * kQuadColumns, groups = groups_of(rows());
    return {.data = data_.data() + i * groups * kGroupWords,
            .scales = factors_.data() + column,
            .offsets = factors_.data() + factors_.size() / 2 + column,
            .groups = groups};
  }

  void read_column(Index j, float* to) const override {
    read_nibble_column(panel(j / kQuadColumns), j % kQuadColumns, rows(), to);
  }

  void multiply(const Operand<float>& a, const TensorView<float>& c, const GemmOptions<float>& options) const override {
    const QuantizedGroups left(a);
    const GemmGeometry geometry{.panel_columns = kQuadColumns, .block_rows = 14, .depth = rows()};
    detail::for_product_blocks(
        geometry, c, options, [&](Index i, Index some_rows, Index first, const BlockOutput<float>& part) {
          detail::for_panels(kQuadColumns, first, part, [&](Index at, const BlockOutput<float>& block) {
            multiply_nibbles(left.part(i, some_rows), panel(at), block);
          });
        });
  }

 private:
  Tensor<std::uint32_t> data_;  // [panels, groups 144]
  Tensor<float> factors_;       // [2, panels 32]
};

std::shared_ptr<const StoredMatrix> store_int4(const Operand<float>& b) {
  return std::make_shared<const Int4Matrix>(b);
}

}}}  // namespace rapt::RAPT_ABI::kernels
