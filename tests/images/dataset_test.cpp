/// \file
/// Labelled images and parts of them.
#include "rapt/images/dataset.hpp"

#include <gtest/gtest.h>

#include <tuple>

#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::ImageDataset;
using rapt::ImageShape;
using rapt::Index;
using rapt::TokenId;
using rapt_test::Bytes;

/// Image i has bytes 6 i .. 6 i + 5.
ImageDataset counting(std::vector<TokenId> labels, Index classes) {
  Bytes bytes(labels.size() * 6);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  return {ImageShape{3, 1, 2}, bytes, std::move(labels), classes};
}

/// Which of counting's images these are.
std::vector<Index> numbers_of(const ImageDataset& dataset) {
  std::vector<Index> numbers;
  for (Index i = 0; i < dataset.images(); ++i) numbers.push_back(dataset.planes(i)[0] / 6);
  return numbers;
}

using Numbers = std::vector<Index>;

TEST(ImageDataset, GivesImagesAndLabels) {
  const ImageDataset dataset = counting({2, 0, 1}, 3);
  EXPECT_EQ(dataset.images(), 3);
  EXPECT_EQ(dataset.label(2), 1);
  const rapt::Image image = dataset.image(1);
  EXPECT_EQ(Bytes(image.bytes().begin(), image.bytes().end()), (Bytes{6, 8, 10, 7, 9, 11}));
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { std::ignore = dataset.planes(3); }),
            "[image_dataset] no image 3 among 3");
  EXPECT_THROW(std::ignore = dataset.label(-1), rapt::ValueError);
  const auto batch = rapt::to_image_batch<double>(dataset, 1, 2);
  EXPECT_EQ(batch.pixels()(1, 5), 17 / 255.0);
  EXPECT_THROW(std::ignore = rapt::to_image_batch<double>(dataset, 2, 2), rapt::ValueError);
  EXPECT_THROW(std::ignore = rapt::to_image_batch<double>(dataset, 0, 0), rapt::ValueError);
}

TEST(ImageDataset, WhatDoesNotFitIsAnError) {
  EXPECT_EQ(rapt_test::error_text<rapt::ShapeError>([] {
              ImageDataset({1, 2, 3}, Bytes(13), {0, 0}, 1);
            }),
            "[image_dataset] 2 images of 1 x 2 x 3 need 6 bytes each, got 13 in all");
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([] {
              ImageDataset({1, 2, 3}, Bytes(12), {0, 4}, 4);
            }),
            "[image_dataset] label 4 of image 1 is outside the 4 classes");
  EXPECT_THROW(ImageDataset({1, 2, 3}, Bytes(6), {-1}, 4), rapt::ValueError);
  EXPECT_THROW(ImageDataset({1, 2, 3}, Bytes(6), {0}, 0), rapt::ValueError);
  EXPECT_THROW(ImageDataset({1, 0, 3}, Bytes(0), {}, 1), rapt::ShapeError);
  EXPECT_THROW(ImageDataset({Index{1} << 40, Index{1} << 40, Index{1} << 40}, Bytes(0), {}, 1), rapt::ShapeError);
  EXPECT_EQ(ImageDataset({1, 2, 3}, {}, {}, 1).images(), 0);
}

TEST(ImageDataset, Parts) {
  const ImageDataset dataset = counting({0, 1, 0, 1, 1, 0, 0}, 2);
  EXPECT_EQ(rapt::class_counts(dataset), (Numbers{4, 3}));
  EXPECT_EQ(numbers_of(dataset.subset(Numbers{5, 1, 5})), (Numbers{5, 1, 5}));
  EXPECT_THROW(std::ignore = dataset.subset(Numbers{7}), rapt::ValueError);

  const auto halves = rapt::split_first(dataset, 3);
  EXPECT_EQ(numbers_of(halves.taken), (Numbers{0, 1, 2}));
  EXPECT_EQ(numbers_of(halves.rest), (Numbers{3, 4, 5, 6}));
  EXPECT_EQ(halves.rest.label(0), 1);
  EXPECT_THROW(std::ignore = rapt::split_first(dataset, 8), rapt::ValueError);

  const auto by_class = rapt::split_first_of_each_class(dataset, 2);
  EXPECT_EQ(numbers_of(by_class.taken), (Numbers{0, 1, 2, 3}));
  EXPECT_EQ(numbers_of(by_class.rest), (Numbers{4, 5, 6}));
  EXPECT_EQ(rapt::class_counts(by_class.taken), (Numbers{2, 2}));
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { std::ignore = rapt::split_first_of_each_class(dataset, 4); }),
            "[split_first_of_each_class] class 1 has 3 images, not 4");
}

TEST(ImageDataset, ShufflingIsAPermutationOfTheSeed) {
  const ImageDataset dataset = counting(std::vector<TokenId>(40, 0), 1);
  const Numbers a = numbers_of(rapt::shuffled(dataset, 1)), b = numbers_of(rapt::shuffled(dataset, 2));
  EXPECT_EQ(numbers_of(rapt::shuffled(dataset, 1)), a);
  EXPECT_NE(a, b);
  Numbers sorted = a;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, numbers_of(dataset));
}

TEST(ImageDataset, NormalizationMakesTheMeanZeroAndTheDeviationOne) {
  const Index count = 50;
  const ImageDataset dataset({3, 4, 5}, rapt_test::random_bytes(50 * 60, 1), std::vector<TokenId>(50, 0), 1);
  const auto batch = rapt::to_image_batch<double>(dataset, 0, count, rapt::normalization_of(dataset));
  for (Index c = 0; c < 3; ++c) {
    const auto channel = batch.pixels().view().columns(20 * c, 20).matrix();
    EXPECT_NEAR(channel.mean(), 0, 1e-12);
    EXPECT_NEAR(channel.squaredNorm() / 1000, 1, 1e-12);
  }
  EXPECT_THROW(std::ignore = rapt::normalization_of(ImageDataset({1, 2, 2}, Bytes(4, 7), {0}, 1)), rapt::ValueError);
  EXPECT_THROW(std::ignore = rapt::normalization_of(ImageDataset({1, 2, 2}, {}, {}, 1)), rapt::ValueError);
}

}  // namespace
