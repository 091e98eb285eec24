/// \file
/// Matrix products of integers of eight bits, for serving models at a quarter of the memory.
///
/// A number x is kept as an integer q from -127 to 127 with x ~ scale * q. Each row of the left operand and each column
/// of the right one has a scale of its own, the largest magnitude there divided by 127 (vector-wise quantization,
/// Dettmers et al. 2022, arXiv:2208.07339, section 2.1.1). A product is then
///   c(i, j) ~ scale_i * scale_j * sum_k q(i, k) q(k, j),
/// whose sum of integers is exact, so that it does not depend on the order of additions.
///
/// Four consecutive depths stand side by side in a quad of 32 bits, the layout that AVX-512's dot products of bytes
/// (VNNI) read: left operands are rows of quads, right operands panels of 32 columns of quads. The instruction
/// multiplies unsigned bytes by signed ones. Left integers are therefore kept as q + 128, which adds 128 * sum_k q(k,
/// j) to each sum; this shift is known when the right operand is packed and is subtracted at the end.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "rapt/core/cpu_features.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/gemm/product_blocks.hpp"
#include "rapt/kernels/gemm/stored_matrix.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Four integers of eight bits; the lowest byte has the lowest depth.
using Quad = std::uint32_t;

/// The number of columns of a panel of quads.
inline constexpr Index kQuadColumns = 32;
/// The greatest depth for which the sum always fits 32 bits: 2^16 products of at most 255 * 127 < 2^15.
inline constexpr Index kMostQuadDepth = Index{1} << 16;

/// The number of quads that hold `depth` integers; the last one is filled with zeros.
[[nodiscard]] constexpr Index quads_of(Index depth) { return (depth + 3) / 4; }

/// A left operand: rows of quads [rows][stride] and the scale of each row [rows].
struct QuadRows {
  const Quad* data = nullptr;
  const float* scales = nullptr;
  Index rows = 0, stride = 0;
};

/// A panel of a right operand: quads [quads][32], and for each column its scale and its shift, which is 128 times the
/// sum of its integers.
struct QuadPanel {
  const Quad* data = nullptr;
  const float* scales = nullptr;
  const std::int32_t* shifts = nullptr;
  Index quads = 0;
};

namespace detail {

/// The sum of this constant and a number x with |x| < 2^22 has x, rounded to the nearest integer (ties to even), in the
/// lowest bits of its mantissa.
inline constexpr float kRoundingBits = 12582912.f;  // 1.5 * 2^23

/// Rounds one row of `depth` numbers to quads_of(depth) quads of q + 128 and gives its scale. If the row has an
/// infinity or a NaN, the scale is NaN, and so is this row of the product.
template <class Isa>
[[gnu::always_inline]] inline void quantize_row(Isa isa, const float* from, Index depth, Quad* to, float& scale) {
  constexpr int kWidth = simd::kLanes<Isa, float>;
  // The largest magnitude, and the sum of x * 0, which is 0 for finite numbers and NaN otherwise.
  simd::Vector<float, kWidth> most = {}, none = {};
  Index k = 0;
  for (; k + kWidth <= depth; k += kWidth) {
    simd::Vector<float, kWidth> x;
    simd::load(x, from + k);
    const simd::Vector<float, kWidth> magnitude = x < 0.f ? -x : x;
    most = most > magnitude ? most : magnitude;
    none += x * 0.f;
  }
  float largest = simd::max_lanes<kWidth>(most), bad = simd::sum_lanes<kWidth>(none);
  for (; k < depth; ++k) {
    largest = std::max(largest, std::abs(from[k]));
    bad += from[k] * 0;
  }
  scale = largest / 127 + bad;
  const float factor = largest > 0 ? 127 / largest : 0.f;
  // Rounded integers stand in the lowest byte of the float's bits; flipping its highest bit adds 128.
  auto* bytes = reinterpret_cast<std::uint8_t*>(to);
  to[quads_of(depth) - 1] = 0;
  simd::for_lanes<float>(
      isa, depth, [&](auto lanes, Index at) __attribute__((always_inline)) {
        simd::Vector<float, lanes> x;
        simd::load(x, from + at);
        x = x * factor + kRoundingBits;
        const auto q =
            __builtin_convertvector((simd::Vector<std::uint32_t, lanes>)x ^ 0x80u, simd::Vector<std::uint8_t, lanes>);
        simd::store(bytes + at, q);
      });
}

}  // namespace detail

