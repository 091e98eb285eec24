/// \file
/// The patch embedding against a convolution written as loops, and its initial values.
// covers: nn/truncated_normal.hpp
#include "rapt/nn/patch_embedding.hpp"

#include <gtest/gtest.h>

#include <map>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::ImageBatch;
using rapt::Index;
using rapt::PatchEmbedding;
using rapt::PatchGrid;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
using rapt_test::normal_tensor;

const PatchGrid kGrid{{2, 6, 8}, 3, 2};

TEST(PatchEmbedding, IsAConvolutionThatStepsByItsSize) {
  rapt::Rng rng(1);
  PatchEmbedding<double> layer(kGrid, 5, rng);
  rapt_test::randomize(layer, 2);
  std::map<std::string, Tensor<double>> parameters;
  rapt::for_each_parameter(layer, [&](const std::string& name, const auto& p) { parameters[name] = p.value(); });
  EXPECT_EQ(parameters.at("weight").shape(), (Shape{5, 2, 3, 2}));
  const std::vector<TokenId> visible{7, 0, 2, 3};
  const auto pixels = normal_tensor<double>({2, 96}, 3);
  const ImageBatch<double> images(pixels, kGrid.image);
  for (const auto& shown : {std::vector<TokenId>{}, visible}) {
    const auto y = layer(images, shown).value();
    const Index per_image = shown.empty() ? 8 : 2;
    ASSERT_EQ(y.shape(), (Shape{2 * per_image, 5}));
    for (Index i = 0; i < y.rows(); ++i) {
      const Index b = i / per_image, patch = shown.empty() ? i % 8 : shown[static_cast<std::size_t>(i)];
      for (Index d = 0; d < 5; ++d) {
        double sum = parameters.at("bias").data()[d];
        for (Index c = 0; c < 2; ++c) {
          for (Index u = 0; u < 3; ++u) {
            for (Index v = 0; v < 2; ++v) {
              const Index row = patch / 4 * 3 + u, col = patch % 4 * 2 + v;
              sum += parameters.at("weight")((d * 2 + c) * 3 + u, v) * pixels(b, (c * 6 + row) * 8 + col);
            }
          }
        }
        EXPECT_NEAR(y(i, d), sum, 1e-13);
      }
    }
  }
}

TEST(PatchEmbedding, PixelsThatTakeAGradientGiveTheSame) {
  rapt::Rng rng(1);
  const PatchEmbedding<double> layer(kGrid, 5, rng);
  const rapt::Variable<double> pixels(normal_tensor<double>({2, 96}, 3), /*requires_grad=*/true);
  const std::vector<TokenId> visible{7, 0, 2, 3};
  for (const auto& shown : {std::vector<TokenId>{}, visible}) {
    const auto of_images = layer(ImageBatch<double>(pixels.value(), kGrid.image), shown).value();
    EXPECT_TRUE(rapt_test::same_bits(layer(pixels, shown).value(), of_images));
  }
  const rapt::Recording scope;
  rapt::backward(rapt::sum(layer(pixels)));
  // Each pixel is in one patch: its gradient is the sum of the weights that multiply it.
  double sum = 0;
  for (Index d = 0; d < 5; ++d) sum += layer.weight().value()(d * 2 * 3, 0);
  EXPECT_NEAR(pixels.grad()(1, 2), sum, 1e-14);
}

TEST(PatchEmbedding, TheWeightLearnsAsTheImagesAre) {
  // Of the sum of all outputs: d weight is the sum of the patches, d bias their number.
  rapt::Rng rng(1);
  const PatchEmbedding<double> layer(kGrid, 3, rng);
  const auto pixels = normal_tensor<double>({2, 96}, 4);
  const rapt::Recording scope;
  rapt::backward(rapt::sum(layer(ImageBatch<double>(pixels, kGrid.image))));
  const auto patches = unfold_patches(ImageBatch<double>(pixels, kGrid.image), 3, 2).value();
  rapt::for_each_parameter(layer, [&](const std::string& name, const auto& parameter) {
    ASSERT_EQ(parameter.grad().shape(), parameter.shape());
    for (Index i = 0; i < parameter.size(); ++i) {
      const double expected = name == "bias" ? 16.0 : patches.matrix().col(i % 12).sum();
      EXPECT_NEAR(parameter.grad().data()[i], expected, 1e-12) << name;
    }
  });
}

TEST(PatchEmbedding, MayHaveNoBias) {
  rapt::Rng rng(1), again(1);
  const PatchEmbedding<double> with(kGrid, 3, rng, {.init_std = 0.5});
  const PatchEmbedding<double> without(kGrid, 3, again, {.init_std = 0.5, .bias = false});
  EXPECT_EQ(rapt::count_parameters(with), rapt::count_parameters(without) + 3);
  const ImageBatch<double> images(normal_tensor<double>({2, kGrid.image.size()}, 5), kGrid.image);
  EXPECT_TRUE(rapt_test::same_bits(with(images).value(), without(images).value()));  // the bias begins as zeros
}

TEST(PatchEmbedding, TakesOtherSizesThatPatchesFill) {
  rapt::Rng rng(1);
  const PatchEmbedding<double> layer(kGrid, 3, rng);
  EXPECT_EQ(layer(ImageBatch<double>(normal_tensor<double>({1, 2 * 9 * 2}, 5), {2, 9, 2})).shape(), (Shape{3, 3}));
  rapt_test::expect_errors({{"channels",
                             [&] {
                               std::ignore = layer(ImageBatch<double>(normal_tensor<double>({1, 48}, 5), {1, 6, 8}));
                             },
                             {"1 x 6 x 8", "have 2 channels"}},
                            {"height",
                             [&] {
                               std::ignore = layer(ImageBatch<double>(normal_tensor<double>({1, 80}, 5), {2, 5, 8}));
                             },
                             {"5 x 8", "3 x 2"}},
                            {"grid",
                             [&] {
                               PatchEmbedding<double>({{2, 6, 9}, 3, 2}, 3, rng);
                             },
                             {"6 x 9", "3 x 2"}},
                            {"width", [&] { PatchEmbedding<double>(kGrid, 0, rng); }, {"d_model", "0"}}});
}

TEST(TruncatedNormal, EndsAtTwoDeviations) {
  rapt::Rng rng(1);
  const auto values = rapt::init::truncated_normal<float>(Shape{200, 200}, rng, 0.5);
  double sum = 0, squares = 0;
  for (const float v : values.values()) {
    ASSERT_LE(std::abs(v), 1.f);
    sum += static_cast<double>(v);
    squares += static_cast<double>(v) * static_cast<double>(v);
  }
  EXPECT_NEAR(sum / 40000, 0, 0.01);
  EXPECT_NEAR(std::sqrt(squares / 40000), 0.5 * 0.8796, 0.005);
  rapt::Rng again(1);
  EXPECT_TRUE(rapt_test::same_bits(values, rapt::init::truncated_normal<float>(Shape{200, 200}, again, 0.5)));
}

}  // namespace
