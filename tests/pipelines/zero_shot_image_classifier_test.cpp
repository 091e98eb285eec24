/// \file
/// Zero-shot classification of images against transformers' pipeline: tokens, pixels and scores, from a folder.
// covers: pipelines/candidate_labels.hpp
#include "rapt/pipelines/zero_shot_image_classifier.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/pipelines/image_preprocessor.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::Image;
using rapt::ImagePreprocessor;
using rapt::ImageSize;
using rapt::Index;
using rapt::LabelScore;
using rapt::Resampling;
using rapt::Tensor;
using rapt_test::expect_message;

/// The scores in the order of the labels, after a check that the best comes first   // [images, labels]
Tensor<float> scores_by_label(const std::vector<std::vector<LabelScore>>& found,
                              const std::vector<std::string>& labels) {
  Tensor<float> scores(rapt::Shape{std::ssize(found), std::ssize(labels)}, -1.f);
  for (Index i = 0; i < scores.rows(); ++i) {
    const std::vector<LabelScore>& row = rapt::at(found, i);
    EXPECT_EQ(row.size(), labels.size());
    double best = 1;
    for (const LabelScore& one : row) {
      EXPECT_LE(one.score, best);
      best = one.score;
      const auto label = std::find(labels.begin(), labels.end(), one.label);
      if (label == labels.end())
        ADD_FAILURE() << one.label;
      else
        scores.row(i)[label - labels.begin()] = static_cast<float>(one.score);
    }
  }
  return scores;
}

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
  const ImagePreprocessor preprocessor = ImagePreprocessor::load(path());
  const std::vector<Image> all = images();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto batch = preprocessor(std::span(all).subspan(i, 1), {3, 6, 6});
    EXPECT_EQ(batch.shape(), (rapt::ImageShape{3, 6, 6}));
    EXPECT_LE(rapt_test::relative_error(batch.pixels(), file_.read<float>("pixels" + std::to_string(i))), 1e-6);
  }
}

TEST_F(ZeroShot, ScoresLabelsAsTransformers) {
  const auto classify = rapt::zero_shot_image_classifier(path());
  const std::vector<Image> all = images();
  const std::vector<std::string> known = labels();
  EXPECT_TRUE(rapt_test::close(scores_by_label(classify(all, known), known), file_.read<float>("plain_scores"), 1e-5));
  const auto found = classify(all, known, {.hypothesis_template = info_["description"]});
  EXPECT_TRUE(rapt_test::close(scores_by_label(found, known), file_.read<float>("scores"), 1e-5));
  for (const auto& row : found) {
    double sum = 0;
    for (const LabelScore& one : row) sum += one.score;
    EXPECT_NEAR(sum, 1, 1e-6);
  }
  EXPECT_TRUE(classify({}, known).empty());
  EXPECT_EQ(classify({{all[0]}}, {{"cat", "dog"}})[0].size(), 2u);
}

TEST_F(ZeroShot, ManyImagesAreScoredInParts) {
  const auto classify = rapt::zero_shot_image_classifier(path());
  std::vector<Image> many(18, images()[0]);
  many[17] = images()[1];
  const Tensor<float> scores = scores_by_label(classify(many, labels()), labels());
  EXPECT_EQ(scores.shape(), (rapt::Shape{18, 4}));
  for (Index j = 0; j < 4; ++j) {
    EXPECT_NEAR(scores(15, j), scores(0, j), 1e-6);
    EXPECT_NEAR(scores(16, j), scores(0, j), 1e-6);
  }
  EXPECT_TRUE(rapt_test::close(Tensor<float>(scores.view().middle_rows(17, 1)),
                               scores_by_label(classify(std::span(many).subspan(17), labels()), labels()), 1e-5));
  many[17] = Image();
  expect_message([&] { std::ignore = classify(many, labels()); }, "image 17 is empty");
}

