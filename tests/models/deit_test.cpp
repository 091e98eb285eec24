/// \file
/// DeiT against transformers, its folders, and how it learns from a teacher.
// covers: pretrained/deit.hpp
#include "rapt/models/deit.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/deit.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::Deit;
using rapt::DeitConfig;
using rapt::ImageBatch;
using rapt::ImageShape;
using rapt::Index;
using rapt::Shape;
using rapt::TeacherTargets;
using rapt::Tensor;
using rapt::TokenId;
using rapt_test::expect_agreement;
using rapt_test::expect_message;
using rapt_test::expect_return_journey;
using rapt_test::for_each_case;
using rapt_test::normal_tensor;

/// One case of the golden file, and everything that our model makes of it.
struct DeitCase : rapt_test::ModelCase<Deit> {
  static constexpr const char* kFile = "deit";
  static constexpr std::size_t kCases = 5;
  explicit DeitCase(const std::string& name) : ModelCase(kFile, name) {}

  /// Compares all results that the file has; returns the loss, as the script has it.
  template <class T>
  rapt::Variable<T> expect_results(const Deit<T>& model, double tolerance) const {
    ImageShape shape = model.config().grid.image;
    const bool resized = contains("size");
    if (resized) shape.height = ids("size")[0], shape.width = ids("size")[1];
    const ImageBatch<T> images(tensor<T>("pixels"), shape);
    const rapt::RowSplits splits = model.splits(images);
    const rapt::Variable<T> hidden = model.hidden(images, {.resize_positions = resized});
    expect("hidden", hidden.value(), tolerance);
    const auto with_teacher = [&](TeacherTargets targets) {
      const rapt::DistillationOptions options{.targets = targets, .temperature = 3};
      return model.loss({.images = images, .labels = ids("labels")}, tensor<T>("teacher"), options, {},
                        {.resize_positions = resized});
    };
    rapt::Variable<T> loss;
    if (contains("classes")) {
      expect("classes", model(images, {.resize_positions = resized}).value(), tolerance);
      if (contains("teacher")) {
        expect("of_class", model.class_logits(hidden, splits).value(), tolerance);
        expect("of_distillation", model.distillation_logits(hidden, splits).value(), tolerance);
        expect("soft_loss", with_teacher(TeacherTargets::soft).value(), tolerance);
        loss = with_teacher(TeacherTargets::hard);
      } else {
        loss = model.loss({.images = images, .labels = ids("labels")});
      }
    } else {
      const auto part = [&](const rapt::Variable<T>& result, const std::string& upstream) {
        return rapt::sum(rapt::multiply(result, rapt::Variable<T>(tensor<T>(upstream))));
      };
      loss = part(hidden, "upstream_hidden");
      if (contains("pooled")) {
        const rapt::Variable<T> pooled = model.pooler_output(hidden, splits);
        expect("pooled", pooled.value(), tolerance);
        loss = add(loss, part(pooled, "upstream_pooled"));
      }
    }
    expect("loss", loss.value(), tolerance);
    return loss;
  }
};

[[nodiscard]] DeitConfig small_config() {
  return {{.grid = {.image = {.channels = 1, .height = 4, .width = 6}, .patch_height = 2, .patch_width = 2},
           .d_model = 16,
           .layers = 1,
           .heads = 2,
           .d_ff = 24,
           .labels = {"a", "b", "c"}},
          /*distillation_head=*/true};
}
[[nodiscard]] ImageBatch<double> some_images(Index count, std::uint64_t seed) {
  return {normal_tensor<double>({count, 24}, seed), ImageShape{1, 4, 6}};
}

TEST(Deit, AgreesWithTransformers) {
  for_each_case<DeitCase>([](const DeitCase& golden) { expect_agreement<float>(golden, 1e-5, 1e-4); });
}

TEST(Deit, AgreesInDouble) {
  for_each_case<DeitCase>([](const DeitCase& golden) { expect_agreement<double>(golden, 1e-7, 1e-6); });
}

