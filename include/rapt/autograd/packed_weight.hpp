/// \file
/// A weight kept in the order that products read, for inference.
#pragma once

#include <atomic>
#include <memory>

#include "rapt/kernels/gemm/packed_operand.hpp"

namespace rapt::inline RAPT_ABI {

/// The transpose of a weight [out, in] as a packed right operand: made at the first product, kept until the weight
/// changes. May be used from many threads, except while the weight is written to.
template <class T>
class PackedWeight {
 public:
  /// Whether products should keep the packed form; off at first.
  [[nodiscard]] bool is_kept() const { return kept_; }
  void keep(bool kept, kernels::PackedFormat format = kernels::PackedFormat::of_precision) {
    drop();
    kept_ = kept;
    format_ = format;
  }
  /// Forgets the packed form: the weight has changed.
  void drop() {
    if (kept_) packed_.store(nullptr);
  }

  /// Of the weight's present value, precision and instruction set. Throws ValueError for a weight without elements
  /// whose packed form is of another precision or instruction set, or was lost when the model was copied.
  [[nodiscard]] std::shared_ptr<const kernels::PackedOperand<T>> of(const Tensor<T>& weight) const {
    auto packed = packed_.load();
    if (packed == nullptr || !packed->is_current()) {
      require(weight.has_elements(), "packed_weight", "a weight of shape ", weight.shape(),
              " was kept in packed form alone, which does not fit the precision and instruction set in force or was "
              "not copied with the model");
      packed = std::make_shared<const kernels::PackedOperand<T>>(kernels::transposed(weight), format_);
      packed_.store(packed);
    }
    return packed;
  }

 private:
  bool kept_ = false;
  kernels::PackedFormat format_ = kernels::PackedFormat::of_precision;
  mutable std::atomic<std::shared_ptr<const kernels::PackedOperand<T>>> packed_;
};

}  // namespace rapt::inline RAPT_ABI
