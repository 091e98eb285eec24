/// \file
/// Images put together from patches, and up-sampling by pixel shuffle: values, gradients, errors.
// covers: autograd/ops/pixel_shuffle.hpp
#include "rapt/autograd/ops/fold_patches.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "rapt/autograd/gradcheck.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/pixel_shuffle.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::GridSize;
using rapt::Index;
using rapt::PatchGrid;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
using Variable = rapt::Variable<double>;
using Variables = std::vector<Variable>;
using rapt_test::normal_tensor;

const PatchGrid kGrid{{2, 4, 6}, 2, 3};                                 // four patches of 12 numbers
const std::vector<TokenId> kNumbers{2, 0, 3, 1, 1, 2, 3, 0};            // of two images
const std::vector<TokenId> kOrder{5, 0, 3, 2, 1, 4, 0, 1, 2, 5, 4, 3};  // of the six tokens of a 2 x 3 grid

template <class F>
void expect_gradient(const F& f, const std::vector<Tensor<double>>& inputs) {
  EXPECT_LT(rapt::gradcheck(f, inputs).worst_relative_error, 1e-6);
  const auto twice = [&](const Variables& x) { return multiply(f(x), f(x)); };  // gradients add up
  EXPECT_LT(rapt::gradcheck(twice, inputs).worst_relative_error, 1e-6);
  rapt_test::expect_same_gradients_of_subsets(f, inputs);
}

TEST(FoldPatches, UndoesUnfolding) {
  const auto pixels = normal_tensor<double>({2, 48}, 1);
  for (const auto& numbers : {std::vector<TokenId>{}, kNumbers}) {
    const auto again = fold_patches(unfold_patches(Variable(pixels), kGrid, numbers), kGrid, numbers).value();
    EXPECT_TRUE(rapt_test::same_bits(again, pixels));
  }
}

TEST(FoldPatches, Gradient) {
  const auto x = normal_tensor<double>({8, 12}, 2);
  expect_gradient([](const Variables& v) { return fold_patches(v[0], kGrid); }, {x});
  expect_gradient([](const Variables& v) { return fold_patches(v[0], kGrid, kNumbers); }, {x});
}

TEST(FoldPatches, SaysWhatDoesNotFit) {
  const Variable x(normal_tensor<double>({8, 12}, 3));
  const std::vector<TokenId> twice{2, 0, 3, 3, 1, 2, 3, 0}, few{0, 1, 2, 3}, outside{2, 0, 4, 1, 1, 2, 3, 0};
  rapt_test::expect_errors({
      {"columns",
       [] {
         std::ignore = fold_patches(Variable(normal_tensor<double>({8, 11}, 3)), kGrid);
       },
       {"[8, 11]"}},
      {"rows",
       [] {
         std::ignore = fold_patches(Variable(normal_tensor<double>({6, 12}, 3)), kGrid);
       },
       {"[6, 12]"}},
      {"twice", [&] { std::ignore = fold_patches(x, kGrid, twice); }, {"patch 3 of image 0", "twice"}},
      {"too few", [&] { std::ignore = fold_patches(x, kGrid, few); }, {"4 numbers", "8 rows"}},
      {"outside", [&] { std::ignore = fold_patches(x, kGrid, outside); }, {"4", "position 2"}},
  });
}

// The definition, with torch.nn.PixelShuffle's order of channels.
TEST(PixelShuffle, IsTheDefinition) {
  const Index r = 2, channels = 3;
  const GridSize grid{2, 3};
  const auto x = normal_tensor<double>({2 * grid.cells(), channels * r * r}, 4);
  const Tensor<double> y = pixel_shuffle(Variable(x), grid, r).value();
  ASSERT_EQ(y.shape(), (Shape{2 * grid.cells() * r * r, channels}));
  for (Index row = 0; row < y.rows(); ++row) {
    const Index b = row / 24, i = row % 24 / 6, j = row % 6;
    for (Index c = 0; c < channels; ++c) {
      EXPECT_EQ(y(row, c), x(b * 6 + i / r * 3 + j / r, c * r * r + i % r * r + j % r));
    }
  }
}

TEST(PixelShuffle, RowsMayHaveAnyOrder) {
  const GridSize grid{2, 3};
  const auto x = normal_tensor<double>({12, 4}, 5);
  std::vector<TokenId> from_rows, to(24), to_both;
  for (Index i = 0; i < 12; ++i) from_rows.push_back(static_cast<TokenId>(i / 6 * 6 + rapt::at(kOrder, i)));
  std::iota(to.begin(), to.end(), 0);
  rapt::Rng(6).shuffle(std::span(to));
  for (int b = 0; b < 2; ++b) to_both.insert(to_both.end(), to.begin(), to.end());
  const Variable in_order(x), mixed = gather_rows<double>(in_order, from_rows);
  const Tensor<double> expected = pixel_shuffle(in_order, grid, 2).value();
  const Tensor<double> found = pixel_shuffle(mixed, grid, 2, kOrder, to_both).value();
  for (Index i = 0; i < found.rows(); ++i) {
    EXPECT_EQ(found(i, 0), expected(i / 24 * 24 + rapt::at(to_both, i), 0)) << "row " << i;
  }
  expect_gradient([&](const Variables& v) { return pixel_shuffle(v[0], grid, 2, kOrder, to_both); }, {x});
}

TEST(PixelShuffle, SaysWhatDoesNotFit) {
  const Variable x(normal_tensor<double>({6, 6}, 7));
  rapt_test::expect_errors({
      {"columns",
       [&] {
         std::ignore = pixel_shuffle(x, {2, 3}, 2);
       },
       {"pixel_shuffle", "[6, 6]", "columns of 4"}},
      {"rows",
       [&] {
         std::ignore = pixel_shuffle(x, {4, 3}, 1);
       },
       {"[6, 6]", "multiple of 12"}},
      {"factor",
       [&] {
         std::ignore = pixel_shuffle(x, {2, 3}, 0);
       },
       {"2 x 3", "factor 0"}},
  });
}

}  // namespace
