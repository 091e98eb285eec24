/// \file
/// Which patches are hidden.
#include "rapt/data/patch_masking.hpp"

#include <gtest/gtest.h>

#include <cmath>
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

TEST(CorruptedPatchMask, HalfOfThePatchesEightyTenTen) {
  rapt::Rng rng(3);
  const Index images = 2000, patches = 20;
  const PatchMask mask = rapt::corrupted_patch_mask(images, patches, rng);
  ASSERT_EQ(mask.masked().size(), 20'000u);
  ASSERT_EQ(mask.shown().size(), mask.masked().size());
  for (Index b = 0; b < images; ++b) EXPECT_EQ(mask.visible_splits().length(b), 10);
  double masked = 0, kept = 0;
  std::vector<int> distances(static_cast<std::size_t>(patches), 0);  // from a patch to the other one, around the image
  for (std::size_t i = 0; i < mask.masked().size(); ++i) {
    const TokenId own = mask.masked()[i], shown = mask.shown()[i];
    if (shown == PatchMask::kMaskEmbedding) {
      ++masked;
    } else if (shown == own) {
      ++kept;
    } else {
      ASSERT_EQ(shown / patches, own / patches) << "of another image";
      ++distances[static_cast<std::size_t>((shown - own + patches) % patches)];
    }
  }
  EXPECT_NEAR(masked / 20'000, 0.8, 0.0142);  // five standard deviations
  EXPECT_NEAR(kept / 20'000, 0.1, 0.0107);
  EXPECT_EQ(distances[0], 0);
  for (std::size_t d = 1; d < distances.size(); ++d) {
    EXPECT_NEAR(distances[d], 2000.0 / 19, 5 * std::sqrt(2000.0 / 19)) << d;
  }
  rapt::Rng again(3);
  const PatchMask same = rapt::corrupted_patch_mask(images, patches, again);
  EXPECT_EQ(same.shown(), mask.shown());
  EXPECT_EQ(again.state().streams_taken, 2u);
  EXPECT_NE(rapt::corrupted_patch_mask(images, patches, again).shown(), mask.shown());
}

TEST(CorruptedPatchMask, AnyRatios) {
  rapt::Rng rng(1);
  const auto with = [&](const rapt::CorruptionOptions& options) {
    return rapt::corrupted_patch_mask(5, 8, rng, options);
  };
  const PatchMask kept = with({.ratio = 0.25, .mask_ratio = 0, .other_ratio = 0});
  EXPECT_EQ(kept.masked().size(), 10u);
  EXPECT_EQ(kept.shown(), kept.masked());
  EXPECT_EQ(with({.mask_ratio = 1, .other_ratio = 0}).shown(), Numbers(20, PatchMask::kMaskEmbedding));
  const PatchMask others = with({.mask_ratio = 0, .other_ratio = 1});
  for (std::size_t i = 0; i < others.shown().size(); ++i) EXPECT_NE(others.shown()[i], others.masked()[i]);
  EXPECT_TRUE(with({.ratio = 0}).shown().empty());
  expect_message([&] { std::ignore = with({.mask_ratio = 0.8, .other_ratio = 0.3}); }, "0.8, 0.3");
  expect_message([&] { std::ignore = with({.mask_ratio = -0.1}); }, "-0.1");
  expect_message([&] { std::ignore = with({.ratio = 1}); }, "1");
  expect_message([&] { std::ignore = rapt::corrupted_patch_mask(5, 1, rng); }, "no other one to show");
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
