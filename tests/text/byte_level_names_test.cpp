/// \file
/// Names of bytes, as GPT-2's published rule makes them.
#include "rapt/text/byte_level_names.hpp"

#include <gtest/gtest.h>

#include <set>

namespace {

using rapt::detail::bytes_of_name;
using rapt::detail::name_of_bytes;

TEST(ByteNames, AreThoseOfGpt2) {
  EXPECT_EQ(name_of_bytes(" the"), "Ġthe");
  EXPECT_EQ(name_of_bytes("\n"), "Ċ");
  EXPECT_EQ(name_of_bytes("é"), "Ã©");
  EXPECT_EQ(name_of_bytes(std::string(1, '\0')), "Ā");
  EXPECT_EQ(name_of_bytes("\xAD"), "Ń");
}

TEST(ByteNames, EachByteHasItsOwnAndComesBack) {
  std::set<std::string> names;
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    all += one;
    EXPECT_TRUE(names.insert(name_of_bytes(one)).second) << byte;
    EXPECT_EQ(bytes_of_name(name_of_bytes(one)), one) << byte;
  }
  EXPECT_EQ(bytes_of_name(name_of_bytes(all)), all);
}

TEST(ByteNames, OtherCharactersStandForNoByte) {
  EXPECT_EQ(bytes_of_name("a b"), "") << "a space has a name of its own";
  EXPECT_EQ(bytes_of_name("中"), "");
  EXPECT_EQ(bytes_of_name(""), "");
}

}  // namespace
