/// \file
/// Mixup and CutMix: the images, the labels, the distribution, and the loss that belongs to them.
#include "rapt/images/mix.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/random.hpp"

namespace {

using rapt::draw_mix;
using rapt::ImageMix;
using rapt::ImageShape;
using rapt::Index;
using rapt::MixOptions;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
using Kind = ImageMix::Kind;

constexpr ImageShape kShape{2, 6, 5};

TEST(MixImages, MixupIsTheWeightedMeanWithTheImageFromTheOtherEnd) {
  for (const Index count : {1, 2, 5}) {
    const auto before = rapt_test::random_tensor<double>(Shape{count, kShape.size()}, 1);
    Tensor<double> after = before;
    rapt::mix_images(after.data(), count, kShape, {.kind = Kind::mixup, .weight = .7});
    for (Index i = 0; i < count; ++i) {
      for (Index j = 0; j < kShape.size(); ++j) {
        EXPECT_NEAR(after(i, j), .7 * before(i, j) + .3 * before(count - 1 - i, j), 1e-15);
      }
    }
  }
}

TEST(MixImages, CutmixTakesARectangleFromTheImageFromTheOtherEnd) {
  const Index count = 3;
  const auto before = rapt_test::random_tensor<float>(Shape{count, kShape.size()}, 1);
  Tensor<float> after = before;
  rapt::mix_images(after.data(), count, kShape,
                   {.kind = Kind::cutmix, .weight = .8, .top = 1, .left = 2, .height = 2, .width = 3});
  for (Index i = 0; i < count; ++i) {
    for (Index j = 0; j < kShape.size(); ++j) {
      const Index y = j % 30 / 5, x = j % 5;
      const bool is_cut = y >= 1 && y < 3 && x >= 2;
      EXPECT_EQ(after(i, j), before(is_cut ? count - 1 - i : i, j));
    }
  }
}

TEST(MixImages, NothingByDefault) {
  const auto before = rapt_test::random_tensor<float>(Shape{4, kShape.size()}, 1);
  Tensor<float> after = before;
  const ImageMix mix = draw_mix({}, kShape, 1, 0, 0);
  EXPECT_EQ(mix.kind, Kind::none);
  EXPECT_EQ(mix.weight, 1);
  rapt::mix_images(after.data(), 4, kShape, mix);
  EXPECT_TRUE(rapt_test::same_bits(after, before));
  EXPECT_FALSE(MixOptions{}.changes_anything());
  EXPECT_FALSE((MixOptions{.mixup = 1, .rate = 0}.changes_anything()));
}

TEST(DrawMix, IsAFunctionOfSeedEpochAndBatch) {
  const MixOptions options{.mixup = .8};
  const double weight = draw_mix(options, kShape, 1, 2, 3).weight;
  EXPECT_EQ(draw_mix(options, kShape, 1, 2, 3).weight, weight);
  EXPECT_NE(draw_mix(options, kShape, 2, 2, 3).weight, weight);
  EXPECT_NE(draw_mix(options, kShape, 1, 3, 3).weight, weight);
  EXPECT_NE(draw_mix(options, kShape, 1, 2, 4).weight, weight);
}

TEST(DrawMix, MixupsWeightsAreBetaDistributed) {
  // Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)), and of 1 / 2 an eighth of the weights below sin^2(pi / 16).
  for (const double a : {.05, .2, .5, 1., 8.}) {
    constexpr int kDraws = 20000;
    double sum = 0, squares = 0;
    int below = 0;
    for (Index i = 0; i < kDraws; ++i) {
      const ImageMix mix = draw_mix({.mixup = a}, kShape, 3, 0, i);
      ASSERT_EQ(mix.kind, Kind::mixup);
      ASSERT_TRUE(mix.weight >= 0 && mix.weight <= 1);
      sum += mix.weight;
      squares += (mix.weight - .5) * (mix.weight - .5);
      below += mix.weight < std::pow(std::sin(std::acos(-1.0) / 16), 2) ? 1 : 0;
    }
    const double variance = 1 / (4 * (2 * a + 1));
    EXPECT_NEAR(sum / kDraws, .5, 5 * std::sqrt(variance / kDraws)) << a;
    EXPECT_NEAR(squares / kDraws, variance, 5 * .25 / std::sqrt(kDraws)) << a;  // the square is at most 1/4
    if (a == .5) {
      EXPECT_NEAR(below, kDraws / 8., 5 * std::sqrt(kDraws * 7 / 64.));
    } else if (a == .05) {
      EXPECT_GT(below, kDraws / 3);
    }
  }
}

TEST(DrawMix, CutmixsRectangleLiesWithinAndItsAreaIsTheWeight) {
  const ImageShape shape{3, 32, 24};
  double covered[32][24] = {}, sum = 0;
  constexpr int kDraws = 20000;
  for (Index i = 0; i < kDraws; ++i) {
    const ImageMix mix = draw_mix({.cutmix = 1}, shape, 3, 0, i);
    ASSERT_EQ(mix.kind, Kind::cutmix);
    ASSERT_TRUE(mix.top >= 0 && mix.left >= 0 && mix.height >= 0 && mix.width >= 0);
    ASSERT_TRUE(mix.top + mix.height <= 32 && mix.left + mix.width <= 24);
    ASSERT_EQ(mix.weight, 1 - static_cast<double>(mix.height * mix.width) / (32 * 24));
    sum += mix.weight;
    for (Index y = mix.top; y < mix.top + mix.height; ++y) {
      for (Index x = mix.left; x < mix.left + mix.width; ++x) covered[y][x] += 1. / kDraws;
    }
  }
  // Before what hangs over is cut off, half the area on average; a side s around a uniform middle keeps s - s^2 / 4.
  // With s^2 uniform: mean of (s - s^2 / 4)^2 = 1/2 - 1/5 + 1/48. Sides are rounded down, so a little less.
  EXPECT_NEAR(1 - sum / kDraws, 1. / 2 - 1. / 5 + 1. / 48, .03);
  EXPECT_NEAR(covered[8][6], covered[23][17], .02);  // symmetric
  EXPECT_GT(covered[16][12], covered[0][0] + .1);
}

TEST(DrawMix, RatesAndSharesAreKept) {
  const MixOptions options{.mixup = 1, .cutmix = 1, .cutmix_ratio = .25, .rate = .6};
  int mixup = 0, cutmix = 0;
  constexpr int kDraws = 10000;
  for (Index i = 0; i < kDraws; ++i) {
    const Kind kind = draw_mix(options, kShape, 5, 1, i).kind;
    mixup += kind == Kind::mixup ? 1 : 0;
    cutmix += kind == Kind::cutmix ? 1 : 0;
  }
  EXPECT_NEAR(mixup, .6 * .75 * kDraws, 5 * 50);
  EXPECT_NEAR(cutmix, .6 * .25 * kDraws, 5 * 36);
}

TEST(MixOptions, WhatDoesNotFitIsAnError) {
  EXPECT_NO_THROW((MixOptions{.mixup = .2, .cutmix = 1}.validate()));
  EXPECT_THROW(MixOptions{.mixup = -1}.validate(), rapt::ValueError);
  EXPECT_THROW(MixOptions{.cutmix = 1e-9}.validate(), rapt::ValueError);
  EXPECT_THROW(MixOptions{.cutmix = std::nan("")}.validate(), rapt::ValueError);
  EXPECT_THROW(MixOptions{.cutmix_ratio = 2}.validate(), rapt::ValueError);
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([] { MixOptions{.rate = -.5}.validate(); }),
            "[mix] rate must be in [0, 1]: -0.5");
}

