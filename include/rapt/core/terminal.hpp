/// \file
/// Whether somebody reads along.
#pragma once

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

#include <cstdio>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// True if a stream is shown at a terminal, where a line can be rewritten in place.
[[nodiscard]] inline bool is_terminal(std::FILE* stream) {
#if defined(_WIN32)
  return ::_isatty(::_fileno(stream)) != 0;
#else
  return ::isatty(fileno(stream)) != 0;
#endif
}

}}}  // namespace rapt::RAPT_ABI::detail
