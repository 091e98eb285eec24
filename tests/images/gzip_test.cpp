/// \file
/// Whole files, plain and compressed, and what is refused.
// covers: images/file_bytes.hpp
#include "rapt/images/gzip.hpp"

#include <gtest/gtest.h>

#include <tuple>

#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::gunzip;
using rapt_test::Bytes;
using rapt_test::bytes_of;
using rapt_test::gzipped;
using rapt_test::joined;

constexpr std::size_t kLimit = 1 << 20;

using GzipTest = rapt_test::ImageFileTest;

TEST_F(GzipTest, FilesAreReadPlainOrCompressed) {
  for (const std::size_t size : {0u, 1u, 5000u, 300000u}) {
    Bytes bytes = rapt_test::random_bytes(size, 1);
    if (size == 5000) bytes.assign(size, 7);  // compresses well: the result must grow
    EXPECT_EQ(rapt::read_maybe_gzip(file("plain", bytes)), bytes);
    EXPECT_EQ(rapt::read_maybe_gzip(file("packed", gzipped(bytes))), bytes);
  }
  const Bytes zeros(kLimit, 0);
  EXPECT_EQ(gunzip(gzipped(zeros), kLimit, "f"), zeros);
}

TEST_F(GzipTest, MembersOneBehindTheOtherAreOneFile) {
  const Bytes packed = joined(joined(gzipped(bytes_of("one ")), gzipped({})), gzipped(bytes_of("two")));
  EXPECT_EQ(gunzip(packed, kLimit, "f"), bytes_of("one two"));
}

TEST_F(GzipTest, TruncatedFilesAreErrorsWhereverTheyEnd) {
  const Bytes packed = gzipped(bytes_of("a sentence, a sentence and another sentence"));
  for (std::size_t size = 0; size < packed.size(); ++size) {
    EXPECT_THROW(std::ignore = gunzip(rapt_test::first_bytes(packed, size), kLimit, "f"), rapt::IoError) << size;
  }
  const std::string text = rapt_test::error_text<rapt::IoError>(
      [&] { std::ignore = gunzip(rapt_test::first_bytes(packed, packed.size() - 1), kLimit, "some.gz"); });
  EXPECT_EQ(text, "[gzip] some.gz: truncated: the compressed data do not end within its " +
                      std::to_string(packed.size() - 1) + " bytes");
}

TEST_F(GzipTest, AChangedByteIsAnError) {
  const Bytes original = bytes_of("checksums are compared");
  const Bytes packed = gzipped(original);
  for (std::size_t i = 0; i < packed.size(); ++i) {
    Bytes changed = packed;
    changed[i] ^= 0x10;
    if (i >= 4 && i < 10) continue;  // time, flags and system: anything goes
    EXPECT_THROW(std::ignore = gunzip(changed, kLimit, "f"), rapt::IoError) << i;
  }
  Bytes changed = packed;
  changed[packed.size() - 5] ^= 1;  // of the checksum
  const std::string text =
      rapt_test::error_text<rapt::IoError>([&] { std::ignore = gunzip(changed, kLimit, "some.gz"); });
  EXPECT_NE(text.find("[gzip] some.gz: corrupt at byte "), std::string::npos) << text;
  EXPECT_NE(text.find("incorrect data check"), std::string::npos) << text;
}

TEST_F(GzipTest, OtherBytesBehindTheDataAreAnError) {
  const Bytes packed = gzipped(bytes_of("data"));
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>(
                [&] { std::ignore = gunzip(joined(packed, bytes_of("xyz")), kLimit, "some.gz"); }),
            "[gzip] some.gz: 3 bytes that are not gzip's stand behind the compressed data, at byte " +
                std::to_string(packed.size()));
  EXPECT_THROW(std::ignore = gunzip(joined(packed, {0x1f}), kLimit, "f"), rapt::IoError);
  EXPECT_THROW(std::ignore = gunzip(bytes_of("data"), kLimit, "f"), rapt::IoError);
}

TEST_F(GzipTest, TheLimitHoldsExactly) {
  const Bytes packed = gzipped(Bytes(1000000, 0));
  EXPECT_EQ(gunzip(packed, 1000000, "f").size(), 1000000u);
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { std::ignore = gunzip(packed, 999999, "some.gz"); }),
            "[gzip] some.gz: it inflates to more than the limit of 999999 bytes");
  EXPECT_EQ(gunzip(gzipped({}), 0, "f").size(), 0u);
  EXPECT_THROW(std::ignore = gunzip(gzipped({1}), 0, "f"), rapt::IoError);
  const Bytes two = joined(gzipped(Bytes(600, 1)), gzipped(Bytes(600, 1)));
  EXPECT_EQ(gunzip(two, 1200, "f").size(), 1200u);
  EXPECT_THROW(std::ignore = gunzip(two, 1199, "f"), rapt::IoError);
}

TEST_F(GzipTest, FilesThatCannotBeReadAreErrors) {
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>([] { std::ignore = rapt::read_file_bytes("/no/such/file"); }),
            "[read_file] /no/such/file: cannot open: No such file or directory");
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { std::ignore = rapt::read_file_bytes(folder_); }),
            "[read_file] " + folder_.string() + ": not a regular file");
  const auto path = file("ten", Bytes(10));
  EXPECT_EQ(rapt::read_file_bytes(path, 10).size(), 10u);
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { std::ignore = rapt::read_file_bytes(path, 9); }),
            "[read_file] " + path.string() + ": it has 10 bytes, the limit is 9");
}

}  // namespace
