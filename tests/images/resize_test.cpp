/// \file
/// Resized images are Pillow's, byte for byte (tests/golden/make_resize.py).
#include "rapt/images/resize.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rapt/text/base64.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"
#include "tests/images/sample_image.hpp"

namespace {

using rapt::Image;
using rapt::Index;
using rapt::ShapeError;
using rapt_test::sample_image;

TEST(Resize, GivesPillowsBytesOnAnyThreads) {
  const auto golden = nlohmann::json::parse(std::ifstream(RAPT_GOLDEN_DIR "/resize.json"));
  ASSERT_EQ(golden["cases"].size(), 10u);
  for (const auto& one : golden["cases"]) {
    const auto from = one["from"].get<std::vector<Index>>();
    const Image image = sample_image(from[0], from[1], from[2]);
    for (const auto& [name, filter] : rapt::named_values(rapt::Resampling())) {
      SCOPED_TRACE(std::string(name) + ": " + one["to"].dump());
      const std::string bytes = rapt::detail::from_base64(one["filters"][std::string(name)].get<std::string>()).value();
      rapt_test::for_every_thread_count([&, filter = filter] {
        const Image found = resized(image, one["to"][0], one["to"][1], filter);
        EXPECT_EQ(std::string(found.bytes().begin(), found.bytes().end()), bytes);
      });
    }
  }
}

TEST(Resize, TheSameSizeChangesNothing) {
  const Image image = sample_image(3, 5, 8);
  EXPECT_EQ(resized(image, 5, 8, rapt::Resampling::lanczos), image);
}

TEST(Resize, CropsTheMiddle) {
  const Image image = sample_image(3, 7, 9), part = centre_crop(image, 4, 3);
  ASSERT_EQ(part.shape(), (rapt::ImageShape{3, 4, 3}));
  for (Index y = 0; y < 4; ++y) {
    for (Index i = 0; i < 9; ++i) EXPECT_EQ(part.pixel(y, 0)[i], image.pixel(y + 1, 3)[i]);
  }
  EXPECT_EQ(centre_crop(image, 7, 9), image);
}

TEST(Resize, SizesThatCannotBeAreRefused) {
  const Image image = sample_image(1, 4, 4);
  rapt_test::expect_message<ShapeError>([&] { (void)resized(image, 0, 3, rapt::Resampling::box); }, "must be positive");
  rapt_test::expect_message<ShapeError>([&] { (void)resized(Image(), 2, 3, rapt::Resampling::box); }, "empty");
  rapt_test::expect_message<ShapeError>([&] { (void)centre_crop(image, 5, 3); },
                                        "an image of 4 x 4 has no part of 5 x 3");
}

}  // namespace
