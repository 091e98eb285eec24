/// \file
/// PNG files: what is written is read again; every kind of file, put together here chunk by chunk; hostile ones.
#include "rapt/images/png.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <tuple>

#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::decode_png;
using rapt::Image;
using rapt::Index;
using rapt_test::Bytes;
using rapt_test::bytes_of;
using rapt_test::joined;
using rapt_test::random_image;

Bytes big_endian(std::uint32_t value) {
  Bytes bytes;
  for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  return bytes;
}

Bytes chunk(std::string_view type, const Bytes& data) {
  const Bytes body = joined(bytes_of(type), data);
  const auto sum = static_cast<std::uint32_t>(::crc32(0, body.data(), static_cast<::uInt>(body.size())));
  return joined(big_endian(static_cast<std::uint32_t>(data.size())), joined(body, big_endian(sum)));
}

Bytes deflated(const Bytes& bytes) {
  Bytes result(::compressBound(static_cast<::uLong>(bytes.size())));
  auto size = static_cast<::uLongf>(result.size());
  EXPECT_EQ(::compress(result.data(), &size, bytes.data(), static_cast<::uLong>(bytes.size())), Z_OK);
  result.resize(size);
  return result;
}

const Bytes kSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::uint8_t kGray = 0, kRgb = 2, kPalette = 3, kGrayAlpha = 4, kRgba = 6;

Bytes header(std::uint32_t width, std::uint32_t height, std::uint8_t bits, std::uint8_t kind,
             std::uint8_t interlaced = 0) {
  return chunk("IHDR", joined(joined(big_endian(width), big_endian(height)), {bits, kind, 0, 0, interlaced}));
}

/// A file of whole lines (without their filter bytes); `extra` are chunks before the data.
Bytes png_of(const Bytes& ihdr, const std::vector<Bytes>& lines, const Bytes& extra = {}) {
  Bytes raw;
  for (const Bytes& line : lines) raw = joined(joined(raw, {0}), line);
  return joined(joined(kSignature, ihdr), joined(joined(extra, chunk("IDAT", deflated(raw))), chunk("IEND", {})));
}

Bytes decoded(const Bytes& file, Index channels, const rapt::PngOptions& options = {}) {
  const Image image = decode_png(file, "f", options);
  EXPECT_EQ(image.channels(), channels);
  return {image.bytes().begin(), image.bytes().end()};
}

std::string text_of(const Bytes& file) {
  return rapt_test::error_text<rapt::IoError>([&] { std::ignore = decode_png(file, "some.png"); });
}

using PngTest = rapt_test::ImageFileTest;

TEST_F(PngTest, WhatIsWrittenIsReadAgain) {
  for (const Index channels : {1, 3}) {
    for (const Index width : {1, 3, 8, 41}) {
      const Image image = random_image(width == 3 ? 1 : 29, width, channels, 1);
      const auto path = folder_ / "image.png";
      rapt::write_png(path, image);
      EXPECT_EQ(rapt::read_png(path), image);
    }
  }
  EXPECT_THROW(std::ignore = rapt::encode_png(Image()), rapt::ShapeError);
  EXPECT_THROW(std::ignore = rapt::read_png("/no/such/file"), rapt::IoError);
}

TEST_F(PngTest, EveryKindOfFileIsReadAsGrayOrColour) {
  EXPECT_EQ(decoded(png_of(header(3, 1, 8, kGray), {{0, 100, 255}}), 1), (Bytes{0, 100, 255}));
  EXPECT_EQ(decoded(png_of(header(10, 2, 1, kGray), {{0b10110000, 0b01000000}, {0, 0b10000000}}), 1),
            (Bytes{255, 0, 255, 255, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0}));
  EXPECT_EQ(decoded(png_of(header(3, 1, 2, kGray), {{0b00011011}}), 1), (Bytes{0, 85, 170}));
  EXPECT_EQ(decoded(png_of(header(2, 1, 4, kGray), {{0x0f}}), 1), (Bytes{0, 255}));
  EXPECT_EQ(decoded(png_of(header(1, 2, 8, kRgb), {{1, 2, 3}, {4, 5, 6}}), 3), (Bytes{1, 2, 3, 4, 5, 6}));
  const Bytes palette = chunk("PLTE", {9, 8, 7, 60, 50, 40});
  EXPECT_EQ(decoded(png_of(header(2, 1, 8, kPalette), {{1, 0}}, palette), 3), (Bytes{60, 50, 40, 9, 8, 7}));
  EXPECT_EQ(decoded(png_of(header(3, 1, 1, kPalette), {{0b01000000}}, palette), 3),
            (Bytes{9, 8, 7, 60, 50, 40, 9, 8, 7}));
  // 257 v has v in its upper byte: 16 bits become the same 8, not those of linear light.
  EXPECT_EQ(decoded(png_of(header(3, 1, 16, kGray), {{0, 0, 100, 100, 255, 255}}), 1), (Bytes{0, 100, 255}));
  EXPECT_EQ(decoded(png_of(header(1, 1, 16, kRgb), {{10, 10, 128, 128, 200, 200}}), 3), (Bytes{10, 128, 200}));
}

