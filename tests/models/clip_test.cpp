/// \file
/// CLIP against transformers, its folders, and what it is made of.
// covers: pretrained/clip.hpp
// covers: models/clip_config.hpp, models/clip_encoders.hpp
#include "rapt/models/clip.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rapt/io/model_file.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/clip.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::CaptionedImages;
using rapt::Clip;
using rapt::ClipConfig;
using rapt::ImageBatch;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt_test::expect_agreement;
using rapt_test::expect_message;
using rapt_test::expect_return_journey;
using rapt_test::for_each_case;
using rapt_test::normal_tensor;

/// One case of the golden file, and everything that our model makes of it.
struct ClipCase : rapt_test::ModelCase<Clip> {
  static constexpr const char* kFile = "clip";
  static constexpr std::size_t kCases = 2;
  explicit ClipCase(const std::string& name) : ModelCase(kFile, name) {}

  [[nodiscard]] TokenBatch texts() const { return batch("ids", "row_splits"); }
  /// Compares all results that the file has; returns the loss, as the script has it.
  template <class T>
  rapt::Variable<T> expect_results(const Clip<T>& model, double tolerance) const {
    const ImageBatch<T> images(tensor<T>("pixels"), model.config().vision.grid.image);
    expect("image_hidden", model.image_hidden(images).value(), tolerance);
    expect("text_hidden", model.text_hidden(texts()).value(), tolerance);
    expect("image_embedding", model.image_embedding(images).value(), tolerance);
    expect("text_embedding", model.text_embedding(texts()).value(), tolerance);
    expect("logits", model(images, texts()).value(), tolerance);
    rapt::Variable<T> loss = model.loss({.images = images, .texts = texts()});
    expect("loss", loss.value(), tolerance);
    return loss;
  }
};

[[nodiscard]] ClipConfig small_clip() {
  return {.text = {.vocabulary = 10,
                   .positions = 6,
                   .d_model = 8,
                   .layers = 2,
                   .heads = 2,
                   .d_ff = 12,
                   .begin_token = 8,
                   .end_token = 9},
          .vision = {.grid = {.image = {.channels = 2, .height = 4, .width = 4}, .patch_height = 2, .patch_width = 2},
                     .d_model = 12,
                     .layers = 2,
                     .heads = 3,
                     .d_ff = 10},
          .embedding = 6};
}
[[nodiscard]] ImageBatch<double> clip_images(Index count, std::uint64_t seed) {
  return {normal_tensor<double>({count, 32}, seed), {2, 4, 4}};
}

TEST(Clip, AgreesWithTransformers) {
  for_each_case<ClipCase>([](const ClipCase& golden) { expect_agreement<float>(golden, 1e-5, 1e-4); });
}

TEST(Clip, AgreesInDouble) {
  for_each_case<ClipCase>([](const ClipCase& golden) { expect_agreement<double>(golden, 1e-7, 1e-6); });
}

TEST(Clip, TravelsBackUnchanged) {
  for_each_case<ClipCase>([](const ClipCase& golden) { expect_return_journey(golden); });
}

TEST(Clip, TheLogitScaleIsWrittenAsAScalar) {
  const ClipCase golden("plain");
  const rapt_test::TemporaryFolder saved;
  rapt::save_pretrained(saved.path(), golden.load<float>());
  const rapt::SafetensorsFile file(saved.path() / "model.safetensors");
  EXPECT_TRUE(file.sizes("logit_scale").empty());
  EXPECT_EQ(file.read<float>("logit_scale").values()[0], golden.parameters.at("logit_scale").values()[0]);
}

TEST(Clip, OlderFoldersHaveSettingsTwice) {
  ClipCase golden("plain");
  golden.config["text_config_dict"] = {{"num_attention_heads", golden.config["text_config"]["num_attention_heads"]}};
  golden.config["text_config"]["num_attention_heads"] = 1;
  golden.config["vision_config_dict"] = nullptr;
  golden.parameters.emplace("text_model.embeddings.position_ids", Tensor<float>(Shape{1, 7}, 0.f));
  golden.write();
  golden.expect_results(golden.load<float>(), 1e-5);
}

TEST(Clip, SettingsThatDoNotFitAreRefused) {
  const auto with = [](const char* part, const char* key, const nlohmann::json& value, const std::string& message) {
    ClipCase golden("plain");
    (*part == '\0' ? golden.config : golden.config[part])[key] = value;
    golden.write();
    expect_message([&] { std::ignore = golden.load<float>(); }, message);
  };
  with("", "model_type", "siglip", "wanted is \"clip\"");
  with("", "text_config", 3, "\"text_config\" must be an object");
  with("", "projection_dim", 7, "\"text_projection.weight\" has shape [6, 8], config.json wants [7, 8]");
  with("text_config", "num_attention_heads", 3, "d_model = 8, heads = 3");
  with("text_config", "vocab_size", 0, "vocabulary 0");
  with("vision_config", "num_hidden_layers", 3, "tensors are missing: \"vision_model.encoder.layers.2.");
  with("vision_config", "patch_size", 4, "cannot be cut into patches of 4 x 4");
  with("vision_config", "layer_norm_eps", 0, "the image encoder's sizes must be positive");
}

