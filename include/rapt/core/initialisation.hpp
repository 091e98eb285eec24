/// \file
/// Whether the functions that initialise parameters draw random numbers now, later, or not at all.
#pragma once

#include <utility>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// What the functions of `init` do on this thread.
enum class Initialisation {
  draw,        ///< give tensors of initial values
  draw_later,  ///< give shapes without elements in place of random numbers, see DrawLater
  nothing      ///< give shapes without elements, see InitialiseNothing
};
[[nodiscard]] inline Initialisation& initialisation() {
  static thread_local Initialisation present = Initialisation::draw;
  return present;
}

class InitialisationScope {
 public:
  explicit InitialisationScope(Initialisation inside) : before_(std::exchange(initialisation(), inside)) {}
  ~InitialisationScope() { initialisation() = before_; }
  InitialisationScope(const InitialisationScope&) = delete;
  InitialisationScope& operator=(const InitialisationScope&) = delete;

 private:
  Initialisation before_;
};

/// While it lives, the functions of `init` on this thread give shapes without elements: for models whose weights will
/// be read from a file, so that none are drawn or allocated before.
class InitialiseNothing : InitialisationScope {
 public:
  InitialiseNothing() : InitialisationScope(Initialisation::nothing) {}
};

/// While it lives, the functions of `init` on this thread that fill a tensor from one stream of random numbers take the
/// stream but draw nothing, and give a shape without elements. For models that give every matrix values of their own
/// once their layers are made: the values are those that they would be if the layers had drawn theirs. Constants are
/// as ever, and so is `truncated_normal`, of which nobody knows how many streams it takes.
class DrawLater : InitialisationScope {
 public:
  DrawLater()
      : InitialisationScope(initialisation() == Initialisation::nothing ? Initialisation::nothing
                                                                        : Initialisation::draw_later) {}
};

[[nodiscard]] inline bool initialises_nothing() { return initialisation() == Initialisation::nothing; }

}}}  // namespace rapt::RAPT_ABI::detail
