/// \file
/// Pixels of patches, out of images and into them.
#include "rapt/kernels/patch_pixels.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::ImageBatch;
using rapt::Index;
using rapt::Tensor;
using rapt::TokenId;

TEST(PatchPixels, AreInTheOrderOfRowsColumnsChannels) {
  const rapt::PatchGrid grid{.image = {.channels = 2, .height = 2, .width = 4}, .patch_height = 2, .patch_width = 2};
  Tensor<float> pixels(rapt::Shape{2, 16});
  std::iota(pixels.data(), pixels.data() + 32, 0.f);
  const ImageBatch<float> images(pixels, grid.image);
  const std::vector<TokenId> numbers{3, 0};
  const Tensor<float> patches = rapt::kernels::patch_pixels(images, grid, numbers);
  EXPECT_TRUE(
      rapt_test::same_bits(patches, Tensor<float>({2, 8}, {18, 26, 19, 27, 22, 30, 23, 31, 0, 8, 1, 9, 4, 12, 5, 13})));
  Tensor<float> moved = pixels;
  moved.fill(-1);
  const auto placed = rapt::kernels::with_patches(ImageBatch<float>(moved, grid.image), grid, numbers, patches);
  for (Index i = 0; i < 32; ++i) {
    const bool is_there = (i / 16 == 1) == (i % 4 >= 2);
    EXPECT_EQ(placed.pixels().data()[i], is_there ? pixels.data()[i] : -1.f) << i;
  }
  const Tensor<float> statistics = rapt::kernels::patch_statistics(Tensor<float>({1, 4}, {1, 3, 5, 7}));
  EXPECT_NEAR(statistics(0, 0), 4, 1e-6);
  EXPECT_NEAR(statistics(0, 1), std::sqrt(20.0 / 3), 1e-6);
}

TEST(PatchPixels, PatchesThatAreNot) {
  const rapt::PatchGrid grid{.image = {.channels = 1, .height = 2, .width = 4}, .patch_height = 2, .patch_width = 2};
  const ImageBatch<float> images(Tensor<float>(rapt::Shape{2, 8}, 0.f), grid.image);
  const std::vector<TokenId> outside{4}, inside{3};
  const auto message = [](const auto& f) { return rapt_test::error_text<rapt::Error>(f); };
  EXPECT_NE(message([&] { std::ignore = rapt::kernels::patch_pixels(images, grid, outside); }).find("token id 4"),
            std::string::npos);
  const Tensor<float> wide(rapt::Shape{1, 5}, 0.f);
  EXPECT_NE(message([&] { std::ignore = rapt::kernels::with_patches(images, grid, inside, wide); }).find("[1, 5]"),
            std::string::npos);
}

}  // namespace
