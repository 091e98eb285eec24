/// \file
/// protobuf's wire format: fields of each type, and bytes that are no message.
#include "rapt/io/protobuf.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::IoError;
using rapt::detail::ProtobufReader;
using rapt_test::error_text;
using namespace std::string_view_literals;

TEST(Protobuf, ReadsFieldsOfEachType) {
  // 1: 300, 2: -1 (ten bytes), 3: 1.5f, 4: "abc", 5: {1: true}, 6: eight bytes, 536870911: 0
  constexpr std::string_view kBytes =
      "\x08\xAC\x02\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x1D\x00\x00\xC0\x3F\x22\x03"
      "abc\x2A\x02\x08\x01\x31"
      "12345678\xF8\xFF\xFF\xFF\x0F\x00"sv;
  ProtobufReader reader(kBytes, "file");
  EXPECT_EQ(reader.next()->integer(), 300);
  EXPECT_EQ(reader.next()->integer(), -1);
  EXPECT_EQ(reader.next()->real(), 1.5f);
  EXPECT_EQ(reader.next()->bytes(), "abc");
  const auto field = reader.next();
  EXPECT_EQ(field->number(), 5u);
  ProtobufReader inner = field->message();
  EXPECT_TRUE(inner.next()->flag());
  EXPECT_FALSE(inner.next());
  EXPECT_EQ(reader.next()->number(), 6u);
  EXPECT_EQ(reader.next()->number(), 536870911u);
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
}

TEST(Protobuf, RefusesWhatIsNoMessage) {
  const auto refusal = [](std::string_view bytes) {
    return error_text<IoError>([&] {
      ProtobufReader reader(bytes, "file", 100);
      while (const auto field = reader.next()) (void)field->message().next();
    });
  };
  EXPECT_EQ(refusal("\x0A\x02\x08"), "[protobuf] file: byte 101: field 1 has 2 bytes, but only 1 are left");
  EXPECT_EQ(refusal("\x0A\x01\x88"), "[protobuf] file: byte 102: a number is cut off") << "within the inner message";
  EXPECT_EQ(refusal("\x02x"), "[protobuf] file: byte 100: a field must have a number from 1 to 536870911: 0");
  EXPECT_EQ(refusal("\x0B"), "[protobuf] file: byte 100: field 1 has wire type 3, which is none of 0, 1, 2 and 5");
  EXPECT_EQ(refusal("\x08\x01"), "[protobuf] file: byte 100: field 1 has wire type 0, but must have 2");
  EXPECT_EQ(refusal("\x0D\x01\x02"), "[protobuf] file: byte 101: a number of 4 bytes is cut off");
  EXPECT_EQ(refusal("\x08" + std::string(10, '\xFF') + "\x01"),
            "[protobuf] file: byte 101: a number has more than 10 bytes");
  EXPECT_EQ(refusal("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
            "[protobuf] file: byte 101: field 1 has 18446744073709551615 bytes, but only 0 are left");
}

TEST(Protobuf, WritesWhatIsRead) {
  rapt::detail::ProtobufWriter inner, all;
  inner.integer(1, 1);
  all.integer(1, 300);
  all.integer(2, -1);
  all.real(3, 1.5f);
  all.bytes(4, "abc");
  all.bytes(5, inner.written());
  all.integer(536870911, 0);
  EXPECT_EQ(all.written(),
            "\x08\xAC\x02\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x1D\x00\x00\xC0\x3F\x22\x03"
            "abc\x2A\x02\x08\x01\xF8\xFF\xFF\xFF\x0F\x00"sv);
  all.bytes(6, std::string(200, 'x'));
  ProtobufReader reader(all.written(), "file");
  std::string_view last;
  while (const auto field = reader.next()) {
    if (field->number() == 6) last = field->bytes();
  }
  EXPECT_EQ(last, std::string(200, 'x'));
}

TEST(Protobuf, WritesWideNumbersAndBeginningsOfFields) {
  rapt::detail::ProtobufWriter writer;
  writer.integer(1, std::int64_t{1} << 40);
  writer.begin_bytes(2, 300);
  EXPECT_EQ(writer.written(), "\x08\x80\x80\x80\x80\x80\x20\x12\xAC\x02"sv);
}

}  // namespace
