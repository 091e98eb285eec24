/// \file
/// Replacing all occurrences of a part of a text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Replaces each occurrence of `from`, which must not be empty, by `to`, from left to right. Text that was put in is
/// not searched again. The time is linear in the size of the text.
inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::size_t at = text.find(from);
  if (at == text.npos) return;
  std::string replaced;
  replaced.reserve(text.size());
  std::size_t done = 0;
  for (; at != text.npos; at = text.find(from, done)) {
    replaced.append(text, done, at - done) += to;
    done = at + from.size();
  }
  replaced.append(text, done);
  text.swap(replaced);
}

}}}  // namespace rapt::RAPT_ABI::detail