TEST(Clip, WhatOtherProgramsCannotReadIsNotWritten) {
  rapt::Rng rng(1);
  const rapt_test::TemporaryFolder folder;
  ClipConfig config = small_clip();
  config.text.end_token = 2;
  expect_message([&] { rapt::save_pretrained(folder.path(), Clip<float>(config, rng)); }, "end token 2");
  config = small_clip();
  config.vision.grid.image.width = 6;
  expect_message([&] { rapt::save_pretrained(folder.path(), Clip<float>(config, rng)); }, "images of 2 x 4 x 6");
}

TEST(Clip, ThePapersSizes) {
  const auto parameters = [](const ClipConfig& config) {
    const rapt::detail::InitialiseNothing scope;
    rapt::Rng rng(1);
    return rapt::count_parameters(Clip(config, rng));
  };
  EXPECT_EQ(parameters(ClipConfig::base32()), 151277313);  // transformers' CLIPModel of the same settings
  EXPECT_EQ(parameters(ClipConfig::base16()), 149620737);
  EXPECT_EQ(parameters(ClipConfig::large14()), 427616513);
}

TEST(Clip, EmbeddingsHaveLengthOneAndDoNotDependOnTheBatch) {
  rapt::Rng rng(1);
  Clip<double> model(small_clip(), rng);
  rapt_test::randomize(model, 2);
  const ImageBatch<double> images = clip_images(3, 3);
  const TokenBatch texts({{8, 1, 9}, {8, 2, 3, 4, 9}, {9}});
  const Tensor<double> all_images = model.image_embedding(images).value();
  const Tensor<double> all_texts = model.text_embedding(texts).value();
  const Tensor<double> logits = model(images, texts).value();
  double scale = 0;
  rapt::for_each_parameter(model, [&](const std::string& name, const rapt::Parameter<double>& parameter) {
    if (name == "logit_scale") scale = std::exp(parameter.value().values()[0]);
  });
  for (Index i = 0; i < 3; ++i) {
    const ImageBatch<double> image(Tensor<double>(images.pixels().view().middle_rows(i, 1)), images.shape());
    TokenBatch text;
    text.push_back(texts.sequence(i));
    const auto one_image = model.image_embedding(image).value(), one_text = model.text_embedding(text).value();
    double squares = 0;
    for (Index j = 0; j < 6; ++j) {
      EXPECT_NEAR(one_image(0, j), all_images(i, j), 1e-12);
      EXPECT_NEAR(one_text(0, j), all_texts(i, j), 1e-12);
      squares += one_text(0, j) * one_text(0, j);
    }
    EXPECT_NEAR(squares, 1, 1e-12);
    for (Index t = 0; t < 3; ++t) {
      double cosine = 0;
      for (Index j = 0; j < 6; ++j) cosine += all_images(i, j) * all_texts(t, j);
      EXPECT_NEAR(logits(i, t), scale * cosine, 1e-10);
    }
  }
}

TEST(Clip, ATextIsReadAtItsFirstEndToken) {
  rapt::Rng rng(1);
  const Clip<double> model(small_clip(), rng);
  const Tensor<double> wanted = model.text_embedding(TokenBatch({{8, 1, 9}})).value();
  EXPECT_TRUE(rapt_test::close(model.text_embedding(TokenBatch({{8, 1, 9, 9, 3}})).value(), wanted, 1e-12));
  expect_message(
      [&] {
        std::ignore = model.text_embedding(TokenBatch({{8, 1, 9}, {8, 1}}));
      },
      "text 1 of 2 tokens has no end token: 9");
  ClipConfig config = small_clip();
  config.text.end_token.reset();
  const Clip<double> largest(config, rng);
  expect_message(
      [&] {
        std::ignore = largest.text_embedding(TokenBatch({{8, 1, 9}, {}}));
      },
      "text 1 of 0 tokens has no end token");
}

