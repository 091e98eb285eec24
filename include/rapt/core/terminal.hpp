/// \file
/// Whether somebody reads along.
#pragma once

#include <cstdio>

#include "rapt/core/system.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// True if a stream is shown at a terminal, where a line can be rewritten in place.
[[nodiscard]] inline bool is_terminal(std::FILE* stream) {
#if defined(_WIN32)
  const HANDLE console = handle_of(::_fileno(stream));
  DWORD mode = 0;
  constexpr DWORD kUnderstandsEscapes = 4;  // ENABLE_VIRTUAL_TERMINAL_PROCESSING, since Windows 10
  return ::GetConsoleMode(console, &mode) != 0 && ::SetConsoleMode(console, mode | kUnderstandsEscapes) != 0;
#else
  return ::isatty(fileno(stream)) != 0;
#endif
}

}}}  // namespace rapt::RAPT_ABI::detail