TEST_F(PngTest, TransparentPixelsShowTheBackground) {
  const Bytes gray = png_of(header(3, 1, 8, kGrayAlpha), {{50, 255, 50, 0, 0, 128}});
  EXPECT_EQ(decoded(gray, 1), (Bytes{50, 255, 127}));
  EXPECT_EQ(decoded(gray, 1, {.background = {7, 7, 7}}), (Bytes{50, 7, 3}));
  EXPECT_EQ(decoded(gray, 1, {.background = {1, 7, 2}}), (Bytes{50, 7, 3}));  // the green
  const Bytes colour = png_of(header(2, 1, 8, kRgba), {{1, 2, 3, 255, 4, 5, 6, 0}});
  EXPECT_EQ(decoded(colour, 3), (Bytes{1, 2, 3, 255, 255, 255}));
  EXPECT_EQ(decoded(colour, 3, {.background = {30, 20, 10}}), (Bytes{1, 2, 3, 30, 20, 10}));
  const Bytes palette = joined(chunk("PLTE", {9, 8, 7, 60, 50, 40}), chunk("tRNS", {255, 0}));
  EXPECT_EQ(decoded(png_of(header(2, 1, 8, kPalette), {{1, 0}}, palette), 3), (Bytes{255, 255, 255, 9, 8, 7}));
  EXPECT_EQ(decoded(png_of(header(2, 1, 8, kGray), {{80, 81}}, chunk("tRNS", {0, 80})), 1), (Bytes{255, 81}));
}

// Pillow's alpha_composite gives these values, too: for every value and alpha on backgrounds of 0, 7, 200 and 255.
TEST_F(PngTest, HalfTransparentPixelsAreMixedInTheStoredValues) {
  EXPECT_EQ(decoded(png_of(header(4, 1, 8, kGrayAlpha), {{50, 128, 0, 1, 0, 254, 100, 77}}), 1),
            (Bytes{152, 254, 1, 208}));
  EXPECT_EQ(
      decoded(png_of(header(2, 1, 8, kRgba), {{10, 200, 255, 64, 0, 128, 50, 200}}), 3, {.background = {200, 7, 0}}),
      (Bytes{152, 55, 64, 43, 102, 39}));
  const Bytes palette = joined(chunk("PLTE", {10, 100, 200}), chunk("tRNS", {64}));
  EXPECT_EQ(decoded(png_of(header(1, 1, 8, kPalette), {{0}}, palette), 3), (Bytes{194, 216, 241}));
  EXPECT_EQ(decoded(png_of(header(1, 1, 16, kGrayAlpha), {{50, 50, 128, 128}}), 1), Bytes{152});
  EXPECT_EQ(decoded(png_of(header(1, 1, 16, kRgba), {{10, 10, 100, 100, 200, 200, 64, 64}}), 3),
            (Bytes{194, 216, 241}));
  const Bytes gamma = chunk("gAMA", big_endian(45455));  // what most programs write: that of sRGB
  EXPECT_EQ(decoded(png_of(header(1, 1, 8, kGrayAlpha), {{50, 128}}, gamma), 1), Bytes{152});

  Bytes line;
  std::vector<Bytes> lines;
  for (unsigned alpha = 0; alpha < 256; ++alpha) {
    line.clear();
    for (unsigned value = 0; value < 256; ++value) {
      line.push_back(static_cast<std::uint8_t>(value));
      line.push_back(static_cast<std::uint8_t>(alpha));
    }
    lines.push_back(line);
  }
  const Bytes file = png_of(header(256, 256, 8, kGrayAlpha), lines);
  for (const std::uint8_t below : Bytes{0, 7, 200, 255}) {
    const Bytes found = decoded(file, 1, {.background = {below, below, below}});
    for (std::size_t at = 0; at < found.size(); ++at) {
      const double alpha = static_cast<double>(at / 256) / 255, value = static_cast<double>(at % 256);
      ASSERT_EQ(found[at], std::lround(alpha * value + (1 - alpha) * below)) << at << " on " << int{below};
    }
  }
}