TEST(Deit, TravelsBackUnchanged) {
  for_each_case<DeitCase>([](const DeitCase& golden) { expect_return_journey(golden); });
}

TEST(Deit, SettingsThatItDoesNotHaveAreRefused) {
  const auto with = [](const char* key, const nlohmann::json& value, const std::string& part) {
    DeitCase golden("teacher");
    golden.config[key] = value;
    golden.write();
    expect_message([&] { std::ignore = golden.load<float>(); }, part);
  };
  with("model_type", "vit", "wanted is \"deit\"");
  with("num_attention_heads", 5, "d_model = 12, heads = 5");
  with("image_size", 14, "14 x 14 cannot be cut into patches of 4 x 4");
  with("image_size", 8, "\"deit.embeddings.position_embeddings\" has shape [1, 11, 12], config.json wants [1, 6, 12]");
  with("num_hidden_layers", 3, "tensors are missing: \"deit.encoder.layer.2.");
  DeitCase golden("teacher");
  golden.parameters.erase("cls_classifier.weight");
  golden.write();
  expect_message([&] { std::ignore = golden.load<float>(); }, "the distillation head needs labels");
}

TEST(Deit, TheSizesOfThePaper) {
  // Table 1 has 5, 22 and 86 million parameters; counted without drawing them
  const auto parameters = [](DeitConfig config, bool two_heads) {
    config.labels.resize(1000);
    config.distillation_head = two_heads;
    const rapt::detail::InitialiseNothing scope;
    rapt::Rng rng(1);
    return rapt::count_parameters(Deit(config, rng));
  };
  EXPECT_EQ(parameters(DeitConfig::tiny(), true), 5910800);  // timm's distilled models
  EXPECT_EQ(parameters(DeitConfig::small(), true), 22436432);
  EXPECT_EQ(parameters(DeitConfig::base(), true), 87338192);
}

TEST(Deit, PartsAreWhatTheConfigNames) {
  DeitConfig config = small_config();
  const auto parameters = [&] {
    rapt::Rng rng(1);
    return rapt::count_parameters(Deit(config, rng));
  };
  const Index two = parameters();
  EXPECT_EQ(rapt::detail::architecture_of(config), "DeiTForImageClassificationWithTeacher");
  config.distillation_head = false;
  EXPECT_EQ(rapt::detail::architecture_of(config), "DeiTForImageClassification");
  EXPECT_EQ(two - parameters(), 3 * 16 + 3);
  config.labels.clear();
  EXPECT_EQ(rapt::detail::architecture_of(config), "DeiTModel");
  EXPECT_EQ(two - parameters(), 2 * (3 * 16 + 3));
  config.pooler = true;
  config.pooler_width = 5;
  EXPECT_EQ(two - parameters(), 2 * (3 * 16 + 3) - (5 * 16 + 5));
}

TEST(Deit, ScoresAreTheMeanOfBothHeads) {
  rapt::Rng rng(1);
  const Deit<double> model(small_config(), rng);
  const auto images = some_images(2, 3);
  const auto hidden = model.hidden(images);
  const rapt::RowSplits splits = model.splits(images);
  EXPECT_EQ(splits, rapt::RowSplits::equal(2, 8));
  const auto a = model.class_logits(hidden, splits).value(), b = model.distillation_logits(hidden, splits).value();
  const auto mean = model(images).value();
  for (Index i = 0; i < mean.size(); ++i) EXPECT_NEAR(mean.data()[i], (a.data()[i] + b.data()[i]) / 2, 1e-15);
  EXPECT_FALSE(rapt_test::same_bits(a, b));
}

