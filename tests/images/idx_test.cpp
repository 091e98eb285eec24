/// \file
/// IDX files: small ones made here, hostile ones, and MNIST itself where it is there.
#include "rapt/images/idx.hpp"

#include <gtest/gtest.h>

#include <tuple>

#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::decode_idx;
using rapt::Index;
using rapt::TokenId;
using rapt_test::Bytes;
using rapt_test::joined;

/// A header of these sizes.
Bytes header(const std::vector<std::uint32_t>& sizes) {
  Bytes bytes{0, 0, 8, static_cast<std::uint8_t>(sizes.size())};
  for (const std::uint32_t size : sizes) {
    for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<std::uint8_t>(size >> shift));
  }
  return bytes;
}

std::string text_of(const Bytes& bytes) {
  return rapt_test::error_text<rapt::IoError>([&] { std::ignore = decode_idx(bytes, "some.idx"); });
}

using IdxTest = rapt_test::ImageFileTest;

TEST_F(IdxTest, ArraysAreReadWithTheirSizes) {
  const Bytes values = rapt_test::random_bytes(2 * 3 * 5, 1);
  const auto array = decode_idx(joined(header({2, 3, 5}), values), "f");
  EXPECT_EQ(array.shape, (rapt::Shape{2, 3, 5}));
  EXPECT_EQ(array.values, values);
  EXPECT_EQ(decode_idx(joined(header({1, 2, 3, 5}), values), "f").shape.rank(), 4);
  EXPECT_TRUE(decode_idx(header({0}), "f").values.empty());
  EXPECT_TRUE(decode_idx(header({0xffffffff, 0, 1}), "f").values.empty());
  EXPECT_EQ(decode_idx(joined(header({300}), Bytes(300)), "f").shape[0], 300);
}

