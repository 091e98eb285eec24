/// \file
/// Visible and hidden patches.
#include "rapt/core/patch_mask.hpp"

#include <gtest/gtest.h>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::PatchMask;
using rapt::TokenId;
using rapt_test::expect_message;
using Numbers = std::vector<TokenId>;

TEST(PatchMask, VisiblePatchesAreRoundedDown) {
  EXPECT_EQ(rapt::visible_patches(196, 0.75), 49);
  EXPECT_EQ(rapt::visible_patches(12, 0.6), 4);
  EXPECT_EQ(rapt::visible_patches(12, 0.95), 0);
  EXPECT_EQ(rapt::visible_patches(12, 0), 12);
}

TEST(PatchMask, KnowsBothSides) {
  const PatchMask mask(3, 4, {2, 0, 7, 11, 8, 9});
  EXPECT_EQ(mask.visible(), (Numbers{2, 0, 7, 11, 8, 9}));
  EXPECT_EQ(mask.masked(), (Numbers{1, 3, 4, 5, 6, 10}));
  EXPECT_EQ(mask.visible_splits(), rapt::RowSplits({0, 2, 3, 6}));
  EXPECT_EQ(mask.visible_in_image(), (Numbers{2, 0, 3, 3, 0, 1}));
  EXPECT_EQ(mask.token_rows(mask.visible()), (Numbers{3, 1, 9, 14, 11, 12}));
  EXPECT_TRUE(PatchMask(2, 5).masked().empty());
  EXPECT_EQ(PatchMask(2, 3).visible(), (Numbers{0, 1, 2, 3, 4, 5}));
  const PatchMask flags = PatchMask::from_flags({true, false, false, true}, 2);
  EXPECT_EQ(flags.visible(), (Numbers{1, 2}));
  EXPECT_EQ(flags.masked(), (Numbers{0, 3}));
  EXPECT_EQ(flags.images(), 2);
}

TEST(PatchMask, SaysWhatStandsInPlaceOfMaskedPatches) {
  const PatchMask mask(2, 3, {1, 3, 4});
  EXPECT_TRUE(mask.shown().empty());
  const PatchMask showing = mask.showing({PatchMask::kMaskEmbedding, 2, 4});
  EXPECT_EQ(showing.shown(), (Numbers{-1, 2, 4}));
  EXPECT_EQ(showing.masked(), (Numbers{0, 2, 5}));
  EXPECT_EQ(showing.visible(), mask.visible());
  EXPECT_TRUE(mask.shown().empty());
  expect_message([&] { std::ignore = mask.showing({0, 1}); }, "2 patches are shown in place of 3");
  expect_message([&] { std::ignore = mask.showing({0, 1, 6}); }, "6 at position 2");
  expect_message([&] { std::ignore = mask.showing({0, -2, 5}); }, "-2 at position 1");
}

TEST(PatchMask, WrongUse) {
  expect_message([] { PatchMask(2, 4, {0, 1, 0}); }, "visible patch 0 is given twice");
  expect_message([] { PatchMask(2, 4, {5, 1}); }, "visible patch 1");
  expect_message([] { PatchMask(2, 4, {8}); }, "token id 8");
  expect_message([] { PatchMask(2, 0, {}); }, "0 patches");
  expect_message([] { std::ignore = PatchMask::from_flags({true, false, true}, 2); }, "3 flags");
}

}  // namespace