TEST(Clip, BeginsWithTheWidthsStandardDeviations) {
  ClipConfig config = small_clip();
  config.text.d_model = config.vision.d_model = config.text.d_ff = config.vision.d_ff = 64;
  config.text.heads = config.vision.heads = 4;
  rapt::Rng rng(1);
  const Clip<float> model(config, rng);
  const auto expect_std = [&](const std::string& wanted, double std) {
    bool found = false;
    rapt::for_each_parameter(model, [&](const std::string& name, const rapt::Parameter<float>& parameter) {
      if (name != wanted) return;
      found = true;
      double squares = 0;
      for (const float v : parameter.value().values()) squares += static_cast<double>(v) * static_cast<double>(v);
      const auto count = static_cast<double>(parameter.size());
      EXPECT_NEAR(std::sqrt(squares / count) / std, 1, 4 / std::sqrt(2 * count)) << name;
    });
    EXPECT_TRUE(found) << wanted;
  };
  expect_std("text.embedding.weight", 0.02);
  expect_std("text.positions.weight", 0.01);
  expect_std("vision.class_token", 1.0 / 8);
  expect_std("vision.positions.weight", 1.0 / 8);
  expect_std("text.encoder.layers.0.self_attn.in_proj_weight", 1.0 / 8);
  expect_std("text.encoder.layers.1.self_attn.out_proj.weight", 1.0 / 16);
  expect_std("vision.encoder.layers.0.linear1.weight", 1.0 / std::sqrt(128.0));
  expect_std("vision.encoder.layers.0.linear2.weight", 1.0 / 16);
  expect_std("image_projection.weight", 1.0 / 8);
  expect_std("logit_scale", std::log(1 / 0.07));
}

TEST(Clip, LearnsWhichTextBelongsToWhichImage) {
  rapt::Rng rng(1);
  Clip<float> model(small_clip(), rng);
  rapt::Adam adam(model);
  const CaptionedImages<float> batch{.images = {normal_tensor<float>({3, 32}, 5), {2, 4, 4}},
                                     .texts = TokenBatch({{8, 1, 9}, {8, 2, 3, 9}, {8, 4, 9}})};
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    const rapt::Training scope(rng);
    const auto loss = model.loss(batch);
    rapt::backward(loss);
    adam.step(3e-3);
    last = static_cast<double>(loss.item());
    if (step == 0) first = last;
  }
  EXPECT_GT(first, 0.5);
  EXPECT_LT(last, 0.05);
  const auto chances =
      model.probabilities(model.image_embedding(batch.images), model.text_embedding(batch.texts)).value();
  for (Index i = 0; i < 3; ++i) EXPECT_GT(chances(i, i), 0.9f);
}

TEST(Clip, PackedWeightsAloneGiveTheSame) {
  rapt::Rng rng(1);
  Clip<float> model(small_clip(), rng);
  const ImageBatch<float> images(normal_tensor<float>({2, 32}, 5), {2, 4, 4});
  const TokenBatch texts({{8, 1, 9}, {8, 2, 2, 9}});
  const auto wanted = model(images, texts).value();
  rapt::pack_weights(model);
  rapt::drop_unpacked_weights(model);
  EXPECT_TRUE(rapt_test::close(model(images, texts).value(), wanted, 1e-5));
}

TEST(Clip, IsKeptInOneFile) {
  rapt::Rng rng(1);
  ClipConfig config = small_clip();
  config.text.activation = rapt::Activation::gelu;
  config.text.end_token.reset();
  const Clip<float> model(config, rng);
  const rapt_test::TemporaryFolder folder;
  rapt::save_model(folder.path() / "clip.safetensors", model);
  const auto read = rapt::load_model<Clip<float>>(folder.path() / "clip.safetensors");
  EXPECT_EQ(read.config().text.end_token, std::nullopt);
  const ImageBatch<float> images(normal_tensor<float>({2, 32}, 5), {2, 4, 4});
  const TokenBatch texts({{8, 1, 9}});
  EXPECT_TRUE(rapt_test::same_bits(model(images, texts).value(), read(images, texts).value()));
}

TEST(Clip, ErrorsNameTheValues) {
  rapt::Rng rng(1);
  const Clip<double> model(small_clip(), rng);
  const auto images = clip_images(2, 8);
  expect_message(
      [&] {
        std::ignore = model.loss({.images = images, .texts = TokenBatch({{8, 9}})});
      },
      "2 images have as many texts, got 1");
  expect_message([&] { std::ignore = model.text_embedding(TokenBatch({{8, 1, 1, 1, 1, 1, 9}})); }, "ends at 6");
  expect_message(
      [&] {
        std::ignore = model.image_embedding(ImageBatch<double>(normal_tensor<double>({1, 48}, 5), {2, 6, 4}));
      },
      "images of 2 x 6 x 4, the model's are 2 x 4 x 4");
  const auto refused = [&](const auto& change, const std::string& part) {
    ClipConfig wrong = small_clip();
    change(wrong);
    expect_message([&] { wrong.validate(); }, part);
  };
  refused([](ClipConfig& c) { c.vision.heads = 5; }, "d_model = 12, heads = 5");
  refused([](ClipConfig& c) { c.text.layers = 0; }, "the text encoder's sizes must be positive: layers 0");
  refused([](ClipConfig& c) { c.embedding = 0; }, "embedding 0");
  refused([](ClipConfig& c) { c.text.attention_dropout = 1; }, "dropout must be in [0, 1): 1");
}

}  // namespace
