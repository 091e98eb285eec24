/// \file
/// What happens to an image is what its transform says, and what is drawn has the distribution that the options say.
#include "rapt/images/augmentation.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::AugmentationOptions;
using rapt::draw_transform;
using rapt::ImageShape;
using rapt::ImageTransform;
using rapt::Index;
using rapt_test::Bytes;

constexpr std::uint8_t kFill = 99;

Bytes transformed(const Bytes& image, const ImageShape& shape, const ImageTransform& transform) {
  Bytes result(image.size(), 1);
  rapt::transform_image(image, shape, transform, kFill, result);
  return result;
}

TEST(TransformImage, NothingByDefault) {
  const ImageShape shape{3, 5, 4};
  const Bytes image = rapt_test::random_bytes(60, 1);
  EXPECT_EQ(transformed(image, shape, {}), image);
}

TEST(TransformImage, CropsAndFlips) {
  const ImageShape shape{1, 2, 3};
  const Bytes image{1, 2, 3,  //
                    4, 5, 6};
  EXPECT_EQ(transformed(image, shape, {.flip = true}), (Bytes{3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(transformed(image, shape, {.crop_y = 1, .crop_x = -1}), (Bytes{kFill, 4, 5, kFill, kFill, kFill}));
  EXPECT_EQ(transformed(image, shape, {.crop_y = 1, .crop_x = -1, .flip = true}),
            (Bytes{5, 4, kFill, kFill, kFill, kFill}));
  EXPECT_EQ(transformed(image, shape, {.crop_y = 5, .crop_x = 0}), Bytes(6, kFill));
  const Bytes two_channels{1, 2, 3, 4, 5, 6};
  EXPECT_EQ(transformed(two_channels, {2, 1, 3}, {.crop_x = 1}), (Bytes{2, 3, kFill, 5, 6, kFill}));
}

TEST(TransformImage, AQuarterTurnIsExact) {
  const ImageShape shape{1, 3, 3};
  const Bytes image{1, 2, 3,  //
                    4, 5, 6,  //
                    7, 8, 9};
  EXPECT_EQ(transformed(image, shape, {.angle = 90}), (Bytes{3, 6, 9, 2, 5, 8, 1, 4, 7}));  // anticlockwise
  EXPECT_EQ(transformed(image, shape, {.angle = -90}), (Bytes{7, 4, 1, 8, 5, 2, 9, 6, 3}));
  EXPECT_EQ(transformed(image, shape, {.angle = 180}), (Bytes{9, 8, 7, 6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(transformed(image, shape, {.angle = 90, .flip = true}), (Bytes{9, 6, 3, 8, 5, 2, 7, 4, 1}));
}

TEST(TransformImage, ShiftsGoDownAndToTheRight) {
  const ImageShape shape{1, 2, 3};
  const Bytes image{10, 20, 30,  //
                    40, 50, 60};
  EXPECT_EQ(transformed(image, shape, {.shift_y = 1, .shift_x = 1}), (Bytes{kFill, kFill, kFill, kFill, 10, 20}));
  EXPECT_EQ(transformed(image, shape, {.shift_x = -.5}),
            (Bytes{15, 25, (30 + kFill + 1) / 2, 45, 55, (60 + kFill + 1) / 2}));
  EXPECT_EQ(transformed(image, shape, {.shift_x = 1000}), Bytes(6, kFill));
  // The same as a crop that is as far away.
  EXPECT_EQ(transformed(image, shape, {.shift_y = -1, .shift_x = 2}),
            transformed(image, shape, {.crop_y = 1, .crop_x = -2}));
}

TEST(TransformImage, ZoomIsAroundTheMiddle) {
  const ImageShape shape{1, 1, 5};
  const Bytes image{0, 40, 80, 120, 160};
  EXPECT_EQ(transformed(image, shape, {.zoom = 2}), (Bytes{40, 60, 80, 100, 120}));
  EXPECT_EQ(transformed(image, {1, 5, 1}, {.zoom = .5}), (Bytes{kFill, 0, 80, 160, kFill}));
}

TEST(TransformImage, IsTheInterpolationOfTheDefinition) {
  // A plane a + b y + c x is interpolated without error, so that the map alone is seen: in the middle, where nothing
  // comes from outside.
  const ImageShape shape{1, 31, 41};
  Bytes image(31 * 41);
  for (Index i = 0; i < 31 * 41; ++i)
    image[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(20 + 3 * (i / 41) + 2 * (i % 41));
  const ImageTransform transform{.angle = 20, .shift_y = 1.5, .shift_x = -2.25, .zoom = 1.1, .crop_y = 1, .crop_x = -2};
  const Bytes result = transformed(image, shape, transform);
  const double angle = 20 * std::acos(-1.0) / 180;
  for (Index y = 11; y < 20; ++y) {
    for (Index x = 15; x < 26; ++x) {
      const double down = static_cast<double>(y) + 1 - 15 - 1.5, right = static_cast<double>(x) - 2 - 20 + 2.25;
      const double from_y = 15 + (std::cos(angle) * down + std::sin(angle) * right) / 1.1;
      const double from_x = 20 + (std::cos(angle) * right - std::sin(angle) * down) / 1.1;
      EXPECT_NEAR(result[static_cast<std::size_t>(y * 41 + x)], 20 + 3 * from_y + 2 * from_x, 0.5 + 1e-9);
    }
  }
}

TEST(TransformImage, SizesMustFit) {
  Bytes small(5);
  EXPECT_EQ(rapt_test::error_text<rapt::ShapeError>([&] {
              rapt::transform_image(Bytes(6), {1, 2, 3}, {}, 0, small);
            }),
            "[transform_image] images of 1 x 2 x 3 have 6 bytes, got 6 and room for 5");
  EXPECT_THROW(rapt::transform_image(small, {1, 2, 3}, {}, 0, small), rapt::ShapeError);
}

TEST(DrawTransform, DrawsNothingByDefault) {
  EXPECT_FALSE(AugmentationOptions{}.changes_anything());
  for (Index i = 0; i < 100; ++i) EXPECT_EQ(draw_transform({}, 1, 0, i), ImageTransform{});
}

TEST(DrawTransform, IsAFunctionOfSeedEpochAndImage) {
  const AugmentationOptions options{.padding = 4, .flip = .5, .rotation = 10, .shift = 2, .zoom = .1};
  EXPECT_EQ(draw_transform(options, 1, 2, 3), draw_transform(options, 1, 2, 3));
  std::set<double> angles;
  for (const std::uint64_t seed : {1u, 2u}) {
    for (const Index epoch : {0, 1, 2}) {
      for (Index image = 0; image < 100; ++image) angles.insert(draw_transform(options, seed, epoch, image).angle);
    }
  }
  EXPECT_EQ(angles.size(), 600u);
  // An option that is added does not change what is drawn for the others.
  EXPECT_EQ(draw_transform({.rotation = 10}, 1, 2, 3).angle, draw_transform(options, 1, 2, 3).angle);
  EXPECT_THROW((void)draw_transform(options, 1, -1, 0), rapt::ValueError);
  EXPECT_THROW((void)draw_transform(options, 1, Index{1} << 28, 0), rapt::ValueError);
}

TEST(DrawTransform, HasTheDistributionOfItsOptions) {
  const AugmentationOptions options{.padding = 2, .flip = .3, .rotation = 15, .shift = 3, .zoom = .2};
  constexpr int kDraws = 40000;
  int flips = 0, crops[5][5] = {};
  double sums[4] = {}, squares[4] = {}, product = 0;
  for (Index i = 0; i < kDraws; ++i) {
    const ImageTransform t = draw_transform(options, 7, i % 3, i / 3);
    flips += t.flip ? 1 : 0;
    ASSERT_LE(std::abs(t.crop_y), 2);
    ASSERT_LE(std::abs(t.crop_x), 2);
    ++crops[t.crop_y + 2][t.crop_x + 2];
    const double unit[4] = {t.angle / 15, t.shift_y / 3, t.shift_x / 3, (t.zoom - 1) / .2};
    for (int j = 0; j < 4; ++j) {
      ASSERT_LE(std::abs(unit[j]), 1 + 1e-12);
      sums[j] += unit[j];
      squares[j] += unit[j] * unit[j];
    }
    product += unit[1] * unit[2];
  }
  const double root = std::sqrt(kDraws);
  EXPECT_NEAR(flips, .3 * kDraws, 5 * std::sqrt(.3 * .7) * root);
  for (const auto& row : crops) {
    for (const int count : row) EXPECT_NEAR(count, kDraws / 25., 5 * std::sqrt(kDraws / 25.));
  }
  for (int j = 0; j < 4; ++j) {  // uniform in [-1, 1]: mean 0, variance 1/3, variance of the square 4/45
    EXPECT_NEAR(sums[j] / kDraws, 0, 5 * std::sqrt(1 / 3.) / root) << j;
    EXPECT_NEAR(squares[j] / kDraws, 1 / 3., 5 * std::sqrt(4 / 45.) / root) << j;
  }
  EXPECT_NEAR(product / kDraws, 0, 5 / 3. / root);
}

TEST(AugmentationOptions, WhatDoesNotFitIsAnError) {
  EXPECT_NO_THROW((AugmentationOptions{.padding = 4, .flip = 1, .rotation = 180, .shift = 9, .zoom = .99}.validate()));
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([] { AugmentationOptions{.flip = 1.5}.validate(); }),
            "[augmentation] flip must be a probability: 1.5");
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(AugmentationOptions{.padding = -1}.validate(), rapt::ValueError);
  EXPECT_THROW(AugmentationOptions{.padding = std::numeric_limits<Index>::max()}.validate(), rapt::ValueError);
  EXPECT_THROW(AugmentationOptions{.rotation = kNan}.validate(), rapt::ValueError);
  EXPECT_THROW(AugmentationOptions{.shift = -1}.validate(), rapt::ValueError);
  EXPECT_THROW(AugmentationOptions{.zoom = 1}.validate(), rapt::ValueError);
}

}  // namespace
