/// \file
/// Which patches are hidden.
#include "rapt/data/patch_masking.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::PatchMask;
using rapt::TokenId;
using rapt_test::expect_message;
using Numbers = std::vector<TokenId>;

TEST(MaskByNoise, KeepsTheSmallest) {
  const std::vector<float> noise{0.5f, 0.1f, 0.9f, 0.3f, 0.2f, 0.8f, 0.7f, 0.4f};
  const PatchMask mask = rapt::mask_by_noise(std::span<const float>(noise), 4, 0.5);
  EXPECT_EQ(mask.visible(), (Numbers{1, 3, 4, 7}));
  EXPECT_EQ(rapt::mask_by_noise(std::span<const float>(noise), 4, 0.7).visible(), (Numbers{1, 4}));  // 1.2 are kept
  EXPECT_TRUE(rapt::mask_by_noise(std::span<const float>(noise), 4, 0.0).masked().empty());
  expect_message([&] { std::ignore = rapt::mask_by_noise(std::span<const float>(noise), 4, 0.9); }, "none is left");
  expect_message([&] { std::ignore = rapt::mask_by_noise(std::span<const float>(noise), 4, 1.0); }, "1");
  expect_message([&] { std::ignore = rapt::mask_by_noise(std::span<const float>(noise), 3, 0.5); }, "8 numbers");
}

TEST(RandomPatchMask, HidesEachPatchEquallyOften) {
  rapt::Rng rng(1);
  const Index images = 4000, patches = 16;
  const PatchMask mask = rapt::random_patch_mask(images, patches, 0.75, rng);
  std::vector<Index> seen(static_cast<std::size_t>(patches), 0);
  for (const TokenId number : mask.visible()) ++seen[static_cast<std::size_t>(number % patches)];
  for (Index b = 0; b < images; ++b) EXPECT_EQ(mask.visible_splits().length(b), 4);
  for (const Index count : seen) EXPECT_NEAR(static_cast<double>(count), 1000, 170);  // 6 deviations of 27
  EXPECT_NE(rapt::random_patch_mask(images, patches, 0.75, rng).visible(), mask.visible());
  rapt::Rng again(1);
  EXPECT_EQ(rapt::random_patch_mask(images, patches, 0.75, again).visible(), mask.visible());
}

TEST(BlockPatchMask, HidesNeighbours) {
  rapt::Rng rng(1);
  const Index images = 200, rows = 14, cols = 10, patches = rows * cols;
  const PatchMask blocks = rapt::block_patch_mask(images, rows, cols, rng);
  const PatchMask single = rapt::random_patch_mask(images, patches, 0.6, rng);
  ASSERT_EQ(static_cast<Index>(blocks.masked().size()), images * 56);  // 0.4 of 140
  for (Index b = 0; b < images; ++b) EXPECT_EQ(blocks.visible_splits().length(b), 84);
  const auto neighbours = [&](const PatchMask& mask) {  // share of hidden patches whose right neighbour is hidden, too
    const std::set<TokenId> hidden(mask.masked().begin(), mask.masked().end());
    double both = 0, all = 0;
    for (const TokenId number : hidden) {
      if (number % cols == cols - 1) continue;
      ++all;
      both += static_cast<double>(hidden.count(number + 1));
    }
    return both / all;
  };
  EXPECT_GT(neighbours(blocks), 0.7);
  EXPECT_LT(neighbours(single), 0.65);
}

TEST(BlockPatchMask, AnyShareAndGrid) {
  rapt::Rng rng(2);
  EXPECT_TRUE(rapt::block_patch_mask(3, 4, 4, rng, {.ratio = 0}).masked().empty());
  EXPECT_TRUE(rapt::block_patch_mask(3, 4, 4, rng, {.ratio = 1}).visible().empty());
  EXPECT_EQ(rapt::block_patch_mask(3, 1, 5, rng, {.ratio = 0.4}).masked().size(), 6u);
  expect_message([&] { std::ignore = rapt::block_patch_mask(3, 4, 4, rng, {.ratio = 1.5}); }, "1.5");
  expect_message([&] { std::ignore = rapt::block_patch_mask(3, 0, 4, rng); }, "0 x 4");
}

}  // namespace
