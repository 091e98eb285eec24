/// \file
/// Values that are made at their first use.
#pragma once

#include <atomic>
#include <memory>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A value that is made at its first use and never destroyed, so that static objects may use it until the very end.
/// Meant for variables of static storage: `static constinit FirstUse<T> value;`. Thread-safe and without locks: of
/// several threads that come first at once each makes a value, and one is kept. A function-local static would hold a
/// lock meanwhile, which a child forked at that moment would find locked for ever.
template <class T>
class FirstUse {
 public:
  constexpr FirstUse() = default;
  FirstUse(const FirstUse&) = delete;
  FirstUse& operator=(const FirstUse&) = delete;

  /// `make()` returns a std::unique_ptr<T>. What it throws is thrown here, and the next call makes the value.
  template <class Make>
  [[nodiscard]] T& get(const Make& make) {
    if (T* value = value_.load(std::memory_order_acquire)) [[likely]] {
      return *value;
    }
    std::unique_ptr<T> made = make();
    T* present = nullptr;
    if (value_.compare_exchange_strong(present, made.get(), std::memory_order_acq_rel)) present = made.release();
    return *present;
  }

  /// Puts another value, or none, in its place and returns the former one, if any. Not while another thread uses it.
  std::unique_ptr<T> exchange(std::unique_ptr<T> value) noexcept {
    return std::unique_ptr<T>(value_.exchange(value.release(), std::memory_order_acq_rel));
  }

 private:
  std::atomic<T*> value_{nullptr};
};

}}}  // namespace rapt::RAPT_ABI::detail
