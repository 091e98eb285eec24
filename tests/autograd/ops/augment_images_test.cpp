/// \file
/// Differentiable augmentation: values worked out one change at a time, gradients, what is drawn, errors.
// covers: kernels/augment_images.hpp
#include "rapt/autograd/ops/augment_images.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::DifferentiableAugmentation;
using rapt::ImageChange;
using rapt::ImageShape;
using rapt::Index;
using rapt::Tensor;
using Variable = rapt::Variable<double>;
using Variables = std::vector<Variable>;
using rapt_test::normal_tensor;

const ImageShape kShape{3, 4, 5};

/// One image after one change.
Tensor<double> changed(const Tensor<double>& image, const ImageChange& change, double background = 0) {
  return augment_images(Variable(image), kShape, {change}, background).value();
}

TEST(AugmentImages, EachChangeByItself) {
  const auto image = normal_tensor<double>({1, kShape.size()}, 1);
  EXPECT_TRUE(rapt_test::same_bits(changed(image, {}), image));
  double mean = 0;
  for (const double v : image.values()) mean += v / 60;
  const auto bright = changed(image, {.brightness = .25}), contrast = changed(image, {.contrast = 1.5}),
             saturated = changed(image, {.saturation = .5}), moved = changed(image, {.down = 1, .right = -2}, -7),
             cut = changed(image, {.top = 1, .left = 2, .height = 2, .width = 3}, -7);
  for (Index c = 0; c < 3; ++c) {
    for (Index y = 0; y < 4; ++y) {
      for (Index x = 0; x < 5; ++x) {
        const Index i = (c * 4 + y) * 5 + x, pixel = y * 5 + x;
        const double was = image(0, i), gray = (image(0, pixel) + image(0, 20 + pixel) + image(0, 40 + pixel)) / 3;
        EXPECT_NEAR(bright(0, i), was + .25, 1e-15);
        EXPECT_NEAR(contrast(0, i), mean + 1.5 * (was - mean), 1e-14);
        EXPECT_NEAR(saturated(0, i), gray + .5 * (was - gray), 1e-14);
        EXPECT_EQ(moved(0, i), y == 0 || x > 2 ? -7 : image(0, i - 5 + 2));
        EXPECT_EQ(cut(0, i), y >= 1 && y < 3 && x >= 2 ? -7 : was);
      }
    }
  }
  for (const Index away : {4, 400}) {  // nothing of the image is left
    const auto empty = changed(image, {.down = -away}, 3);
    for (const double v : empty.values()) EXPECT_EQ(v, 3);
  }
}

TEST(AugmentImages, ChangesFollowOneAnother) {
  const auto image = normal_tensor<double>({1, kShape.size()}, 2);
  const ImageChange all{.brightness = -.3,
                        .saturation = 1.7,
                        .contrast = .6,
                        .down = -1,
                        .right = 2,
                        .top = 0,
                        .left = 1,
                        .height = 2,
                        .width = 2};
  Tensor<double> one_by_one = changed(image, {.brightness = -.3});
  one_by_one = changed(one_by_one, {.saturation = 1.7});
  one_by_one = changed(one_by_one, {.contrast = .6});
  one_by_one = changed(one_by_one, {.down = -1, .right = 2}, .5);
  one_by_one = changed(one_by_one, {.left = 1, .height = 2, .width = 2}, .5);
  EXPECT_TRUE(rapt_test::close(changed(image, all, .5), one_by_one, 1e-13));
}

TEST(AugmentImages, Gradient) {
  const std::vector<ImageChange> changes{{.brightness = .2, .saturation = 1.4, .contrast = .7, .down = 1, .right = -1},
                                         {.contrast = 1.3, .down = -2, .top = 1, .left = 0, .height = 1, .width = 4},
                                         {}};
  const auto f = [&](const Variables& v) { return augment_images(v[0], kShape, changes, .1); };
  const auto x = normal_tensor<double>({3, kShape.size()}, 3);
  EXPECT_LT(rapt::gradcheck(f, {x}).worst_relative_error, 1e-6);
  const auto twice = [&](const Variables& v) { return multiply(f(v), multiply(f(v), v[0])); };
  EXPECT_LT(rapt::gradcheck(twice, {x}).worst_relative_error, 1e-6);
  rapt_test::expect_same_gradients_of_subsets(f, {x});
}

