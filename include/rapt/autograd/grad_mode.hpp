/// \file
/// Inference is the default; training is a scope. Outside a scope nothing is recorded and dropout is off.
#pragma once

#include "rapt/core/checks.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/kernels/dropout.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

struct GradMode {
  bool recording = false;
  Rng* dropout_rng = nullptr;
};

/// Of the calling thread.
inline GradMode& grad_mode() {
  thread_local GradMode mode;
  return mode;
}

/// True inside of a FiniteCheck of the calling thread.
inline bool& finite_check_scope() {
  thread_local bool inside = false;
  return inside;
}

/// Whether the calling thread looks for NaN and infinity: see FiniteCheck and `checks`.
[[nodiscard]] inline bool checks_finite() {
  const int anything = checks_state().load(std::memory_order_relaxed) | int{finite_check_scope()};
  if (anything == 0) [[likely]] {
    return false;
  }
  return finite_check_scope() || checks();
}

class GradModeScope {
 public:
  GradModeScope(const GradModeScope&) = delete;
  GradModeScope& operator=(const GradModeScope&) = delete;

 protected:
  explicit GradModeScope(GradMode mode) : previous_(std::exchange(grad_mode(), mode)) {}
  ~GradModeScope() { grad_mode() = previous_; }

 private:
  GradMode previous_;
};

}  // namespace detail

/// While it lives, ops on the calling thread are recorded for `backward` and dropout draws from `rng`.
class [[nodiscard]] Training : detail::GradModeScope {
 public:
  explicit Training(Rng& rng) : GradModeScope({true, &rng}) {}
};

/// While it lives, ops are recorded, but dropout is off: for gradients of the model as it is.
class [[nodiscard]] Recording : detail::GradModeScope {
 public:
  Recording() : GradModeScope({true, nullptr}) {}
};

/// While it lives, nothing is recorded and dropout is off: for validation inside a training loop.
class [[nodiscard]] Inference : detail::GradModeScope {
 public:
  Inference() : GradModeScope({false, nullptr}) {}
};

/// Whether the calling thread records.
[[nodiscard]] inline bool is_recording() { return detail::grad_mode().recording; }

/// The dropout that an op should apply now: inactive outside of Training. Each call draws a stream of its own.
[[nodiscard]] inline kernels::Dropout next_dropout(float rate) {
  require(rate >= 0.f && rate < 1.f, "dropout", "the rate must be in [0, 1): ", rate);
  Rng* rng = detail::grad_mode().dropout_rng;
  if (rng == nullptr || rate == 0.f) return {};
  return {rng->next_stream(), rate};
}

/// A stream of random numbers of the Training scope, which no other use shares: for losses that draw something, such as
/// the vectors of which a generator makes images. Throws ValueError outside of Training.
[[nodiscard]] inline RandomStream next_training_stream() {
  Rng* const rng = detail::grad_mode().dropout_rng;
  require(rng != nullptr, "training", "there are no random numbers to draw outside of a Training scope");
  return rng->next_stream();
}

}}  // namespace rapt::RAPT_ABI
