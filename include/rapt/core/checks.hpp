/// \file
/// Whether the program checks the numbers that its ops compute.
#pragma once

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// 0: off; 1: on; negative: the environment variable RAPT_CHECK has not been read yet. An op that is not checked reads
/// this number and does no more.
inline std::atomic<int>& checks_state() {
  static constinit std::atomic<int> state{-1};
  return state;
}

/// Reads RAPT_CHECK, unless `set_checks` was faster.
[[gnu::cold, gnu::noinline]] inline bool read_checks() {
  const char* const wish = std::getenv("RAPT_CHECK");
  const std::string_view text = wish == nullptr ? "" : wish;
  require(text.empty() || text == "0" || text == "1", "checks", "RAPT_CHECK must be 0 or 1, not ", text);
  int unread = -1;
  checks_state().compare_exchange_strong(unread, text == "1" ? 1 : 0);
  return checks_state().load(std::memory_order_relaxed) > 0;
}

}  // namespace detail

/// True if every op, and `backward`, look for NaN and infinity in the numbers that they make, on all threads; the first
/// one throws ValueError that names the op, the element, the shapes and the parameters (finite_check.hpp). At first
/// this is what the environment variable RAPT_CHECK says, 0 or 1; without it, false. Numbers of tokens and rows, row
/// splits and shapes are checked by every op whatever is set here.
[[nodiscard]] inline bool checks() {
  const int state = detail::checks_state().load(std::memory_order_relaxed);
  return state == 0 ? false : state > 0 || detail::read_checks();
}
/// From now on `checks()` is `on`, whatever RAPT_CHECK says.
inline void set_checks(bool on) { detail::checks_state() = on ? 1 : 0; }

}}  // namespace rapt::RAPT_ABI
