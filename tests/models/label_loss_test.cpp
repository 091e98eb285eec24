/// \file
/// The loss of labelled images, of the models that learn them.
#include "rapt/models/label_loss.hpp"

#include <gtest/gtest.h>
#include <rapt/core/rng.hpp>
#include <rapt/models/beit.hpp>
#include <rapt/models/deit.hpp>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::LabelledImages;
using rapt::TokenId;
using rapt::Variable;

[[nodiscard]] LabelledImages<double> mixed_images() {
  rapt::Tensor<double> pixels(rapt::Shape{2, 4 * 6});
  for (Index i = 0; i < pixels.size(); ++i) pixels.data()[i] = static_cast<double>(i * 7 % 11) / 11;
  return {.images = {std::move(pixels), {.channels = 1, .height = 4, .width = 6}},
          .labels = {0, 2},
          .mixed_labels = {2, 1},
          .weight = 0.3};
}

/// w CE(scores, labels) + (1 - w) CE(scores, mixed labels) of the model's scores.
template <class Model>
void expect_mixed_loss(const Model& model) {
  LabelledImages<double> batch = mixed_images();
  const rapt::CrossEntropyOptions options{.label_smoothing = 0.1f};
  const Variable<double> scores = model(batch.images);
  const double first = rapt::cross_entropy(scores, batch.labels, options).item(),
               second = rapt::cross_entropy(scores, batch.mixed_labels, options).item();
  EXPECT_GT(std::abs(first - second), 1e-6);
  EXPECT_NEAR(model.loss(batch, options).item(), 0.3 * first + 0.7 * second, 1e-12);
  batch.mixed_labels.clear();
  EXPECT_EQ(model.loss(batch, options).item(), first);
}

template <class Config>
[[nodiscard]] Config tiny_classifier() {
  Config config;
  config.grid = {.image = {.channels = 1, .height = 4, .width = 6}, .patch_height = 2, .patch_width = 2};
  config.d_model = 8;
  config.layers = 1;
  config.heads = 2;
  config.d_ff = 8;
  config.init_std = 0.5;
  config.labels = {"a", "b", "c"};
  return config;
}

TEST(LabelLoss, MixedImagesHaveTheLossOfBothLabels) {
  rapt::Rng rng(1);
  expect_mixed_loss(rapt::Vit<double>(tiny_classifier<rapt::VitConfig>(), rng));
  rapt::DeitConfig two_heads = tiny_classifier<rapt::DeitConfig>();
  two_heads.distillation_head = true;
  expect_mixed_loss(rapt::Deit<double>(two_heads, rng));
  expect_mixed_loss(rapt::Beit<double>(tiny_classifier<rapt::BeitConfig>(), rng));
}

TEST(LabelLoss, TheTeachersLossIsOfMixedLabelsToo) {
  rapt::DeitConfig config = tiny_classifier<rapt::DeitConfig>();
  config.distillation_head = true;
  rapt::Rng rng(1);
  const rapt::Deit<double> model(config, rng);
  const LabelledImages<double> batch = mixed_images();
  const rapt::Tensor<double> teacher(rapt::Shape{2, 3}, {0.1, 2, -1, 0.5, 0, 1});
  const Variable<double> hidden = model.hidden(batch.images);
  const double of_labels = rapt::label_loss(model.class_logits(hidden, model.splits(batch.images)), batch).item();
  EXPECT_NEAR(model.loss(batch, teacher, {.weight = 0}).item(), of_labels, 1e-12);
}

}  // namespace
