/// \file
/// Calendar time: the local time of a moment, and its text in English.
#pragma once

#include <locale.h>
#include <time.h>

#include <cstddef>
#include <ctime>
#include <span>

#if defined(_WIN32)
#include <mutex>
#include <string>
#endif

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// parts <- the local time of a moment; false if there is no such time. Safe from many threads.
[[nodiscard]] inline bool local_time(std::time_t time, std::tm& parts) {
#if defined(_WIN32)
  return ::localtime_s(&parts, &time) == 0;
#else
  return ::localtime_r(&time, &parts) != nullptr;
#endif
}

/// As std::strftime, with English names whatever the program's locale is.
[[nodiscard]] inline std::size_t format_in_english(std::span<char> text, const char* format, const std::tm& parts) {
#if defined(_WIN32) && !defined(_UCRT) && !defined(_MSC_VER)
  // msvcrt.dll exports no _strftime_l: the program's locale is changed for the moment.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const std::string before = ::setlocale(LC_TIME, nullptr);
  ::setlocale(LC_TIME, "C");
  const std::size_t size = ::strftime(text.data(), text.size(), format, &parts);
  ::setlocale(LC_TIME, before.c_str());
  return size;
#elif defined(_WIN32)
  static const ::_locale_t english = ::_create_locale(LC_ALL, "C");
  return ::_strftime_l(text.data(), text.size(), format, &parts, english);
#else
  static const ::locale_t english = ::newlocale(LC_ALL_MASK, "C", nullptr);
  return ::strftime_l(text.data(), text.size(), format, &parts, english);
#endif
}

}}}  // namespace rapt::RAPT_ABI::detail
