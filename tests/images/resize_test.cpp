/// \file
/// Resized images against Pillow's, byte by byte, and crops against transformers'.
#include "rapt/images/resize.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::Image;
using rapt::Index;
using rapt::ResizeFilter;

[[nodiscard]] const nlohmann::json& resize_golden() {
  static const auto json = nlohmann::json::parse(std::ifstream(std::string(RAPT_GOLDEN_DIR) + "/resize.json"));
  return json;
}
[[nodiscard]] Image resize_source(const nlohmann::json& one) {
  const auto& image = resize_golden().at("images").at(one.at("image").get<std::string>());
  return Image(image.at("height"), image.at("width"), image.at("channels"), image.at("bytes").get<rapt_test::Bytes>());
}
[[nodiscard]] ResizeFilter resize_filter(const nlohmann::json& one) {
  return one.at("filter") == "bicubic" ? ResizeFilter::bicubic : ResizeFilter::bilinear;
}
/// Compares the image with the case's, sizes too.
void expect_image(const Image& found, const nlohmann::json& one) {
  auto about = one;
  about.erase("bytes");
  const Image wanted(one.at("height"), one.at("width"), found.channels(), one.at("bytes").get<rapt_test::Bytes>());
  EXPECT_EQ(found, wanted) << about;
}

TEST(Resize, EqualsPillow) {
  EXPECT_EQ(resize_golden().at("resized").size(), 36u);
  for (const auto& one : resize_golden().at("resized")) {
    expect_image(rapt::resized(resize_source(one), one.at("height"), one.at("width"), resize_filter(one)), one);
  }
}

TEST(Resize, KeepsTheRatioOfTheSides) {
  EXPECT_EQ(resize_golden().at("shortest").size(), 6u);
  for (const auto& one : resize_golden().at("shortest")) {
    expect_image(rapt::resized_to_shortest(resize_source(one), one.at("length"), resize_filter(one)), one);
  }
}

TEST(Resize, CropsTheMiddle) {
  EXPECT_EQ(resize_golden().at("cropped").size(), 18u);
  for (const auto& one : resize_golden().at("cropped")) {
    expect_image(rapt::centre_cropped(resize_source(one), one.at("height"), one.at("width")), one);
  }
}

TEST(Resize, AnImageOfThatSizeStaysAsItIs) {
  const Image image = rapt_test::random_image(5, 6, 3, 1);
  EXPECT_EQ(rapt::resized(image, 5, 6, ResizeFilter::bicubic), image);
  EXPECT_EQ(rapt::centre_cropped(image, 5, 6), image);
  EXPECT_EQ(rapt::resized(Image(4, 4, 1, 77), 9, 2, ResizeFilter::bicubic), Image(9, 2, 1, 77));
}

TEST(Resize, ErrorsNameTheSizes) {
  const Image image = rapt_test::random_image(5, 6, 3, 1);
  const auto error = [](const auto& f) { return rapt_test::error_text<rapt::ShapeError>(f); };
  EXPECT_EQ(error([&] { std::ignore = rapt::resized(Image(), 2, 2, ResizeFilter::bilinear); }),
            "[resized] the image is empty");
  EXPECT_NE(error([&] { std::ignore = rapt::resized(image, 2, 0, ResizeFilter::bilinear); }).find("2 x 0"),
            std::string::npos);
  EXPECT_NE(error([&] {
              std::ignore = rapt::resized(image, 1 << 20, 1 << 20, ResizeFilter::bilinear);
            }).find("at most 268435456 pixels"),
            std::string::npos);
  EXPECT_NE(error([&] { std::ignore = rapt::resized_to_shortest(image, -3, ResizeFilter::bicubic); }).find("-3"),
            std::string::npos);
  EXPECT_NE(error([&] { std::ignore = rapt::centre_cropped(image, 0, 4); }).find("0 x 4"), std::string::npos);
}

}  // namespace