TEST(Deit, WeightsOfTheTeacherAndTheLabels) {
  rapt::Rng rng(1);
  const Deit<double> model(small_config(), rng);
  const auto images = some_images(4, 4);
  const std::vector<TokenId> labels{0, 2, 1, 0};
  const auto teacher = normal_tensor<double>({4, 3}, 5);
  const auto hidden = model.hidden(images);
  const auto splits = model.splits(images);
  const auto of_class = model.class_logits(hidden, splits), of_distillation = model.distillation_logits(hidden, splits);
  for (const TeacherTargets targets : {TeacherTargets::soft, TeacherTargets::hard}) {
    for (const float weight : {0.f, 0.3f, 1.f}) {
      const rapt::DistillationOptions options{.targets = targets, .temperature = 2, .weight = weight};
      rapt::DistillationOptions alone = options;
      alone.weight = 1;
      const double share = static_cast<double>(weight);
      const double expected = (1 - share) * rapt::cross_entropy(of_class, labels, {.label_smoothing = 0.1f}).item() +
                              share * rapt::distillation_loss(of_distillation, teacher, {}, alone).item();
      EXPECT_NEAR(model.loss({.images = images, .labels = labels}, teacher, options, {.label_smoothing = 0.1f}).item(),
                  expected, 1e-7);
    }
  }
}

TEST(Deit, EachTokenLearnsWhatItIsTold) {
  // The teacher errs on purpose: the class token must say the labels, the distillation token what the teacher says.
  rapt::Rng rng(1);
  Deit model(small_config(), rng);
  rapt::Adam adam(model);
  const ImageBatch<float> images(normal_tensor<float>({3, 24}, 6), ImageShape{1, 4, 6});
  const std::vector<TokenId> labels{0, 1, 2};
  const Tensor<float> teacher(Shape{3, 3}, {0.f, 1.f, 0.f, 0.f, 0.f, 1.f, 1.f, 0.f, 0.f});
  for (int step = 0; step < 150; ++step) {
    const rapt::Training scope(rng);
    rapt::backward(model.loss({.images = images, .labels = labels}, teacher, {.targets = TeacherTargets::hard}));
    adam.step(5e-3);
  }
  const auto hidden = model.hidden(images);
  const auto splits = model.splits(images);
  const auto choice = [](const rapt::Variable<float>& scores, Index b) {
    const float* row = scores.value().row(b);
    return std::max_element(row, row + 3) - row;
  };
  for (Index b = 0; b < 3; ++b) {
    EXPECT_EQ(choice(model.class_logits(hidden, splits), b), b);
    EXPECT_EQ(choice(model.distillation_logits(hidden, splits), b), (b + 1) % 3);
  }
}

TEST(Deit, ErrorsNameTheValues) {
  rapt::Rng rng(1);
  const Deit<double> model(small_config(), rng);
  const auto images = some_images(2, 7);
  const std::vector<TokenId> labels{0, 1};
  const Tensor<double> teacher(Shape{2, 3}, 0.0), wide(Shape{2, 4}, 0.0);
  expect_message([&] { std::ignore = model.loss({.images = images, .labels = labels}, wide, {}); }, "[2, 4]");
  expect_message([&] { std::ignore = model.loss({.images = images, .labels = labels}, teacher, {.weight = 1.5f}); },
                 "[0, 1]: 1.5");
  expect_message([&] { std::ignore = model.loss({.images = images, .labels = labels}, teacher, {.temperature = 0}); },
                 "temperature");
  DeitConfig config = small_config();
  config.distillation_head = false;
  const Deit<double> one(config, rng);
  expect_message([&] { std::ignore = one.loss({.images = images, .labels = labels}, teacher, {}); },
                 "no distillation head");
  config.labels.clear();
  const Deit<double> bare(config, rng);
  expect_message([&] { std::ignore = bare(images); }, "no classification head");
  config.distillation_head = true;
  expect_message([&] { config.validate(); }, "needs labels");
  config = small_config();
  config.pooling = rapt::ImagePooling::mean;
  expect_message([&] { config.validate(); }, "no pooling by the mean");
}

}  // namespace
