/// \file
/// Colours of patches and of the cells of mosaics, against numbers worked by hand.
#include "rapt/kernels/patch_colours.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::ImageBatch;
using rapt::Index;
using rapt::PatchColours;
using rapt::PatchGrid;
using rapt::Tensor;
using rapt_test::expect_message;
using Numbers = std::vector<std::int32_t>;

ImageBatch<double> images_of(const std::vector<double>& values, const rapt::ImageShape& shape) {
  Tensor<double> pixels(rapt::Shape{std::ssize(values) / shape.size(), shape.size()});
  std::copy(values.begin(), values.end(), pixels.data());
  return {std::move(pixels), shape};
}

TEST(PatchColours, MeansOfGrayPatches) {
  const PatchGrid grid{.image = {1, 2, 4}, .patch_height = 2, .patch_width = 2};
  const auto images = images_of({0, 0.1, 1, 1,      //
                                 0.2, 0.3, 1, 0.9,  // of the first image: means 0.15 and 0.975
                                 0.5, 0.5, 0, 0,    //
                                 0.5, 0.5, 0, 0.5},
                                grid.image);  // 0.5 and 0.125
  const auto colours = [&](const Numbers& numbers, const PatchColours& options) {
    return rapt::kernels::patch_colours<double>(images, grid, numbers, options);
  };
  EXPECT_EQ(colours({0, 1, 2, 3}, {}), (Numbers{1, 7, 4, 1}));  // floor(8 mean)
  EXPECT_EQ(colours({3, 0, 3}, {}), (Numbers{1, 1, 1}));
  EXPECT_EQ(colours({0, 1, 2, 3}, {.bits = 1}), (Numbers{0, 1, 1, 0}));
  EXPECT_TRUE(colours({}, {}).empty());
  // The mosaic's cells: here each is a pixel, row by row.
  EXPECT_EQ(colours({1, 0}, {.rows = 2, .cols = 2}), (Numbers{7, 7, 7, 7, 0, 0, 1, 2}));
  EXPECT_EQ(colours({0}, {.rows = 2, .cols = 1}), (Numbers{0, 2}));  // means 0.05, 0.25
  EXPECT_EQ(colours({0}, {.rows = 1, .cols = 2}), (Numbers{0, 1}));  // 0.1, 0.2
}

TEST(PatchColours, ChannelsAreDigitsOfOneNumber) {
  const PatchGrid grid{.image = {3, 1, 2}, .patch_height = 1, .patch_width = 1};
  const auto images = images_of({1, 0, 0.5, 0, 0.125, 0.25}, grid.image);  // red 1, 0; green 0.5, 0; blue 0.125, 0.25
  EXPECT_EQ(rapt::kernels::patch_colours<double>(images, grid, Numbers{0, 1}, {}), (Numbers{7 * 64 + 4 * 8 + 1, 2}));
  EXPECT_EQ(PatchColours{}.colours(3), 512);
  EXPECT_EQ(PatchColours{}.colours(1), 8);
  // Normalised: channel c was v, and is (v - mean_c) / standard deviation_c.
  const auto normalised = images_of({2, -2, 0, -1, -0.875, -0.75}, grid.image);
  const PatchColours options{.lowest = {-2, -1, -1}, .highest = {2, 1, 0}};
  EXPECT_EQ(rapt::kernels::patch_colours<double>(normalised, grid, Numbers{0, 1}, options),
            (Numbers{7 * 64 + 4 * 8 + 1, 2}));
}

TEST(PatchColours, ValuesBeyondTheBoundsAreClamped) {
  const PatchGrid grid{.image = {1, 1, 4}, .patch_height = 1, .patch_width = 1};
  const auto images = images_of({-3, 1e300, 1, 0}, grid.image);
  EXPECT_EQ(rapt::kernels::patch_colours<double>(images, grid, Numbers{0, 1, 2, 3}, {}), (Numbers{0, 7, 7, 0}));
}

TEST(PatchColours, WrongUse) {
  const PatchGrid grid{.image = {2, 2, 4}, .patch_height = 2, .patch_width = 2};
  auto images = images_of(std::vector<double>(16, 0.5), grid.image);
  const auto use = [&](const PatchColours& options, const Numbers& numbers = {0}) {
    std::ignore = rapt::kernels::patch_colours<double>(images, grid, numbers, options);
  };
  expect_message([&] { use({}, {2}); }, "2 at position 0");
  expect_message([&] { use({.rows = 3}); }, "a mosaic of 3 x 1 cells does not divide patches of 2 x 2");
  expect_message([&] { use({.cols = 0}); }, "1 x 0 cells");
  expect_message([&] { use({.bits = 13}); }, "13 bits of 2 channels");
  expect_message([&] { use({.bits = 0}); }, "0 bits");
  const PatchGrid huge{.image = {1, 1 << 20, 1 << 20}, .patch_height = 1 << 20, .patch_width = 1 << 20};
  PatchColours{.rows = 8, .cols = 8, .bits = 24}.validate(huge, "x");
  expect_message([&] { PatchColours{.rows = 16, .cols = 8, .bits = 24}.validate(huge, "x"); },
                 "1073741824 scores: 16 x 8 cells of 16777216 colours");
  expect_message([&] { use({.lowest = {0, 0, 0}}); }, "there are 3");
  expect_message([&] { use({.highest = {1, 0}}); }, "channel 1 must be below the highest, both finite: 0, 0");
  expect_message([&] { use({.lowest = {-1e308}, .highest = {1e308}}); }, "both finite: -1e+308, 1e+308");
  const PatchGrid other{.image = {2, 4, 2}, .patch_height = 2, .patch_width = 2};
  expect_message([&] { std::ignore = rapt::kernels::patch_colours<double>(images, other, Numbers{0}, {}); },
                 "images of 2 x 2 x 4, the grid's are 2 x 4 x 2");
  images = images_of(std::vector<double>(16, std::numeric_limits<double>::quiet_NaN()), grid.image);
  expect_message([&] { use({}); }, "patch 0 is not finite");
}

}  // namespace
