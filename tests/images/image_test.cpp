/// \file
/// Images, their two orders of bytes, and what they become as numbers.
// covers: images/normalization.hpp
#include "rapt/images/image.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <tuple>
#include <vector>

#include "rapt/images/normalization.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::Image;
using rapt::ImageShape;
using rapt::Index;
using rapt::Normalization;
using rapt_test::Bytes;
using rapt_test::random_image;

TEST(Image, HoldsPixelsInRowsWithTheirChannelsSideBySide) {
  const Image image(2, 2, 3, Bytes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  EXPECT_EQ(image.pixel(1, 0)[2], 8);
  EXPECT_EQ(image.shape(), (ImageShape{3, 2, 2}));
  Bytes planes(12);
  rapt::to_planes(image, planes);
  EXPECT_EQ(planes, (Bytes{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}));
  EXPECT_EQ(rapt::from_planes(planes, image.shape()), image);
  EXPECT_TRUE(Image().empty());
  EXPECT_EQ(Image(2, 3, 1, 7).bytes()[5], 7);
}

TEST(Image, ImpossibleSizesAreErrors) {
  EXPECT_EQ(rapt_test::error_text<rapt::ShapeError>([] { Image(0, 3, 1); }),
            "[image] sizes must be positive, and at most 268435456 pixels: 0 x 3");
  constexpr Index kHuge = std::numeric_limits<Index>::max();
  EXPECT_THROW(Image(kHuge, kHuge, 1), rapt::ShapeError);
  EXPECT_THROW(Image(1 << 14, (1 << 14) + 1, 1), rapt::ShapeError);
  EXPECT_THROW(Image(3, -1, 1), rapt::ShapeError);
  EXPECT_EQ(rapt_test::error_text<rapt::ShapeError>([] { Image(1, 1, 4); }), "[image] one channel or three: 4");
  EXPECT_EQ(rapt_test::error_text<rapt::ShapeError>([] { Image(1, 2, 3, Bytes(5)); }),
            "[image] 1 x 2 pixels of 3 channels need 6 bytes, got 5");
  Bytes planes(5);
  EXPECT_THROW(rapt::to_planes(Image(1, 2, 3), planes), rapt::ShapeError);
  EXPECT_THROW(std::ignore = rapt::from_planes(planes, {3, 1, 2}), rapt::ShapeError);
}

TEST(Image, GrayAndColour) {
  const Image gray = random_image(3, 5, 1, 1), colour = random_image(3, 5, 3, 2);
  const Image rgb = rapt::to_rgb(gray);
  EXPECT_EQ(rgb.channels(), 3);
  for (int c = 0; c < 3; ++c) EXPECT_EQ(rgb.pixel(2, 4)[c], *gray.pixel(2, 4));
  EXPECT_EQ(rapt::to_gray(rgb), gray);  // the weights add up to 1
  EXPECT_EQ(rapt::to_rgb(colour), colour);
  EXPECT_EQ(rapt::to_gray(gray), gray);
  const Image primary(1, 4, 3, Bytes{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255});
  const Image levels = rapt::to_gray(primary);
  EXPECT_EQ(Bytes(levels.bytes().begin(), levels.bytes().end()), (Bytes{76, 150, 29, 255}));
}

TEST(Image, EnlargedPixelsAreSquares) {
  const Image image = random_image(2, 3, 3, 3), large = rapt::enlarged(image, 3);
  ASSERT_EQ(large.shape(), (ImageShape{3, 6, 9}));
  for (Index y = 0; y < 6; ++y) {
    for (Index x = 0; x < 9; ++x) {
      for (Index c = 0; c < 3; ++c) EXPECT_EQ(large.pixel(y, x)[c], image.pixel(y / 3, x / 3)[c]);
    }
  }
  EXPECT_EQ(rapt::enlarged(image, 1), image);
  EXPECT_THROW(std::ignore = rapt::enlarged(image, 0), rapt::ValueError);
  EXPECT_THROW(std::ignore = rapt::enlarged(image, std::numeric_limits<Index>::max()), rapt::ShapeError);
  EXPECT_THROW(std::ignore = rapt::enlarged(image, 1 << 20), rapt::ShapeError);
}

template <class T>
class NormalizationTest : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(NormalizationTest, Scalars);

TYPED_TEST(NormalizationTest, IsByChannel) {
  using T = TypeParam;
  const std::vector<Image> images{random_image(2, 3, 3, 1), random_image(2, 3, 3, 2)};
  const Normalization normalization{{0.1, 0.2, 0.3}, {0.5, 0.25, 2}};
  const auto batch = rapt::to_image_batch<T>(std::span<const Image>(images), normalization);
  ASSERT_EQ(batch.pixels().shape(), (rapt::Shape{2, 18}));
  EXPECT_EQ(batch.shape(), (ImageShape{3, 2, 3}));
  for (Index i = 0; i < 2; ++i) {
    for (Index c = 0; c < 3; ++c) {
      for (Index p = 0; p < 6; ++p) {
        const double v = images[static_cast<std::size_t>(i)].pixel(p / 3, p % 3)[c];
        const auto at = static_cast<std::size_t>(c);
        EXPECT_EQ(batch.pixels()(i, c * 6 + p),
                  static_cast<T>((v / 255 - normalization.mean[at]) / normalization.standard_deviation[at]));
      }
    }
    EXPECT_EQ(rapt::to_image(batch, i, normalization), images[static_cast<std::size_t>(i)]);
  }
}

TYPED_TEST(NormalizationTest, LeavesZeroToOneByDefault) {
  using T = TypeParam;
  Bytes all(256);
  for (std::size_t i = 0; i < 256; ++i) all[i] = static_cast<std::uint8_t>(i);
  const auto batch = rapt::to_image_batch<T>(std::span<const std::uint8_t>(all), ImageShape{1, 8, 16});
  ASSERT_EQ(batch.images(), 2);
  EXPECT_EQ(batch.pixels()(0, 0), T(0));
  EXPECT_EQ(batch.pixels()(1, 127), T(1));
  EXPECT_EQ(batch.pixels()(0, 51), static_cast<T>(0.2));
  const Image second = rapt::to_image(batch, 1);
  EXPECT_EQ(Bytes(second.bytes().begin(), second.bytes().end()), Bytes(all.begin() + 128, all.end()));
}

TYPED_TEST(NormalizationTest, WhatIsNoByteIsCutOff) {
  using T = TypeParam;
  constexpr T kNan = std::numeric_limits<T>::quiet_NaN(), kInfinity = std::numeric_limits<T>::infinity();
  const rapt::ImageBatch<T> batch(rapt::Tensor<T>(rapt::Shape{1, 6}, {T(-1), T(2), kNan, kInfinity, -kInfinity, T(.5)}),
                                  {1, 2, 3});
  const Image image = rapt::to_image(batch, 0);
  EXPECT_EQ(Bytes(image.bytes().begin(), image.bytes().end()), (Bytes{0, 255, 0, 255, 0, 128}));
  EXPECT_THROW(std::ignore = rapt::to_image(batch, 1), rapt::ValueError);
  EXPECT_THROW(std::ignore = rapt::to_image(batch, -1), rapt::ValueError);
}

TEST(Normalization, WhatDoesNotFitIsAnError) {
  const Normalization two{{0, 0}, {1}};
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { two.validate(3); }),
            "[normalization] mean must be one number, or one for each of 3 channels: there are 2");
  EXPECT_NO_THROW(two.validate(2));
  EXPECT_THROW((Normalization{{0}, {0}}.validate(1)), rapt::ValueError);
  EXPECT_THROW((Normalization{{0}, {}}.validate(1)), rapt::ValueError);
  EXPECT_THROW((Normalization{{std::numeric_limits<double>::quiet_NaN()}, {1}}.validate(1)), rapt::ValueError);
  const Bytes bytes(7);
  EXPECT_THROW(std::ignore = rapt::to_image_batch<float>(std::span(bytes), ImageShape{1, 2, 3}), rapt::ShapeError);
  EXPECT_THROW(std::ignore = rapt::to_image_batch<float>(std::span(bytes).first(0), ImageShape{1, 2, 3}),
               rapt::ShapeError);
  EXPECT_THROW(std::ignore = rapt::to_image_batch<float>(std::span(bytes), ImageShape{1, 0, 3}), rapt::ShapeError);
  const std::vector<Image> images{Image(2, 3, 1), Image(3, 2, 1)};
  EXPECT_EQ(rapt_test::error_text<rapt::ShapeError>(
                [&] { std::ignore = rapt::to_image_batch<float>(std::span<const Image>(images)); }),
            "[to_image_batch] image 1 is 1 x 3 x 2, the first is 1 x 2 x 3");
  EXPECT_THROW(std::ignore = rapt::to_image_batch<float>(std::span<const Image>()), rapt::ShapeError);
}

}  // namespace