TEST_F(PngTest, InterlacedFilesAreRead) {
  const Image image = random_image(9, 7, 1, 3);
  constexpr Index kFirst[7][2]{{0, 0}, {0, 4}, {4, 0}, {0, 2}, {2, 0}, {0, 1}, {1, 0}};
  constexpr Index kStep[7][2]{{8, 8}, {8, 8}, {8, 4}, {4, 4}, {4, 2}, {2, 2}, {2, 1}};
  std::vector<Bytes> lines;
  for (int pass = 0; pass < 7; ++pass) {
    for (Index y = kFirst[pass][0]; y < 9; y += kStep[pass][0]) {
      Bytes line;
      for (Index x = kFirst[pass][1]; x < 7; x += kStep[pass][1]) line.push_back(*image.pixel(y, x));
      if (!line.empty()) lines.push_back(line);
    }
  }
  EXPECT_EQ(decode_png(png_of(header(7, 9, 8, kGray, 1), lines), "f"), image);
}

TEST_F(PngTest, TruncatedFilesAreErrorsWhereverTheyEnd) {
  const Bytes whole = rapt::encode_png(random_image(3, 4, 3, 1));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(std::ignore = decode_png(rapt_test::first_bytes(whole, size), "f"), rapt::IoError) << size;
  }
  EXPECT_NO_THROW(std::ignore = decode_png(joined(whole, {1, 2, 3}), "f"));
  // Chunks that end where they should, data that do not.
  const Bytes raw = deflated({0, 1, 2, 3, 0, 1, 2, 3});
  const auto with_data = [&](const Bytes& data) {
    return joined(joined(kSignature, header(1, 2, 8, kRgb)), joined(chunk("IDAT", data), chunk("IEND", {})));
  };
  EXPECT_NO_THROW(std::ignore = decode_png(with_data(raw), "f"));
  EXPECT_THROW(std::ignore = decode_png(with_data(rapt_test::first_bytes(raw, raw.size() / 2)), "f"), rapt::IoError);
  EXPECT_THROW(std::ignore = decode_png(with_data(bytes_of("no zlib stream")), "f"), rapt::IoError);
}

TEST_F(PngTest, ChangedBytesInTheDataAreErrors) {
  const Bytes whole = rapt::encode_png(random_image(3, 4, 1, 1));
  Bytes changed = whole;
  changed[18] ^= 1;  // the width
  EXPECT_THROW(std::ignore = decode_png(changed, "f"), rapt::IoError);
  changed = whole;
  changed[whole.size() - 20] ^= 1;  // the last bytes of the data
  const std::string text = text_of(changed);
  EXPECT_EQ(text.substr(0, 24), "[png] some.png: libpng: ") << text;
}

TEST_F(PngTest, HostileFilesAreErrors) {
  EXPECT_EQ(text_of(bytes_of("GIF89a..")), "[png] some.png: not a PNG file: its first 8 bytes are not the signature");
  const Bytes end = chunk("IEND", {}), data = chunk("IDAT", deflated(Bytes(3)));
  EXPECT_EQ(text_of(joined(kSignature, joined(data, end))),
            "[png] some.png: at byte 8 the header must stand, of 13 bytes");
  EXPECT_EQ(text_of(joined(kSignature, joined(header(0, 5, 8, kGray), end))),
            "[png] some.png: at byte 16: 0 x 5 pixels are not from 1 to 268435456");
  EXPECT_EQ(text_of(joined(kSignature, joined(header(0x7fffffff, 0x7fffffff, 8, kGray), end))),
            "[png] some.png: at byte 16: 2147483647 x 2147483647 pixels are not from 1 to 268435456");
  // A header that would make a reader allocate 256 MiB for a few bytes.
  const Bytes huge = joined(joined(kSignature, header(1 << 14, 1 << 14, 8, kGray)), joined(data, end));
  EXPECT_NE(text_of(huge).find("cannot hold the 268435456 bytes that the header promises"), std::string::npos);
  Bytes long_chunk = joined(joined(kSignature, header(1, 1, 8, kGray)), data);
  long_chunk[8 + 25] = 0xff;
  EXPECT_NE(text_of(long_chunk).find("truncated: the chunk at byte 33 has "), std::string::npos) << text_of(long_chunk);
  EXPECT_THROW(std::ignore = decode_png(png_of(header(3, 1, 8, kPalette), {{0, 1, 2}}), "f"), rapt::IoError);  // none
  EXPECT_THROW(std::ignore = decode_png(png_of(header(3, 1, 3, kGray), {{0}}), "f"), rapt::IoError);           // 3 bits
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>(
                [&] { std::ignore = decode_png(rapt::encode_png(Image(3, 4, 1)), "some.png", {.max_pixels = 11}); }),
            "[png] some.png: at byte 16: 4 x 3 pixels are not from 1 to 11");
}

}  // namespace
