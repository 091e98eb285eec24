/// \file
/// Zero-shot classification of images against transformers' pipeline: tokens, pixels and scores, from a folder.
// covers: pipelines/image_preprocessing.hpp
#include "rapt/pipelines/zero_shot_image_classifier.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/common/expect_close.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::Image;
using rapt::ImagePreprocessing;
using rapt::Index;
using rapt::ResizeFilter;
using rapt::Tensor;
using rapt_test::expect_message;

/// The folder of the golden file and what transformers made of it.
class ZeroShot : public testing::Test {
 protected:
  ZeroShot() { write("tokenizer.json", info_["tokenizer"]), write("preprocessor_config.json", info_["processor"]); }

  void write(const std::string& name, const nlohmann::json& json) const {
    std::ofstream(case_.folder.path() / name) << json.dump();
  }
  [[nodiscard]] const std::filesystem::path& path() const { return case_.folder.path(); }
  [[nodiscard]] std::vector<Image> images() const {
    std::vector<Image> images;
    for (const std::string name : {"image0", "image1", "image2"}) {
      const auto sizes = file_.sizes(name);
      const auto bytes = file_.read<std::uint8_t>(name);
      images.emplace_back(sizes[0], sizes[1], sizes[2],
                          std::vector<std::uint8_t>(bytes.data(), bytes.data() + bytes.size()));
    }
    return images;
  }
  [[nodiscard]] std::vector<std::string> labels() const { return info_["labels"]; }

  rapt::SafetensorsFile file_{std::string(RAPT_GOLDEN_DIR) + "/zero_shot.safetensors"};
  nlohmann::json info_ = nlohmann::json::parse(file_.metadata().at("info"));
  rapt_test::PretrainedCase case_{"zero_shot", "clip"};
};

TEST_F(ZeroShot, CutsTextsAsTransformers) {
  const auto tokenizer = rapt::AnyTokenizer::load(path());
  const std::vector<std::string> texts = info_["texts"];
  const auto ids = file_.read<std::int64_t>("ids");
  const auto splits = file_.read<std::int64_t>("row_splits");
  ASSERT_EQ(splits.size(), std::ssize(texts) + 1);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::vector<rapt::TokenId> wanted(ids.data() + splits.data()[i], ids.data() + splits.data()[i + 1]);
    EXPECT_EQ(tokenizer.encode(texts[i]), wanted) << texts[i];
  }
}

TEST_F(ZeroShot, PreparesImagesAsTransformers) {
  const ImagePreprocessing preprocessing = rapt::load_image_preprocessing(path());
  const std::vector<Image> all = images();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto batch = preprocessing.operator()<float>(std::span(all).subspan(i, 1));
    EXPECT_EQ(batch.shape(), (rapt::ImageShape{3, 6, 6}));
    EXPECT_LE(rapt_test::relative_error(batch.pixels(), file_.read<float>("pixels" + std::to_string(i))), 1e-6);
  }
}

TEST_F(ZeroShot, ScoresLabelsAsTransformers) {
  const auto classifier = rapt::zero_shot_image_classifier(path());
  const std::vector<Image> all = images();
  EXPECT_TRUE(rapt_test::close(classifier.scores(all, labels()), file_.read<float>("plain_scores"), 1e-5));
  const std::string description = info_["description"];
  const Tensor<float> wanted = file_.read<float>("scores");
  EXPECT_TRUE(rapt_test::close(classifier.scores(all, labels(), description), wanted, 1e-5));
  const auto found = classifier(all[1], labels(), description);
  ASSERT_EQ(found.size(), 4u);
  float sum = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto known = labels();
    const auto label = std::find(known.begin(), known.end(), found[i].label) - known.begin();
    EXPECT_NEAR(found[i].score, wanted(1, label), rapt_test::allowed<float>(1e-5));
    EXPECT_LE(found[i].score, i == 0 ? 1.f : found[i - 1].score);
    sum += found[i].score;
  }
  EXPECT_NEAR(sum, 1, 1e-6);
}

TEST_F(ZeroShot, ManyImagesAreScoredInParts) {
  const auto classifier = rapt::zero_shot_image_classifier(path());
  std::vector<Image> many(18, images()[0]);
  many[17] = images()[1];
  const Tensor<float> scores = classifier.scores(many, labels());
  EXPECT_EQ(scores.shape(), (rapt::Shape{18, 4}));
  for (Index j = 0; j < 4; ++j) {
    EXPECT_NEAR(scores(15, j), scores(0, j), 1e-6);
    EXPECT_NEAR(scores(16, j), scores(0, j), 1e-6);
  }
  EXPECT_TRUE(rapt_test::close(Tensor<float>(scores.view().middle_rows(17, 1)),
                               classifier.scores(std::span(many).subspan(17), labels()), 1e-5));
}

