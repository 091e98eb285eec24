/// \file
/// Values that are made at their first use.
#pragma once

#include <atomic>
#include <memory>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A value that is made at its first use and never destroyed, so that static objects may use it until the program's
/// end. It is for variables of static storage: `static constinit FirstUse<T> value;`.
///
/// Thread-safe without locks: if several threads use it first at the same time, each makes a value, and one value is
/// kept. A static variable of a function would hold a lock while its value is made; a child forked at that moment would
/// find it locked for ever.
template <class T>
class FirstUse {
 public:
  constexpr FirstUse() = default;
  FirstUse(const FirstUse&) = delete;
  FirstUse& operator=(const FirstUse&) = delete;

  /// The value, made by `make()`, which returns a std::unique_ptr<T>. If `make` throws, the next call tries again.
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

  /// Replaces the value by another one, or by none, and returns the former one, if any. Must not be called while
  /// another thread uses the value.
  std::unique_ptr<T> exchange(std::unique_ptr<T> value) noexcept {
    return std::unique_ptr<T>(value_.exchange(value.release(), std::memory_order_acq_rel));
  }

 private:
  std::atomic<T*> value_{nullptr};
};

}}}  // namespace rapt::RAPT_ABI::detail
