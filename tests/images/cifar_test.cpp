/// \file
/// CIFAR's records, made here.
#include "rapt/images/cifar.hpp"

#include <gtest/gtest.h>

#include <tuple>

#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::CifarLabels;
using rapt::decode_cifar;
using rapt::TokenId;
using rapt_test::Bytes;
using rapt_test::joined;
using rapt_test::random_bytes;

std::vector<TokenId> labels_of(const rapt::ImageDataset& dataset) {
  return {dataset.labels().begin(), dataset.labels().end()};
}

using CifarTest = rapt_test::ImageFileTest;

TEST_F(CifarTest, TenClassesHaveOneLabelByte) {
  const Bytes a = random_bytes(3072, 1), b = random_bytes(3072, 2);
  const auto dataset = decode_cifar(joined(joined({9}, a), joined({3}, b)), CifarLabels::ten, "f");
  EXPECT_EQ(dataset.shape(), (rapt::ImageShape{3, 32, 32}));
  EXPECT_EQ(dataset.classes(), 10);
  EXPECT_EQ(labels_of(dataset), (std::vector<TokenId>{9, 3}));
  EXPECT_EQ(Bytes(dataset.bytes().begin(), dataset.bytes().end()), joined(a, b));
  EXPECT_EQ(dataset.image(1).pixel(1, 2)[2], b[2 * 1024 + 32 + 2]);  // blue, second row, third column
}

TEST_F(CifarTest, HundredClassesHaveACoarseAndAFineLabel) {
  const Bytes bytes = joined(joined({19, 99}, random_bytes(3072, 1)), joined({0, 5}, random_bytes(3072, 2)));
  const auto fine = decode_cifar(bytes, CifarLabels::hundred_fine, "f");
  const auto coarse = decode_cifar(bytes, CifarLabels::hundred_coarse, "f");
  EXPECT_EQ(labels_of(fine), (std::vector<TokenId>{99, 5}));
  EXPECT_EQ(fine.classes(), 100);
  EXPECT_EQ(labels_of(coarse), (std::vector<TokenId>{19, 0}));
  EXPECT_EQ(coarse.classes(), 20);
  EXPECT_TRUE(std::equal(fine.bytes().begin(), fine.bytes().end(), coarse.bytes().begin(), coarse.bytes().end()));
  EXPECT_EQ(fine.bytes()[0], bytes[2]);
}

TEST_F(CifarTest, OnlyWholeRecordsWithLabelsInRangeAreRead) {
  const Bytes record = joined({9}, random_bytes(3072, 1));
  for (const std::size_t size : {0u, 1u, 3072u}) {
    EXPECT_THROW(std::ignore = decode_cifar(rapt_test::first_bytes(record, size), CifarLabels::ten, "f"),
                 rapt::IoError);
  }
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>(
                [&] { std::ignore = decode_cifar(joined(record, {1}), CifarLabels::ten, "some.bin"); }),
            "[cifar] some.bin: 3074 bytes are not one or more records of 3073");
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] {
              std::ignore = decode_cifar(joined(record, joined({10}, Bytes(3072))), CifarLabels::ten, "some.bin");
            }),
            "[cifar] some.bin: record 1, at byte 3073: label 10 is not below 10");
  EXPECT_THROW(std::ignore = decode_cifar(joined({20, 0}, Bytes(3072)), CifarLabels::hundred_fine, "f"), rapt::IoError);
  EXPECT_THROW(std::ignore = decode_cifar(joined({0, 100}, Bytes(3072)), CifarLabels::hundred_coarse, "f"),
               rapt::IoError);
}

TEST_F(CifarTest, FilesAreReadOneBehindTheOther) {
  const Bytes a = joined({1}, random_bytes(3072, 1)), b = joined({2}, random_bytes(3072, 2));
  const std::vector<std::filesystem::path> files{file("a.bin", a), file("b.bin.gz", rapt_test::gzipped(b))};
  const auto dataset = rapt::read_cifar(files, CifarLabels::ten);
  EXPECT_EQ(labels_of(dataset), (std::vector<TokenId>{1, 2}));
  EXPECT_TRUE(std::equal(dataset.planes(1).begin(), dataset.planes(1).end(), b.begin() + 1, b.end()));
  EXPECT_EQ(rapt::read_cifar(std::span(files).first(1), CifarLabels::ten).images(), 1);
  EXPECT_THROW(std::ignore = rapt::read_cifar({}, CifarLabels::ten), rapt::ValueError);
  EXPECT_THROW(std::ignore = rapt::read_cifar(files, CifarLabels::hundred_fine), rapt::IoError);
}

}  // namespace
