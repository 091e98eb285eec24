// covers: pipelines/image_classifier.hpp, pipelines/image_preprocessor.hpp
/// \file
/// Images are classified as by transformers' pipeline (tests/golden/make_pipelines.py).
// covers: pipelines/image_preprocessor.hpp
#include "rapt/pipelines/image_classifier.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rapt/pipelines/image_preprocessor.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/sample_image.hpp"
#include "tests/pipelines/golden_folder.hpp"

namespace {

using nlohmann::json;
using rapt::Image;
using rapt::ImageSize;
using rapt::Index;
using rapt::IoError;
using rapt::ShapeError;
using rapt_test::expect_message;
using rapt_test::GoldenFolder;

const rapt_test::PipelineGolden& golden_images() {
  static const rapt_test::PipelineGolden golden("pipelines");
  return golden;
}

TEST(ImageClassifier, GivesLabelsAsTransformersDoes) {
  const rapt_test::HighestPrecision scope;  // large random weights magnify the rounding of lowered precisions
  const json& expected = golden_images()["images"];
  const auto labels = expected["labels"].get<std::vector<std::string>>();
  std::vector<Image> images;
  for (const json& shape : expected["shapes"]) {
    images.push_back(rapt_test::sample_image(shape[0], shape[1], shape[2]));
  }
  for (const std::string name : {"vit", "deit", "beit"}) {
    SCOPED_TRACE(name);
    const GoldenFolder folder(golden_images(), name);
    const auto classify = rapt::image_classifier(folder);
    EXPECT_EQ(classify.labels(), labels);
    rapt_test::expect_labels(classify(images), expected[name], labels);
    EXPECT_EQ(classify(images, {.top_k = 1})[0].size(), 1u);
    EXPECT_TRUE(classify({}).empty());
  }
}

TEST(ImageClassifier, ErrorsNameTheImage) {
  const GoldenFolder folder(golden_images(), "deit");
  std::vector<Image> images(9, rapt_test::sample_image(3, 20, 20));
  images.emplace_back();
  expect_message<ShapeError>([&] { (void)rapt::image_classifier(folder)(images); }, "image 9 is empty");
  json config = json::parse(std::ifstream(folder.path() / "preprocessor_config.json"));
  config["crop_size"] = 12;
  std::ofstream(folder.path() / "preprocessor_config.json") << config;
  expect_message<ShapeError>([&] { (void)rapt::image_classifier(folder)(images); },
                             "image 0 becomes 3 x 12 x 12, the model sees 3 x 16 x 16");
  config["size"] = {{"shortest_edge", 16384}};
  std::ofstream(folder.path() / "preprocessor_config.json") << config;
  const std::vector<Image> wide = {rapt_test::sample_image(3, 20, 60)};
  expect_message<ShapeError>([&] { (void)rapt::image_classifier(folder)(wide); }, "image 0: [resized]");
}

TEST(ImageClassifier, FoldersThatDoNotFitAreRefused) {
  const GoldenFolder folder(golden_images(), "vit"), text(golden_images(), "classes");
  expect_message<IoError>([&] { (void)rapt::image_classifier(text); }, "no preprocessor_config.json");
  const auto expect_refusal = [&](const char* key, const json& value, const std::string& part) {
    const std::filesystem::path file = folder.path() / "preprocessor_config.json";
    const json before = json::parse(std::ifstream(file));
    json config = before;
    config[key] = value;
    std::ofstream(file) << config;
    expect_message<IoError>([&] { (void)rapt::image_classifier(folder); }, part);
    std::ofstream(file) << before;
  };
  expect_refusal("image_processor_type", "DPTImageProcessor", "the image processor is \"DPTImageProcessor\"");
  expect_refusal("resample", 6, "\"resample\" must be one of Pillow's numbers of filters");
  expect_refusal("size", 0, "\"size\" must be of sides from 1 to 16384");
  expect_refusal("size", json{{"shortest_edge", 16}, {"longest_edge", 20}}, "or a \"shortest_edge\" alone");
  expect_refusal("image_std", json{0.5, 0.0, 0.5}, "\"image_std\" must be positive");
  expect_refusal("image_mean", json{0.5, 0.5}, "image_mean and image_std must have a number for each of 3 channels: 2");
  expect_refusal("rescale_factor", -1, "\"rescale_factor\" must be positive");
  expect_refusal("do_resize", "yes", "\"do_resize\" must be true or false");
  json config = json::parse(std::ifstream(text.path() / "config.json"));
  std::filesystem::copy(folder.path() / "preprocessor_config.json", text.path() / "preprocessor_config.json");
  expect_message<IoError>([&] { (void)rapt::image_classifier(text); }, "the model is of type \"bert\"");
}

/// A folder whose files tell an image preprocessor.
class ImagePreprocessorTest : public rapt_test::FolderTest {
 protected:
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  [[nodiscard]] rapt::ImagePreprocessorOptions load() const { return rapt::ImagePreprocessor::load(folder_).options(); }
  /// What a preprocessor_config.json of this text says.
  [[nodiscard]] rapt::ImagePreprocessorOptions options(const std::string& text) const {
    write("preprocessor_config.json", text);
    return load();
  }
};

TEST_F(ImagePreprocessorTest, AbsentKeysHaveTheDefaultsOfTheirClass) {
  const auto vit = options(R"({"feature_extractor_type": "ViTFeatureExtractor", "size": 384})");
  EXPECT_EQ(vit.size->height, 384);
  EXPECT_EQ(vit.size->width, 384);
  EXPECT_EQ(vit.resample, rapt::Resampling::bilinear);
  EXPECT_FALSE(vit.crop_size.has_value());
  EXPECT_DOUBLE_EQ(vit.normalization.mean_of(1), 0.5);
  const auto deit = options(R"({"image_processor_type": "DeiTImageProcessor", "do_rescale": false})");
  EXPECT_EQ(deit.size->height, 256);
  EXPECT_EQ(deit.resample, rapt::Resampling::bicubic);
  EXPECT_EQ(deit.crop_size->width, 224);
  EXPECT_DOUBLE_EQ(deit.normalization.standard_deviation_of(0), 0.5 / 255);
  EXPECT_FALSE(options(R"({"image_processor_type": "BeitImageProcessor", "do_resize": false})").size.has_value());
  const auto clip = options(R"({"image_processor_type": "CLIPImageProcessorFast"})");
  EXPECT_EQ(clip.size->shortest_edge, 224);
  EXPECT_EQ(clip.crop_size, (ImageSize{.height = 224, .width = 224}));
  EXPECT_EQ(clip.resample, rapt::Resampling::bicubic);
  EXPECT_NEAR(clip.normalization.mean[2], 0.40821073, 1e-15);
}

TEST_F(ImagePreprocessorTest, OneNumberIsTheShorterSideOfClipAlone) {
  const auto clip = options(R"({"feature_extractor_type": "CLIPFeatureExtractor", "size": 30, "crop_size": 20})");
  EXPECT_EQ(clip.size->shortest_edge, 30);
  EXPECT_EQ(clip.crop_size, (ImageSize{.height = 20, .width = 20}));
  const auto deit = options(R"({"feature_extractor_type": "DeiTFeatureExtractor", "size": 30, "crop_size": 20})");
  EXPECT_EQ(deit.size, (ImageSize{.height = 30, .width = 30}));
  EXPECT_EQ(deit.crop_size, (ImageSize{.height = 20, .width = 20}));
}

TEST_F(ImagePreprocessorTest, WithoutAClassTheModelTells) {
  write("config.json", R"({"model_type": "deit"})");
  EXPECT_EQ(options("{}").size->height, 256);
  write("config.json", R"({"model_type": "clip"})");
  EXPECT_EQ(options("{}").size->shortest_edge, 224);
  write("config.json", R"({"model_type": "bert"})");
  expect_message<IoError>([&] { (void)load(); }, "the image processor is that of a model of type \"bert\"");
}

TEST_F(ImagePreprocessorTest, TheNewerFileGoesBeforeTheOlder) {
  const std::string deit = R"({"image_processor_type": "DeiTImageProcessor", "size": 20})";
  write("processor_config.json", R"({"image_processor": {"image_processor_type": "ViTImageProcessor", "size": 40}})");
  EXPECT_EQ(load().size->height, 40);
  EXPECT_EQ(options(deit).size->height, 40);
  write("processor_config.json", R"({"processor_class": "CLIPProcessor"})");
  EXPECT_EQ(load().size->height, 20);
  write("processor_config.json", R"({"image_processor": 3})");
  expect_message<IoError>([&] { (void)load(); },
                          "/processor_config.json: \"image_processor\" must be an object: \"3\"");
  write("processor_config.json", R"({"image_processor": {"image_processor_type": "ViTImageProcessor", "size": -1}})");
  expect_message<IoError>([&] { (void)load(); }, "/processor_config.json: \"size\" must be a whole number");
}

TEST_F(ImagePreprocessorTest, ReadsWhatItSaves) {
  const auto expect_same = [&](const rapt::ImagePreprocessorOptions& saved) {
    rapt::ImagePreprocessor(saved).save(folder_);
    const rapt::ImagePreprocessorOptions read = load();
    EXPECT_EQ(read.size, saved.size);
    EXPECT_EQ(read.resample, saved.resample);
    EXPECT_EQ(read.crop_size, saved.crop_size);
    EXPECT_EQ(read.normalization.mean, saved.normalization.mean);
    EXPECT_EQ(read.normalization.standard_deviation, saved.normalization.standard_deviation);
  };
  for (const auto& saved : {rapt::ImagePreprocessorOptions::vit(), rapt::ImagePreprocessorOptions::deit(),
                            rapt::ImagePreprocessorOptions::clip()}) {
    expect_same(saved);
  }
  expect_same({.size = {}, .normalization = {.mean = {0.1, 0.2, 0.3}, .standard_deviation = {0.4}}});
  expect_same({.size = ImageSize{.shortest_edge = 20}, .resample = rapt::Resampling::lanczos});
  write("processor_config.json", "{}");
  expect_message<IoError>([&] { rapt::ImagePreprocessor({}).save(folder_); },
                          "/processor_config.json: the file goes before the preprocessor_config.json");
}

TEST_F(ImagePreprocessorTest, NumbersThatAreNotFiniteAreRefused) {
  const auto refused = [&](const std::string& keys, const std::string& part) {
    expect_message<IoError>([&] { (void)options(R"({"image_processor_type": "ViTImageProcessor", )" + keys + "}"); },
                            part);
  };
  refused(R"("rescale_factor": 1e-320)", "\"image_mean\" must be finite");
  refused(R"("rescale_factor": 1e-320, "image_mean": 0)", "\"image_std\" must be positive");
}

}  // namespace
