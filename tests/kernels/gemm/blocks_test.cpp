/// \file
/// Products with GGUF's quantised blocks: numbers are those of the reader of files, and products those of the numbers.
#include "rapt/kernels/gemm/blocks.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "rapt/core/rng.hpp"
#include "rapt/io/gguf_blocks.hpp"
#include "rapt/kernels/gemm/gemm.hpp"
#include "rapt/kernels/gemm/half.hpp"
#include "rapt/kernels/gemm/packed_operand.hpp"
#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::kernels::PackedOperand;
namespace kernels = rapt::kernels;

/// Columns of random bytes; the numbers of 16 bits at `halves` of each block are small and of both signs.
template <class Blocks>
Tensor<std::uint8_t> random_blocks(Index columns, Index blocks, const std::vector<Index>& halves) {
  rapt::Rng rng(7);
  Tensor<std::uint8_t> bytes(Shape{columns, blocks * Blocks::kBytes});
  for (Index i = 0; i < bytes.size(); ++i) bytes.data()[i] = static_cast<std::uint8_t>(rng.below(256));
  for (Index i = 0; i < columns * blocks; ++i) {
    for (const Index at : halves) {
      const float value = (0.5f + static_cast<float>(rng.below(100)) / 100) * (rng.below(2) == 0 ? 0.01f : -0.01f);
      const kernels::Half bits = kernels::to_half(kernels::HalfType::float16, value);
      std::memcpy(bytes.data() + i * Blocks::kBytes + at, &bits, sizeof bits);
    }
  }
  return bytes;
}

template <class Blocks>
void expect_blocks(const rapt::detail::BlockFormat& format, const std::vector<Index>& halves) {
  SCOPED_TRACE(format.name);
  ASSERT_EQ(Blocks::kElements, format.elements);
  ASSERT_EQ(Blocks::kBytes, static_cast<Index>(format.bytes));
  const HighestPrecision scope;
  const Index columns = 150, blocks = Blocks::kElements == 32 ? 5 : 2, depth = blocks * Blocks::kElements;
  const Tensor<std::uint8_t> bytes = random_blocks<Blocks>(columns, blocks, halves);
  Tensor<float> w(Shape{columns, depth});
  for (Index i = 0; i < columns * blocks; ++i) {
    format.dequantize(reinterpret_cast<const std::byte*>(bytes.data() + i * Blocks::kBytes),
                      w.data() + i * Blocks::kElements);
  }
  const PackedOperand<float> packed(std::make_shared<const kernels::BlockMatrix<Blocks>>(Tensor<std::uint8_t>(bytes)));
  EXPECT_EQ(packed.rows(), depth);
  EXPECT_EQ(packed.cols(), columns);
  EXPECT_EQ(packed.format(), nullptr);
  const auto bias = random_tensor<float>(Shape{columns}, 3);
  for_every_simd_level([&] {
    Tensor<float> held(w.shape());
    for (Index j = 0; j < columns; ++j) packed.read_column(j, held.row(j));
    EXPECT_LE(relative_error(held, w), 1e-6);
    for (const Index rows : {1, 3, 4, 6, 8, 9}) {
      const auto x = random_tensor<float>(Shape{rows, depth}, 1);
      for (const bool accumulate : {false, true}) {
        const auto before = random_tensor<float>(Shape{rows, 117}, 4);
        Tensor<float> y = before, expected = before;
        kernels::gemm(kernels::as_is(x), packed, y,
                      {.accumulate = accumulate, .bias = bias.data() + 32, .first_column = 32});
        kernels::gemm(kernels::as_is(x), kernels::transposed(w.view().middle_rows(32, 117)), expected,
                      {.accumulate = accumulate, .bias = bias.data() + 32});
        EXPECT_LE(relative_error(y, expected), 3e-6) << rows;
      }
    }
  });
  for (const Index rows : {1, 7, 40}) {
    const auto x = random_tensor<float>(Shape{rows, depth}, 1);
    expect_same_bits_on_any_threads([&] {
      Tensor<float> y(Shape{rows, columns});
      kernels::gemm(kernels::as_is(x), packed, y);
      return y;
    });
  }
}

TEST(Blocks, NumbersAndProductsAreThoseOfTheReaderOfFiles) {
  expect_blocks<kernels::BlocksQ8_0>(rapt::detail::kQ8_0, {0});
  expect_blocks<kernels::BlocksQ4_0>(rapt::detail::kQ4_0, {0});
  expect_blocks<kernels::BlocksQ4_1>(rapt::detail::kQ4_1, {0, 2});
  expect_blocks<kernels::BlocksQ4_K>(rapt::detail::kQ4_K, {0, 2});
  expect_blocks<kernels::BlocksQ6_K>(rapt::detail::kQ6_K, {208});
}

TEST(Blocks, ColumnsAreWholeBlocks) {
  EXPECT_EQ(error_text<rapt::ShapeError>([] {
              kernels::BlockMatrix<kernels::BlocksQ8_0>(Tensor<std::uint8_t>(Shape{2, 35}));
            }),
            "[block_matrix] columns of 35 bytes are not whole blocks of 34");
}

}  // namespace