/// Rounds the rows of a left operand, which must be contiguous, to rows of quads that are `stride` quads apart.
inline void quantize_rows(const Operand<float>& a, Quad* to, Index stride, float* scales) {
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    for (Index i = 0; i < a.rows; ++i) {
      detail::quantize_row(isa, a.data + i * a.row_stride, a.cols, to + i * stride, scales[i]);
    }
  });
}

/// Rounds up to 32 columns of a right operand to a panel [quads_of(b.rows)][32], with the scale and the shift of each
/// column [32]. Columns behind the last one of b are zeros.
inline void quantize_panel(const Operand<float>& b, Quad* to, float* scales, std::int32_t* shifts) {
  std::fill_n(to, quads_of(b.rows) * kQuadColumns, Quad{0});
  for (Index j = 0; j < kQuadColumns; ++j) {
    scales[j] = 0, shifts[j] = 0;
    if (j >= b.cols) continue;
    float largest = 0, bad = 0;
    const float* column = b.data + j * b.col_stride;
    for (Index k = 0; k < b.rows; ++k) {
      largest = std::max(largest, std::abs(column[k * b.row_stride]));
      bad += column[k * b.row_stride] * 0;
    }
    scales[j] = largest / 127 + bad;
    const float factor = largest > 0 ? 127 / largest : 0.f;
    for (Index k = 0; k < b.rows; ++k) {
      const auto bits = std::bit_cast<Quad>(column[k * b.row_stride] * factor + detail::kRoundingBits) & 0xffu;
      to[k / 4 * kQuadColumns + j] |= bits << (8 * (k % 4));
      shifts[j] += 128 * static_cast<std::int8_t>(bits);
    }
  }
}

/// c (+)= a * panel for c.columns <= 32 columns, on the compiler's portable vectors.
inline void multiply_quads_portable(const QuadRows& a, const QuadPanel& panel, const BlockOutput<float>& c) {
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    constexpr int kWidth = simd::kLanes<decltype(isa), std::int32_t>;
    using Integers = simd::Vector<std::int32_t, kWidth>;
    for (Index i = 0; i < a.rows; ++i) {
      const Quad* row = a.data + i * a.stride;
      for (Index j = 0; j < c.columns; j += kWidth) {
        Integers sum = {};
        for (Index p = 0; p < panel.quads; ++p) {
          Integers b;
          simd::load(b, panel.data + p * kQuadColumns + j);
#pragma GCC unroll 4
          for (int byte = 0; byte < 4; ++byte) {  // an unsigned byte of the left by a signed one of the right
            sum += static_cast<std::int32_t>(row[p] >> 8 * byte & 0xffu) * ((b << (24 - 8 * byte)) >> 24);
          }
        }
        for (Index lane = 0; lane < std::min<Index>(kWidth, c.columns - j); ++lane) {
          const Index at = j + lane;
          float& out = c.data[i * c.stride + at];
          const float product = static_cast<float>(sum[lane] - panel.shifts[at]) * (a.scales[i] * panel.scales[at]);
          out = product + (c.bias != nullptr ? c.bias[at] : 0.f) + (c.accumulate ? out : 0.f);
        }
      }
    }
  });
}

/// True if the instruction set in force is AVX-512 and the processor has dot products of bytes (VNNI).
[[nodiscard]] inline bool has_int8_dot_products() {
#if defined(__x86_64__)
  return simd_level() == SimdLevel::avx512 &&
         __builtin_cpu_supports("avx512vnni");  // a variable, set when the program starts
#else
  return false;
#endif
}

#if defined(__x86_64__)
#define RAPT_TARGET_AVX512_VNNI gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")

