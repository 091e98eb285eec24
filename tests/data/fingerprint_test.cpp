/// \file
/// Fingerprints of data: published values of FNV-1a, and that parts add up.
#include "rapt/data/fingerprint.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace {

std::uint64_t fingerprint_of(std::string_view text) {
  rapt::Fingerprint fingerprint;
  fingerprint.add(text);
  return fingerprint.value();
}

TEST(Fingerprint, IsFnv1a) {  // values of the reference code's test suite
  EXPECT_EQ(fingerprint_of(""), 0xcbf29ce484222325ull);
  EXPECT_EQ(fingerprint_of("a"), 0xaf63dc4c8601ec8cull);
  EXPECT_EQ(fingerprint_of("foobar"), 0x85944171f73967e8ull);
}

TEST(Fingerprint, PartsAddUp) {
  rapt::Fingerprint parts;
  parts.add("foo");
  parts.add("bar");
  EXPECT_EQ(parts.value(), fingerprint_of("foobar"));
  EXPECT_NE(fingerprint_of("barfoo"), fingerprint_of("foobar"));
}

TEST(Fingerprint, NumbersAreTheirBytes) {
  const std::vector<std::uint8_t> bytes{'f', 'o', 'o', 'b', 'a', 'r'};
  rapt::Fingerprint numbers;
  numbers.add(std::span<const std::uint8_t>(bytes));
  EXPECT_EQ(numbers.value(), fingerprint_of("foobar"));
  const std::vector<std::int32_t> one{1, 2}, other{2, 1};
  rapt::Fingerprint first, second;
  first.add(std::span<const std::int32_t>(one));
  second.add(std::span<const std::int32_t>(other));
  EXPECT_NE(first.value(), second.value());
}

}  // namespace
