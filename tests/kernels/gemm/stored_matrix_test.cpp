/// \file
/// A format that the library does not have: what a program must write for it, and how products are divided for it.
// covers: kernels/gemm/product_blocks.hpp, kernels/gemm/stored_columns.hpp
#include "rapt/kernels/gemm/stored_matrix.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include "rapt/kernels/gemm/gemm.hpp"
#include "rapt/kernels/gemm/packed_operand.hpp"
#include "rapt/kernels/gemm/product_blocks.hpp"
#include "rapt/kernels/gemm/stored_columns.hpp"
#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TensorView;
using rapt::kernels::BlockOutput;
using rapt::kernels::GemmOptions;
using rapt::kernels::Operand;
using rapt::kernels::PackedOperand;
using rapt::kernels::StoredMatrix;
namespace kernels = rapt::kernels;

std::shared_ptr<const StoredMatrix> store_signs(const Operand<float>& b);

/// The signs of a matrix's numbers, times the mean magnitude of each column.
class SignMatrix final : public StoredMatrix {
 public:
  explicit SignMatrix(const Operand<float>& b) : StoredMatrix(b.rows, b.cols), values_(Shape{b.cols, b.rows}) {
    for (Index j = 0; j < cols(); ++j) {
      const auto element = [&](Index k) { return b.data[k * b.row_stride + j * b.col_stride]; };
      float sum = 0;
      for (Index k = 0; k < rows(); ++k) sum += std::abs(element(k));
      for (Index k = 0; k < rows(); ++k) values_(j, k) = std::copysign(sum / static_cast<float>(rows()), element(k));
    }
  }
  [[nodiscard]] kernels::MatrixFormat format() const override { return store_signs; }
  void read_column(Index j, float* to) const override { std::copy_n(values_.row(j), rows(), to); }
  void multiply(const Operand<float>& a, const TensorView<float>& c, const GemmOptions<float>& options) const override {
    kernels::detail::multiply_stored_columns(*this, a, c, options, [&](Index j, const BlockOutput<float>& block) {
      EXPECT_LE(a.rows, 8);
      EXPECT_EQ(a.col_stride, 1);
      kernels::multiply_dots(a, kernels::transposed(values_.view().middle_rows(j, block.columns)), block);
    });
  }

 private:
  Tensor<float> values_;  // [cols, rows]
};

std::shared_ptr<const StoredMatrix> store_signs(const Operand<float>& b) { return std::make_shared<SignMatrix>(b); }

TEST(StoredMatrix, AFormatOfAProgramsOwnIsMultiplied) {
  const HighestPrecision scope;
  const auto w = random_tensor<float>(Shape{300, 37}, 2), bias = random_tensor<float>(Shape{300}, 3);
  const PackedOperand<float> packed(kernels::transposed(w), store_signs);
  EXPECT_EQ(packed.format(), store_signs);
  EXPECT_TRUE(packed.is_current());
  Tensor<float> held(w.shape());
  for (Index j = 0; j < w.rows(); ++j) packed.read_column(j, held.row(j));
  EXPECT_GT(relative_error(held, w), 0.1);
  for (const Index rows : {0, 1, 8, 9}) {
    const auto x = random_tensor<float>(Shape{rows, 37}, 1);
    const auto columns = random_tensor<float>(Shape{37, rows}, 1);
    for (const auto& a : {kernels::as_is(x), kernels::transposed(columns)}) {
      for (const bool accumulate : {false, true}) {
        const auto before = random_tensor<float>(Shape{rows, 267}, 4);
        Tensor<float> y = before, expected = before;
        const GemmOptions<float> options{.accumulate = accumulate, .bias = bias.data() + 32, .first_column = 32};
        kernels::gemm(a, packed, y, options);
        kernels::gemm(a, kernels::transposed(held.view().middle_rows(32, 267)), expected,
                      {.accumulate = accumulate, .bias = bias.data() + 32});
        expect_close(y, expected, 2e-6);
      }
    }
  }
  const PackedOperand<float> copy = packed;  // of the same matrix, which never changes
  EXPECT_EQ(copy.stored(), packed.stored());
  const auto x = random_tensor<float>(Shape{2, 36}, 1);
  Tensor<float> y(Shape{2, 300});
  EXPECT_THROW(kernels::gemm(kernels::as_is(x), packed, y), rapt::ShapeError);
}

TEST(StoredMatrix, BlocksCoverTheProductOnce) {
  const kernels::GemmGeometry geometry{.panel_columns = 32, .block_rows = 2, .depth = 1};
  for (const auto& [rows, columns] :
       std::vector<std::array<Index, 2>>{{1, 1}, {1, 700}, {16, 33}, {17, 64}, {90, 31}}) {
    Tensor<float> c(Shape{rows, columns});
    c.fill(0);
    const auto bias = random_tensor<float>(Shape{columns}, 3);
    const auto count = [&](Index i, Index some_rows, Index first, const BlockOutput<float>& part) {
      EXPECT_LE(some_rows, 16);
      kernels::detail::for_panels(32, first, part, [&](Index panel, const BlockOutput<float>& block) {
        const Index j = (panel - 2) * 32;
        EXPECT_EQ(block.data, c.row(i) + j);
        EXPECT_EQ(block.bias, bias.data() + j);
        for (Index row = 0; row < some_rows; ++row) {
          for (Index k = 0; k < block.columns; ++k) block.data[row * block.stride + k] += 1;
        }
      });
    };
    kernels::detail::for_product_blocks(geometry, c.view(), GemmOptions<float>{.bias = bias.data(), .first_column = 64},
                                        count);
    for (const float times : c.values()) EXPECT_EQ(times, 1);
  }
}

}  // namespace
