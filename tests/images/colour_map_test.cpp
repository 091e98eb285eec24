/// \file
/// Colours of numbers, and numbers over images.
#include "rapt/images/colour_map.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <tuple>

#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::Colour;
using rapt::heat_colour;
using rapt::heat_overlay;
using rapt::Image;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;

int brightness(const Colour& colour) { return 299 * colour.red + 587 * colour.green + 114 * colour.blue; }

Colour at(const Image& image, Index y, Index x) {
  return {image.pixel(y, x)[0], image.pixel(y, x)[1], image.pixel(y, x)[2]};
}

TEST(ColourMap, HeatGetsBrighter) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (int i = 1; i <= 100; ++i)
    EXPECT_GT(brightness(heat_colour(i / 100.)), brightness(heat_colour((i - 1) / 100.))) << i;
  EXPECT_EQ(heat_colour(0), (Colour{0, 0, 0}));
  EXPECT_EQ(heat_colour(-kInfinity), heat_colour(0));
  EXPECT_EQ(heat_colour(std::numeric_limits<double>::quiet_NaN()), heat_colour(0));
  EXPECT_EQ(heat_colour(kInfinity), heat_colour(1));
  EXPECT_EQ(heat_colour(2), heat_colour(1));
}

TEST(ColourMap, DivergingIsWhiteInTheMiddle) {
  EXPECT_EQ(rapt::diverging_colour(0), (Colour{255, 255, 255}));
  EXPECT_GT(rapt::diverging_colour(-1).blue, rapt::diverging_colour(-1).red);
  EXPECT_GT(rapt::diverging_colour(1).red, rapt::diverging_colour(1).blue);
  EXPECT_EQ(rapt::diverging_colour(-5), rapt::diverging_colour(-1));
}

TEST(HeatOverlay, WithoutSmoothingColoursEachPatch) {
  const Image image = rapt_test::random_image(4, 6, 1, 1);
  const Tensor<float> heat(Shape{2, 2}, {-3.f, 5.f, 1.f, 3.f});
  const Image all = heat_overlay(image, heat, {.opacity = 1, .smooth = false});
  const double expected[2][2] = {{0, 1}, {.5, .75}};
  for (Index y = 0; y < 4; ++y) {
    for (Index x = 0; x < 6; ++x) EXPECT_EQ(at(all, y, x), heat_colour(expected[y / 2][x / 3]));
  }
  EXPECT_EQ(heat_overlay(image, heat, {.opacity = 0}), rapt::to_rgb(image));
  const Image half = heat_overlay(Image(4, 6, 1, 100), heat, {.opacity = .5, .smooth = false});
  EXPECT_EQ(at(half, 0, 0), (Colour{50, 50, 50}));
}

TEST(HeatOverlay, SmoothsBetweenTheMiddlesOfPatches) {
  const Tensor<double> heat(Shape{1, 2}, {0., 1.});
  const Image all = heat_overlay(Image(1, 8, 3), heat, {.opacity = 1});  // the middles are at columns 1.5 and 5.5
  const double expected[8] = {0, 0, .125, .375, .625, .875, 1, 1};
  for (Index x = 0; x < 8; ++x) EXPECT_EQ(at(all, 0, x), heat_colour(expected[x])) << x;
}

TEST(HeatOverlay, WhatDoesNotFitIsAnError) {
  const Image image(2, 2, 1, 80);
  EXPECT_EQ(heat_overlay(image, Tensor<float>(Shape{2, 2}, 4.f), {.opacity = 1}), Image(2, 2, 3, 0));
  EXPECT_THROW(std::ignore = heat_overlay(Image(), Tensor<float>(Shape{2, 2}, 1.f)), rapt::ShapeError);
  EXPECT_THROW(std::ignore = heat_overlay(image, Tensor<float>(Shape{4}, 1.f)), rapt::ShapeError);
  EXPECT_THROW(std::ignore = heat_overlay(image, Tensor<float>()), rapt::ShapeError);
  EXPECT_THROW(std::ignore = heat_overlay(image, Tensor<float>(Shape{1, 1}, 1.f), {.opacity = 2}), rapt::ValueError);
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] {
              std::ignore = heat_overlay(image, Tensor<float>(Shape{1, 1}, std::numeric_limits<float>::infinity()));
            }),
            "[heat_overlay] numbers must be finite: inf");
}

}  // namespace
