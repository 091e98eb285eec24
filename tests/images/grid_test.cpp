/// \file
/// Grids of images.
#include "rapt/images/grid.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <tuple>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::Colour;
using rapt::GridOptions;
using rapt::Image;
using rapt::image_grid;
using rapt::Index;
using rapt_test::random_image;

Colour at(const Image& image, Index y, Index x) {
  return {image.pixel(y, x)[0], image.pixel(y, x)[1], image.pixel(y, x)[2]};
}

TEST(ImageGrid, PlacesImagesInReadingOrder) {
  const std::vector<Image> images{random_image(2, 3, 3, 1), random_image(2, 3, 1, 2), random_image(2, 3, 3, 3)};
  const Colour background{1, 2, 3};
  const Image grid = image_grid(images, {.columns = 2, .scale = 2, .gap = 1, .background = background});
  ASSERT_EQ(grid.shape(), (rapt::ImageShape{3, 2 * (4 + 1) + 1, 2 * (6 + 1) + 1}));
  for (Index y = 0; y < grid.height(); ++y) {
    for (Index x = 0; x < grid.width(); ++x) {
      const Index row = (y - 1) / 5, column = (x - 1) / 7, i = row * 2 + column;
      const bool in_gap = y % 5 == 0 || x % 7 == 0;
      if (in_gap || i >= 3) {
        EXPECT_EQ(at(grid, y, x), background) << y << ", " << x;
      } else {
        const Image image = rapt::to_rgb(images[static_cast<std::size_t>(i)]);
        EXPECT_EQ(at(grid, y, x), at(image, (y - 1) % 5 / 2, (x - 1) % 7 / 2)) << y << ", " << x;
      }
    }
  }
}

TEST(ImageGrid, FramesAreAroundTheImagesThatHaveOne) {
  const std::vector<Image> images{Image(2, 2, 1, 50), Image(2, 2, 1, 60)};
  const Colour red{200, 0, 0};
  const std::vector<std::optional<Colour>> frames{red, std::nullopt};
  const Image grid = image_grid(images, {.gap = 1, .frame = 2, .background = {9, 9, 9}}, frames);
  ASSERT_EQ(grid.shape(), (rapt::ImageShape{3, 8, 15}));
  int is_red = 0, is_50 = 0, is_60 = 0, is_background = 0;
  for (Index y = 0; y < 8; ++y) {
    for (Index x = 0; x < 15; ++x) {
      is_red += at(grid, y, x) == red ? 1 : 0;
      is_50 += at(grid, y, x) == Colour{50, 50, 50} ? 1 : 0;
      is_60 += at(grid, y, x) == Colour{60, 60, 60} ? 1 : 0;
      is_background += at(grid, y, x) == Colour{9, 9, 9} ? 1 : 0;
    }
  }
  EXPECT_EQ(is_red, 6 * 6 - 4);
  EXPECT_EQ(is_50, 4);
  EXPECT_EQ(is_60, 4);
  EXPECT_EQ(is_background, 8 * 15 - 36 - 4);
  EXPECT_EQ(at(grid, 1, 1), red);
  EXPECT_EQ(at(grid, 3, 3), (Colour{50, 50, 50}));
  EXPECT_EQ(at(grid, 3, 10), (Colour{60, 60, 60}));
}

TEST(ImageGrid, SmallerImagesStandInTheMiddle) {
  const std::vector<Image> images{Image(5, 7, 1, 50), Image(1, 3, 1, 60)};
  const Image grid = image_grid(images, {.columns = 1, .gap = 0, .background = {9, 9, 9}});
  ASSERT_EQ(grid.shape(), (rapt::ImageShape{3, 10, 7}));
  for (Index y = 5; y < 10; ++y) {
    for (Index x = 0; x < 7; ++x) {
      const std::uint8_t expected = y == 7 && x >= 2 && x < 5 ? 60 : 9;
      EXPECT_EQ(at(grid, y, x), (Colour{expected, expected, expected}));
    }
  }
}

TEST(ImageGrid, WhatDoesNotFitIsAnError) {
  const std::vector<Image> one{Image(2, 2, 1)}, with_empty{Image(2, 2, 1), Image()};
  EXPECT_THROW(std::ignore = image_grid({}), rapt::ValueError);
  EXPECT_EQ(rapt_test::error_text<rapt::ShapeError>([&] { std::ignore = image_grid(with_empty); }),
            "[image_grid] image 1 is empty");
  EXPECT_THROW(std::ignore = image_grid(one, {.columns = 0}), rapt::ValueError);
  EXPECT_THROW(std::ignore = image_grid(one, {.scale = 0}), rapt::ValueError);
  EXPECT_THROW(std::ignore = image_grid(one, {.scale = std::numeric_limits<Index>::max()}), rapt::ValueError);
  EXPECT_THROW(std::ignore = image_grid(one, {.gap = -1}), rapt::ValueError);
  EXPECT_THROW(std::ignore = image_grid(one, {.scale = 1 << 14}), rapt::ShapeError);
  const std::vector<std::optional<Colour>> frames(2);
  EXPECT_THROW(std::ignore = image_grid(one, {}, frames), rapt::ShapeError);
}

}  // namespace
