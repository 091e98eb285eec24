/// \file
/// Fingerprints of data: FNV-1a's published values.
#include "rapt/data/fingerprint.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

namespace {

std::uint64_t fingerprint_of(std::string_view text) {
  rapt::Fingerprint fingerprint;
  fingerprint.add(text);
  return fingerprint.value();
}

TEST(Fingerprint, IsFnv1a) {
  EXPECT_EQ(fingerprint_of(""), 0xcbf29ce484222325u);
  EXPECT_EQ(fingerprint_of("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(fingerprint_of("foobar"), 0x85944171f73967e8u);
}

TEST(Fingerprint, OfPiecesIsThatOfTheWhole) {
  rapt::Fingerprint pieces;
  pieces.add("foo");
  pieces.add("bar");
  EXPECT_EQ(pieces.value(), fingerprint_of("foobar"));
  rapt::Fingerprint numbers;
  const std::uint8_t bytes[] = {'f', 'o', 'o', 'b', 'a', 'r'};
  numbers.add(std::span<const std::uint8_t>(bytes));
  EXPECT_EQ(numbers.value(), pieces.value());
}

}  // namespace