TEST(MixedLabels, AreThoseOfTheImagesFromTheOtherEnd) {
  std::vector<TokenId> others{9};
  rapt::mixed_labels({1, 2, 3}, others);
  EXPECT_EQ(others, (std::vector<TokenId>{3, 2, 1}));
}

TEST(MixedLoss, IsTheCrossEntropyAgainstTheMixedTargets) {
  const std::vector<TokenId> labels{0, 3, 3, 1, 2};
  std::vector<TokenId> others;
  rapt::mixed_labels(labels, others);
  const double w = .65;
  const auto values = rapt_test::random_tensor<double>(Shape{5, 4}, 1, -2, 2);
  const rapt::Variable<double> logits(values, /*requires_grad=*/true);
  const rapt::Recording recording;
  const auto loss = rapt::add(rapt::scale(rapt::cross_entropy(logits, labels), w),
                              rapt::scale(rapt::cross_entropy(logits, others), 1 - w));
  rapt::backward(loss);
  double expected = 0;
  Tensor<double> gradient(Shape{5, 4});  // softmax - target, over the rows' number
  for (Index i = 0; i < 5; ++i) {
    double sum = 0;
    for (Index c = 0; c < 4; ++c) sum += std::exp(values(i, c));
    for (Index c = 0; c < 4; ++c) {
      const auto at = static_cast<std::size_t>(i);
      const double target = (labels[at] == c ? w : 0) + (others[at] == c ? 1 - w : 0);
      expected -= target * (values(i, c) - std::log(sum)) / 5;
      gradient(i, c) = (std::exp(values(i, c)) / sum - target) / 5;
    }
  }
  EXPECT_NEAR(*loss.value().data(), expected, 1e-14);
  rapt_test::expect_close(logits.grad(), gradient, 1e-14);
}

}  // namespace
