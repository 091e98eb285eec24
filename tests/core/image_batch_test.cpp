/// \file
/// Batches of images: shapes, counts, and errors that name what does not fit.
#include "rapt/core/image_batch.hpp"

#include <gtest/gtest.h>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::ImageBatch;
using rapt::ImageShape;
using rapt::Shape;
using rapt::Tensor;

TEST(ImageShape, CountsAndNamesItsSizes) {
  const ImageShape shape{.channels = 3, .height = 4, .width = 5};
  EXPECT_EQ(shape.size(), 60);
  EXPECT_EQ(to_string(shape), "3 x 4 x 5");
  EXPECT_EQ(shape, (ImageShape{3, 4, 5}));
  EXPECT_NE(shape, (ImageShape{3, 5, 4}));
}

TEST(ImageBatch, IsTheMatrixOfItsImages) {
  Tensor<float> pixels(Shape{2, 6}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  const float* const elements = pixels.data();
  const ImageBatch<float> batch(std::move(pixels), {.channels = 1, .height = 2, .width = 3});
  EXPECT_EQ(batch.pixels().data(), elements) << "moved, not copied";
  EXPECT_EQ(batch.images(), 2);
  EXPECT_EQ(batch.shape(), (ImageShape{1, 2, 3}));
  EXPECT_EQ(batch.pixels()(1, 2), 8.f);
  EXPECT_EQ(ImageBatch<float>().images(), 0);
}

TEST(ImageBatch, ErrorsNameTheShapes) {
  const auto expect_refusal = [](const Shape& pixels, const ImageShape& shape, const std::string& text) {
    EXPECT_EQ(rapt_test::error_text<rapt::ShapeError>([&] { ImageBatch<float>(Tensor<float>(pixels), shape); }), text);
  };
  expect_refusal({2, 7}, {1, 2, 3}, "[image_batch] images of 1 x 2 x 3 need [B, 6] numbers, got [2, 7]");
  expect_refusal({2, 2, 3}, {1, 2, 3}, "[image_batch] images of 1 x 2 x 3 need [B, 6] numbers, got [2, 2, 3]");
  expect_refusal({2, 6}, {1, 0, 3}, "[image_batch] sizes must be positive: 1 x 0 x 3");
}

}  // namespace