TEST_F(IdxTest, TruncatedFilesAreErrorsWhereverTheyEnd) {
  const Bytes whole = joined(header({2, 3, 4}), Bytes(24));
  EXPECT_NO_THROW(std::ignore = decode_idx(whole, "f"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(std::ignore = decode_idx(rapt_test::first_bytes(whole, size), "f"), rapt::IoError) << size;
  }
  EXPECT_EQ(text_of(joined(whole, {0})), "[idx] some.idx: the header promises 24 values, 25 bytes follow it");
}

TEST_F(IdxTest, HostileHeadersAreErrors) {
  EXPECT_EQ(text_of({0, 1, 8, 1, 0, 0, 0, 0}),
            "[idx] some.idx: not an IDX file: it begins with the bytes 0, 1 instead of 0, 0");
  EXPECT_EQ(text_of({0, 0, 13, 1, 0, 0, 0, 0}),
            "[idx] some.idx: at byte 2: only unsigned bytes (type 8) are read, not 13");
  EXPECT_EQ(text_of({0, 0, 8, 0}), "[idx] some.idx: at byte 3: one to four dimensions are read, not 0");
  EXPECT_EQ(text_of(header({1, 1, 1, 1, 1})), "[idx] some.idx: at byte 3: one to four dimensions are read, not 5");
  EXPECT_EQ(text_of({0, 0, 8, 255}), "[idx] some.idx: at byte 3: one to four dimensions are read, not 255");
  constexpr std::uint32_t kMost = 0xffffffff;
  EXPECT_EQ(text_of(joined(header({kMost, kMost, kMost, kMost}), Bytes(9))),
            "[idx] some.idx: at byte 4: size 4294967295 of dimension 0 makes more than the 9 values that there can be");
  EXPECT_EQ(text_of(joined(header({9, kMost, kMost}), Bytes(9))),
            "[idx] some.idx: at byte 8: size 4294967295 of dimension 1 makes more than the 9 values that there can be");
  EXPECT_EQ(
      text_of(header({kMost, 0, kMost})),
      "[idx] some.idx: at byte 12: size 4294967295 of dimension 2 makes more than the 4294967296 values that there "
      "can be");
  EXPECT_THROW(std::ignore = decode_idx(header({kMost, kMost, kMost, 0}), "f"), rapt::IoError);
  EXPECT_EQ(text_of(joined(header({0, 3}), Bytes(1))),
            "[idx] some.idx: the header promises 0 values, 1 bytes follow it");
}

TEST_F(IdxTest, ADatasetIsImagesAndLabels) {
  const Bytes values = rapt_test::random_bytes(3 * 4 * 2, 2);
  const auto images = file("images.gz", rapt_test::gzipped(joined(header({3, 4, 2}), values)));
  const auto labels = file("labels", joined(header({3}), {2, 0, 1}));
  const auto dataset = rapt::read_idx_dataset(images, labels, 3);
  EXPECT_EQ(dataset.shape(), (rapt::ImageShape{1, 4, 2}));
  EXPECT_EQ(dataset.images(), 3);
  EXPECT_EQ(dataset.classes(), 3);
  EXPECT_EQ(Bytes(dataset.bytes().begin(), dataset.bytes().end()), values);
  EXPECT_EQ(std::vector<TokenId>(dataset.labels().begin(), dataset.labels().end()), (std::vector<TokenId>{2, 0, 1}));

  EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { std::ignore = rapt::read_idx_dataset(images, labels, 2); }),
            "[idx] " + labels.string() + ": label 2 of image 0 is not below the number of classes, 2");
  const auto four = file("four", joined(header({4}), {2, 0, 1, 1}));
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { std::ignore = rapt::read_idx_dataset(images, four, 3); }),
            "[idx] " + images.string() + " has 3 images, " + four.string() + " has 4 labels");
  EXPECT_THROW(std::ignore = rapt::read_idx_dataset(labels, labels, 3), rapt::IoError);  // not images
  EXPECT_THROW(std::ignore = rapt::read_idx_dataset(images, images, 3), rapt::IoError);  // not labels
  EXPECT_THROW(std::ignore = rapt::read_idx_images(file("flat", header({3, 0, 2}))), rapt::IoError);
  EXPECT_THROW(std::ignore = rapt::read_idx_images(file("wide", header({0, 0xffffffff, 0xffffffff}))), rapt::IoError);
}

void expect_mnist(const std::string& part, Index count, const std::vector<TokenId>& first_labels, double mean,
                  double deviation) {
  const std::filesystem::path folder = std::filesystem::path(RAPT_DATA_DIR) / "mnist";
  const auto images = folder / (part + "-images-idx3-ubyte.gz"), labels = folder / (part + "-labels-idx1-ubyte.gz");
  if (!std::filesystem::exists(images)) GTEST_SKIP() << images << " is not there";
  const auto dataset = rapt::read_idx_dataset(images, labels, 10);
  EXPECT_EQ(dataset.images(), count);
  EXPECT_EQ(dataset.shape(), (rapt::ImageShape{1, 28, 28}));
  EXPECT_EQ(std::vector<TokenId>(dataset.labels().begin(), dataset.labels().begin() + 5), first_labels);
  for (const Index of_class : rapt::class_counts(dataset)) {
    EXPECT_GT(of_class, count / 12);
    EXPECT_LT(of_class, count / 8);
  }
  const rapt::Normalization normalization = rapt::normalization_of(dataset);
  EXPECT_NEAR(normalization.mean[0], mean, 5e-5);
  EXPECT_NEAR(normalization.standard_deviation[0], deviation, 5e-5);
}

// 0.1307 and 0.3081 are what everybody normalises by.
TEST(Mnist, TrainingSet) { expect_mnist("train", 60000, {5, 0, 4, 1, 9}, 0.1307, 0.3081); }
TEST(Mnist, TestSet) { expect_mnist("t10k", 10000, {7, 2, 1, 0, 4}, 0.1325, 0.3105); }

}  // namespace
