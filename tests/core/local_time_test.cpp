/// \file
/// Local time against the standard library's, and its text.
#include "rapt/core/local_time.hpp"

#include <gtest/gtest.h>

#include <array>
#include <clocale>
#include <string>

namespace {

/// The text of a time in a format.
std::string text_of(const std::tm& time, const char* format) {
  std::array<char, 100> text{};
  return {text.data(), rapt::detail::format_in_english(text, format, time)};
}

TEST(LocalTime, IsThatOfTheStandardLibrary) {
  for (const std::time_t time : {std::time_t{0}, std::time_t{1700000000}, std::time_t{951782400}}) {
    std::tm found{};
    ASSERT_TRUE(rapt::detail::local_time(time, found));
    const std::tm expected = *std::localtime(&time);
    EXPECT_EQ(found.tm_year, expected.tm_year);
    EXPECT_EQ(found.tm_yday, expected.tm_yday);
    EXPECT_EQ(found.tm_hour, expected.tm_hour);
    EXPECT_EQ(found.tm_min, expected.tm_min);
  }
}

TEST(LocalTime, HasEnglishNamesInEveryLocale) {
  std::tm time{};
  time.tm_year = 126, time.tm_mon = 2, time.tm_mday = 7, time.tm_wday = 6, time.tm_hour = 15;
  const std::string before = std::setlocale(LC_ALL, nullptr);
  for (const char* locale : {"C", "de_DE.UTF-8", "C.UTF-8"}) {
    if (std::setlocale(LC_ALL, locale) == nullptr) continue;
    EXPECT_EQ(text_of(time, "%A %d %B %Y %H"), "Saturday 07 March 2026 15") << locale;
  }
  std::setlocale(LC_ALL, before.c_str());
}

TEST(LocalTime, GivesNothingForATextThatIsTooLong) {
  const std::tm time{};
  std::array<char, 4> text{};
  EXPECT_EQ(rapt::detail::format_in_english(text, "12345", time), 0u);
}

}  // namespace
