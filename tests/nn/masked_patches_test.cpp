/// \file
/// Embedded patches that are replaced by the mask embedding, by other patches, or by themselves.
#include "rapt/nn/masked_patches.hpp"

#include <gtest/gtest.h>

#include "tests/common/gradients.hpp"

namespace {

using rapt::PatchMask;
using rapt::Shape;
using rapt::Tensor;
using rapt::Variable;

Tensor<double> rows_of(const std::vector<std::vector<double>>& rows) {
  Tensor<double> values(Shape{std::ssize(rows), std::ssize(rows[0])});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].begin(), rows[i].end(), values.row(static_cast<rapt::Index>(i)));
  }
  return values;
}

TEST(MaskedPatches, StandWhereTheMaskSays) {
  const Variable<double> x(rows_of({{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}, {10, 11}}));
  const Variable<double> embedding(rows_of({{-1, -2}}));
  const PatchMask mask(2, 3, {2, 3});  // masked: 0, 1, 4, 5
  EXPECT_TRUE(rapt_test::same_bits(rapt::replace_masked_patches(x, embedding, mask).value(),
                                   rows_of({{-1, -2}, {-1, -2}, {4, 5}, {6, 7}, {-1, -2}, {-1, -2}})));
  const PatchMask showing = mask.showing({1, PatchMask::kMaskEmbedding, 4, 3});
  EXPECT_TRUE(rapt_test::same_bits(rapt::replace_masked_patches(x, embedding, showing).value(),
                                   rows_of({{2, 3}, {-1, -2}, {4, 5}, {6, 7}, {8, 9}, {6, 7}})));
  EXPECT_TRUE(rapt_test::same_bits(rapt::replace_masked_patches(x, embedding, PatchMask(2, 3)).value(), x.value()));
  EXPECT_TRUE(rapt_test::same_bits(rapt::replace_masked_patches(x, embedding, PatchMask(2, 3, {})).value(),
                                   rows_of({{-1, -2}, {-1, -2}, {-1, -2}, {-1, -2}, {-1, -2}, {-1, -2}})));
}

TEST(MaskedPatches, GradientsGoWhereValuesCameFrom) {
  const auto x = rapt_test::random_leaf<double>(Shape{6, 2}, 1), embedding = rapt_test::random_leaf<double>({1, 2}, 2);
  const PatchMask mask = PatchMask(2, 3, {2, 3}).showing({1, PatchMask::kMaskEmbedding, PatchMask::kMaskEmbedding, 3});
  const Tensor<double> upstream = rows_of({{1, 2}, {3, 4}, {5, 6}, {7, 8}, {9, 10}, {11, 12}});
  const rapt::Recording scope;
  const auto y = rapt::replace_masked_patches(x, embedding, mask);
  rapt::backward(rapt::sum(rapt::multiply(y, Variable<double>(upstream))));
  EXPECT_TRUE(rapt_test::same_bits(x.grad(), rows_of({{0, 0}, {1, 2}, {5, 6}, {18, 20}, {0, 0}, {0, 0}})));
  EXPECT_TRUE(rapt_test::same_bits(embedding.grad(), rows_of({{12, 14}})));
}

TEST(MaskedPatches, WrongUse) {
  const Variable<double> x(rows_of({{0, 1}, {2, 3}}));
  rapt_test::expect_errors(
      {{"other sizes",
        [&] { std::ignore = rapt::replace_masked_patches(x, x, PatchMask(2, 3)); },
        {"a mask of 2 images of 3 patches", "[2, 2]"}},
       {"no embedding",
        [&] { std::ignore = rapt::replace_masked_patches(x, Variable<double>(), PatchMask(1, 2, {0})); },
        {"1 patches are to be replaced", "there is none"}}});
  const PatchMask kept = PatchMask(1, 2, {0}).showing({0});  // needs no embedding
  EXPECT_TRUE(rapt_test::same_bits(rapt::replace_masked_patches(x, Variable<double>(), kept).value(),
                                   rows_of({{0, 1}, {0, 1}})));
}

}  // namespace