namespace detail {

/// c[kRows, up to 32] (+)= a[kRows, quads] * panel, with all sums in registers: two vectors of 16 columns for each row.
template <int kRows>
[[RAPT_TARGET_AVX512_VNNI, gnu::noinline]] void dot_quads_block(const QuadRows& a, const QuadPanel& panel,
                                                                const BlockOutput<float>& c) {
  __m512i sum[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_si512();
  const Quad *left = a.data, *right = panel.data;
  for (Index p = 0; p < panel.quads; ++p, ++left, right += kQuadColumns) {
    const __m512i b[2] = {_mm512_loadu_si512(right), _mm512_loadu_si512(right + 16)};
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512i x = _mm512_set1_epi32(static_cast<int>(left[r * a.stride]));
      sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], x, b[0]);
      sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], x, b[1]);
    }
  }
  // From sums of integers to numbers: (sum - shift) * (scale of the row * scale of the column) + bias, masked to c's
  // width.
#pragma GCC unroll 2
  for (int j = 0; j < 2; ++j) {
    const Index columns = std::min<Index>(16, c.columns - 16 * j);
    if (columns <= 0) break;
    const auto mask = static_cast<__mmask16>((1u << columns) - 1);
    const __m512 bias = c.bias != nullptr ? _mm512_maskz_loadu_ps(mask, c.bias + 16 * j) : _mm512_setzero_ps();
    const __m512 scales = _mm512_loadu_ps(panel.scales + 16 * j);
    const __m512i shifts = _mm512_loadu_si512(panel.shifts + 16 * j);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      float* to = c.data + r * c.stride + 16 * j;
      const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(a.scales[r]), scales);
      __m512 value = _mm512_mul_ps(_mm512_maskz_cvtepi32_ps(mask, _mm512_sub_epi32(sum[r][j], shifts)), scale);
      value = _mm512_add_ps(value, bias);
      if (c.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, to));
      _mm512_mask_storeu_ps(to, mask, value);
    }
  }
}

}  // namespace detail

/// As `multiply_quads_portable`, by AVX-512's dot products, each of which adds 16 x 4 products to 16 sums. Blocks have
/// 14 rows: their 28 sums, two vectors of the panel and a broadcast fit the 32 registers.
inline void multiply_quads_avx512(QuadRows a, const QuadPanel& panel, BlockOutput<float> c) {
  const auto step = [&]<int kRows>(std::integral_constant<int, kRows>) {
    for (; a.rows >= kRows; a.rows -= kRows) {
      detail::dot_quads_block<kRows>(a, panel, c);
      a.data += kRows * a.stride, a.scales += kRows, c.data += kRows * c.stride;
    }
  };
  step(std::integral_constant<int, 14>{});
  step(std::integral_constant<int, 8>{});
  step(std::integral_constant<int, 4>{});
  step(std::integral_constant<int, 2>{});
  step(std::integral_constant<int, 1>{});
}

#undef RAPT_TARGET_AVX512_VNNI
#endif

/// c (+)= a * panel for c.columns <= 32 columns, on the fastest unit that the processor has.
inline void multiply_quads(const QuadRows& a, const QuadPanel& panel, const BlockOutput<float>& c) {
#if defined(__x86_64__)
  if (has_int8_dot_products()) return multiply_quads_avx512(a, panel, c);
#endif
  multiply_quads_portable(a, panel, c);
}

/// A left operand rounded to quads by all threads.
class QuantizedRows {
 public:
  explicit QuantizedRows(const Operand<float>& a) {
    const Index stride = ((quads_of(a.cols) + 15) / 16 | 1) * 16;  // an odd number of cache lines, as in PackedRows
    data_ = Tensor<Quad>(Shape{a.rows, stride});
    scales_ = Tensor<float>(Shape{a.rows});
    parallel_for(a.rows, std::max<Index>(1, 16384 / a.cols), [&](Index begin, Index end) {
      Operand<float> some = a.part(begin, 0, end - begin, a.cols);
      Tensor<float> lines;
      if (a.col_stride != 1) {
        lines = Tensor<float>(Shape{some.rows, some.cols});
        for (Index i = 0; i < some.rows; ++i) {
          for (Index k = 0; k < some.cols; ++k) lines(i, k) = some.data[i * some.row_stride + k * some.col_stride];
        }
        some = as_is(lines);
      }
      quantize_rows(some, data_.row(begin), stride, scales_.data() + begin);
    });
  }

