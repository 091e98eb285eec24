/// \file
/// Resized images are Pillow's and middles transformers', byte for byte (tests/golden/make_resize.py).
#include "rapt/images/resize.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "rapt/text/base64.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"
#include "tests/images/files.hpp"
#include "tests/images/sample_image.hpp"

namespace {

using rapt::Image;
using rapt::Index;
using rapt::Resampling;
using rapt::ShapeError;
using rapt_test::expect_message;
using rapt_test::sample_image;

[[nodiscard]] const nlohmann::json& resize_golden() {
  static const auto json = nlohmann::json::parse(std::ifstream(RAPT_GOLDEN_DIR "/resize.json"));
  return json;
}
[[nodiscard]] rapt_test::Bytes resize_bytes(const nlohmann::json& text) {
  return rapt_test::bytes_of(rapt::detail::from_base64(text.get<std::string>()).value());
}
[[nodiscard]] Image resize_source(const nlohmann::json& one) {
  const auto& image = resize_golden().at("images").at(one.at("image").get<std::string>());
  return Image(image.at("height"), image.at("width"), image.at("channels"), resize_bytes(image.at("bytes")));
}
[[nodiscard]] Resampling resize_filter(const nlohmann::json& one) {
  return one.at("filter") == "bicubic" ? Resampling::bicubic : Resampling::bilinear;
}
/// Compares the image with the case's, sizes too.
void expect_image(const Image& found, const nlohmann::json& one) {
  const Image wanted(one.at("height"), one.at("width"), found.channels(), resize_bytes(one.at("bytes")));
  EXPECT_EQ(found, wanted) << one;
}

TEST(Resize, GivesPillowsBytesOnAnyThreads) {
  const nlohmann::json& golden = resize_golden();
  ASSERT_EQ(golden["cases"].size(), 10u);
  for (const auto& one : golden["cases"]) {
    const auto from = one["from"].get<std::vector<Index>>();
    const Image image = sample_image(from[0], from[1], from[2]);
    for (const auto& [name, filter] : rapt::named_values(Resampling())) {
      SCOPED_TRACE(std::string(name) + ": " + one["to"].dump());
      const rapt_test::Bytes bytes = resize_bytes(one["filters"][std::string(name)]);
      rapt_test::for_every_thread_count([&, filter = filter] {
        const Image found = resized(image, one["to"][0], one["to"][1], filter);
        EXPECT_EQ(found, Image(one["to"][0], one["to"][1], from[0], bytes));
      });
    }
  }
}

TEST(Resize, GivesPillowsBytesOfNoise) {
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

TEST(Resize, CropsTheMiddleAsTransformersDoes) {
  EXPECT_EQ(resize_golden().at("cropped").size(), 18u);
  for (const auto& one : resize_golden().at("cropped")) {
    expect_image(rapt::centre_cropped(resize_source(one), one.at("height"), one.at("width")), one);
  }
}

TEST(Resize, CropsTheMiddle) {
  const Image image = sample_image(3, 7, 9), part = centre_cropped(image, 4, 3);
  ASSERT_EQ(part.shape(), (rapt::ImageShape{3, 4, 3}));
  for (Index y = 0; y < 4; ++y) {
    for (Index i = 0; i < 9; ++i) EXPECT_EQ(part.pixel(y, 0)[i], image.pixel(y + 1, 3)[i]);
  }
  EXPECT_EQ(centre_cropped(image, 7, 9), image);
}

TEST(Resize, TheSameSizeChangesNothing) {
  const Image image = sample_image(3, 5, 8);
  EXPECT_EQ(resized(image, 5, 8, Resampling::lanczos), image);
  EXPECT_EQ(resized(image, 5, 8, Resampling::bicubic), image);
  EXPECT_EQ(resized(Image(4, 4, 1, 77), 9, 2, Resampling::bicubic), Image(9, 2, 1, 77));
}

TEST(Resize, SizesThatCannotBeAreRefused) {
  const Image image = sample_image(1, 4, 4);
  const auto expect_error = [](const auto& f, std::string_view part) { expect_message<ShapeError>(f, part); };
  expect_error([&] { std::ignore = resized(image, 0, 3, Resampling::box); }, "must be positive");
  expect_error([&] { std::ignore = resized(image, 2, 0, Resampling::bilinear); }, "2 x 0");
  expect_error([&] { std::ignore = resized(Image(), 2, 3, Resampling::box); }, "[resized] the image is empty");
  expect_error([&] { std::ignore = resized(image, 1 << 20, 1 << 20, Resampling::bilinear); },
               "at most 268435456 pixels");
  expect_error([&] { std::ignore = resized_to_shortest(image, -3, Resampling::bicubic); }, "-3");
  expect_error([&] { std::ignore = resized_to_shortest(Image(), 3, Resampling::bicubic); }, "the image is empty");
  expect_error([&] { std::ignore = centre_cropped(image, 0, 4); }, "0 x 4");
  expect_error([&] { std::ignore = centre_cropped(Image(), 4, 4); }, "the image is empty");
}

}  // namespace
