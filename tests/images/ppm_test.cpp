/// \file
/// PPM and PGM files, binary and as text.
#include "rapt/images/ppm.hpp"

#include <gtest/gtest.h>

#include <tuple>

#include "tests/common/expect_close.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::decode_ppm;
using rapt::Image;
using rapt::Index;
using rapt_test::Bytes;
using rapt_test::bytes_of;
using rapt_test::joined;
using rapt_test::random_image;

std::string text_of(std::string_view file) {
  return rapt_test::error_text<rapt::IoError>([&] { std::ignore = decode_ppm(bytes_of(file), "some.ppm"); });
}

using PpmTest = rapt_test::ImageFileTest;

TEST_F(PpmTest, WhatIsWrittenIsReadAgain) {
  for (const Index channels : {1, 3}) {
    const Image image = random_image(5, 3, channels, 1);
    rapt::write_ppm(folder_ / "image", image);
    EXPECT_EQ(rapt::read_ppm(folder_ / "image"), image);
  }
  EXPECT_EQ(rapt::encode_ppm(Image(1, 2, 1, 'x')), bytes_of("P5\n2 1\n255\nxx"));
  EXPECT_THROW(std::ignore = rapt::encode_ppm(Image()), rapt::ShapeError);
}

TEST_F(PpmTest, HeadersMayHaveCommentsAndAnyWhiteSpace) {
  const Image expected(1, 2, 3, bytes_of("abcdef"));
  EXPECT_EQ(decode_ppm(bytes_of("P6 2 1 255 abcdef"), "f"), expected);
  EXPECT_EQ(decode_ppm(bytes_of("P6#made by hand\n# twice\n2\t\r\n1#3 4\n255\nabcdef"), "f"), expected);
  // The byte behind the header's end may look like anything.
  EXPECT_EQ(decode_ppm(bytes_of("P5\n1 1\n255\n#"), "f"), Image(1, 1, 1, bytes_of("#")));
  EXPECT_EQ(decode_ppm(bytes_of("P5\n1 1\n255\n\n"), "f"), Image(1, 1, 1, bytes_of("\n")));
}

TEST_F(PpmTest, TextIsRead) {
  EXPECT_EQ(decode_ppm(bytes_of("P2\n3 2\n255\n0 1 2\n3 # four\n4 255\n"), "f"),
            Image(2, 3, 1, Bytes{0, 1, 2, 3, 4, 255}));
  EXPECT_EQ(decode_ppm(bytes_of("P3 1 1 255 7 8 9"), "f"), Image(1, 1, 3, Bytes{7, 8, 9}));
}

TEST_F(PpmTest, ValuesAreSpreadToTheWholeRange) {
  EXPECT_EQ(decode_ppm(bytes_of("P2 4 1 3 0 1 2 3"), "f"), Image(1, 4, 1, Bytes{0, 85, 170, 255}));
  EXPECT_EQ(decode_ppm(joined(bytes_of("P5 3 1 100 "), {0, 50, 100}), "f"), Image(1, 3, 1, Bytes{0, 128, 255}));
  EXPECT_EQ(text_of("P2 1 1 3 4"), "[ppm] some.ppm: at byte 9: the value is larger than 3");
  EXPECT_EQ(text_of("P5 1 1 3 x"), "[ppm] some.ppm: at byte 9: value 0 is 120, larger than 3");
}

TEST_F(PpmTest, TruncatedFilesAreErrorsWhereverTheyEnd) {
  for (const std::string_view text : {"P6\n2 1\n255\nabcdef", "P3 2 1 255\n10 20 30 40 50 60"}) {
    const Bytes whole = bytes_of(text);
    EXPECT_NO_THROW(std::ignore = decode_ppm(whole, "f"));
    for (std::size_t size = 0; size + (text[1] == '3' ? 1 : 0) < whole.size();
         ++size) {  // "6" instead of "60" is whole
      EXPECT_THROW(std::ignore = decode_ppm(rapt_test::first_bytes(whole, size), "f"), rapt::IoError) << size;
    }
  }
}

TEST_F(PpmTest, HostileFilesAreErrors) {
  EXPECT_EQ(text_of("GIF89a"),
            "[ppm] some.ppm: at byte 0: not a PPM or PGM file: it does not begin with P5, P6, P2 or P3");
  EXPECT_EQ(text_of("P4 1 1 0"), "[ppm] some.ppm: at byte 2: P2, P3, P5 and P6 are read, not P4");
  EXPECT_EQ(text_of("P51 1 255 x"), "[ppm] some.ppm: at byte 2: white space is missing before the width");
  EXPECT_EQ(text_of("P5 -1 1 255 x"), "[ppm] some.ppm: at byte 3: the width is not a number");
  EXPECT_EQ(text_of("P5 0 1 255 "), "[ppm] some.ppm: at byte 6: 0 x 1 pixels are not from 1 to 268435456");
  EXPECT_EQ(text_of("P5 99999999999999999999 1 255 x"),
            "[ppm] some.ppm: at byte 11: the width is larger than 268435456");
  EXPECT_EQ(text_of("P5 268435456 2 255 x"),
            "[ppm] some.ppm: at byte 14: 268435456 x 2 pixels are not from 1 to 268435456");
  EXPECT_EQ(text_of("P5 268435456 1 255 x"),
            "[ppm] some.ppm: at byte 19: 268435456 x 1 x 1 values need 268435456 bytes, 1 are left");
  EXPECT_EQ(text_of("P2 268435456 1 255 1 1"),
            "[ppm] some.ppm: at byte 18: 268435456 x 1 x 1 values need 536870912 bytes or more, 4 are left");
  EXPECT_EQ(text_of("P5 1 1 256 xx"), "[ppm] some.ppm: at byte 10: the largest value must be 1 to 255: 256");
  EXPECT_THROW(std::ignore = decode_ppm(bytes_of("P5 1 1 0 x"), "f"), rapt::IoError);
  EXPECT_EQ(text_of("P5 1 1 255 xy"), "[ppm] some.ppm: at byte 11: 1 x 1 x 1 values need 1 bytes, 2 are left");
  EXPECT_EQ(text_of("P2 1 1 255 7 8"), "[ppm] some.ppm: at byte 13: 1 bytes stand behind the last value");
  EXPECT_EQ(text_of("P2 1 1 255 7x"), "[ppm] some.ppm: at byte 12: 1 bytes stand behind the last value");
}

}  // namespace
