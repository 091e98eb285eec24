/// \file
/// A scope in which parameters have shapes, but no elements.
#pragma once

#include <utility>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

inline bool& initialises_nothing() {
  static thread_local bool nothing = false;
  return nothing;
}

/// While it lives, the functions that initialise parameters on this thread give shapes without elements: for models
/// whose weights will be read from a file, so that none are drawn or allocated before.
class InitialiseNothing {
 public:
  InitialiseNothing() : before_(std::exchange(initialises_nothing(), true)) {}
  ~InitialiseNothing() { initialises_nothing() = before_; }
  InitialiseNothing(const InitialiseNothing&) = delete;
  InitialiseNothing& operator=(const InitialiseNothing&) = delete;

 private:
  bool before_;
};

}}}  // namespace rapt::RAPT_ABI::detail