TEST_F(ZeroShot, FoldersOldAndNewSayHowImagesArePrepared) {
  const auto read = [&](const nlohmann::json& json) {
    write("preprocessor_config.json", json);
    return ImagePreprocessor::load(path());
  };
  const auto absent = read(nlohmann::json::object()).options();
  EXPECT_EQ(absent.size->shortest_edge, 224);
  EXPECT_EQ(absent.crop_size, (ImageSize{.height = 224, .width = 224}));
  EXPECT_EQ(absent.resample, Resampling::bicubic);
  EXPECT_NEAR(absent.normalization.mean[2], rapt::ImagePreprocessorOptions::clip().normalization.mean[2], 1e-15);
  const auto old = read({{"feature_extractor_type", "CLIPFeatureExtractor"},
                         {"size", 30},
                         {"crop_size", 20},
                         {"resample", 2},
                         {"image_mean", {0.5, 0.5, 0.5}},
                         {"image_std", {0.5, 0.25, 0.5}}})
                       .options();
  EXPECT_EQ(old.size->shortest_edge, 30);
  EXPECT_EQ(old.crop_size, (ImageSize{.height = 20, .width = 20}));
  EXPECT_EQ(old.resample, Resampling::bilinear);
  EXPECT_NEAR(old.normalization.standard_deviation[1], 0.25, 1e-12);
  const ImagePreprocessor fixed = read({{"size", {{"height", 5}, {"width", 7}}},
                                        {"do_center_crop", false},
                                        {"do_normalize", false},
                                        {"rescale_factor", 0.5}});
  EXPECT_EQ(fixed.options().size->shortest_edge, std::nullopt);
  EXPECT_EQ(fixed.options().crop_size, std::nullopt);
  const Image image(3, 4, 1, 7);
  EXPECT_EQ(fixed.resize(image, 3), Image(5, 7, 3, 7));
  EXPECT_NEAR(fixed({{image}}, {3, 5, 7}).pixels().data()[0], 3.5, 1e-12);
  const ImagePreprocessor as_it_is = read({{"do_resize", false}, {"do_center_crop", false}, {"do_rescale", false}});
  EXPECT_EQ(as_it_is.resize(image, 3), Image(3, 4, 3, 7));
  std::filesystem::remove(path() / "preprocessor_config.json");
  write("processor_config.json", {{"image_processor", info_["processor"]}});
  EXPECT_EQ(ImagePreprocessor::load(path()).options().size->shortest_edge, 8);
}

TEST_F(ZeroShot, WhatItCannotDoIsRefused) {
  const auto refused = [&](const nlohmann::json& json, const std::string& part) {
    write("preprocessor_config.json", json);
    expect_message([&] { std::ignore = rapt::zero_shot_image_classifier(path()); }, part);
  };
  refused({{"image_processor_type", "DPTImageProcessor"}}, "the image processor is \"DPTImageProcessor\"");
  refused({{"resample", 6}}, "\"resample\" must be one of Pillow's numbers of filters, 0 to 5: \"6\"");
  refused({{"image_std", {1, 0, 1}}}, "\"image_std\" must be positive: an array");
  refused({{"image_mean", {1, 0}}}, "image_mean and image_std must have a number for each of 3 channels: 2");
  refused({{"rescale_factor", 0}}, "\"rescale_factor\" must be positive: \"0\"");
  refused({{"size", "large"}}, "\"size\" must be a whole number");
  refused({{"crop_size", {{"height", -1}, {"width", 3}}}}, "\"height\" must be a whole number");
  refused({{"crop_size", {{"height", 3}}}}, "\"crop_size\" must be a number, or have a \"height\" and a \"width\"");
  refused(nlohmann::json::array(), "is not a JSON object");
  std::filesystem::remove(path() / "preprocessor_config.json");
  expect_message([&] { std::ignore = rapt::zero_shot_image_classifier(path()); },
                 "no preprocessor_config.json and no processor_config.json");
  write("processor_config.json", {{"image_processor", 3}});
  expect_message([&] { std::ignore = rapt::zero_shot_image_classifier(path()); },
                 "\"image_processor\" must be an object: \"3\"");
}

TEST_F(ZeroShot, ErrorsNameTheValues) {
  const auto classify = rapt::zero_shot_image_classifier(path());
  const std::vector<Image> one{images()[0]};
  const std::vector<std::string> cat{"cat"}, none;
  expect_message([&] { std::ignore = classify(one, none); }, "there must be a label");
  expect_message([&] { std::ignore = classify(one, cat, {.hypothesis_template = "a photo"}); },
                 "hypothesis_template must have one {} for the label: a photo");
  expect_message([&] { std::ignore = classify(one, {{std::string(300, '?')}}); }, "ends at 40");
  expect_message([&] { std::ignore = classify({{Image()}}, cat); }, "image 0 is empty");
  case_.config["text_config"]["vocab_size"] = 5;
  case_.config["text_config"]["eos_token_id"] = 4;
  case_.parameters.at("text_model.embeddings.token_embedding.weight") = Tensor<float>(rapt::Shape{5, 8}, 0.f);
  case_.write();
  expect_message([&] { std::ignore = rapt::zero_shot_image_classifier(path()); }, "91 tokens, the model 5");
}

}  // namespace
