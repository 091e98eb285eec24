/// \file
/// Operands of products of integers of eight bits: what the bits mean, and rounding. quad_products.hpp multiplies them.
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

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/operand.hpp"
#include "rapt/kernels/simd.hpp"

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
  const Quad* data = nullptr;     ///< of q + 128
  const float* scales = nullptr;  ///< scale_i
  Index rows = 0, stride = 0;
};

/// A panel of a right operand: quads [quads][32], and for each column its scale and its shift, which is 128 times the
/// sum of its integers.
struct QuadPanel {
  const Quad* data = nullptr;            ///< of signed q
  const float* scales = nullptr;         ///< scale_j [32]
  const std::int32_t* shifts = nullptr;  ///< 128 sum_k q(k, j) [32], which is subtracted from the sums
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

  /// Rows i .. i + rows. This object must outlive what it returns.
  [[nodiscard]] QuadRows part(Index i, Index rows) const {
    return {.data = data_.row(i), .scales = scales_.data() + i, .rows = rows, .stride = data_.cols()};
  }

 private:
  Tensor<Quad> data_;  // [rows, stride]
  Tensor<float> scales_;
};

}}}  // namespace rapt::RAPT_ABI::kernels
