/// \file
/// Adapters: maps that stand beside the weights of a model, which one call of the model uses and another does not.
#pragma once

#include <utility>

#include "rapt/autograd/variable.hpp"
#include "rapt/kernels/activation.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What an adapter is to the op `linear`. A const adapter may be used from many threads.
template <class T>
class WeightAdapter {
 public:
  virtual ~WeightAdapter() = default;

  /// True if products with this weight are the adapter's to compute.
  [[nodiscard]] virtual bool adapts(const Node<T>& weight) const = 0;
  /// activation(outputs first .. first + count of the adapted map of x), in place of those of x W^T + b. The adapter is
  /// not in use while this runs.   // [N, count] from x [N, in], weight [out, in], bias [out] (undefined: none)
  [[nodiscard]] virtual Variable<T> apply(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias,
                                          Activation activation, Index first, Index count) const = 0;

 protected:
  WeightAdapter() = default;
  WeightAdapter(const WeightAdapter&) = default;
  WeightAdapter& operator=(const WeightAdapter&) = default;
  WeightAdapter(WeightAdapter&&) noexcept = default;
  WeightAdapter& operator=(WeightAdapter&&) noexcept = default;
};

namespace detail {

/// The adapter that the calling thread uses; nullptr: none.
template <class T>
[[nodiscard]] const WeightAdapter<T>*& adapter_in_use() {
  thread_local const WeightAdapter<T>* adapter = nullptr;
  return adapter;
}

/// The adapter in use if it adapts this weight, else nullptr.
template <class T>
[[nodiscard]] const WeightAdapter<T>* adapter_of(const Variable<T>& weight) {
  const WeightAdapter<T>* const adapter = adapter_in_use<T>();
  return adapter != nullptr && adapter->adapts(*weight.node()) ? adapter : nullptr;
}

}  // namespace detail

/// While it lives, calls on the calling thread use this adapter, in place of another one that they used before;
/// nullptr: none. The model itself stays as it is, so that other threads may use it with other adapters meanwhile.
template <class T>
class [[nodiscard]] UseAdapter {
 public:
  explicit UseAdapter(const WeightAdapter<T>& adapter) : UseAdapter(&adapter) {}
  explicit UseAdapter(const WeightAdapter<T>* adapter)
      : previous_(std::exchange(detail::adapter_in_use<T>(), adapter)) {}
  UseAdapter(const UseAdapter&) = delete;
  UseAdapter& operator=(const UseAdapter&) = delete;
  ~UseAdapter() { detail::adapter_in_use<T>() = previous_; }

 private:
  const WeightAdapter<T>* previous_;
};

}}  // namespace rapt::RAPT_ABI
