/// \file
/// Weights that are kept as files store them, in float16 or bfloat16: rows of W [out, in], widened to float32 in
/// registers. For a few tokens, where the time goes into reading the weights from memory.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/gemm/halves.hpp"
#include "rapt/kernels/gemm/stored_columns.hpp"
#include "rapt/kernels/gemm/stored_matrix.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// c[a.rows, c.columns] (+)= a * b^T on the compiler's portable vectors; rows of a must be contiguous.
inline void multiply_halves_portable(const Operand<float>& a, const HalfRows& b, const BlockOutput<float>& c) {
  detail::with_half_type(b.type, [&](auto type) {
    detail::multiply_half_blocks(a, b, c, [&]<int kRows>(auto, const auto& dots, float(&sums)[kRows][4]) {
      simd::with_simd([&](auto isa)
                          __attribute__((always_inline)) { detail::dot_halves<type(), kRows>(isa, dots, sums); });
    });
  });
}

/// As above, by the fastest instructions that the processor has.
inline void multiply_halves(const Operand<float>& a, const HalfRows& b, const BlockOutput<float>& c) {
#if defined(__x86_64__)
  const SimdLevel level = simd_level();
  if (level == SimdLevel::avx512 || (level == SimdLevel::avx2 && rapt::detail::x86_features().f16c)) {
    return detail::with_half_type(b.type, [&](auto type) {
      detail::multiply_half_blocks(a, b, c, [&]<int kRows>(auto, const auto& dots, float(&sums)[kRows][4]) {
        level == SimdLevel::avx512 ? detail::dot_halves_avx512<type(), kRows>(dots, sums)
                                   : detail::dot_halves_avx2<type(), kRows>(dots, sums);
      });
    });
  }
#endif
  multiply_halves_portable(a, b, c);
}

/// The formats of this file.
[[nodiscard]] inline std::shared_ptr<const StoredMatrix> store_float16(const Operand<float>& b);
[[nodiscard]] inline std::shared_ptr<const StoredMatrix> store_bfloat16(const Operand<float>& b);

/// A right operand whose columns are rows of 16-bit numbers, such as a weight [out, in] of a file.
class HalfMatrix final : public StoredMatrix {
 public:
  /// An operand [depth, cols] whose columns are the rows of `halves` [cols, depth], which may be borrowed memory.
  HalfMatrix(Tensor<Half> halves, HalfType type)
      : StoredMatrix(halves.cols(), halves.rows()), halves_(std::move(halves)), type_(type) {}
  HalfMatrix(const Operand<float>& b, HalfType type)
      : StoredMatrix(b.rows, b.cols), halves_(Shape{b.cols, b.rows}), type_(type) {
    parallel_for(cols(), std::max<Index>(1, 16384 / std::max<Index>(1, rows())), [&](Index first, Index last) {
      for (Index j = first; j < last; ++j) {
        const float* from = b.data + j * b.col_stride;
        for (Index k = 0; k < rows(); ++k) halves_(j, k) = to_half(type_, from[k * b.row_stride]);
      }
    });
  }

  [[nodiscard]] MatrixFormat format() const override {
    return type_ == HalfType::float16 ? store_float16 : store_bfloat16;
  }
  /// The columns from number j on as rows of 16-bit numbers.
  [[nodiscard]] HalfRows columns_from(Index j) const {
    return {.type = type_, .data = halves_.row(j), .stride = rows()};
  }

  void read_column(Index j, float* to) const override { widen(type_, halves_.row(j), rows(), to); }
  void multiply(const Operand<float>& a, const TensorView<float>& c, const GemmOptions<float>& options) const override {
    detail::multiply_stored_columns(*this, a, c, options, [&](Index j, const BlockOutput<float>& block) {
      multiply_halves(a, columns_from(j), block);
    });
  }

 private:
  Tensor<Half> halves_;  // [cols, rows]
  HalfType type_;
};

/// Keeps a matrix as float16.
std::shared_ptr<const StoredMatrix> store_float16(const Operand<float>& b) {
  return std::make_shared<const HalfMatrix>(b, HalfType::float16);
}
/// Keeps a matrix as bfloat16.
std::shared_ptr<const StoredMatrix> store_bfloat16(const Operand<float>& b) {
  return std::make_shared<const HalfMatrix>(b, HalfType::bfloat16);
}

}}}  // namespace rapt::RAPT_ABI::kernels