  [[nodiscard]] QuadRows part(Index i, Index rows) const {
    return {.data = data_.row(i), .scales = scales_.data() + i, .rows = rows, .stride = data_.cols()};
  }

 private:
  Tensor<Quad> data_;  // [rows, stride]
  Tensor<float> scales_;
};

/// The format of this file. Throws ShapeError for a matrix of more than `kMostQuadDepth` rows.
[[nodiscard]] inline std::shared_ptr<const StoredMatrix> store_int8(const Operand<float>& b);

/// A right operand in panels of 32 columns, which have the whole depth.
class Int8Matrix final : public StoredMatrix {
 public:
  explicit Int8Matrix(const Operand<float>& b) : StoredMatrix(b.rows, b.cols) {
    require<ShapeError>(rows() <= kMostQuadDepth, "packed_operand", "eight bits add up over at most ", kMostQuadDepth,
                        " products, not ", rows());
    if (rows() == 0 || cols() == 0) return;
    const Index panels = (cols() + kQuadColumns - 1) / kQuadColumns;
    data_ = Tensor<Quad>(Shape{panels * kQuadColumns * quads_of(rows())});  // [panels][quads][32]
    scales_ = Tensor<float>(Shape{panels * kQuadColumns});
    shifts_ = Tensor<std::int32_t>(Shape{panels * kQuadColumns});
    parallel_for(panels, std::max<Index>(1, 2048 / rows()), [&](Index first, Index last) {
      for (Index panel = first; panel < last; ++panel) {
        const Index j = panel * kQuadColumns;
        quantize_panel(b.part(0, j, rows(), std::min(kQuadColumns, cols() - j)), data_.data() + j * quads_of(rows()),
                       scales_.data() + j, shifts_.data() + j);
      }
    });
  }

  [[nodiscard]] MatrixFormat format() const override { return store_int8; }
  [[nodiscard]] QuadPanel panel(Index i) const {
    const Index quads = quads_of(rows()), column = i * kQuadColumns;
    return {.data = data_.data() + column * quads,
            .scales = scales_.data() + column,
            .shifts = shifts_.data() + column,
            .quads = quads};
  }

  void read_column(Index j, float* to) const override {
    const QuadPanel quads = panel(j / kQuadColumns);
    const Index lane = j % kQuadColumns;
    for (Index k = 0; k < rows(); ++k) {
      const Quad bytes = quads.data[k / 4 * kQuadColumns + lane] >> 8 * (k % 4);
      to[k] = static_cast<float>(static_cast<std::int8_t>(bytes & 0xffu)) * quads.scales[lane];
    }
  }

  void multiply(const Operand<float>& a, const TensorView<float>& c, const GemmOptions<float>& options) const override {
    const QuantizedRows left(a);
    const GemmGeometry geometry{.panel_columns = kQuadColumns, .block_rows = 14, .depth = rows()};
    detail::for_product_blocks(
        geometry, c, options, [&](Index i, Index some_rows, Index first, const BlockOutput<float>& part) {
          detail::for_panels(kQuadColumns, first, part, [&](Index at, const BlockOutput<float>& block) {
            multiply_quads(left.part(i, some_rows), panel(at), block);
          });
        });
  }

 private:
  Tensor<Quad> data_;
  Tensor<float> scales_;
  Tensor<std::int32_t> shifts_;
};

std::shared_ptr<const StoredMatrix> store_int8(const Operand<float>& b) {
  return std::make_shared<const Int8Matrix>(b);
}

}}}  // namespace rapt::RAPT_ABI::kernels
