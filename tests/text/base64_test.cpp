/// \file
/// Base64: the test vectors of RFC 4648, and what is none.
#include "rapt/text/base64.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace {

TEST(Base64, TheVectorsOfTheStandard) {
  for (const auto& [bytes, text] : {std::pair<std::string, std::string>{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"fooba", "Zm9vYmE="},
                                    {"foobar", "Zm9vYmFy"},
                                    {std::string("\0\xFF\xFE", 3), "AP/+"}}) {
    EXPECT_EQ(rapt::detail::to_base64(bytes), text);
    EXPECT_EQ(rapt::detail::from_base64(text), bytes);
  }
}

TEST(Base64, WhatIsNone) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg==Zg==", "Z===", "====", "Zm9*", "Zm 9", "Z\xC3\xA4="}) {
    EXPECT_FALSE(rapt::detail::from_base64(text).has_value()) << text;
  }
}

}  // namespace