TEST(AugmentImages, WhatIsDrawnIsWithinItsBounds) {
  const ImageShape shape{1, 28, 20};
  const Index count = 4000;
  const auto changes = draw_image_changes({}, shape, count, {5, 9});
  const auto again = draw_image_changes({}, shape, 10, {5, 9});
  std::set<Index> down, right, tops;
  double brightness = 0, contrast = 0;
  for (Index i = 0; i < count; ++i) {
    const ImageChange& c = rapt::at(changes, i);
    EXPECT_TRUE(c.brightness >= -.5 && c.brightness < .5 && c.contrast >= .5 && c.contrast < 1.5 && c.saturation >= 0 &&
                c.saturation < 2);
    EXPECT_TRUE(c.top >= 0 && c.left >= 0 && c.top + c.height <= 28 && c.left + c.width <= 20);
    EXPECT_TRUE(c.height >= 7 && c.height <= 14 && c.width >= 5 && c.width <= 10);
    down.insert(c.down), right.insert(c.right), tops.insert(c.top);
    brightness += c.brightness / static_cast<double>(count), contrast += c.contrast / static_cast<double>(count);
    EXPECT_EQ(c.brightness, rapt::at(i < 10 ? again : changes, i).brightness);  // whatever the size of the batch
  }
  EXPECT_EQ(down.size(), 9u);   // 28 / 8 = 3.5, rounded: -4 .. 4
  EXPECT_EQ(right.size(), 7u);  // -3 .. 3
  EXPECT_EQ(*tops.begin(), 0);
  EXPECT_EQ(*tops.rbegin(), 21);
  EXPECT_NEAR(brightness, 0, .02);
  EXPECT_NEAR(contrast, 1, .02);
  for (const ImageChange& c : draw_image_changes(DifferentiableAugmentation::none(), shape, 3, {5, 9})) {
    EXPECT_TRUE(c.brightness == 0 && c.saturation == 1 && c.contrast == 1 && c.down == 0 && c.right == 0 &&
                c.height == 0 && c.width == 0);
  }
}

TEST(AugmentImages, SaysWhatDoesNotFit) {
  const Variable x(normal_tensor<double>({1, kShape.size()}, 4));
  const double infinite = std::numeric_limits<double>::infinity();
  rapt_test::expect_errors({
      {"images",
       [&] {
         std::ignore = augment_images(x, {1, 4, 5}, {{}});
       },
       {"1 x 4 x 5", "[1, 60]"}},
      {"changes",
       [&] {
         std::ignore = augment_images(x, kShape, {{}, {}});
       },
       {"2 changes", "[1, 60]"}},
      {"rectangle",
       [&] { std::ignore = augment_images(x, kShape, {{.top = 3, .height = 2, .width = 1}}); },
       {"image 0", "2 x 1", "row 3"}},
      {"ratio", [] { DifferentiableAugmentation{.cutout = 1.5}.validate("here"); }, {"[here]", "1.5"}},
      {"background", [&] { DifferentiableAugmentation{.background = infinite}.validate("here"); }, {"inf"}},
  });
}

TEST(AugmentImages, SameBitsOnAnyNumberOfThreads) {
  const ImageShape shape{1, 28, 28};
  const auto x = normal_tensor<float>({64, shape.size()}, 5);
  const auto changes = draw_image_changes({}, shape, 64, {1, 2});
  const Index before = rapt::threads();
  std::vector<Tensor<float>> found;
  for (const Index threads : {1, 3}) {
    rapt::set_threads(threads);
    const rapt::Variable<float> leaf(x, /*requires_grad=*/true);
    const rapt::Recording scope;
    const auto y = augment_images(leaf, shape, changes);
    backward(sum(multiply(y, y)));
    found.push_back(y.value());
    found.push_back(leaf.grad());
  }
  rapt::set_threads(before);
  EXPECT_TRUE(rapt_test::same_bits(found[0], found[2]));
  EXPECT_TRUE(rapt_test::same_bits(found[1], found[3]));
}

}  // namespace