TEST_F(ZeroShot, FoldersOldAndNewSayHowImagesArePrepared) {
  const auto read = [&](const nlohmann::json& json) {
    write("preprocessor_config.json", json);
    return rapt::load_image_preprocessing(path());
  };
  const ImagePreprocessing absent = read(nlohmann::json::object());
  EXPECT_EQ(absent.shortest_side, 224);
  EXPECT_EQ(absent.crop, (rapt::ImageSize{224, 224}));
  EXPECT_EQ(absent.filter, ResizeFilter::bicubic);
  EXPECT_NEAR(absent.normalization.mean[2], ImagePreprocessing().normalization.mean[2], 1e-15);
  const ImagePreprocessing old = read({{"feature_extractor_type", "CLIPFeatureExtractor"},
                                       {"size", 30},
                                       {"crop_size", 20},
                                       {"resample", 2},
                                       {"image_mean", {0.5, 0.5, 0.5}},
                                       {"image_std", {0.5, 0.25, 0.5}}});
  EXPECT_EQ(old.shortest_side, 30);
  EXPECT_EQ(old.crop, (rapt::ImageSize{20, 20}));
  EXPECT_EQ(old.filter, ResizeFilter::bilinear);
  EXPECT_NEAR(old.normalization.standard_deviation[1], 0.25, 1e-12);
  const ImagePreprocessing fixed = read({{"size", {{"height", 5}, {"width", 7}}},
                                         {"do_center_crop", false},
                                         {"do_normalize", false},
                                         {"rescale_factor", 0.5}});
  EXPECT_EQ(fixed.shortest_side, std::nullopt);
  EXPECT_EQ(fixed.crop, std::nullopt);
  const Image image(3, 4, 1, 7);
  EXPECT_EQ(fixed.prepare(image), Image(5, 7, 3, 7));
  EXPECT_NEAR(fixed.operator()<double>(std::span(&image, 1)).pixels().data()[0], 3.5, 1e-12);
  const ImagePreprocessing as_it_is = read({{"do_resize", false}, {"do_center_crop", false}, {"do_rescale", false}});
  EXPECT_EQ(as_it_is.prepare(image), Image(3, 4, 3, 7));
  std::filesystem::remove(path() / "preprocessor_config.json");
  write("processor_config.json", {{"image_processor", info_["processor"]}});
  EXPECT_EQ(rapt::load_image_preprocessing(path()).shortest_side, 8);
}

TEST_F(ZeroShot, WhatItCannotDoIsRefused) {
  const auto refused = [&](const nlohmann::json& json, const std::string& part) {
    write("preprocessor_config.json", json);
    expect_message([&] { std::ignore = rapt::load_image_preprocessing(path()); }, part);
  };
  refused({{"image_processor_type", "ViTImageProcessor"}},
          "\"ViTImageProcessor\" is not the image processor of a CLIP");
  refused({{"resample", 1}}, "\"resample\" must be 2 (bilinear) or 3 (bicubic): \"1\"");
  refused({{"image_std", {1, 0, 1}}}, "standard deviation must be positive: 0");
  refused({{"image_mean", {1, 0}}}, "there are 2");
  refused({{"rescale_factor", 0}}, "\"rescale_factor\" must be positive: \"0.0\"");
  refused({{"size", "large"}}, "\"size\" must be a whole number");
  refused({{"crop_size", {{"height", -1}}}}, "\"height\" must be a whole number");
  refused(nlohmann::json::array(), "is not a JSON object");
  std::filesystem::remove(path() / "preprocessor_config.json");
  expect_message([&] { std::ignore = rapt::zero_shot_image_classifier(path()); }, "has neither");
  write("processor_config.json", {{"image_processor", 3}});
  expect_message([&] { std::ignore = rapt::zero_shot_image_classifier(path()); }, "has no \"image_processor\"");
}

TEST_F(ZeroShot, ErrorsNameTheValues) {
  const auto classifier = rapt::zero_shot_image_classifier(path());
  const Image image = images()[0];
  expect_message([&] { std::ignore = classifier(image, {}); }, "there are no labels");
  expect_message([&] { std::ignore = classifier(image, {"cat"}, "a photo"); },
                 "must have {} in the place of the label: a photo");
  expect_message([&] { std::ignore = classifier(image, {std::string(300, '?')}); }, "ends at 40");
  expect_message([&] { std::ignore = classifier(Image(), {"cat"}); }, "the image is empty");
  case_.config["text_config"]["vocab_size"] = 5;
  case_.config["text_config"]["eos_token_id"] = 4;
  case_.parameters.at("text_model.embeddings.token_embedding.weight") = Tensor<float>(rapt::Shape{5, 8}, 0.f);
  case_.write();
  expect_message([&] { std::ignore = rapt::zero_shot_image_classifier(path()); }, "91 tokens, the model 5");
}

}  // namespace
